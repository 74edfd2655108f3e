-- Event types that were seen, what no endpoint wanted, and payloads that retention has erased.

-- How many events of each type there were, within each tenant. Accepting an event does not write here: events are counted afterwards,
-- in the order of their numbers (CountTypes), and counter.types_counted says how far. Those of before this schema are counted too, as
-- far as they are still there.
CREATE TABLE event_type (
  tenant TEXT NOT NULL,
  type TEXT NOT NULL,        -- '*': types beyond the bound
  events INTEGER NOT NULL CHECK (events > 0),
  last_at INTEGER NOT NULL,  -- when the last of them was accepted
  PRIMARY KEY (tenant, type)
) STRICT, WITHOUT ROWID;
ALTER TABLE counter ADD COLUMN types_counted INTEGER NOT NULL DEFAULT 0;  -- events up to this number are counted
ALTER TABLE counter ADD COLUMN event_types INTEGER NOT NULL DEFAULT 0;    -- rows of event_type

-- Up to this event, every payload is gone (PrunePayloads).
ALTER TABLE counter ADD COLUMN payloads_gone INTEGER NOT NULL DEFAULT 0;

-- Events that matched no endpoint. What matched costs this index nothing but a look at its condition. Making it reads every event that
-- is kept, once.
CREATE INDEX event_unmatched ON event (seq) WHERE deliveries = 0;
