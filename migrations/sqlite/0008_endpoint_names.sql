-- Operators call an endpoint by its name, so a name means one endpoint of its tenant. Where several had the same, the oldest keeps
-- it, and each other one gets the end of its id behind it. What a migration returns is logged.
UPDATE endpoint SET name = substr(name, 1, 115) || '-' || lower(hex(substr(id, 11, 6)))
WHERE removed_at IS NULL AND name != ''
  AND EXISTS (SELECT 1 FROM endpoint o WHERE o.tenant = endpoint.tenant AND o.name = endpoint.name
              AND o.removed_at IS NULL AND o.seq < endpoint.seq)
RETURNING 'endpoint ep_' || lower(hex(id)) || ' had the name of an older one of its tenant and is now called ' || name;
CREATE UNIQUE INDEX endpoint_name ON endpoint (tenant, name) WHERE name != '' AND removed_at IS NULL;
