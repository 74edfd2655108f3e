-- The store over PostgreSQL, 13 or newer. Everything lies in the schema that the connection's search_path names first.
--
-- Producers may rely on the table `outbox` and its columns; every other table is outboxd's own and may change with any release.
--
-- Times are unix milliseconds (`due_at` and `heartbeat_at` by this database's clock, all else by the clocks of those who say it),
-- durations milliseconds, days whole days since 1970 in UTC. No foreign keys: the daemons are the only writers of their tables and
-- would pay for the checks on every row of the hot path.
--
-- History is never updated, and lies in partitions of a day each: the day of the event, which is that of its id (a UUIDv7), so that
-- retention empties tables instead of deleting rows. What changes is narrow and small. A delivery is either in `pending` or in
-- `finished`: the transaction that ends it deletes the one row and inserts the other.
--
-- An event of which something is kept for longer than its day (it is pending yet, or a dead letter) is moved with all of that to the
-- partition of what is kept: its day is then kept_day(day) in every table. Who looks for an event by its id looks on both days.

-- No index of a partition begins with the day. Lists are in the order of the numbers, whatever the days, and are merged from the
-- partitions that they need; and a plan that was made while a partition was empty would take such an index for as good as any, and
-- read all of the partition with it.

-- Now, by the clock that due times are told by; not the start of the transaction.
CREATE FUNCTION clock_millis() RETURNS bigint LANGUAGE sql VOLATILE PARALLEL SAFE
  AS $$ SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint $$;

CREATE FUNCTION kept_day(day integer) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT day + 1000000 $$;

CREATE TABLE installation (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  schema_version integer NOT NULL,
  system_identifier text NOT NULL,  -- of the server that this was made on: a restored copy must not send real webhooks
  made_at bigint NOT NULL
);

-- The daemons. A recording transaction begins with its member's row, locked FOR SHARE: fencing a member waits for its batch under
-- way, and its next batch finds no row. A slot tells apart the rows of counters that members write, so that none waits for another;
-- it is given anew once its member is fenced or has left.
CREATE TABLE member (
  token text PRIMARY KEY,
  slot integer NOT NULL CHECK (slot >= 0),
  name text NOT NULL,
  address text NOT NULL,  -- as this server sees it; 'local' over a Unix socket
  joined_at bigint NOT NULL,
  heartbeat_at bigint NOT NULL,
  fenced boolean NOT NULL DEFAULT false
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
CREATE UNIQUE INDEX member_slot ON member (slot) WHERE NOT fenced;

-- The last owner of each partition of the endpoints (seq % 256). Who owns it is known by the advisory lock
-- ('partition_owner'::regclass, partition); this says who did, so that a takeover knows whether the owner before left cleanly.
CREATE TABLE partition_owner (
  partition integer PRIMARY KEY CHECK (partition BETWEEN 0 AND 255),
  token text,  -- NULL: given back
  since bigint NOT NULL
) WITH (fillfactor = 50);
INSERT INTO partition_owner SELECT n, NULL, 0 FROM generate_series(0, 255) AS n;

-- Numbers in the order in which they are drawn, which is not the order of the commits. Never CACHE: what has the same ordering key
-- draws its number under a lock, and must get the higher one later.
CREATE SEQUENCE event_seq AS bigint MAXVALUE 4398046511103;    -- 42 bits, see common/id.h
CREATE SEQUENCE endpoint_seq AS bigint MAXVALUE 4294967295;    -- 32 bits
CREATE SEQUENCE batch_number AS bigint;

CREATE TABLE event (
  day integer NOT NULL,
  seq bigint NOT NULL CHECK (seq BETWEEN 1 AND 4398046511103),
  id uuid NOT NULL,
  tenant text NOT NULL,
  type text NOT NULL CHECK (length(type) BETWEEN 1 AND 128),
  payload bytea NOT NULL,
  content_type text NOT NULL,
  ordering_key text,
  priority smallint NOT NULL CHECK (priority BETWEEN 0 AND 9),
  headers text,  -- JSON: [["name", "value"], ...]; NULL: none
  traceparent text,
  cloud_event text,  -- JSON: its attributes; NULL: it came as something else
  created_at bigint NOT NULL,
  deliver_at bigint,
  expires_at bigint,
  deliveries bigint NOT NULL CHECK (deliveries >= 0),
  checksum bigint,  -- common/event_checksum.h
  payload_erased_at bigint,
  PRIMARY KEY (seq, day)
) PARTITION BY RANGE (day);
-- Not unique, for then it would hold the day too, and be taken for lookups by seq and day while a partition is empty.
CREATE INDEX event_by_id ON event (id);
CREATE INDEX event_unmatched ON event (seq) WHERE deliveries = 0;

-- On which days the events of a block of 65,536 numbers are (seq >> 16). Whoever knows a delivery by its key alone finds its day
-- here, and so one or two partitions instead of all. Written by the transaction that accepts the first event of a block and day.
CREATE TABLE event_block (
  block bigint NOT NULL,
  day integer NOT NULL,
  PRIMARY KEY (block, day)
);
CREATE INDEX event_block_by_day ON event_block (day);

CREATE TABLE endpoint (
  seq bigint PRIMARY KEY CHECK (seq BETWEEN 1 AND 4294967295),
  id uuid NOT NULL,
  url text NOT NULL,
  name text NOT NULL,
  tenant text NOT NULL,
  types text NOT NULL,    -- JSON, as are the others that hold lists: daemon/store says what
  secrets text NOT NULL,
  headers text NOT NULL,
  format text NOT NULL CHECK (format IN ('raw', 'standard', 'cloudevents')),
  timeout bigint CHECK (timeout > 0),
  retry_schedule text,
  max_in_flight integer CHECK (max_in_flight > 0),
  state text NOT NULL CHECK (state IN ('active', 'paused', 'disabled')),
  disabled_reason text NOT NULL,
  metadata text NOT NULL,
  created_at bigint NOT NULL,
  updated_at bigint NOT NULL,
  rate_limit_count bigint CHECK (rate_limit_count > 0),
  rate_limit_per bigint CHECK ((rate_limit_per IS NULL) = (rate_limit_count IS NULL) AND (rate_limit_per IS NULL OR rate_limit_per > 0)),
  ordering text NOT NULL CHECK (ordering IN ('none', 'key', 'endpoint')),
  on_failure_in_order text NOT NULL CHECK (on_failure_in_order IN ('block', 'skip')),
  failing_since bigint,
  tls text,
  filter text,
  body_template text,
  content_type text,
  auth text,
  signatures text,
  disable_after bigint CHECK (disable_after > 0),
  removed_at bigint,
  discarding boolean NOT NULL DEFAULT false,  -- removed, and has perhaps pending deliveries yet
  version bigint NOT NULL                     -- of the directory, at its last change
);
CREATE UNIQUE INDEX endpoint_by_id ON endpoint (id);
CREATE INDEX endpoint_by_tenant ON endpoint (tenant, seq) WHERE removed_at IS NULL;
CREATE UNIQUE INDEX endpoint_name ON endpoint (tenant, name) WHERE name <> '' AND removed_at IS NULL;
CREATE INDEX endpoint_discarding ON endpoint (seq) WHERE discarding;
CREATE INDEX endpoint_removed ON endpoint (removed_at) WHERE removed_at IS NOT NULL;
CREATE INDEX endpoint_failing ON endpoint (failing_since, seq) WHERE failing_since IS NOT NULL AND removed_at IS NULL;
CREATE INDEX endpoint_by_version ON endpoint (version);

-- One row. Whoever writes it or reads it to rely on it holds the advisory lock ('directory'::regclass, 0): those who change
-- endpoints or make a batch exclusively, all other recording transactions shared. So no endpoint is removed, and no batch made, in
-- the middle of a transaction that does not know of it.
CREATE TABLE directory (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  version bigint NOT NULL,  -- counts the changes of endpoints
  batches bigint NOT NULL   -- the number of the newest batch; what changes its state now has this number as after_batch
) WITH (fillfactor = 50);
INSERT INTO directory VALUES (true, 0, 0);

-- What may still be sent: narrow, and the only table whose rows come and go all the time. Never claimed: an endpoint's partition has
-- one owner, which alone knows what is in flight.
CREATE TABLE pending (
  event bigint NOT NULL,
  endpoint bigint NOT NULL,
  day integer NOT NULL,  -- of the event
  due_at bigint NOT NULL,
  priority smallint NOT NULL CHECK (priority BETWEEN 0 AND 9),
  attempts integer NOT NULL DEFAULT 0,       -- since creation or the last replay
  attempts_ever integer NOT NULL DEFAULT 0,  -- number of the last attempt
  blocked boolean NOT NULL DEFAULT false,    -- another delivery of its endpoint with the same sequence key goes first
  sequence_key text COLLATE "C",             -- NULL: in no order
  error text,                                -- class of the last failed attempt
  created_at bigint NOT NULL,
  expires_at bigint,                         -- NULL: never, and so after an operator's retry or replay
  after_batch bigint NOT NULL DEFAULT 0,     -- how many batches there were when it came into its state
  PRIMARY KEY (event, endpoint)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_insert_threshold = -1,
        autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0.05, vacuum_truncate = off);
-- What a lane reads, in the order it sends.
CREATE INDEX pending_due ON pending (endpoint, priority DESC, due_at, event) WHERE NOT blocked;
CREATE INDEX pending_in_order ON pending (endpoint, sequence_key, event) WHERE sequence_key IS NOT NULL;
CREATE INDEX pending_blocked ON pending (endpoint, due_at) WHERE blocked;
CREATE INDEX pending_expiring ON pending (expires_at, event, endpoint) WHERE expires_at IS NOT NULL;

-- Deliveries that have ended, until an operator puts them back.
CREATE TABLE finished (
  day integer NOT NULL,
  event bigint NOT NULL,
  endpoint bigint NOT NULL,
  state text NOT NULL CHECK (state = 'delivered' OR state = 'dead' OR state = 'discarded'),
  reason text CHECK (reason IN ('exhausted', 'expired', 'gone', 'blocked', 'too_large', 'skipped', 'damaged')),
  attempts integer NOT NULL,
  attempts_ever integer NOT NULL,
  due_at bigint NOT NULL,
  priority smallint NOT NULL,
  error text,
  created_at bigint NOT NULL,
  finished_at bigint NOT NULL,
  after_batch bigint NOT NULL,
  PRIMARY KEY (event, endpoint, day),
  CHECK ((state = 'dead') = (reason IS NOT NULL))
) PARTITION BY RANGE (day);
CREATE INDEX finished_dead ON finished (event, endpoint) WHERE state = 'dead';
CREATE INDEX finished_dead_by_endpoint ON finished (endpoint, event) WHERE state = 'dead';
-- What of a day has ended lately, and so is still kept. Rows lie in the order in which they were written, so this is next to nothing.
CREATE INDEX finished_lately ON finished USING brin (finished_at) WITH (pages_per_range = 32, autosummarize = on);

CREATE TABLE attempt (
  day integer NOT NULL,  -- of the event
  event bigint NOT NULL,
  endpoint bigint NOT NULL,
  number integer NOT NULL CHECK (number > 0),
  id uuid NOT NULL,
  started_at bigint NOT NULL,
  dns bigint,  -- milliseconds from the start, NULL: that stage was not reached
  connect bigint,
  tls bigint,
  first_byte bigint,
  total bigint NOT NULL,
  outcome text NOT NULL,
  status integer NOT NULL,
  error text NOT NULL,
  request_line text NOT NULL,
  response_headers text,  -- JSON: [["name", "value"], ...]; NULL: none
  response_body bytea NOT NULL,
  remote_address text,
  resent boolean NOT NULL,
  after_batch bigint NOT NULL,
  PRIMARY KEY (event, endpoint, number, day)
) PARTITION BY RANGE (day);

-- What outlives its day (kept_day).
CREATE TABLE event_kept PARTITION OF event FOR VALUES FROM (1000000) TO (MAXVALUE);
CREATE TABLE finished_kept PARTITION OF finished FOR VALUES FROM (1000000) TO (MAXVALUE);
CREATE TABLE attempt_kept PARTITION OF attempt FOR VALUES FROM (1000000) TO (MAXVALUE);

-- Makes the partitions of a day, if it has none. Two steps, for CREATE ... PARTITION OF would lock out all readers and writers.
CREATE FUNCTION make_day(wanted integer) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  made boolean := false;
  parent text;
  child text;
BEGIN
  FOREACH parent IN ARRAY ARRAY['event', 'finished', 'attempt'] LOOP
    child := parent || '_' || to_char(date '1970-01-01' + wanted, 'YYYYMMDD');
    CONTINUE WHEN to_regclass(quote_ident(child)) IS NOT NULL;
    PERFORM pg_advisory_xact_lock('installation'::regclass::oid::integer, 1);
    -- Made while we waited? Asked of the table, because what was cached of the name is from before the wait.
    CONTINUE WHEN EXISTS (SELECT FROM pg_class c JOIN pg_class p USING (relnamespace)
                          WHERE p.oid = parent::regclass AND c.relname = child);
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', child, parent);
    EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)', parent, child, wanted, wanted + 1);
    made := true;
  END LOOP;
  RETURN made;
END $$;

-- Up to so many events of a day of which a delivery was delivered or discarded since then. Planned each time, for what it finds in
-- the partition.
CREATE FUNCTION ended_lately(wanted integer, since bigint, at_most bigint) RETURNS SETOF bigint LANGUAGE plpgsql
SET enable_bitmapscan = on AS $$
BEGIN
  RETURN QUERY EXECUTE format('SELECT event FROM %I WHERE finished_at >= $1 AND state <> ''dead'' LIMIT $2',
                              'finished_' || to_char(date '1970-01-01' + wanted, 'YYYYMMDD')) USING since, at_most;
END $$;

-- Locks the partitions of a day against everybody, if that succeeds at once: whoever comes after has to wait meanwhile.
CREATE FUNCTION lock_day(wanted integer) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  before text := current_setting('lock_timeout');
  suffix text := to_char(date '1970-01-01' + wanted, 'YYYYMMDD');
BEGIN
  PERFORM set_config('lock_timeout', '50ms', true);
  EXECUTE format('LOCK TABLE %I, %I, %I IN ACCESS EXCLUSIVE MODE', 'event_' || suffix, 'finished_' || suffix, 'attempt_' || suffix);
  PERFORM set_config('lock_timeout', before, true);
  RETURN true;
EXCEPTION WHEN lock_not_available OR undefined_table THEN
  RETURN false;
END $$;

-- Everything of a day, which was locked. Answers about how many attempts there were.
CREATE FUNCTION empty_day(wanted integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  suffix text := to_char(date '1970-01-01' + wanted, 'YYYYMMDD');
  attempts bigint;
BEGIN
  SELECT greatest(reltuples, 0)::bigint INTO attempts FROM pg_class WHERE oid = to_regclass(quote_ident('attempt_' || suffix));
  EXECUTE format('TRUNCATE %I, %I, %I', 'event_' || suffix, 'finished_' || suffix, 'attempt_' || suffix);
  DELETE FROM counter WHERE day = wanted;
  DELETE FROM endpoint_count WHERE day = wanted;
  DELETE FROM event_block WHERE day = wanted;
  RETURN coalesce(attempts, 0);
END $$;

CREATE TABLE idempotency (
  tenant text NOT NULL,
  key text NOT NULL,
  event bigint NOT NULL,
  day integer NOT NULL,
  digest bytea NOT NULL CHECK (octet_length(digest) = 32),
  expires_at bigint NOT NULL,
  PRIMARY KEY (tenant, key)
) PARTITION BY HASH (tenant, key);
CREATE TABLE idempotency_0 PARTITION OF idempotency FOR VALUES WITH (MODULUS 8, REMAINDER 0);
CREATE TABLE idempotency_1 PARTITION OF idempotency FOR VALUES WITH (MODULUS 8, REMAINDER 1);
CREATE TABLE idempotency_2 PARTITION OF idempotency FOR VALUES WITH (MODULUS 8, REMAINDER 2);
CREATE TABLE idempotency_3 PARTITION OF idempotency FOR VALUES WITH (MODULUS 8, REMAINDER 3);
CREATE TABLE idempotency_4 PARTITION OF idempotency FOR VALUES WITH (MODULUS 8, REMAINDER 4);
CREATE TABLE idempotency_5 PARTITION OF idempotency FOR VALUES WITH (MODULUS 8, REMAINDER 5);
CREATE TABLE idempotency_6 PARTITION OF idempotency FOR VALUES WITH (MODULUS 8, REMAINDER 6);
CREATE TABLE idempotency_7 PARTITION OF idempotency FOR VALUES WITH (MODULUS 8, REMAINDER 7);
CREATE INDEX idempotency_by_expiry ON idempotency (expires_at);

-- Events whose deliveries are not all made yet: those to the endpoints that match, after `after` and up to `last`.
CREATE TABLE fan_out (
  event bigint PRIMARY KEY,
  day integer NOT NULL,
  after bigint NOT NULL,
  last bigint NOT NULL
);

-- What status would have to count: a row for each slot of members and day of events, and what is meant is the sum of them. Numbers
-- can be negative in one row. Of each day, because what retention drops at once must be counted without being read.
CREATE TABLE counter (
  slot integer NOT NULL,
  day integer NOT NULL,
  events bigint NOT NULL,
  pending bigint NOT NULL,
  delivered bigint NOT NULL,
  dead bigint NOT NULL,
  discarded bigint NOT NULL,
  PRIMARY KEY (day, slot)
) WITH (fillfactor = 50);
CREATE TABLE endpoint_count (
  endpoint bigint NOT NULL,
  slot integer NOT NULL,
  day integer NOT NULL,
  pending bigint NOT NULL,
  delivered bigint NOT NULL,
  dead bigint NOT NULL,
  discarded bigint NOT NULL,
  PRIMARY KEY (endpoint, slot, day)
) WITH (fillfactor = 50);
CREATE INDEX endpoint_count_by_day ON endpoint_count (day);

-- One row, written by the owner of partition 0 alone: how far its sweeps have come.
CREATE TABLE sweep (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  rolled_up bigint NOT NULL,      -- minutes before this are in their hours too
  payloads_gone bigint NOT NULL,  -- up to this event, every payload is gone
  types_counted bigint NOT NULL,  -- events up to this number are counted by type
  event_types bigint NOT NULL     -- rows of event_type
) WITH (fillfactor = 50);
INSERT INTO sweep VALUES (true, 0, 0, 0, 0);

-- Batches: what an operator does to everything that matched a filter (daemon/store/operator_batch.h). A batch acts on a delivery
-- only while its after_batch is less than the batch's number: it has not changed its state since the batch was made.
CREATE TABLE batch (
  number bigint PRIMARY KEY CHECK (number > 0),
  id uuid NOT NULL,
  action text NOT NULL CHECK (action IN ('retry', 'discard', 'replay', 'replay_missing')),
  filter text NOT NULL,
  rate text NOT NULL,
  reason text NOT NULL,
  who text NOT NULL,
  state text NOT NULL CHECK (state IN ('running', 'finished', 'cancelled')),
  matched bigint NOT NULL CHECK (matched >= 0),
  counted boolean NOT NULL,  -- false: at least `matched`, and more are being counted
  done bigint NOT NULL DEFAULT 0 CHECK (done >= 0),
  skipped bigint NOT NULL DEFAULT 0 CHECK (skipped >= 0),
  last_event bigint NOT NULL,
  last_endpoint bigint NOT NULL,
  place text NOT NULL DEFAULT '',
  created_at bigint NOT NULL,
  finished_at bigint,
  CHECK ((state = 'running') = (finished_at IS NULL))
);
CREATE UNIQUE INDEX batch_by_id ON batch (id);
CREATE INDEX batch_running ON batch (number) WHERE state = 'running';
CREATE INDEX batch_finished ON batch (finished_at) WHERE finished_at IS NOT NULL;

CREATE TABLE event_type (
  tenant text COLLATE "C" NOT NULL,
  type text COLLATE "C" NOT NULL,  -- '*': types beyond the bound
  events bigint NOT NULL CHECK (events > 0),
  last_at bigint NOT NULL,
  PRIMARY KEY (tenant, type)
);

-- The roll-up (daemon/store/rollup.h). As with counters, each slot has rows of its own, and what is meant is their sum.
CREATE TABLE rollup (
  span bigint NOT NULL,      -- how long: a minute or an hour, in milliseconds
  at bigint NOT NULL,        -- since when
  endpoint bigint NOT NULL,  -- 0: all together (then type is ''), or those beyond the bound on groups (then it is '*')
  type text NOT NULL,
  outcome text NOT NULL,     -- '': deliveries that died without an attempt
  status integer NOT NULL,
  reason text NOT NULL,      -- '': they did not die
  slot integer NOT NULL,
  accepted bigint NOT NULL,
  attempts bigint NOT NULL,
  failed bigint NOT NULL,
  delivered bigint NOT NULL,
  dead bigint NOT NULL,
  latency bytea NOT NULL,
  duration bytea NOT NULL,
  first_at bigint,
  last_at bigint,
  last_error text NOT NULL,
  PRIMARY KEY (span, at, endpoint, type, outcome, status, reason, slot)
) WITH (fillfactor = 70);
CREATE INDEX rollup_failing ON rollup (span, at) WHERE outcome <> 'success';

-- How far the outbox of each application's own database has been relayed (store/commands.h, SourcePlace).
CREATE TABLE source (
  name text PRIMARY KEY,
  database text NOT NULL,
  relayed bigint NOT NULL,
  cleared bigint NOT NULL CHECK (cleared <= relayed)
);

-- Where SQL producers put events, in their own transactions:
--
--   INSERT INTO outbox(type, payload) VALUES ('order.paid', '{"id": 42}');
--
-- `payload` is JSON, delivered byte for byte as it was written (the type json keeps the text); what is not JSON goes into
-- `payload_bytes`, with its content_type. A row becomes an event and is then gone from here, or stays with the reason in `rejected`:
-- delete it once you have read it.
CREATE TABLE outbox (
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  type text NOT NULL,   -- 'order.paid'
  payload json,
  payload_bytes bytea,  -- instead of payload
  tenant text,
  content_type text,    -- NULL: application/json
  ordering_key text,
  idempotency_key text,
  deliver_at text,      -- unix milliseconds, RFC 3339, or a timestamptz
  expires_at text,      -- the same
  priority integer,     -- 0 to 9, NULL: 5
  headers json,         -- '{"x-shop": "7"}'
  traceparent text,
  rejected text,        -- set by outboxd: why this row can never become an event
  rejected_at bigint    -- and when, in unix milliseconds
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0,
        vacuum_truncate = off);
CREATE INDEX outbox_waiting ON outbox (seq) WHERE rejected IS NULL;
CREATE INDEX outbox_rejected ON outbox (seq) WHERE rejected IS NOT NULL;
