"""An application with an SQLite file of its own: what it writes into its outbox is relayed, once and in order, whatever becomes of the file."""
import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import unittest

from harness import BIN, EndToEndTest, wait_until


def ddl():
    return subprocess.run([str(BIN / "outboxctl"), "source", "ddl"], capture_output=True, text=True, check=True).stdout


# What no column is meant to hold, or hardly ever.
HOSTILE = ["", "x", "\0", "a\0b", "\ufffd", "\U0010ffff", "x" * 5000, "-1", "007", str(2**63 - 1), "9" * 400, "1e400", "null", '{"a":"\0"}', '{"x-a":1}',
           '{"host":"a"}', '{"x-a":"b\\r\\nc: d"}', "[" * 3000, "2026-13-45 99:99:99", "99999-01-01T00:00:00Z", "text/plain\r\nx: y", "_ops", -2**63,
           2**63 - 1, 2**53 + 1, float("inf"), 1e300, 5e-324, 2.5, b"", b"\0", b"\xff\xfe", b"{}", b"\xed\xa0\x80"]


class Application:
    """Its file, with the outbox in it."""

    def __init__(self, path, mode="wal", with_outbox=True):
        self.path = path
        self.database = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
        self.database.execute(f"PRAGMA journal_mode={mode}")
        self.database.execute("CREATE TABLE IF NOT EXISTS account (id INTEGER PRIMARY KEY, balance INTEGER)")
        if with_outbox:
            self.database.executescript(ddl())

    def insert(self, *payloads, **columns):
        names = ["type", "payload", *columns]
        sql = f"INSERT INTO outbox({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
        self.database.execute("BEGIN IMMEDIATE")
        for payload in payloads:
            self.database.execute(sql, ["order.paid", payload, *columns.values()])
        self.database.execute("COMMIT")

    def insert_unjudged(self, payload):
        """A row that only the daemon can refuse, as one with the trigger dropped."""
        trigger = self.one("SELECT sql FROM sqlite_schema WHERE name = 'outbox_row_is_judged'")
        self.database.execute("DROP TRIGGER outbox_row_is_judged")
        self.insert(payload)
        self.database.execute(trigger)

    def one(self, sql):
        return self.database.execute(sql).fetchone()[0]

    def close(self):
        self.database.close()


