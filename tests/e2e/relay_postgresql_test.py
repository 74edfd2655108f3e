#!/usr/bin/env python3
"""An application with a PostgreSQL database of its own: what it writes into its outbox is relayed, each row once, whenever it
commits and whoever dies."""
import collections
import json
import pathlib
import signal
import subprocess
import sys
import threading
import time
import unittest

from harness import BIN, EndToEndTest, wait_until

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from postgres import Server, needs_postgresql  # noqa: E402

TAKEOVER = 15
NOTICED = 0.25  # seconds, of a row that nobody rings for


def ddl():
    return subprocess.run([str(BIN / "outboxctl"), "source", "ddl", "--postgresql"], capture_output=True, text=True, check=True).stdout


class Session:
    """A connection of the application, in psql: run() returns when the server has answered."""

    def __init__(self, url):
        self.psql = subprocess.Popen(["psql", "-X", "-q", "-A", "-t", url], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                     stderr=subprocess.DEVNULL, text=True, bufsize=1)

    def run(self, sql):
        self.psql.stdin.write(f"{sql};\n\\echo done\n")
        for line in self.psql.stdout:
            if line == "done\n":
                return
        raise OSError("the session has ended")

    def insert(self, payload):
        self.run(f"INSERT INTO outbox(type, payload) VALUES ('order.paid', '{payload}')")

    def close(self):
        self.psql.stdin.close()
        self.psql.stdout.close()
        self.psql.wait()


class Writer(threading.Thread):
    """Transactions one after another, of three rows each; every other one is open for longer than many of another writer's."""

    def __init__(self, url, name, transactions):
        super().__init__(daemon=True)
        self.session = Session(url)
        self.name = name
        self.transactions = transactions
        self.start()

    def run(self):
        for number in range(self.transactions):
            self.session.run("BEGIN")
            for row in range(3):
                self.session.insert(json.dumps({"writer": self.name, "number": 3 * number + row}))
            if number % 2:
                self.session.run("SELECT pg_sleep(0.03)")
            self.session.run("COMMIT")
        self.session.close()


