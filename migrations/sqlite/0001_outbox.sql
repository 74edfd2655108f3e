-- The first schema: events, endpoints, deliveries, attempts, and the public table `outbox`.
--
-- Producers that INSERT INTO outbox need SQLite 3.38 or newer (STRICT tables since 3.37, json_valid built in since
-- 3.38, which PRAGMA trusted_schema=OFF would forbid). They may rely on the table `outbox` and its columns; every other table is outboxd's own and may change with
-- any release.
--
-- Times are unix milliseconds, durations milliseconds, ids the 16 bytes of a UUIDv7. No foreign keys: the daemon is the one writer
-- of its tables, deletes parents and children together, and would pay for the checks on every row of the hot path.

CREATE TABLE event (
  seq INTEGER PRIMARY KEY CHECK (seq BETWEEN 1 AND 4398046511103),  -- 42 bits, see common/id.h; never reused: counter.event_seq
  id BLOB NOT NULL CHECK (length(id) = 16),
  tenant TEXT NOT NULL,
  type TEXT NOT NULL CHECK (length(type) BETWEEN 1 AND 128),
  payload BLOB NOT NULL,
  content_type TEXT NOT NULL,
  ordering_key TEXT,
  priority INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 9),
  headers TEXT,  -- JSON: [["name", "value"], ...]; NULL: none
  traceparent TEXT,
  created_at INTEGER NOT NULL,
  deliver_at INTEGER,
  expires_at INTEGER,
  deliveries INTEGER NOT NULL CHECK (deliveries >= 0)
) STRICT;
CREATE UNIQUE INDEX event_by_id ON event (id);

CREATE TABLE endpoint (
  seq INTEGER PRIMARY KEY CHECK (seq BETWEEN 1 AND 4294967295),  -- 32 bits; never reused: counter.endpoint_seq
  id BLOB NOT NULL CHECK (length(id) = 16),
  url TEXT NOT NULL,
  name TEXT NOT NULL,
  tenant TEXT NOT NULL,
  types TEXT NOT NULL CHECK (json_valid(types)),      -- ["order.*", ...]
  secrets TEXT NOT NULL CHECK (json_valid(secrets)),  -- [{"text", "created_at", "expires_at"}, ...], newest first
  headers TEXT NOT NULL CHECK (json_valid(headers)),  -- [["name", "value"], ...]
  format TEXT NOT NULL CHECK (format IN ('raw', 'standard', 'cloudevents')),
  timeout INTEGER CHECK (timeout > 0),
  retry_schedule TEXT CHECK (retry_schedule IS NULL OR json_valid(retry_schedule)),  -- [milliseconds, ...]
  max_in_flight INTEGER CHECK (max_in_flight > 0),
  state TEXT NOT NULL CHECK (state IN ('active', 'paused', 'disabled')),
  disabled_reason TEXT NOT NULL,
  metadata TEXT NOT NULL CHECK (json_valid(metadata)),
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  removed_at INTEGER,
  discarding INTEGER NOT NULL DEFAULT 0 CHECK (discarding IN (0, 1))  -- removed, and has perhaps pending deliveries yet
) STRICT;
CREATE UNIQUE INDEX endpoint_by_id ON endpoint (id);
CREATE INDEX endpoint_by_tenant ON endpoint (tenant, seq) WHERE removed_at IS NULL;
CREATE INDEX endpoint_discarding ON endpoint (seq) WHERE discarding = 1;

CREATE TABLE delivery (
  event INTEGER NOT NULL,
  endpoint INTEGER NOT NULL,
  -- OR and not IN here: for a list of more than two, SQLite builds a table each time it checks (4 of 9 µs a row, measured).
  state TEXT NOT NULL CHECK (state = 'pending' OR state = 'delivered' OR state = 'dead' OR state = 'discarded'),
  reason TEXT CHECK (reason IS NULL OR reason = 'exhausted' OR reason = 'expired' OR reason = 'gone' OR reason = 'blocked'
                     OR reason = 'too_large' OR reason = 'skipped'),
  attempts INTEGER NOT NULL DEFAULT 0,       -- since creation or the last replay
  attempts_ever INTEGER NOT NULL DEFAULT 0,  -- number of the last attempt
  due_at INTEGER NOT NULL,                   -- meaningful while pending
  priority INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 9),
  ordering_key TEXT,
  error TEXT,  -- class of the last failed attempt
  created_at INTEGER NOT NULL,
  finished_at INTEGER,
  PRIMARY KEY (event, endpoint),
  CHECK ((state = 'dead') = (reason IS NOT NULL)),
  CHECK ((state = 'pending') = (finished_at IS NULL))
) STRICT, WITHOUT ROWID;
-- What a lane reads, in the order it sends: only what is pending, so that history costs the delivery loop nothing.
CREATE INDEX delivery_pending ON delivery (endpoint, priority DESC, due_at, event) WHERE state = 'pending';
-- Dead letters, newest first over all endpoints and for one.
CREATE INDEX delivery_dead ON delivery (event, endpoint) WHERE state = 'dead';
CREATE INDEX delivery_dead_by_endpoint ON delivery (endpoint, event) WHERE state = 'dead';

