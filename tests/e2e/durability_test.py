"""Accepted means durable: kills, stops, a second daemon, SQL producers."""
import json
import sqlite3
import subprocess
import threading
import time
import unittest

from harness import EndToEndTest, UnixConnection, wait_until
from stores import POSTGRESQL, sqlite_only


WITHOUT_TRIGGERS = "SET session_replication_role = replica;" if POSTGRESQL else ".dbconfig enable_trigger off\n"
# A column and a value.
BYTES = ("payload_bytes", "'\\x00ff10'") if POSTGRESQL else ("payload", "x'00ff10'")


class Producers:
    """Threads that post events as fast as they are acknowledged, and keep the ids of the acknowledged ones."""

    def __init__(self, daemon, threads=8, events=None):
        self.daemon = daemon
        self.acknowledged = []
        self.left = events
        self.stopping = False
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.run) for _ in range(threads)]
        for thread in self.threads:
            thread.start()

    def take(self):
        with self.lock:
            if self.stopping or self.left == 0:
                return False
            if self.left is not None:
                self.left -= 1
            return True

    def run(self):
        connection = UnixConnection(self.daemon.ingest)
        try:
            while self.take():
                connection.request("POST", "/v1/events", b'{"type":"load.one","payload":{"n":1.10}}',
                                   {"Content-Type": "application/json"})
                response = connection.getresponse()
                body = response.read()
                if response.status == 202:
                    with self.lock:
                        self.acknowledged.append(json.loads(body)["id"])
        except (OSError, ValueError, Exception):  # the daemon was killed meanwhile: what was not acknowledged does not count
            pass
        finally:
            connection.close()

    def stop(self):
        self.stopping = True
        for thread in self.threads:
            thread.join()
        return self.acknowledged


class Durability(EndToEndTest):
    def test_every_event_acknowledged_before_a_kill_arrives_after_the_restart(self):
        daemon, receiver = self.daemon().start(), self.receiver()
        daemon.endpoint(receiver.url)
        producers = Producers(daemon, events=5000)
        wait_until(lambda: len(producers.acknowledged) >= 1500, "the load is under way", 60)
        daemon.kill()
        acknowledged = set(producers.stop())
        self.assertLess(len(acknowledged), 5000, "the kill came too late to prove anything")
        self.assertEqual("ok", daemon.integrity())
        daemon.start()
        wait_until(lambda: acknowledged <= set(receiver.ids()), "every acknowledged event arrives", 60)
        wait_until(lambda: not daemon.deliveries("&state=pending"), "nothing is left pending")
        # A repeat has the id of its event, so every id received must be that of a stored event.
        stored = {row["event"] for row in daemon.deliveries()}
        self.assertEqual(set(), set(receiver.ids()) - stored)

    def test_sigterm_under_load_ends_in_time_and_loses_nothing(self):
        daemon, receiver = self.daemon("delivery.stop_timeout=5s").start(), self.receiver(lambda r: time.sleep(0.01) or 200)
        daemon.endpoint(receiver.url)
        producers = Producers(daemon)
        wait_until(lambda: len(producers.acknowledged) >= 500, "the load is under way", 60)
        started = time.monotonic()
        self.assertEqual(0, daemon.stop(patience=15), daemon.log())
        self.assertLess(time.monotonic() - started, 8)
        acknowledged = set(producers.stop())
        self.assertIn("stopped", daemon.log())
        delivered_before = len(receiver.requests)
        daemon.start()
        wait_until(lambda: acknowledged <= set(receiver.ids()), "every acknowledged event arrives", 60)
        self.assertGreater(delivered_before, 0)
        # Nothing was under way at the clean stop, so nothing is sent twice.
        self.assertEqual(len(receiver.ids()), len(set(receiver.ids())))

    def test_requests_cut_off_by_the_stop_limit_are_due_again(self):
        slow = [True]
        daemon = self.daemon("delivery.stop_timeout=300ms").start()
        receiver = self.receiver(lambda r: time.sleep(3) or 200 if slow else 200)
        daemon.endpoint(receiver.url)
        event = daemon.event()
        receiver.wait_for(1)
        self.assertEqual(0, daemon.stop())
        slow.clear()
        daemon.start()
        daemon.wait_for_state("delivered", 1)
        self.assertEqual([event["id"]] * 2, receiver.ids())

    @sqlite_only("daemons share a PostgreSQL database")
    def test_a_second_daemon_on_the_same_database_says_why_it_does_not_start(self):
        daemon = self.daemon().start()
        second = subprocess.run(daemon.command() + ["--set=listen.tcp=", f"--set=listen.admin_socket={self.folder}/2.sock",
                                                    "--set=listen.ingest_socket="], capture_output=True, text=True, timeout=20,
                                check=False)
        self.assertEqual(75, second.returncode, second.stderr)
        self.assertIn(str(daemon.process.pid), second.stderr)
        self.assertEqual(202, daemon.post("/v1/events", {"type": "a.b", "payload": 1}).status)

    @sqlite_only("it is about a file")
    def test_a_file_that_is_no_database_of_ours_is_refused_and_left_alone(self):
        daemon = self.daemon()
        for content in (b"this is no database, but somebody's notes" * 100, b"\x00" * 5000):
            daemon.database.write_bytes(content)
            ended = subprocess.run(daemon.command(), capture_output=True, text=True, timeout=20, check=False)
            self.assertEqual(65, ended.returncode, ended.stderr)
            self.assertEqual(content, daemon.database.read_bytes())
        daemon.database.unlink()
        sqlite3.connect(daemon.database).execute("CREATE TABLE mine(x)").connection.commit()
        ended = subprocess.run(daemon.command(), capture_output=True, text=True, timeout=20, check=False)
        self.assertEqual(65, ended.returncode, ended.stderr)


