-- The roll-up: what happened, counted by the minute and, once a minute is over, by the hour too (daemon/store/rollup.h). Kept by the
-- daemon in the transactions that make it happen, so that nobody has to count in a large table. It begins empty.
CREATE TABLE rollup (
  span INTEGER NOT NULL,      -- how long: a minute or an hour, in milliseconds
  at INTEGER NOT NULL,        -- since when
  endpoint INTEGER NOT NULL,  -- 0: all together (then type is ''), or those beyond the bound on groups (then it is '*')
  type TEXT NOT NULL,         -- of the events; '*': those beyond the bound on types
  outcome TEXT NOT NULL,      -- of the attempts; '': deliveries that died without one
  status INTEGER NOT NULL,    -- of attempts that failed; 0: no response came
  reason TEXT NOT NULL,       -- why the deliveries died; '': they did not
  accepted INTEGER NOT NULL,  -- deliveries made of events when they were accepted; of endpoint 0: events
  attempts INTEGER NOT NULL,
  failed INTEGER NOT NULL,    -- attempts
  delivered INTEGER NOT NULL,
  dead INTEGER NOT NULL,
  latency BLOB NOT NULL,      -- from accepted to delivered: a histogram, as are the next
  duration BLOB NOT NULL,     -- of the attempts
  first_at INTEGER,           -- of what failed
  last_at INTEGER,
  last_error TEXT NOT NULL,
  PRIMARY KEY (span, at, endpoint, type, outcome, status, reason)
) STRICT, WITHOUT ROWID;
-- What failed, whatever else happened in that time. What succeeded costs this index nothing.
CREATE INDEX rollup_failing ON rollup (span, at) WHERE outcome <> 'success';

-- Minutes before this are in their hours too.
ALTER TABLE counter ADD COLUMN rolled_up INTEGER NOT NULL DEFAULT 0;
