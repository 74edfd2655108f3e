"""What SQL producers write: each row becomes an event, byte for byte, or its INSERT is refused with a sentence that says what to write instead."""
import sqlite3
import time
import unittest

from harness import PATIENCE, EndToEndTest, wait_until

NOW = "CAST(strftime('%s', 'now') AS INTEGER)"
EVENT = None

# (what somebody does, columns beside type and payload, values) -> EVENT, or the words of the refusal.
# `type` and `payload` may be among the columns; else they are 'order.paid' and '1'. Values are SQL text; a tuple (bytes or text,) is bound.
HABITS = [
    # type
    ("no type", {"type": "NULL"}, "type: is missing"),
    ("an empty type", {"type": "''"}, "type: must be"),
    ("words", {"type": "'order paid'"}, "type: must be"),
    ("a colon", {"type": "'order:paid'"}, "type: must be"),
    ("a slash", {"type": "'order/paid'"}, "type: must be"),
    ("camel case", {"type": "'OrderPaid'"}, EVENT),
    ("one dot too many", {"type": "'order..paid'"}, "type: must be"),
    ("another language", {"type": "'bestellung.bezahlt.ü'"}, "type: must be"),
    ("a blob for a type", {"type": "x'61'"}, "outbox.type"),
    ("a long type", {"type": "printf('%.129c', 'x')"}, "type: must be"),
    # payload
    ("no payload", {"payload": "NULL"}, "payload: is missing"),
    ("an empty payload", {"payload": "''"}, "payload: is not JSON; write text as"),
    ("a number", {"payload": "42"}, "payload: is a number; write it as text"),
    ("a fraction", {"payload": "1.5"}, "payload: is a number"),
    ("a number as text", {"payload": "'42'"}, EVENT),
    ("a row id", {"payload": "last_insert_rowid()"}, "payload: is a number"),
    ("text as it is", {"payload": "'paid in full'"}, "payload: is not JSON; write text as"),
    ("quoted text", {"payload": "json_quote('paid in full')"}, EVENT),
    ("json()", {"payload": "json('{\"a\": 1.10}')"}, EVENT),
    ("json_object()", {"payload": "json_object('id', 42, 'at', datetime('now'))"}, EVENT),
    ("json_array()", {"payload": "json_array(1, 2)"}, EVENT),
    ("json_group_array()", {"payload": "(SELECT json_group_array(value) FROM json_each('[1,2]'))"}, EVENT),
    ("null", {"payload": "'null'"}, EVENT),
    ("a language's own notation", {"payload": "'{''id'': 42}'"}, "double quotes"),
    ("names without quotes", {"payload": "'{id: 42}'"}, "payload: is not JSON"),
    ("a trailing comma", {"payload": "'{\"id\": 42,}'"}, "JSON"),
    ("not a number", {"payload": "'{\"a\": NaN}'"}, "JSON"),
    ("cut JSON", {"payload": "'{\"id\": 4'"}, "JSON"),
    ("two values", {"payload": "'1 2'"}, "JSON"),
    ("members of its own", {"payload": "'1,\"type\":\"evil\"'"}, "JSON"),
    ("a byte order mark", {"payload": "x'EFBBBF31'"}, "payload: is not JSON"),
    ("JSON as a blob", {"payload": "x'7B7D'"}, EVENT),
    ("JSON in UTF-16", {"payload": "x'7B007D00'"}, "zero byte"),
    ("JSON in Latin-1", {"payload": "x'22E922'"}, "payload: is not UTF-8"),
    ("a picture without its type", {"payload": "x'89504E470D0A1A0A'"}, "payload: is not"),
    ("a picture with its type", {"payload": "x'89504E470D0A1A0A'", "content_type": "'image/png'"}, EVENT),
    ("a new line at the end", {"payload": "'{}' || char(10)"}, EVENT),
    ("spaces around", {"payload": "'  {} '"}, EVENT),
    ("spaces around a blob", {"payload": "x'0A7B7D0920'"}, EVENT),
    ("spaces around text", {"payload": "'  hello '", "content_type": "'text/plain'"}, EVENT),
    ("nothing, called text", {"payload": "''", "content_type": "'text/plain'"}, EVENT),
    ("numbers beyond a double", {"payload": "'[1e400, 12345678901234567890, 1.10]'"}, EVENT),
    ("128 levels", {"payload": (b"[" * 128 + b"]" * 128,)}, EVENT),
    ("129 levels", {"payload": ("[" * 129 + "]" * 129,)}, "nested deeper"),
    ("129 levels of objects", {"payload": ('{"a":' * 129 + "1" + "}" * 129,)}, "nested deeper"),
    ("many brackets, few levels", {"payload": ("[" + ",".join(['{"a":[1]}'] * 300) + "]",)}, EVENT),
    # content_type
    ("an empty content type", {"content_type": "''"}, "content_type: must be"),
    ("a word", {"content_type": "'json'"}, "content_type: must be"),
    ("a parameter", {"content_type": "'text/plain; charset=utf-8'", "payload": "'hi'"}, EVENT),
    ("half a parameter", {"content_type": "'text/plain; charset'", "payload": "'hi'"}, "content_type: each parameter"),
    ("text called JSON", {"content_type": "'application/json'", "payload": "'hi'"}, "payload: is not JSON"),
    ("text called JSON, shouting", {"content_type": "'APPLICATION/VND.API+JSON ; v=1'", "payload": "'1,\"type\":\"evil\"'"}, "JSON"),
    ("JSON called JSON", {"content_type": "'application/json; charset=utf-8'", "payload": "'{}'"}, EVENT),
    ("a line break", {"content_type": "'text/plain' || char(13, 10) || 'x: y'"}, "content_type: must be"),
    # tenant and keys
    ("outboxd's own tenant", {"tenant": "'_ops'"}, "tenant: _ops is reserved"),
    ("a tenant with a space", {"tenant": "'acme corp'"}, "tenant: must be"),
    ("a tenant that is a number", {"tenant": "42"}, EVENT),
    ("an empty tenant", {"tenant": "''"}, EVENT),
    ("a tenant that is an address", {"tenant": "'a@b.example'"}, "tenant: must be"),
    ("an empty ordering key", {"ordering_key": "''"}, "ordering_key: must be"),
    ("a line in an ordering key", {"ordering_key": "'a' || char(10)"}, "ordering_key: must be"),
    ("an idempotency key that is a number", {"idempotency_key": "4711"}, EVENT),
    ("an idempotency key beyond 256 bytes", {"idempotency_key": "printf('%.257c', 'k')"}, "idempotency_key: must be"),
    ("an idempotency key in Latin-1", {"idempotency_key": "CAST(x'E96B' AS TEXT)"}, "idempotency_key: must be"),
    ("a zero byte", {"tenant": "'a' || char(0) || 'b'"}, "zero byte"),
    # times
    ("unix seconds", {"deliver_at": f"{NOW} + 60"}, "deliver_at: is in seconds, it seems"),
    ("unix seconds as text", {"deliver_at": "strftime('%s', 'now')"}, "deliver_at: is not a whole number"),
    ("unix milliseconds", {"deliver_at": f"({NOW} - 60) * 1000"}, EVENT),
    ("unix milliseconds as text", {"deliver_at": f"'' || ({NOW} * 1000)"}, "deliver_at: is not a whole number"),
    ("unix milliseconds with a fraction", {"deliver_at": f"{NOW} * 1000.5"}, "deliver_at: is not a whole number"),
    ("a Julian day", {"deliver_at": "julianday('now')"}, "deliver_at: is not a whole number"),
    ("datetime()", {"deliver_at": "datetime('now')"}, EVENT),
    ("CURRENT_TIMESTAMP", {"deliver_at": "CURRENT_TIMESTAMP"}, EVENT),
    ("with milliseconds", {"deliver_at": "strftime('%Y-%m-%d %H:%M:%f', 'now')"}, EVENT),
    ("RFC 3339", {"deliver_at": "strftime('%Y-%m-%dT%H:%M:%SZ', 'now')"}, EVENT),
    ("an offset", {"deliver_at": "'2026-01-01T00:00:00+05:30'"}, EVENT),
    ("a space and an offset", {"deliver_at": "'2026-01-01 00:00:00.123456+00:00'"}, EVENT),
    ("no zone", {"deliver_at": "'2026-01-01T00:00:00'"}, "deliver_at: does not say in which zone"),
    ("a zone's name", {"deliver_at": "'2026-01-01 00:00:00 CET'"}, "deliver_at: must be"),
    ("a day", {"deliver_at": "date('now')"}, "deliver_at: must be"),
    ("no such day", {"deliver_at": "'2026-02-30 00:00:00'"}, "deliver_at: must be"),
    ("an empty time", {"deliver_at": "''"}, "deliver_at: must be"),
    ("'now'", {"deliver_at": "'now'"}, "deliver_at: must be"),
    ("in two years", {"deliver_at": "datetime('now', '+2 years')"}, "deliver_at: must be at most 365 days ahead"),
    ("expired already", {"expires_at": "datetime('now', '-1 minute')"}, "expires_at: lies in the past"),
    ("expired, in milliseconds", {"expires_at": f"({NOW} - 60) * 1000"}, "expires_at: lies in the past"),
    ("a deadline", {"expires_at": "datetime('now', '+1 hour')"}, EVENT),
    ("a deadline before the beginning", {"deliver_at": "datetime('now', '+2 hours')", "expires_at": "datetime('now', '+1 hour')"},
     "expires_at: must be later than deliver_at"),
    ("0 for never", {"expires_at": "0"}, "expires_at: is in seconds, it seems"),
    # the others
    ("a priority in words", {"priority": "'high'"}, "outbox.priority"),
    ("a priority as text", {"priority": "'7'"}, EVENT),
    ("a priority of 10", {"priority": "10"}, "priority: must be 0 to 9"),
    ("a negative priority", {"priority": "-1"}, "priority: must be 0 to 9"),
    ("headers", {"headers": "json_object('X-Shop', '7')"}, EVENT),
    ("no headers", {"headers": "'{}'"}, EVENT),
    ("empty headers", {"headers": "''"}, "headers: must be a JSON object"),
    ("a list of headers", {"headers": "'[[\"x-shop\", \"7\"]]'"}, "headers: must be a JSON object"),
    ("headers as lines", {"headers": "'x-shop: 7'"}, "headers: must be a JSON object"),
    ("a number in a header", {"headers": "json_object('x-shop', 7)"}, "headers: every value must be text"),
    ("null in a header", {"headers": "json_object('x-shop', NULL)"}, "headers: every value must be text"),
    ("outboxd's header", {"headers": "json_object('Webhook_Id', 'x')"}, "leave them out"),
    ("the content type as a header", {"headers": "json_object('Content-Type', 'text/plain')"}, "leave them out"),
    ("a host", {"headers": "json_object('host', 'evil.example')"}, "leave them out"),
    ("a line break in a header", {"headers": "json_object('x-a', 'b' || char(13, 10) || 'x-c: d')"}, "headers: a value must be"),
    ("a blank in a name", {"headers": "json_object('x shop', '7')"}, "headers: a name must be"),
    ("an empty value", {"headers": "json_object('x-a', '')"}, "headers: a value must be"),
    ("accents in a value", {"headers": "json_object('x-a', 'é')"}, "headers: a value must be"),
    ("a name twice", {"headers": "'{\"x-a\": \"1\", \"X-A\": \"2\"}'"}, "headers: a name appears more than once"),
    ("33 headers", {"headers": "(WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 33) SELECT json_group_object('x-' || i, 'v') FROM n)"},
     "headers: must be at most 32"),
    ("a traceparent", {"traceparent": "'00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'"}, EVENT),
    ("a traceparent that is none", {"traceparent": "'abc'"}, EVENT),
    ("a reason of its own", {"rejected": "'no'"}, "rejected, rejected_at: are set by outboxd"),
    ("a row number", {"seq": "4000000"}, EVENT),
]