class SqlProducers(EndToEndTest):
    def test_an_insert_in_a_transaction_is_delivered_soon_after_its_commit(self):
        daemon, receiver = self.daemon().start(), self.receiver()
        daemon.endpoint(receiver.url)
        daemon.event("warm.up")
        receiver.wait_for(1)
        delays = []
        for n in range(20):
            daemon.sql(f"""{daemon.store.BEGIN}; CREATE TABLE IF NOT EXISTS account(x integer); INSERT INTO account VALUES ({n});
                           INSERT INTO outbox(type, payload) VALUES ('order.paid', '{{"id": {n}.10}}'); COMMIT;""")
            committed = time.time()
            requests = receiver.wait_for(n + 2)
            self.assertEqual(b'{"id": %d.10}' % n, requests[-1].body)
            delays.append(requests[-1].at - committed)
        delays.sort()
        print(f"COMMIT (seen by the shell's end) to receiver: median {delays[10] * 1000:.1f} ms, worst {delays[-1] * 1000:.1f} ms")
        self.assertEqual("0", daemon.sql("SELECT count(*) FROM outbox").stdout.strip())

    def test_a_rolled_back_insert_is_never_delivered(self):
        daemon, receiver = self.daemon().start(), self.receiver()
        daemon.endpoint(receiver.url)
        daemon.sql(f"{daemon.store.BEGIN}; INSERT INTO outbox(type, payload) VALUES ('order.paid', '1'); ROLLBACK;")
        daemon.sql("INSERT INTO outbox(type, payload) VALUES ('order.paid', '2');")
        receiver.wait_for(1)
        daemon.wait_for_state("delivered", 1)
        self.assertEqual([b"2"], [r.body for r in receiver.requests])

    def test_rows_inserted_while_the_daemon_is_down_are_delivered_at_its_start(self):
        daemon, receiver = self.daemon().start(), self.receiver()
        daemon.endpoint(receiver.url)
        daemon.stop()
        daemon.sql("".join(f"INSERT INTO outbox(type, payload) VALUES ('order.paid', '{n}');" for n in range(50)))
        daemon.start()
        self.assertEqual(sorted(str(n).encode() for n in range(50)), sorted(r.body for r in receiver.wait_for(50)))

    def test_bad_rows_are_refused_at_the_insert_or_kept_with_their_reason(self):
        daemon, receiver = self.daemon().start(), self.receiver()
        daemon.endpoint(receiver.url)
        for values in ("('', '1')", "('no spaces', '1')", "('a..b', '1')", "('a.b', '{not json')", "('a.b', NULL)", "(NULL, '1')"):
            refused = daemon.sql(f"INSERT INTO outbox(type, payload) VALUES {values};")
            self.assertRegex(refused.stderr, "(type|payload): |invalid input syntax for type json", values)
        # Without the trigger, like a row that was inserted before rows were refused at their INSERT.
        daemon.sql(WITHOUT_TRIGGERS + """INSERT INTO outbox(type, payload, headers) VALUES ('a.b', '1', '{"host": "evil"}');""")
        rejected = wait_until(lambda: daemon.get("/v1/events?rejected=true").json["data"], "the row is rejected")
        self.assertEqual(1, len(rejected))
        self.assertIn("host", rejected[0]["reason"])
        daemon.sql("INSERT INTO outbox(type, payload) VALUES ('a.b', '2');")
        receiver.wait_for(1)
        self.assertEqual([b"2"], [r.body for r in receiver.requests])
        self.assertEqual("1", daemon.sql("SELECT count(*) FROM outbox").stdout.strip())

    def test_every_column_of_the_outbox_reaches_the_event(self):
        daemon, receiver = self.daemon().start(), self.receiver()
        daemon.endpoint(receiver.url, tenant="acme")
        insert = f"""INSERT INTO outbox(type, {BYTES[0]}, tenant, content_type, ordering_key, idempotency_key, headers, priority)
                    VALUES ('a.b', {BYTES[1]}, 'acme', 'application/octet-stream', 'k', 'once', '{{"x-shop": "7"}}', 9);"""
        daemon.sql(insert)
        request = receiver.wait_for(1)[0]
        self.assertEqual(b"\x00\xff\x10", request.body)
        self.assertEqual(("application/octet-stream", "7"), (request.headers["content-type"], request.headers["x-shop"]))
        event = daemon.get(f"/v1/events/{request.id}").json
        self.assertEqual(("acme", "k", 9), (event["tenant"], event["ordering_key"], event["priority"]))
        daemon.sql(insert)  # same key and content, so it is the same event
        wait_until(lambda: daemon.sql("SELECT count(*) FROM outbox").stdout.strip() == "0", "the outbox is empty")
        self.assertEqual(1, len(daemon.get("/v1/events").json["data"]))


if __name__ == "__main__":
    unittest.main()