class RelayTest(EndToEndTest):
    def setUp(self):
        super().setUp()
        self.applications = []
        self.addCleanup(lambda: [application.close() for application in self.applications])

    def application(self, name="app.db", **options):
        application = Application(self.folder / name, **options)
        self.applications.append(application)
        return application

    def relaying(self, **sources):
        """A daemon with these sources; a receiver of all that they send."""
        daemon = self.daemon()
        with daemon.config.open("a") as config:
            for name, path in sources.items():
                config.write(f'[[source]]\nname = "{name}"\nurl = "sqlite://{path}"\n')
        daemon.start()
        receiver = self.receiver()
        daemon.endpoint(receiver.url, ordering="endpoint")
        return daemon, receiver

    def source(self, daemon, name="shop"):
        return next(s for s in daemon.get("/v1/sources").json["data"] if s["name"] == name)

    def wait_for_state(self, daemon, state, name="shop"):
        return wait_until(lambda: (source := self.source(daemon, name))["state"] == state and source, f"{name} is {state}")

    def test_rows_are_delivered_in_order_and_deleted(self):
        for mode in ("wal", "delete"):
            with self.subTest(mode):
                application = self.application(f"{mode}.db", mode=mode)
                daemon, receiver = self.relaying(shop=application.path)
                for i in range(60):
                    application.insert(*(json.dumps({"n": 3 * i + k}) for k in range(3)))
                got = receiver.wait_for(180)
                self.assertEqual([json.loads(r.body)["n"] for r in got], list(range(180)))
                wait_until(lambda a=application: a.one("SELECT count(*) FROM outbox") == 0, "the rows are deleted")
                source = self.wait_for_state(daemon, "waiting")
                self.assertEqual((source["relayed"], source["rejected"], source["error"]), (180, 0, None))
                self.assertEqual(application.one("PRAGMA integrity_check"), "ok")
                metrics = daemon.get("/metrics").body.decode()
                for line in ('outbox_source_up{source="shop"} 1', 'outbox_source_rows_relayed_total{source="shop"} 180',
                             'outbox_events_accepted_total{source="relay"} 180'):
                    self.assertIn(line + "\n", metrics)
                self.assertEqual(daemon.stop(), 0)
                shutil.rmtree(self.folder)
                self.folder.mkdir()

    def test_columns_arrive_as_those_of_our_own_outbox_and_rolled_back_rows_do_not(self):
        application = self.application()
        daemon, receiver = self.relaying(shop=application.path)
        application.database.execute("BEGIN IMMEDIATE")
        application.database.execute("INSERT INTO outbox(type, payload) VALUES ('never', '1')")
        application.database.execute("ROLLBACK")
        application.insert(' {"a": 1.10} ', headers='{"x-shop": "7"}', idempotency_key="k1")
        application.insert(' {"a": 1.10} ', headers='{"x-shop": "7"}', idempotency_key="k1")
        application.insert("plain", content_type="text/plain")
        first, second = receiver.wait_for(2)
        self.assertEqual((first.body, first.headers["x-shop"]), (b' {"a": 1.10} ', "7"))
        self.assertEqual((second.body, second.headers["content-type"]), (b"plain", "text/plain"))
        wait_until(lambda: application.one("SELECT count(*) FROM outbox") == 0, "the rows are deleted")
        self.assertEqual(len(receiver.requests), 2)

    def test_a_bad_source_is_shown_and_the_others_go_on(self):
        good = self.application("good.db")
        foreign = self.application("foreign.db", with_outbox=False)
        locked = self.application("locked.db", mode="delete")
        locked.database.execute("BEGIN EXCLUSIVE")
        (self.folder / "text.db").write_bytes(b"no database" * 1000)
        newer = self.application("newer.db")
        newer.database.execute("UPDATE outbox_source SET version = 99")
        daemon, receiver = self.relaying(missing=self.folder / "none.db", foreign=foreign.path, locked=locked.path, text=self.folder / "text.db",
                                         newer=newer.path, folder=self.folder.parent, good=good.path)
        good.insert("1")
        receiver.wait_for(1)
        for name, words in (("missing", "cannot be found"), ("foreign", "outboxctl source ddl | sqlite3"), ("text", "not an SQLite database"),
                            ("newer", "run a newer outboxd"), ("folder", "not a regular file"), ("locked", "locked by the application")):
            with self.subTest(name):
                self.assertIn(words, self.wait_for_state(daemon, "failing", name)["error"])
        listed = daemon.ctl("source", "list")
        self.assertIn(b"failing", listed.stdout)
        self.assertIn(b"cannot be relayed", daemon.ctl("doctor").stdout)

        locked.database.execute("COMMIT")
        locked.insert("2")
        foreign.database.executescript(ddl())
        foreign.insert("3")
        receiver.wait_for(3)
        Application(self.folder / "none.db").close()
        self.wait_for_state(daemon, "waiting", "missing")
        good.insert("4")
        receiver.wait_for(4)

    def test_a_bad_row_is_kept_with_its_reason_and_can_be_retried(self):
        application = self.application()
        daemon, receiver = self.relaying(shop=application.path)
        application.insert("1")
        application.insert_unjudged("no JSON")
        application.insert("3")
        self.assertEqual([r.body for r in receiver.wait_for(2)], [b"1", b"3"])
        wait_until(lambda: application.one("SELECT count(*) FROM outbox") == 1, "the good rows are deleted")
        self.assertIn("payload: is no JSON", application.one("SELECT rejected FROM outbox"))
        wait_until(lambda: self.source(daemon)["rejected"] == 1, "it is counted")
        checked = daemon.ctl("source", "check", str(application.path))
        self.assertEqual(checked.returncode, 0)
        self.assertIn(b"UPDATE outbox SET rejected = NULL", checked.stderr)
        # It is refused again: nothing is lost by asking.
        application.database.execute("UPDATE outbox SET rejected = NULL, rejected_at = NULL")
        wait_until(lambda: application.one("SELECT rejected FROM outbox") is not None, "it is rejected again")
        application.database.executescript("DROP TRIGGER outbox_row_is_final; UPDATE outbox SET payload = '2', rejected = NULL;" + ddl())
        self.assertEqual(receiver.wait_for(3)[2].body, b"2")
        wait_until(lambda: application.one("SELECT count(*) FROM outbox") == 0, "it is deleted")

    def test_whatever_a_row_holds_it_becomes_an_event_or_is_refused_with_a_reason(self):
        application = self.application()
        columns = [column for _, column, *_ in application.database.execute("PRAGMA table_info(outbox)") if not column.startswith("rejected")]
        # The triggers would judge it first.
        for (trigger,) in application.database.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
            application.database.execute(f"DROP TRIGGER {trigger}")
        rows = 0
        application.database.execute("BEGIN IMMEDIATE")
        for column in [*columns[1:], "seq"]:  # the last one, because no number follows the highest of all
            for value in HOSTILE:
                row = {"type": "order.paid", "payload": "1", column: value}
                for form in ("?", "CAST(? AS TEXT)") if isinstance(value, bytes) else ("?",):
                    places = ", ".join(form if name == column else "?" for name in row)
                    with contextlib.suppress(sqlite3.IntegrityError):  # STRICT refuses it, or the number is taken
                        application.database.execute(f"INSERT INTO outbox({', '.join(row)}) VALUES ({places})", list(row.values()))
                        rows += 1
        application.database.execute("DELETE FROM sqlite_sequence WHERE seq > 1000000")
        application.database.execute("COMMIT")
        application.database.executescript(ddl())
        daemon, _ = self.relaying(shop=application.path)
        wait_until(lambda: application.one("SELECT count(*) FROM outbox WHERE rejected IS NULL") == 0, "all are judged")
        refused = application.one("SELECT count(*) FROM outbox WHERE rejected <> ''")
        self.assertGreater(refused, 100)
        self.assertEqual(self.source(daemon)["relayed"] + refused, rows)
        self.assertEqual(application.one("SELECT count(*) FROM outbox WHERE seq < 1 AND rejected NOT LIKE 'seq: %'"), 0)
        application.database.execute("DELETE FROM outbox")
        application.insert("1")
        wait_until(lambda: self.source(daemon)["relayed"] + refused == rows + 1, "the next one is relayed")

    def test_a_file_that_is_replaced_or_restored_is_relayed_from_where_it_is(self):
        application = self.application(mode="delete")
        daemon, receiver = self.relaying(shop=application.path)
        application.insert("1", "2")
        receiver.wait_for(2)
        wait_until(lambda: application.one("SELECT count(*) FROM outbox") == 0, "the rows are deleted")
        # A backup with a row in it that was not relayed yet, taken while the daemon looks elsewhere.
        backup = self.application("backup.db", mode="delete")
        backup.insert("3")
        os.rename(backup.path, application.path)
        self.assertEqual(receiver.wait_for(3)[2].body, b"3")
        os.remove(application.path)
        self.assertIn("cannot be found", wait_until(lambda: (s := self.source(daemon))["error"] and "found" in s["error"] and s, "shown")["error"])
        restored = self.application("restored.db", mode="delete")
        restored.insert("4")
        os.rename(restored.path, application.path)
        self.assertEqual([r.body for r in receiver.wait_for(4)], [b"1", b"2", b"3", b"4"])

    def test_rows_written_while_the_daemon_is_down_are_relayed_at_its_start_and_nothing_twice(self):
        application = self.application()
        daemon, receiver = self.relaying(shop=application.path)
        application.insert("1")
        receiver.wait_for(1)
        wait_until(lambda: daemon.get("/v1/deliveries?state=delivered").json["data"], "the delivery is recorded: it is not sent again")
        daemon.kill()
        application.insert("2", "3")
        daemon.start()
        self.assertEqual([r.body for r in receiver.wait_for(3)], [b"1", b"2", b"3"])
        wait_until(lambda: application.one("SELECT count(*) FROM outbox") == 0, "the rows are deleted")
        self.assertEqual(daemon.stop(), 0)
        daemon.start()
        application.insert("4")
        self.assertEqual([r.body for r in receiver.wait_for(4)], [b"1", b"2", b"3", b"4"])

    def test_a_long_transaction_of_the_application_only_delays(self):
        application = self.application()
        daemon, receiver = self.relaying(shop=application.path)
        application.insert("1", "2")
        application.database.execute("BEGIN IMMEDIATE")
        application.database.execute("INSERT INTO outbox(type, payload) VALUES ('order.paid', '3')")
        receiver.wait_for(2)
        self.assertEqual(self.wait_for_state(daemon, "waiting")["error"], None)
        application.database.execute("COMMIT")
        self.assertEqual([r.body for r in receiver.wait_for(3)], [b"1", b"2", b"3"])
        wait_until(lambda: application.one("SELECT count(*) FROM outbox") == 0, "the rows are deleted")

    def test_the_configuration_says_what_is_wrong_with_a_source(self):
        daemon = self.daemon()
        text = daemon.config.read_text()
        for table, words in (('[source]\nname = "a"\nurl = "sqlite:///a.db"', "source: is not a list of tables; expected [[source]]"),
                             ('[[source]]\nname = "a"', "source.url: is missing"),
                             ('[[source]]\nname = "A b"\nurl = "sqlite:///a.db"', 'source.name: is "A b"; expected 1 to 64 of a-z'),
                             ('[[source]]\nname = "a"\nurl = "a.db"', 'source.url: is "a.db"; expected a URL such as'),
                             ('[[source]]\nname = "a"\nurl = "sqlite:///a.db"\npath = "b"', 'source."path": no such key'),
                             (f'[[source]]\nname = "a"\nurl = "sqlite://{daemon.database}"', "source.url: is store.url"),
                             ("".join(f'[[source]]\nname = "a"\nurl = "sqlite:///{i}.db"\n' for i in range(2)), "name of another source"),
                             ("".join(f'[[source]]\nname = "a{i}"\nurl = "sqlite:///x/../a.db"\n' for i in range(2)), "file of the source"),
                             ("".join(f'[[source]]\nname = "a{i}"\nurl = "sqlite:///{i}.db"\n' for i in range(17)), "at most 16")):
            with self.subTest(words):
                daemon.config.write_text(text + table + "\n")
                checked = subprocess.run([str(BIN / "outboxd"), "--config", str(daemon.config), "--check-config"], capture_output=True, text=True,
                                         check=False)
                self.assertEqual(checked.returncode, 78, checked)
                self.assertRegex(checked.stderr + checked.stdout, r"outboxd\.toml:\d+:\d+: source")
                self.assertIn(words, checked.stderr + checked.stdout)

    def test_the_check_of_a_source_needs_no_daemon_and_changes_nothing(self):
        application = self.application(mode="delete")
        before = application.path.read_bytes()
        daemon = self.daemon()
        checked = daemon.ctl("-o", "json", "source", "check", str(application.path))
        self.assertEqual(checked.returncode, 0, checked)
        found = json.loads(checked.stdout)
        self.assertEqual((found["good"], found["journal_mode"]), (True, "delete"))
        self.assertIn(b"PRAGMA journal_mode=WAL", checked.stderr)
        self.assertEqual(application.path.read_bytes(), before)
        missing = daemon.ctl("source", "check", str(self.folder / "none.db"))
        self.assertEqual(missing.returncode, 1)
        unknown = daemon.ctl("source", "check", "nobody", "--config", str(daemon.config))
        self.assertEqual(unknown.returncode, 3)


if __name__ == "__main__":
    unittest.main()