def insert(columns):
    """Returns the INSERT statement and the values to bind."""
    columns = {"type": "'order.paid'", "payload": "'1'"} | columns
    bound = [value[0] for value in columns.values() if isinstance(value, tuple)]
    values = ", ".join("?" if isinstance(value, tuple) else value for value in columns.values())
    return f"INTO outbox({', '.join(columns)}) VALUES ({values})", bound


class ProducerHabits(EndToEndTest):
    def producer(self, daemon):
        connection = sqlite3.connect(daemon.database, timeout=PATIENCE, isolation_level=None)
        self.addCleanup(connection.close)
        connection.execute("PRAGMA trusted_schema=OFF")
        return connection

    def test_each_is_refused_with_a_remedy_or_becomes_an_event(self):
        daemon = self.daemon().start()
        producer = self.producer(daemon)
        accepted = []
        for what, columns, refusal in HABITS:
            statement, bound = insert(columns)
            for verb in ("INSERT", "INSERT OR IGNORE"):
                if verb != "INSERT" and refusal is EVENT:
                    continue
                with self.subTest(what=what, verb=verb):
                    if refusal is EVENT:
                        seq = producer.execute(f"{verb} {statement}", bound).lastrowid
                        accepted.append((what, seq))
                        continue
                    with self.assertRaises(sqlite3.Error) as caught:
                        producer.execute(f"{verb} {statement}", bound)
                    self.assertIn(refusal, str(caught.exception))
        self.assertGreater(len(HABITS), 100)
        wait_until(lambda: producer.execute("SELECT count(*) FROM outbox WHERE rejected IS NULL").fetchone()[0] == 0, "every row is judged")
        set_aside = producer.execute("SELECT seq, rejected FROM outbox").fetchall()
        names = {seq: what for what, seq in accepted}
        self.assertEqual([], [(names.get(seq), why) for seq, why in set_aside], "committed, and set aside")
        self.assertEqual(len(accepted), producer.execute("SELECT count(*) FROM event").fetchone()[0])

    def test_white_space_is_delivered_as_it_was_written(self):
        daemon, receiver = self.daemon().start(), self.receiver()
        daemon.endpoint(receiver.url)
        wanted = [b"  {} ", b"{}\n", b"\n{}\t ", b"  hello ", b"\r\n"]
        producer = self.producer(daemon)
        for payload, content_type in zip(wanted, (None, "application/json", None, "text/plain", "text/plain")):
            for value in (payload, payload.decode()):
                producer.execute("INSERT INTO outbox(type, payload, content_type) VALUES ('a.b', ?, ?)", (value, content_type))
        receiver.wait_for(2 * len(wanted))
        self.assertEqual(sorted(wanted * 2), sorted(r.body for r in receiver.requests))

    def test_what_only_the_daemon_can_judge_is_told_with_its_time_and_logged(self):
        daemon = self.daemon().start()
        producer = self.producer(daemon)
        began = time.time()
        producer.execute("INSERT INTO outbox(type, payload) VALUES ('too.large', json_quote(printf('%.2000000c', 'x')))")
        for payload in ("1", "2"):
            producer.execute("INSERT INTO outbox(type, payload, idempotency_key) VALUES ('used.before', ?, 'k')", (payload,))
        rows = wait_until(lambda: (found := daemon.get("/v1/events?rejected=true").json["data"]) and len(found) == 2 and found, "both are set aside")
        reasons = {row["type"]: row["reason"] for row in rows}
        self.assertRegex(reasons["too.large"], r"^payload: is too large: .* 20000\d\d bytes.*event_bytes allows 1048576")
        self.assertRegex(reasons["used.before"], r"^idempotency_key: .*other content")
        for row in rows:
            at = time.strptime(row["rejected_at"][:19], "%Y-%m-%dT%H:%M:%S")
            self.assertLess(abs(time.mktime(at) - time.timezone - began), 3 * PATIENCE)
            daemon.wait_for_log(row["reason"].replace('"', '\\"'))
        shown = daemon.ctl("outbox", "list", "--rejected").stdout.decode()
        self.assertRegex(shown, r"ROW +REJECTED +TYPE +TENANT +REASON")
        self.assertIn("payload: is too large", shown)


if __name__ == "__main__":
    unittest.main()
