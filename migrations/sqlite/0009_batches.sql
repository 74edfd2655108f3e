-- Batches: what an operator does to everything that matched a filter (daemon/store/operator_batch.h).
--
-- A batch acts on exactly what matched when it was made, however long it takes. Neither a copy of what matched (ten million
-- rows in one transaction, or in many while the rows change) nor times (clocks are set) can tell that. So batches are numbered,
-- and each delivery knows how many of them there were when it came into its present state: `after_batch`. Batch n acts on a
-- delivery only while after_batch < n:
--   - such a delivery has not changed its state since the batch was made, so its state and reason match now if and only if
--     they matched then; its endpoint, event, tenant, type and times never change;
--   - whatever is retried, dies, is delivered or is made later has after_batch >= n, and so has what the batch itself has done:
--     nothing is acted upon twice, even if a place is read again after a crash, and nothing that begins to match later.
-- The error and status of a pending delivery change without its state, so attempts are numbered too: a batch asks for the last
-- attempt with after_batch < n, which is what the delivery showed when the batch was made.
-- That takes two bytes a row, no index, and no write that was not made anyway; a step of a batch reads and writes a bounded
-- number of rows, and stores its place (`place`) in the same transaction.
CREATE TABLE batch (
  number INTEGER PRIMARY KEY CHECK (number > 0),  -- never reused: counter.batches
  id BLOB NOT NULL CHECK (length(id) = 16),
  action TEXT NOT NULL CHECK (action IN ('retry', 'discard', 'replay', 'replay_missing')),
  filter TEXT NOT NULL,    -- JSON: {"state": "dead", ...}, times and ids in full
  rate TEXT NOT NULL,      -- "1000/s"
  reason TEXT NOT NULL,    -- why, in the operator's words
  who TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('running', 'finished', 'cancelled')),
  matched INTEGER NOT NULL CHECK (matched >= 0),
  counted INTEGER NOT NULL CHECK (counted IN (0, 1)),  -- 0: at least `matched`, and more are being counted
  done INTEGER NOT NULL DEFAULT 0 CHECK (done >= 0),
  skipped INTEGER NOT NULL DEFAULT 0 CHECK (skipped >= 0),
  last_event INTEGER NOT NULL,     -- the newest event, and the newest endpoint, when it was made
  last_endpoint INTEGER NOT NULL,
  place TEXT NOT NULL DEFAULT '',  -- how far it has come: a cursor
  created_at INTEGER NOT NULL,
  finished_at INTEGER,
  CHECK ((state = 'running') = (finished_at IS NULL))
) STRICT;
CREATE UNIQUE INDEX batch_by_id ON batch (id);
CREATE INDEX batch_running ON batch (number) WHERE state = 'running';
CREATE INDEX batch_finished ON batch (finished_at) WHERE finished_at IS NOT NULL;
ALTER TABLE counter ADD COLUMN batches INTEGER NOT NULL DEFAULT 0;  -- how many were made

-- NULL: none. A last column that is NULL in every row is added in the text of the schema, as in 0007.
PRAGMA writable_schema=ON;
UPDATE sqlite_schema SET sql = replace(sql, 'expires_at INTEGER', 'expires_at INTEGER, after_batch INTEGER')
WHERE type = 'table' AND name = 'delivery';
UPDATE sqlite_schema SET sql = replace(sql, 'resent INTEGER NOT NULL DEFAULT 0', 'resent INTEGER NOT NULL DEFAULT 0, after_batch INTEGER')
WHERE type = 'table' AND name = 'attempt';
PRAGMA writable_schema=RESET;
CREATE TEMP TABLE changed (texts INTEGER CHECK (texts = 2));
INSERT INTO changed SELECT count(*) FROM sqlite_schema
WHERE type = 'table' AND name IN ('delivery', 'attempt') AND sql GLOB '*, after_batch INTEGER*';
DROP TABLE temp.changed;
