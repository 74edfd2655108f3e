-- Due times that survive a clock set back, and retention of rejected outbox rows.

-- delivery.due_at is due time: the wall clock plus due_ahead, which grows when the wall clock is set back, so that due time never is
-- (daemon/store/due_clock.h). due_last: due time at the last commit.
ALTER TABLE counter ADD COLUMN due_ahead INTEGER NOT NULL DEFAULT 0;
ALTER TABLE counter ADD COLUMN due_last INTEGER NOT NULL DEFAULT 0;

ALTER TABLE outbox ADD COLUMN rejected_at INTEGER;  -- set by outboxd with `rejected`

-- What retention looks for.
CREATE INDEX endpoint_removed ON endpoint (removed_at) WHERE removed_at IS NOT NULL;
UPDATE outbox SET rejected_at = CAST(strftime('%s', 'now') AS INTEGER) * 1000 WHERE rejected IS NOT NULL;
