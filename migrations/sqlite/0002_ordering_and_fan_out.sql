-- Deliveries in order, rate limits, endpoints that keep failing, and events whose fan-out takes more than one transaction.

ALTER TABLE endpoint ADD COLUMN rate_limit_count INTEGER CHECK (rate_limit_count > 0);
ALTER TABLE endpoint ADD COLUMN rate_limit_per INTEGER
  CHECK ((rate_limit_per IS NULL) = (rate_limit_count IS NULL) AND (rate_limit_per IS NULL OR rate_limit_per > 0));
ALTER TABLE endpoint ADD COLUMN ordering TEXT NOT NULL DEFAULT 'none' CHECK (ordering IN ('none', 'key', 'endpoint'));
ALTER TABLE endpoint ADD COLUMN on_failure_in_order TEXT NOT NULL DEFAULT 'block' CHECK (on_failure_in_order IN ('block', 'skip'));
ALTER TABLE endpoint ADD COLUMN failing_since INTEGER;  -- every attempt has failed since

-- Pending deliveries of one endpoint with the same order key go one at a time: the first accepted is the head, the others are
-- `behind` it. Both columns have a meaning while a delivery is pending; the key is taken away when it is not any more. What was
-- pending before this schema is in no order.
DROP INDEX delivery_pending;
ALTER TABLE delivery DROP COLUMN ordering_key;  -- the event's, whatever the endpoint made of it; the event still has it
ALTER TABLE delivery ADD COLUMN order_key TEXT;
ALTER TABLE delivery ADD COLUMN behind INTEGER NOT NULL DEFAULT 0 CHECK (behind = 0 OR behind = 1);
-- What a lane reads, in the order it sends: only what is pending and may be attempted, so that neither history nor those behind
-- cost the delivery loop anything.
CREATE INDEX delivery_pending ON delivery (endpoint, priority DESC, due_at, event) WHERE state = 'pending' AND behind = 0;
-- Its condition does not name the state, and so whatever is in no order changes its state without SQLite looking at this index.
CREATE INDEX delivery_in_order ON delivery (endpoint, order_key, event) WHERE order_key IS NOT NULL;

-- Events whose deliveries are not all made yet: those to the endpoints that match, after `after` and up to `last`.
CREATE TABLE fan_out (
  event INTEGER PRIMARY KEY,
  after INTEGER NOT NULL,
  last INTEGER NOT NULL
) STRICT;
