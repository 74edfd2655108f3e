-- A checksum of every event, the reason `damaged`, and a judgement of outbox rows at the INSERT. Takes the same time
-- however large the database is: of its rows only that of counter is touched.

-- Up to this event there are no checksums: one made now would vouch for bytes that may be damaged already.
ALTER TABLE counter ADD COLUMN last_unchecked INTEGER NOT NULL DEFAULT 0;
UPDATE counter SET last_unchecked = event_seq;

-- SQLite cannot change a CHECK, newer versions read a whole STRICT table to add a column to it, and to copy `delivery` would
-- take minutes and twice the disk where there are millions of rows. What leaves every row as it is (a constraint that admits
-- more or goes, a last column that is NULL) is changed in the text of the schema (sqlite.org/lang_altertable.html, "Making
-- Other Kinds Of Table Schema Changes"). RESET has SQLite read the schema anew within this transaction, so that a text which
-- it cannot read undoes it, and the temporary table fails unless every text was changed.
--
-- `event` gets its checksum (common/event_checksum.h). `delivery` admits `damaged`. json_valid() goes, because SQLite
-- 3.40 opens no database with it for those who set PRAGMA trusted_schema=OFF. The constraints of `outbox` go: the trigger
-- below says the same, and more.
PRAGMA writable_schema=ON;
UPDATE sqlite_schema SET sql = replace(sql, 'deliveries INTEGER NOT NULL CHECK (deliveries >= 0)',
                                       'deliveries INTEGER NOT NULL CHECK (deliveries >= 0),
  checksum INTEGER  -- NULL: accepted before there were any')
WHERE type = 'table' AND name = 'event';
UPDATE sqlite_schema SET sql = replace(sql, 'OR reason = ''skipped'')', 'OR reason = ''skipped'' OR reason = ''damaged'')')
WHERE type = 'table' AND name = 'delivery';
UPDATE sqlite_schema
SET sql = replace(replace(replace(replace(replace(replace(sql,
          ' CHECK (json_valid(types))', ''), ' CHECK (json_valid(secrets))', ''), ' CHECK (json_valid(headers))', ''),
          ' CHECK (json_valid(metadata))', ''), ' CHECK (tls IS NULL OR json_valid(tls))', ''),
          ' CHECK (retry_schedule IS NULL OR json_valid(retry_schedule))', '')
WHERE type = 'table' AND name = 'endpoint';
UPDATE sqlite_schema SET sql = 'CREATE TABLE outbox (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  type TEXT NOT NULL,        -- ''order.paid''
  payload ANY NOT NULL,      -- text or blob, delivered byte for byte; JSON, unless content_type says otherwise
  tenant TEXT,
  content_type TEXT,         -- NULL: application/json
  ordering_key TEXT,
  idempotency_key TEXT,
  deliver_at ANY,            -- unix milliseconds, RFC 3339 text, or YYYY-MM-DD HH:MM:SS (UTC)
  expires_at ANY,            -- the same
  priority INTEGER,          -- 0 to 9, NULL: 5
  headers TEXT,              -- ''{"x-shop": "7"}''
  traceparent TEXT,
  rejected TEXT,             -- set by outboxd: why this row can never become an event
  rejected_at INTEGER        -- and when, in unix milliseconds
) STRICT'
WHERE type = 'table' AND name = 'outbox';
PRAGMA writable_schema=RESET;
CREATE TEMP TABLE changed (texts INTEGER CHECK (texts = 4));
INSERT INTO changed SELECT count(*) FROM sqlite_schema
WHERE type = 'table' AND (name = 'delivery' AND sql GLOB '*OR reason = ''skipped'' OR reason = ''damaged'')*' OR name = 'event' AND sql GLOB '*checksum INTEGER*'
                          OR name IN ('endpoint', 'outbox') AND sql NOT GLOB '*json_valid*');
DROP TABLE temp.changed;

-- All that can be judged of a row at its INSERT, by the rules of POST /v1/events, in the producer's words. A trigger and
-- not CHECKs: it tells what to write instead, it knows the time, INSERT OR IGNORE cannot pass over it in silence, and rows
-- from before stay as they are. What it cannot judge (the size that [limits] event_bytes allows, a key used before, rare
-- forms of what is listed here) the daemon judges, and keeps a bad row with the reason. It uses nothing that SQLite 3.38
-- does not have or PRAGMA trusted_schema=OFF forbids.
--
-- Where bytes are not UTF-8, SQLite mostly reads U+FFFD; that and the two others that it reads so are taken out first.
CREATE TRIGGER outbox_row_is_judged
BEFORE INSERT ON outbox
BEGIN
  SELECT CASE
    WHEN NEW.type IS NULL THEN
      RAISE(ABORT, 'type: is missing; name what happened, such as ''order.paid''')
    WHEN length(NEW.type) NOT BETWEEN 1 AND 128 OR NEW.type GLOB '*[^A-Za-z0-9_.-]*' OR NEW.type GLOB '.*'
         OR NEW.type GLOB '*.' OR NEW.type GLOB '*..*' THEN
      RAISE(ABORT, 'type: must be 1 to 128 of A-Z a-z 0-9 _ . - in segments separated by single dots, such as ''order.paid''')
    WHEN NEW.payload IS NULL THEN
      RAISE(ABORT, 'payload: is missing; write ''null'' or ''{}'' for an event without one')
    WHEN typeof(NEW.payload) NOT IN ('text', 'blob') THEN
      RAISE(ABORT, 'payload: is a number; write it as text: ''42'', or CAST(… AS TEXT)')
    WHEN length(CAST(NEW.payload AS BLOB)) > 67108864 THEN
      RAISE(ABORT, 'payload: must be at most 64 MiB')
    WHEN NEW.rejected IS NOT NULL OR NEW.rejected_at IS NOT NULL THEN
      RAISE(ABORT, 'rejected, rejected_at: are set by outboxd; leave them out')
    WHEN EXISTS (SELECT 1 FROM outbox WHERE seq = NEW.seq) THEN
      RAISE(ABORT, 'seq: another row has that number; leave it out, outbox numbers its rows')
    WHEN instr(NEW.type || ifnull(NEW.tenant, '') || ifnull(NEW.content_type, '') || ifnull(NEW.ordering_key, '')
               || ifnull(NEW.idempotency_key, '') || ifnull(NEW.deliver_at, '') || ifnull(NEW.expires_at, '')
               || ifnull(NEW.headers, ''), char(0)) > 0 THEN
      RAISE(ABORT, 'a column holds a zero byte; only a payload may, with a content_type that is not JSON')
  END;

  SELECT CASE
    WHEN length(NEW.content_type) NOT BETWEEN 1 AND 255 OR NEW.content_type GLOB '*[^' || char(9) || ' -~]*'
         OR essence NOT GLOB '?*/?*' OR length(essence) - length(replace(essence, '/', '')) <> 1
         OR essence GLOB '/*' OR essence GLOB '*/' OR replace(essence, '/', '') GLOB '*[^A-Za-z0-9!#$%&''*+.^_`|~-]*' THEN
      RAISE(ABORT, 'content_type: must be a media type of at most 255 characters, such as ''text/plain''; NULL for application/json')
    -- Its parameters, one element of a JSON array each. (Those in quotes are for the daemon.)
    WHEN instr(NEW.content_type, ';') > 0 AND instr(NEW.content_type, '"') = 0 AND EXISTS (
           SELECT 1 FROM (SELECT trim(value) AS pair, instr(trim(value), '=') AS at FROM json_each(
             '["' || replace(replace(replace(substr(NEW.content_type, instr(NEW.content_type, ';') + 1), '\', '\\'), char(9), ' '),
                             ';', '","') || '"]'))
           WHERE pair NOT GLOB '?*=?*' OR at < 2 OR substr(pair, 1, at - 1) || substr(pair, at + 1) GLOB '*[^A-Za-z0-9!#$%&''*+.^_`|~-]*') THEN
      RAISE(ABORT, 'content_type: each parameter must be name=value, such as ''text/plain; charset=utf-8''')
  END
  FROM (SELECT rtrim(substr(NEW.content_type, 1, instr(NEW.content_type || ';', ';') - 1), ' ' || char(9)) AS essence
        WHERE NEW.content_type IS NOT NULL);

  -- A payload that is JSON, or is called so. First what people write by mistake, with the remedy; all else json_each() refuses
  -- as "malformed JSON". The CAST because SQLite from 3.45 on takes a blob for its own binary JSON; a zero byte would be
  -- the end of the text.
  SELECT CASE
    WHEN instr(CAST(NEW.payload AS BLOB), x'00') > 0 THEN
      RAISE(ABORT, 'payload: holds a zero byte, so it is not JSON in UTF-8; give the content_type of what it is')
    WHEN body GLOB broken AND replace(replace(replace(body, char(65533), ''), char(65534), ''), char(65535), '') GLOB broken THEN
      RAISE(ABORT, 'payload: is not UTF-8, so it is not JSON; give the content_type of what it is')
    WHEN start GLOB '{''*' OR start GLOB '[[]''*' THEN
      RAISE(ABORT, 'payload: is not JSON; it wants double quotes: ''{"id": 42}''')
    WHEN start NOT GLOB '[[{"0-9tfn-]*' AND (start <> '' OR bytes <= 100) OR start GLOB '{[^"}]*' THEN
      RAISE(ABORT, 'payload: is not JSON; write text as ''"text"'' or json_quote(…), or give the content_type of what it is')
    WHEN EXISTS (SELECT 1 FROM json_each(body)) > 1 THEN NULL  -- never: it either reads the text, or refuses it
    WHEN bytes BETWEEN 257 AND 65536 AND length(body) - length(replace(replace(body, '[', ''), '{', '')) > 128 AND EXISTS (
           SELECT 1 FROM json_tree(body)
           WHERE type IN ('array', 'object') AND length(fullkey) > 256 AND instr(fullkey, '"') = 0
                 AND length(fullkey) - length(replace(replace(fullkey, '[', ''), '.', '')) > 127) THEN
      RAISE(ABORT, 'payload: is nested deeper than 128 levels')
    -- From 3.42 on json_each() takes JSON5 too. With every string made one quotation mark, `outside` gives it away: other
    -- characters, a colon that follows no string, a comma, point or plus out of place. (Not in large ones: it takes long.)
    WHEN CAST(substr(sqlite_version(), 3) AS INTEGER) >= 42 AND bytes <= 65536 AND (
           SELECT inside GLOB '*[' || char(1) || '-' || char(31) || ']*' OR inside GLOB '*\[^/bfnrtu]*'
                  OR outside GLOB '*[^]}{:,0-9eE+.truefalsn" [-]*' OR outside GLOB '*[^"]:*' OR outside GLOB '*,[]}]*'
                  OR outside GLOB '*na*' OR outside GLOB '*[^0-9].*' OR outside GLOB '*.[^0-9]*' OR outside GLOB '*[^eE]+*'
           FROM (SELECT ifnull(group_concat(CASE key % 2 WHEN 1 THEN value END, ''), '') AS inside,
                        ' ' || replace(replace(replace(replace(group_concat(CASE key % 2 WHEN 0 THEN value END, '"'), ' ', ''),
                                                       char(9), ''), char(10), ''), char(13), '') || ' ' AS outside
                 FROM json_each('["' || replace(replace(replace(replace(replace(replace(replace(body, '\\', ''), '\"', ''),
                                '\', '\\'), char(9), '\t'), char(10), '\n'), char(13), '\r'), '"', '","') || '"]'))) THEN
      RAISE(ABORT, 'payload: is JSON5; JSON has no comments, unquoted names, trailing commas, NaN, …')
  END
  FROM (SELECT CAST(NEW.payload AS TEXT) AS body, length(CAST(NEW.payload AS BLOB)) AS bytes, '*' || char(65533) || '*' AS broken,
               replace(replace(replace(replace(substr(CAST(NEW.payload AS TEXT), 1, 100), ' ', ''), char(9), ''), char(10), ''), char(13), '') AS start,
               lower(rtrim(substr(NEW.content_type, 1, instr(NEW.content_type || ';', ';') - 1), ' ' || char(9))) AS essence)
  WHERE NEW.content_type IS NULL OR essence = 'application/json' OR essence GLOB '*+json';

  SELECT CASE
    WHEN NEW.tenant = '_ops' THEN
      RAISE(ABORT, 'tenant: _ops is reserved for events of outboxd itself')
    WHEN length(NEW.tenant) > 128 OR NEW.tenant GLOB '*[^A-Za-z0-9_.:-]*' THEN
      RAISE(ABORT, 'tenant: must be at most 128 of A-Z a-z 0-9 _ . : -')
    WHEN length(CAST(NEW.ordering_key AS BLOB)) NOT BETWEEN 1 AND 256 OR NEW.ordering_key GLOB control
         OR NEW.ordering_key GLOB broken AND replace(replace(replace(NEW.ordering_key, char(65533), ''), char(65534), ''), char(65535), '') GLOB broken THEN
      RAISE(ABORT, 'ordering_key: must be 1 to 256 bytes of UTF-8 without control characters; NULL for none')
    WHEN length(CAST(NEW.idempotency_key AS BLOB)) NOT BETWEEN 1 AND 256 OR NEW.idempotency_key GLOB control
         OR NEW.idempotency_key GLOB broken AND replace(replace(replace(NEW.idempotency_key, char(65533), ''), char(65534), ''), char(65535), '') GLOB broken THEN
      RAISE(ABORT, 'idempotency_key: must be 1 to 256 bytes of UTF-8 without control characters; NULL for none')
    WHEN NEW.priority NOT BETWEEN 0 AND 9 THEN
      RAISE(ABORT, 'priority: must be 0 to 9, a higher one goes first; NULL for 5')
    WHEN length(NEW.traceparent) > 256 THEN
      RAISE(ABORT, 'traceparent: must be that of W3C Trace Context, such as ''00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01''')
  END
  FROM (SELECT '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*' AS control,
               '*' || char(65533) || '*' AS broken
        WHERE coalesce(NEW.tenant, NEW.ordering_key, NEW.idempotency_key, NEW.priority, NEW.traceparent) IS NOT NULL);

  SELECT CASE
    WHEN typeof(value) = 'real' OR typeof(value) = 'text' AND value <> '' AND value NOT GLOB '*[^0-9]*' THEN
      RAISE(ABORT, 'deliver_at: is not a whole number; write CAST(… AS INTEGER), in unix milliseconds')
    WHEN typeof(value) = 'integer' AND value BETWEEN 0 AND 99999999999 THEN
      RAISE(ABORT, 'deliver_at: is in seconds, it seems; write unix milliseconds: unixepoch() * 1000')
    WHEN typeof(value) = 'text' AND value GLOB '[0-9]*-[0-9]*-[0-9]*[Tt][0-9]*:[0-9]*:[0-9]*' AND rest = '' THEN
      RAISE(ABORT, 'deliver_at: does not say in which zone; end it with Z (UTC) or an offset such as +01:00')
    WHEN CASE typeof(value)
           WHEN 'integer' THEN value NOT BETWEEN 100000000000 AND 253402300799999
           WHEN 'text' THEN
             value NOT GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9][Tt ][0-9][0-9]:[0-9][0-9]:[0-9][0-9]*'
             OR rest NOT IN ('', 'Z', 'z') AND rest NOT GLOB '[+-][0-2][0-9]:[0-5][0-9]'
             OR length(value) - length(rest) > 29 OR substr(value, 1, 4) < '1970' OR substr(value, 12, 2) > '23'
             OR date(substr(value, 1, 10), '+0 days') IS NOT substr(value, 1, 10) OR julianday(upper(value)) IS NULL
           ELSE 1 END THEN
      RAISE(ABORT, 'deliver_at: must be unix milliseconds, or a time such as ''2026-11-23T15:21:00Z'' or ''2026-11-23 15:21:00'' (UTC); NULL for at once')
  END
  FROM (SELECT NEW.deliver_at AS value,
               CASE WHEN substr(NEW.deliver_at, 20) GLOB '.[0-9]*' THEN ltrim(substr(NEW.deliver_at, 21), '0123456789')
                    ELSE substr(NEW.deliver_at, 20) END AS rest
        WHERE NEW.deliver_at IS NOT NULL);

  SELECT CASE
    WHEN typeof(value) = 'real' OR typeof(value) = 'text' AND value <> '' AND value NOT GLOB '*[^0-9]*' THEN
      RAISE(ABORT, 'expires_at: is not a whole number; write CAST(… AS INTEGER), in unix milliseconds')
    WHEN typeof(value) = 'integer' AND value BETWEEN 0 AND 99999999999 THEN
      RAISE(ABORT, 'expires_at: is in seconds, it seems; write unix milliseconds: unixepoch() * 1000')
    WHEN typeof(value) = 'text' AND value GLOB '[0-9]*-[0-9]*-[0-9]*[Tt][0-9]*:[0-9]*:[0-9]*' AND rest = '' THEN
      RAISE(ABORT, 'expires_at: does not say in which zone; end it with Z (UTC) or an offset such as +01:00')
    WHEN CASE typeof(value)
           WHEN 'integer' THEN value NOT BETWEEN 100000000000 AND 253402300799999
           WHEN 'text' THEN
             value NOT GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9][Tt ][0-9][0-9]:[0-9][0-9]:[0-9][0-9]*'
             OR rest NOT IN ('', 'Z', 'z') AND rest NOT GLOB '[+-][0-2][0-9]:[0-5][0-9]'
             OR length(value) - length(rest) > 29 OR substr(value, 1, 4) < '1970' OR substr(value, 12, 2) > '23'
             OR date(substr(value, 1, 10), '+0 days') IS NOT substr(value, 1, 10) OR julianday(upper(value)) IS NULL
           ELSE 1 END THEN
      RAISE(ABORT, 'expires_at: must be unix milliseconds, or a time such as ''2026-11-23T15:21:00Z'' or ''2026-11-23 15:21:00'' (UTC); NULL for never')
  END
  FROM (SELECT NEW.expires_at AS value,
               CASE WHEN substr(NEW.expires_at, 20) GLOB '.[0-9]*' THEN ltrim(substr(NEW.expires_at, 21), '0123456789')
                    ELSE substr(NEW.expires_at, 20) END AS rest
        WHERE NEW.expires_at IS NOT NULL);

  SELECT CASE
    WHEN expires <= now THEN
      RAISE(ABORT, 'expires_at: lies in the past; a time without an offset is UTC')
    WHEN deliver > now + 31536000000 THEN
      RAISE(ABORT, 'deliver_at: must be at most 365 days ahead')
    WHEN expires <= deliver THEN
      RAISE(ABORT, 'expires_at: must be later than deliver_at')
  END
  FROM (SELECT CASE typeof(NEW.deliver_at) WHEN 'text' THEN round((julianday(upper(NEW.deliver_at)) - 2440587.5) * 86400000)
                                           ELSE NEW.deliver_at END AS deliver,
               CASE typeof(NEW.expires_at) WHEN 'text' THEN round((julianday(upper(NEW.expires_at)) - 2440587.5) * 86400000)
                                           ELSE NEW.expires_at END AS expires,
               round((julianday('now') - 2440587.5) * 86400000) AS now
        WHERE coalesce(NEW.deliver_at, NEW.expires_at) IS NOT NULL);

  SELECT CASE
    WHEN length(NEW.headers) > 16384 OR trim(NEW.headers, ' ' || char(9) || char(10) || char(13)) NOT GLOB '{*}'
         OR trim(NEW.headers, ' ' || char(9) || char(10) || char(13)) GLOB '{[^ "}' || char(9) || char(10) || char(13) || ']*'
         OR instr(NEW.headers, '\u0000') > 0 THEN
      RAISE(ABORT, 'headers: must be a JSON object of names and values, such as ''{"x-shop": "7"}''; NULL for none')
    ELSE (SELECT CASE
        WHEN sum(type <> 'text') > 0 THEN
          RAISE(ABORT, 'headers: every value must be text: {"x-shop": "7"} and not {"x-shop": 7}')
        WHEN sum(length(key) NOT BETWEEN 1 AND 128 OR key GLOB '*[^A-Za-z0-9!#$%&''*+.^_`|~-]*') > 0 THEN
          RAISE(ABORT, 'headers: a name must be 1 to 128 letters, digits or characters of !#$%&''*+-.^_`|~')
        WHEN sum(name IN ('accept-encoding', 'connection', 'content-encoding', 'content-length', 'content-type', 'expect', 'host',
                          'http2-settings', 'keep-alive', 'te', 'traceparent', 'tracestate', 'trailer', 'transfer-encoding',
                          'upgrade', 'user-agent', 'proxy')
                 OR name GLOB 'proxy-*' OR name GLOB 'webhook-*' OR name GLOB 'outboxd-*') > 0 THEN
          RAISE(ABORT, 'headers: host, connection, user-agent, webhook-*, outboxd-*, proxy-* and the like are set by outboxd or belong to the connection, content_type and traceparent are columns; leave them out')
        WHEN sum(length(CAST(value AS BLOB)) NOT BETWEEN 1 AND 4096 OR value GLOB '*[^' || char(9) || ' -~]*'
                 OR trim(value, ' ' || char(9)) <> value) > 0 THEN
          RAISE(ABORT, 'headers: a value must be 1 to 4096 visible ASCII characters, spaces and tabs, the last two not at its ends')
        WHEN count(*) > count(DISTINCT lower(key)) THEN
          RAISE(ABORT, 'headers: a name appears more than once')
        WHEN count(*) > 32 OR sum(length(key) + length(value)) > 8192 THEN
          RAISE(ABORT, 'headers: must be at most 32, of 8192 bytes in all')
      END FROM (SELECT key, value, type, replace(lower(key), '_', '-') AS name FROM json_each(NEW.headers)))
  END
  WHERE NEW.headers IS NOT NULL;
END;
