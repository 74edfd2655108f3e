-- Expiry that is found on disk, and since when something is due, whatever holds it back.

-- When a pending delivery dies with reason `expired`, by the wall clock: the event's expires_at, copied when the delivery is made.
-- NULL: never, and so after an operator's retry or replay, which overrides the event's.
ALTER TABLE delivery ADD COLUMN expires_at INTEGER;
-- What has no expiry costs this index nothing but a look at its condition.
CREATE INDEX delivery_expiring ON delivery (expires_at) WHERE expires_at IS NOT NULL AND state = 'pending';
-- Reads every delivery that is kept, and the event of each that is pending.
UPDATE delivery SET expires_at = (SELECT expires_at FROM event WHERE seq = delivery.event)
WHERE state = 'pending' AND (SELECT expires_at FROM event WHERE seq = delivery.event) IS NOT NULL;

-- Since when those that wait behind others have been due. (Of all others delivery_pending tells.)
CREATE INDEX delivery_behind ON delivery (endpoint, due_at) WHERE behind = 1 AND state = 'pending';