@needs_postgresql
class RelayOfPostgresql(EndToEndTest):
    @classmethod
    def setUpClass(cls):
        cls.server = Server().create().start()
        cls.addClassCleanup(cls.server.remove)
        cls.databases = 0

    def setUp(self):
        super().setUp()
        self.application = self.new_database()
        self.sql(ddl())
        self.sessions = []
        self.addCleanup(lambda: [session.close() for session in self.sessions])

    def new_database(self):
        type(self).databases += 1
        return self.server.new_database(f"test_{self.databases}")

    def sql(self, script):
        return self.server.sql(script, self.application)

    def session(self):
        self.sessions.append(Session(self.server.url(self.application)))
        return self.sessions[-1]

    def insert(self, *payloads):
        rows = ", ".join(f"('order.paid', '{payload}')" for payload in payloads)
        self.sql(f"INSERT INTO outbox(type, payload) VALUES {rows}")

    def relaying(self, name=None, store=None, url=None):
        """A daemon that relays the application's database."""
        daemon = self.daemon(name=name, store=store)
        with daemon.config.open("a") as config:
            config.write(f'[[source]]\nname = "shop"\nurl = "{url or self.server.url(self.application)}"\n')
        return daemon.start()

    def receiving(self, daemon, **fields):
        receiver = self.receiver()
        daemon.endpoint(receiver.url, ordering="endpoint", **fields)
        return receiver

    def source(self, daemon):
        return daemon.get("/v1/sources").json["data"][0]

    def wait_for_source(self, daemon, state, patience=2 * TAKEOVER):
        return wait_until(lambda: (source := self.source(daemon))["state"] == state and source, f"it is {state}", patience)

    def wait_until_empty(self):
        wait_until(lambda: self.sql("SELECT count(*) FROM outbox WHERE rejected IS NULL") == "0", "the rows are deleted")

    def accepted(self, daemon):
        """The payloads of all events, in the order of their acceptance."""
        payloads, cursor = [], ""
        while True:
            page = daemon.get(f"/v1/events?limit=250{cursor}").json
            payloads += [daemon.get(f"/v1/events/{event['id']}/payload").json for event in page["data"]]
            if page["next_cursor"] is None:
                return payloads[::-1]
            cursor = "&cursor=" + page["next_cursor"]

    def assert_all_of(self, writers, events):
        """Each row of the writers is one event, and those of one writer, whose transactions follow each other, are in order."""
        by_writer = collections.defaultdict(list)
        for event in events:
            by_writer[event["writer"]].append(event["number"])
        self.assertEqual({writer.name: list(range(3 * writer.transactions)) for writer in writers}, by_writer)

    def test_rows_of_transactions_that_commit_in_any_order_become_one_event_each_although_the_daemon_is_killed(self):
        daemon = self.relaying()
        receiver = self.receiving(daemon)
        writers = [Writer(self.server.url(self.application), name, 60) for name in ("a", "b")]
        late = self.session()
        late.run("BEGIN")
        late.insert('{"writer": "late", "number": 0}')
        for at in (60, 150, 240):
            wait_until(lambda count=at: len(receiver.requests) >= count or not any(writer.is_alive() for writer in writers), f"{at} rows")
            daemon.kill()
            daemon.start()
        for writer in writers:
            writer.join()
        self.wait_until_empty()  # for all but whoever has the open one
        late.run("COMMIT")
        self.wait_until_empty()
        events = self.accepted(daemon)
        self.assertEqual({"writer": "late", "number": 0}, events.pop())
        self.assert_all_of(writers, events)
        wait_until(lambda: len(set(receiver.ids())) == 361, "all are delivered")
        self.assertEqual("0", self.sql("SELECT count(*) FROM outbox"))
        self.assertEqual((0, None), (self.source(daemon)["rejected"], self.source(daemon)["error"]))
        self.assertEqual(0, daemon.stop())

    def test_a_row_is_noticed_in_a_quarter_of_a_second_and_sooner_by_a_ring(self):
        daemon = self.relaying()
        receiver = self.receiving(daemon)
        session = self.session()

        def latency(number, ring):
            session.insert(number)
            if ring:
                session.run("NOTIFY outboxd")
            began = time.time()
            return receiver.wait_for(number)[-1].at - began
        quiet = sorted(latency(number, False) for number in range(1, 16))
        rung = sorted(latency(number, True) for number in range(16, 31))
        self.assertLess(quiet[len(quiet) // 2], NOTICED)
        self.assertLess(rung[len(rung) // 2], quiet[len(quiet) // 2] / 2)

    def test_a_bad_row_is_kept_with_its_reason_and_can_be_put_back(self):
        daemon = self.relaying()
        receiver = self.receiving(daemon)
        self.sql("""BEGIN; INSERT INTO outbox(type, payload) VALUES ('order.paid', '1');
                    ALTER TABLE outbox DISABLE TRIGGER outbox_row_is_judged;
                    INSERT INTO outbox(type, payload) VALUES ('order paid', '2');
                    ALTER TABLE outbox ENABLE TRIGGER outbox_row_is_judged;
                    INSERT INTO outbox(type, payload) VALUES ('order.paid', '3'); COMMIT""")
        self.assertEqual([b"1", b"3"], [request.body for request in receiver.wait_for(2)])
        self.wait_until_empty()
        self.assertRegex(self.sql("SELECT seq || ' ' || rejected FROM outbox"), "^2 type: ")
        wait_until(lambda: self.source(daemon)["rejected"] == 1, "it is counted")
        daemon.wait_for_log("row=2")
        self.assertIn(b"has 1 rejected rows", daemon.ctl("doctor").stdout)
        checked = daemon.ctl("source", "check", self.server.url(self.application))
        self.assertEqual(0, checked.returncode, checked)
        self.assertIn(b"UPDATE outbox SET rejected = NULL", checked.stderr)
        # It is refused again: nothing is lost by asking. Mended, it is relayed.
        self.sql("UPDATE outbox SET rejected = NULL, rejected_at = NULL")
        wait_until(lambda: self.sql("SELECT count(*) FROM outbox WHERE rejected IS NOT NULL") == "1", "it is rejected again")
        self.sql("""BEGIN; ALTER TABLE outbox DISABLE TRIGGER outbox_row_is_final; UPDATE outbox SET type = 'order.paid', rejected = NULL;
                    ALTER TABLE outbox ENABLE TRIGGER outbox_row_is_final; COMMIT""")
        self.assertEqual(b"2", receiver.wait_for(3)[2].body)
        self.wait_until_empty()

    def test_a_database_that_is_away_is_waited_for_and_nothing_else_waits(self):
        daemon = self.relaying()
        receiver = self.receiving(daemon)
        self.insert("1", "2")
        receiver.wait_for(2)
        self.server.crash()
        self.assertIsNotNone(self.wait_for_source(daemon, "failing")["error"])
        self.assertIn(b"cannot be relayed", daemon.ctl("doctor").stdout)
        daemon.event(payload="3")
        receiver.wait_for(3)
        self.server.start()
        self.insert("4")
        self.assertEqual([b"1", b"2", b"3", b"4"], [request.body for request in receiver.wait_for(4, 2 * TAKEOVER)])
        self.wait_until_empty()
        self.wait_for_source(daemon, "waiting")
        self.assertEqual(4, len(self.accepted(daemon)))
        self.assertIsNone(daemon.process.poll())

    def test_of_several_daemons_one_relays_and_the_next_one_takes_over(self):
        store = self.new_database()
        first = self.relaying("first", self.server.url(store))
        self.wait_for_source(first, "waiting")
        second = self.relaying("second", self.server.url(store))
        self.assertIsNone(self.wait_for_source(second, "standby")["error"])
        receiver = self.receiving(first)
        writers = [Writer(self.server.url(self.application), name, 40) for name in ("a", "b")]
        receiver.wait_for(60, 2 * TAKEOVER)
        first.kill()
        wait_until(lambda: self.source(second)["state"] in ("relaying", "waiting"), "the second relays", TAKEOVER)
        receiver.wait_for(120, 2 * TAKEOVER)
        first.start()
        self.wait_for_source(first, "standby")
        # Who is stopped in its tracks loses its session, and must not relay when it wakes up again.
        second.process.send_signal(signal.SIGSTOP)
        wait_until(lambda: self.source(first)["state"] in ("relaying", "waiting"), "the first relays", TAKEOVER)
        second.process.send_signal(signal.SIGCONT)
        for writer in writers:
            writer.join()
        self.wait_until_empty()
        self.wait_for_source(second, "standby")
        self.assert_all_of(writers, self.accepted(first))
        wait_until(lambda: len(set(receiver.ids())) == 240, "all are delivered", 2 * TAKEOVER)
        self.assertIn(b"standby", second.ctl("source", "list").stdout)

    def test_what_is_wrong_with_a_database_is_said_and_mended_without_a_restart(self):
        self.sql("DROP TABLE outbox_source")
        daemon = self.relaying()
        receiver = self.receiving(daemon)
        self.assertIn("source ddl --postgresql", self.wait_for_source(daemon, "failing")["error"])
        checked = daemon.ctl("source", "check", "--config", str(daemon.config), "shop")
        self.assertEqual(1, checked.returncode)
        self.assertIn(b"no table outbox_source", checked.stdout)
        self.sql(ddl())
        self.insert("1")
        receiver.wait_for(1)
        self.wait_for_source(daemon, "waiting")
        self.assertIn('outbox_source_up{source="shop"} 1\n', daemon.get("/metrics").body.decode())

    def test_a_password_in_the_url_is_refused_and_not_shown(self):
        daemon = self.daemon(name="secret")
        with daemon.config.open("a") as config:
            config.write('[[source]]\nname = "shop"\nurl = "postgresql://outboxd:sesame@db.corp/shop"\n')
        refused = daemon.ctl("config", "check", "--config", str(daemon.config))
        self.assertEqual(78, refused.returncode)
        self.assertIn(b"holds a password", refused.stderr)
        self.assertNotIn(b"sesame", refused.stdout + refused.stderr)
        asked = daemon.ctl("source", "check", "postgresql://outboxd:sesame@db.corp/shop")
        self.assertEqual(2, asked.returncode)
        self.assertNotIn(b"sesame", asked.stdout + asked.stderr)


if __name__ == "__main__":
    unittest.main()
