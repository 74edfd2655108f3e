#!/usr/bin/env python3
"""As outbox_test.py, over PostgreSQL: each row becomes an event, byte for byte, or its INSERT is refused with a reason."""
import os
import re
import unittest

os.environ["OUTBOXD_STORE"] = "postgresql"
from harness import EndToEndTest, wait_until  # noqa: E402
from producer_habits_postgresql import EVENT, HABITS  # noqa: E402


def insert(columns):
    columns = {"type": "'order.paid'", "payload": "'1'"} | columns
    zone = columns.pop("zone", "UTC")
    return f"SET TimeZone = '{zone}'; INSERT INTO outbox({', '.join(columns)}) VALUES ({', '.join(columns.values())});"


class ProducerHabits(EndToEndTest):
    def test_each_is_refused_with_a_reason_or_becomes_an_event(self):
        daemon = self.daemon().start()
        for what, columns, refusal in HABITS:
            with self.subTest(what=what):
                said = daemon.sql(insert(columns)).stderr
                self.assertIn(refusal, said) if refusal else self.assertEqual("", said)
        wait_until(lambda: daemon.sql("SELECT count(*) FROM outbox WHERE rejected IS NULL").stdout.strip() == "0", "every row is judged")
        self.assertEqual("", daemon.sql("SELECT seq, rejected FROM outbox").stdout, "committed, and set aside")
        accepted = sum(refusal is EVENT for _, _, refusal in HABITS)
        self.assertEqual(str(accepted), daemon.sql("SELECT count(*) FROM event").stdout.strip())

    def test_payloads_are_delivered_as_they_were_written(self):
        daemon, receiver = self.daemon().start(), self.receiver()
        daemon.endpoint(receiver.url)
        texts = ["  {} ", '{"b": 1,  "a": 1.10, "b": 2}', '"ü\\u00fc"', "[1e400]", "\n{}\t "]
        for text in texts:
            daemon.sql(f"INSERT INTO outbox(type, payload) VALUES ('a.b', '{text}');")
        daemon.sql(r"INSERT INTO outbox(type, payload_bytes, content_type) VALUES ('a.b', '\x000d0a20ff', 'application/x-own');")
        wanted = [text.encode() for text in texts] + [b"\x00\r\n \xff"]
        receiver.wait_for(len(wanted))
        self.assertEqual(sorted(wanted), sorted(r.body for r in receiver.requests))

    def test_a_row_of_a_transaction_that_commits_late_is_not_overlooked(self):
        daemon, receiver = self.daemon().start(), self.receiver()
        daemon.endpoint(receiver.url)
        # The row with the lower number waits in an open transaction while later ones are committed and delivered.
        late = daemon.store.begun("INSERT INTO outbox(type, payload) VALUES ('a.b', '\"late\"')")
        self.addCleanup(late.close)
        for n in range(3):
            daemon.sql(f"INSERT INTO outbox(type, payload) VALUES ('a.b', '{n}');")
        receiver.wait_for(3)
        late.commit()
        receiver.wait_for(4)
        self.assertEqual(b'"late"', receiver.requests[-1].body)

    def test_rows_of_one_key_come_in_their_order_and_once(self):
        daemon, receiver = self.daemon().start(), self.receiver()
        daemon.endpoint(receiver.url, ordering="key")
        daemon.sql("INSERT INTO outbox(type, payload, ordering_key) SELECT 'a.b', to_json(n), 'k' || n % 3 "
                   "FROM generate_series(1, 60) AS n;")
        numbers = [int(request.body) for request in receiver.wait_for(60)]
        for rest in range(3):
            self.assertEqual([n for n in range(1, 61) if n % 3 == rest], [n for n in numbers if n % 3 == rest])

    def test_what_only_the_daemon_can_judge_is_told(self):
        daemon = self.daemon().start()
        daemon.sql("INSERT INTO outbox(type, payload) VALUES ('too.large', to_json(repeat('x', 2000000)));")
        for payload in ("1", "2"):
            daemon.sql(f"INSERT INTO outbox(type, payload, idempotency_key) VALUES ('used.before', '{payload}', 'k');")
        rows = wait_until(lambda: (found := daemon.get("/v1/events?rejected=true").json["data"]) and len(found) == 2 and found, "both are set aside")
        reasons = {row["type"]: row["reason"] for row in rows}
        self.assertRegex(reasons["too.large"], r"^payload: is too large: .* 20000\d\d bytes.*event_bytes allows 1048576")
        self.assertRegex(reasons["used.before"], r"^idempotency_key: .*other content")
        shown = daemon.ctl("outbox", "list", "--rejected").stdout.decode()
        self.assertTrue(re.search(r"ROW +REJECTED +TYPE +TENANT +REASON", shown), shown)
        for row in rows:
            daemon.wait_for_log(row["reason"].replace('"', '\\"'))


if __name__ == "__main__":
    unittest.main()
