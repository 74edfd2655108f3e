-- What an endpoint asks of an event's payload (common/payload_filter.h), and what its requests look like. NULL: nothing of the
-- kind. What is secret in `auth` and `signatures` is in `secrets`, with a `use` that says whose it is, so that all of it is
-- encrypted in one place. No json_valid(), for the reason that 0007 gives.

ALTER TABLE endpoint ADD COLUMN filter TEXT;
ALTER TABLE endpoint ADD COLUMN body_template TEXT;
ALTER TABLE endpoint ADD COLUMN content_type TEXT;
ALTER TABLE endpoint ADD COLUMN auth TEXT;        -- {"scheme", "name"}
ALTER TABLE endpoint ADD COLUMN signatures TEXT;  -- [{"scheme", "header", "algorithm", "encoding", "prefix", "over"}, ...]
ALTER TABLE endpoint ADD COLUMN disable_after INTEGER DEFAULT 432000000 CHECK (disable_after > 0);  -- NULL: never