CREATE TABLE attempt (
  event INTEGER NOT NULL,
  endpoint INTEGER NOT NULL,
  number INTEGER NOT NULL CHECK (number > 0),
  id BLOB NOT NULL CHECK (length(id) = 16),
  started_at INTEGER NOT NULL,
  dns INTEGER,  -- milliseconds from the start, NULL: that stage was not reached
  connect INTEGER,
  tls INTEGER,
  first_byte INTEGER,
  total INTEGER NOT NULL,
  outcome TEXT NOT NULL CHECK (outcome = 'success' OR outcome = 'http_4xx' OR outcome = 'http_5xx' OR outcome = 'redirect'
                               OR outcome = 'timeout' OR outcome = 'connect' OR outcome = 'dns' OR outcome = 'tls'
                               OR outcome = 'blocked' OR outcome = 'protocol'),
  status INTEGER NOT NULL,
  error TEXT NOT NULL,
  request_line TEXT NOT NULL,
  response_headers TEXT,  -- JSON: [["name", "value"], ...]; NULL: none
  response_body BLOB NOT NULL,
  PRIMARY KEY (event, endpoint, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE idempotency (
  tenant TEXT NOT NULL,
  key TEXT NOT NULL,
  event INTEGER NOT NULL,
  digest BLOB NOT NULL CHECK (length(digest) = 32),
  expires_at INTEGER NOT NULL,
  PRIMARY KEY (tenant, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_by_expiry ON idempotency (expires_at);

-- One row: what status would have to count, and the last numbers given. The daemon keeps it, once a transaction.
CREATE TABLE counter (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  event_seq INTEGER NOT NULL,
  endpoint_seq INTEGER NOT NULL,
  events INTEGER NOT NULL,
  pending INTEGER NOT NULL,
  delivered INTEGER NOT NULL,
  dead INTEGER NOT NULL,
  discarded INTEGER NOT NULL
) STRICT;
INSERT INTO counter VALUES (1, 0, 0, 0, 0, 0, 0, 0);

-- Where SQL producers put events, in their own transactions:
--
--   INSERT INTO outbox(type, payload) VALUES ('order.paid', '{"id":42}');
--
-- The payload, text or blob, is delivered byte for byte. A row becomes an event and is then gone from here, or stays with the
-- reason in `rejected`: delete it once you have read it. AUTOINCREMENT: a row number that came back could be taken for the
-- row that had it before.
CREATE TABLE outbox (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  type TEXT NOT NULL CONSTRAINT "type: 1 to 128 of A-Z a-z 0-9 _ . -, segments separated by single dots"
    CHECK (length(type) BETWEEN 1 AND 128 AND type NOT GLOB '*[^A-Za-z0-9_.-]*' AND type NOT GLOB '.*' AND type NOT GLOB '*.'
           AND type NOT GLOB '*..*'),
  payload ANY NOT NULL CONSTRAINT "payload: text or blob, at most 64 MiB"
    CHECK (typeof(payload) IN ('text', 'blob') AND length(CAST(payload AS BLOB)) <= 67108864),
  tenant TEXT CONSTRAINT "tenant: at most 128 bytes" CHECK (length(CAST(tenant AS BLOB)) <= 128),
  content_type TEXT CONSTRAINT "content_type: 1 to 256 characters" CHECK (length(content_type) BETWEEN 1 AND 256),
  ordering_key TEXT CONSTRAINT "ordering_key: 1 to 256 bytes" CHECK (length(CAST(ordering_key AS BLOB)) BETWEEN 1 AND 256),
  idempotency_key TEXT CONSTRAINT "idempotency_key: 1 to 256 bytes"
    CHECK (length(CAST(idempotency_key AS BLOB)) BETWEEN 1 AND 256),
  -- Unix milliseconds or RFC 3339. The lower bound (1973) catches unix seconds, which would be long ago.
  deliver_at ANY CONSTRAINT "deliver_at: unix milliseconds, or RFC 3339 text"
    CHECK (CASE typeof(deliver_at) WHEN 'null' THEN 1 WHEN 'integer' THEN deliver_at BETWEEN 100000000000 AND 253402300799999
           WHEN 'text' THEN deliver_at GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9][Tt ][0-9][0-9]:[0-9][0-9]:[0-9][0-9]*'
           ELSE 0 END),
  expires_at ANY CONSTRAINT "expires_at: unix milliseconds, or RFC 3339 text"
    CHECK (CASE typeof(expires_at) WHEN 'null' THEN 1 WHEN 'integer' THEN expires_at BETWEEN 100000000000 AND 253402300799999
           WHEN 'text' THEN expires_at GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9][Tt ][0-9][0-9]:[0-9][0-9]:[0-9][0-9]*'
           ELSE 0 END),
  priority INTEGER CONSTRAINT "priority: 0 to 9" CHECK (priority BETWEEN 0 AND 9),
  headers TEXT CONSTRAINT "headers: a JSON object of at most 16384 characters"
    CHECK (length(headers) <= 16384 AND CASE WHEN json_valid(headers) THEN json_type(headers) = 'object' ELSE 0 END
           OR headers IS NULL),
  traceparent TEXT CONSTRAINT "traceparent: at most 256 characters" CHECK (length(traceparent) <= 256),
  rejected TEXT,  -- set by outboxd: why this row can never become an event
  -- The CAST because SQLite from 3.45 on takes a blob for its own binary JSON.
  CONSTRAINT "payload: JSON, unless content_type says otherwise"
    CHECK (content_type IS NOT NULL OR json_valid(CAST(payload AS TEXT)))
) STRICT;
CREATE INDEX outbox_waiting ON outbox (seq) WHERE rejected IS NULL;
CREATE INDEX outbox_rejected ON outbox (seq) WHERE rejected IS NOT NULL;

-- What happened does not change. (Only `rejected` is written after the INSERT.)
CREATE TRIGGER outbox_row_is_final
BEFORE UPDATE OF seq, type, payload, tenant, content_type, ordering_key, idempotency_key, deliver_at, expires_at, priority, headers,
  traceparent ON outbox
BEGIN
  SELECT RAISE(ABORT, 'a row of outbox cannot be changed: delete it and insert another');
END;
