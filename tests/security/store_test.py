"""What somebody who may write to the database, or beside it, can do to outboxd: rows that outboxd never wrote, triggers, other files under the names
that SQLite uses. Whoever may write there is trusted with what the file holds (docs/security.md), but not with the process or with other files."""
import contextlib
import os
import pathlib
import sqlite3
import struct
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from harness import BIN, EndToEndTest, wait_until  # noqa: E402

JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")  # https://www.sqlite.org/fileformat.html, the rollback journal
PAGE = 4096


def hot_journal(pages, named):
    """The rollback journal of a transaction that changed nothing and belongs to the super-journal `named`, which SQLite deletes after a rollback."""
    name = str(named).encode()
    header = JOURNAL_MAGIC + struct.pack(">IIIII", 0, 0, pages, 512, PAGE)
    return header.ljust(512, b"\0") + struct.pack(">I", 0) + name + struct.pack(">II", len(name), sum(name)) + JOURNAL_MAGIC


class StoreTest(EndToEndTest):
    def beside(self, daemon, suffix):
        return pathlib.Path(str(daemon.database) + suffix)

    def rows(self, daemon, *statements):
        with contextlib.closing(sqlite3.connect(daemon.database, timeout=5, isolation_level=None)) as database:
            return [database.execute(*(s if isinstance(s, tuple) else (s,))).fetchall() for s in statements]

    def stopped(self, receiver, *settings, events=1):
        """A daemon that is stopped, with an endpoint and events that are pending."""
        daemon = self.daemon("delivery.retry_schedule=0s,50ms,50ms,50ms", *settings).start()
        endpoint = daemon.endpoint(receiver.url, types=["**"])
        daemon.post(f"/v1/endpoints/{endpoint['id']}/pause")
        for _ in range(events):
            daemon.event()
        self.assertEqual(0, daemon.stop())
        self.rows(daemon, "UPDATE endpoint SET state = 'active'")
        return daemon

    def launch(self, daemon):
        if daemon.process.poll() is None:
            daemon.kill()
        with open(daemon.log_file, "ab") as log:
            daemon.process = subprocess.Popen(daemon.command(), stderr=log, stdout=log)

    def ended_or(self, daemon, condition):
        """Starts the daemon: its exit status, or None once the condition holds."""
        self.launch(daemon)

        def look():
            if daemon.process.poll() is not None:
                return True
            try:
                return daemon.ready_or_dead() and condition()
            except (OSError, KeyError):
                return False
        wait_until(look, "the daemon ends, or goes on as it should")
        return daemon.process.poll()

    def check(self, daemon):
        return subprocess.run([str(BIN / "outboxctl"), "db", "check", "--config", str(daemon.config)], capture_output=True, text=True,
                              timeout=20, check=False)

    # ---- rows

    def test_a_row_that_outboxd_never_wrote_ends_the_start_with_65_and_says_which(self):
        daemon = self.stopped(self.receiver())
        for column, value in (("retry_schedule", '{"a": 1}'), ("tls", "[1]"), ("tls", '{"ca_file": 5}'), ("secrets", '[{"text": 1}]'),
                              ("secrets", '[{"created_at": 1}]'), ("types", "[[]]"), ("headers", "[1]")):
            with self.subTest(column=column, value=value):
                (before,), = self.rows(daemon, f"SELECT {column} FROM endpoint")[0]
                self.rows(daemon, (f"UPDATE endpoint SET {column} = ?", (value,)))
                self.assertEqual(65, self.ended_or(daemon, lambda: True))
                self.assertRegex(daemon.log().splitlines()[-1], "holds a value that outboxd never wrote: (endpoint|headers)")
                self.rows(daemon, (f"UPDATE endpoint SET {column} = ?", (before,)))
        self.assertIsNone(self.ended_or(daemon, lambda: True), "the control: with what it wrote it starts")

    def test_nothing_in_a_row_breaks_out_of_a_line_of_the_request_or_goes_where_the_policy_denies(self):
        receiver = self.receiver()
        daemon = self.stopped(receiver, events=7)
        line = "a'||char(13,10)||'webhook-id: forged"
        # As rows from before there were checksums, which tell of no such change.
        self.rows(daemon, "UPDATE counter SET last_unchecked = event_seq", "UPDATE event SET checksum = NULL")
        self.rows(daemon, f"UPDATE event SET type = '{line}' WHERE seq = 1", f"UPDATE event SET content_type = '{line}' WHERE seq = 2",
                  """UPDATE event SET headers = '[["webhook-id", "forged"]]' WHERE seq = 3""",
                  """UPDATE event SET headers = '[["a", "b\\r\\nwebhook-id: forged"]]' WHERE seq = 4""",
                  """UPDATE event SET headers = '[["a\\u0000", "b"]]' WHERE seq = 5""", f"UPDATE event SET traceparent = '{line}' WHERE seq = 6")
        daemon.start()
        daemon.wait_for_state("dead", 5)
        daemon.wait_for_state("delivered", 2)
        self.assertEqual(2, len(receiver.requests), "the control: the seventh, and the sixth without its traceparent")
        self.assertTrue(all("forged" not in str(r.headers) for r in receiver.requests))
        self.assertEqual(0, daemon.stop())
        self.rows(daemon, "UPDATE endpoint SET url = 'http://169.254.169.254/'", "DELETE FROM delivery")
        daemon.start()
        daemon.event()
        dead, = daemon.wait_for_state("dead", 1)
        self.assertEqual("blocked", dead["reason"])

    def survives(self, table, settings):
        daemon = self.stopped(self.receiver(lambda _: 500))
        self.rows(daemon, f"UPDATE {table} SET {settings}")
        status = self.ended_or(daemon, lambda: self.tried(daemon))
        self.assertIn(status, (None, 65, 70), f"{settings}: ended by a signal")

    def tried(self, daemon):
        delivery, = daemon.deliveries()
        return daemon.get(f"/v1/deliveries/{delivery['id']}").json["attempt_list"]

    def test_a_negative_number_of_attempts_is_no_crash(self):
        self.survives("delivery", "attempts = -100000000")

    def test_the_greatest_number_of_attempts_is_no_crash(self):
        self.survives("delivery", "attempts = 2147483647")

    def test_an_empty_retry_schedule_is_no_crash(self):
        self.survives("endpoint", "retry_schedule = '[]'")

    def test_a_rate_limit_of_more_than_32_bits_is_no_crash(self):
        self.survives("endpoint", "rate_limit_count = 4294967296, rate_limit_per = 1000")

    def cpu(self, daemon):
        fields = pathlib.Path(f"/proc/{daemon.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def test_an_event_for_the_far_future_costs_nothing_meanwhile(self):
        daemon = self.daemon().start()
        daemon.endpoint("http://127.0.0.1:9/", types=["**"])
        daemon.event(delay="364d")
        before, since = self.cpu(daemon), time.monotonic()
        wait_until(lambda: time.monotonic() > since + 1, "a second passes")
        self.assertLess(self.cpu(daemon) - before, 0.15)

    def test_a_trigger_of_a_producer_does_not_make_an_accepted_event_vanish(self):
        daemon = self.daemon().start()
        self.rows(daemon, "CREATE TRIGGER t BEFORE INSERT ON event BEGIN SELECT RAISE(IGNORE); END")
        answer = daemon.post("/v1/events", '{"type": "a", "payload": 1}')
        (stored,), = self.rows(daemon, "SELECT count(*) FROM event")[0]
        self.assertEqual(answer.status == 202, stored == 1, answer)

    def test_a_row_with_the_greatest_number_does_not_shut_out_the_other_producers(self):
        daemon = self.daemon().start()
        daemon.endpoint("http://127.0.0.1:9/", types=["**"])
        with contextlib.suppress(sqlite3.IntegrityError):  # refused is as good
            self.rows(daemon, "INSERT INTO outbox(seq, type, payload) VALUES (9223372036854775807, 'a', '1')")
            wait_until(lambda: len(daemon.get("/v1/events").json["data"]) == 1, "the row is an event")
        try:
            self.rows(daemon, "INSERT INTO outbox(type, payload) VALUES ('a', '2')")
        except sqlite3.OperationalError as error:
            self.fail(error)

    # ---- files beside the database

    def test_no_symbolic_link_beside_the_database_is_followed(self):
        daemon = self.stopped(self.receiver())
        victim = self.folder / "victim"
        for suffix in ("-wal", "-shm", "-journal", ".lock", ".ballast"):
            for there in (True, False):
                with self.subTest(suffix=suffix, there=there):
                    if there:
                        victim.write_text("secret")
                        victim.chmod(0o640)
                    before = victim.stat() if there else None
                    link = self.beside(daemon, suffix)
                    link.unlink(missing_ok=True)
                    link.symlink_to(victim)
                    self.check(daemon)
                    may_start = suffix in (".ballast", "-journal")  # the one is replaced, the other is not looked at
                    status = self.ended_or(daemon, lambda: True)
                    self.assertEqual(None if may_start else 74, status)
                    if status is None:
                        self.assertEqual(0, daemon.stop())
                    self.assertEqual(there, victim.exists())
                    if there:
                        after = victim.stat()
                        self.assertEqual((before.st_mode, before.st_uid, before.st_gid, "secret"),
                                         (after.st_mode, after.st_uid, after.st_gid, victim.read_text()))
                        victim.unlink()
                    link.unlink(missing_ok=True)

    def test_a_journal_put_beside_the_database_deletes_no_other_file(self):
        daemon = self.stopped(self.receiver())
        victim = self.folder / "victim"
        for run in (lambda: self.check(daemon), lambda: self.ended_or(daemon, lambda: True)):
            victim.write_text("of somebody else")
            self.beside(daemon, "-journal").write_bytes(hot_journal(daemon.database.stat().st_size // PAGE, victim))
            run()
            self.assertTrue(victim.exists())

    def test_a_fifo_put_beside_the_database_does_not_stop_the_api(self):
        daemon = self.daemon().start()
        os.mkfifo(self.beside(daemon, "-journal"))
        answers = []

        def ask():
            with contextlib.suppress(OSError):
                answers.append(daemon.call("GET", "/v1/events"))
        threads = [threading.Thread(target=ask, daemon=True) for _ in range(8)]
        for thread in threads:
            thread.start()
        try:
            wait_until(lambda: len(answers) == len(threads), "the API answers", 2)
        finally:
            daemon.kill()

    def test_a_fifo_in_the_place_of_the_database_ends_the_start(self):
        daemon = self.stopped(self.receiver())
        daemon.database.unlink()
        os.mkfifo(daemon.database)
        self.launch(daemon)
        try:
            wait_until(lambda: daemon.process.poll() is not None, "the start ends", 2)
        finally:
            daemon.process.kill()
        self.assertEqual(65, daemon.process.wait())

    def test_an_index_of_the_write_ahead_log_cut_short_is_a_fail_stop(self):
        daemon = self.daemon().start()
        daemon.event()
        os.truncate(self.beside(daemon, "-shm"), 0)
        with contextlib.suppress(OSError):
            daemon.post("/v1/events", '{"type": "a", "payload": 1}')
        wait_until(lambda: daemon.process.poll() is not None, "the daemon ends")
        self.assertEqual(70, daemon.process.poll())
        daemon.start()  # what was accepted is there
        self.assertEqual(1, len(daemon.get("/v1/events").json["data"]))

    # ---- secrets

    def test_after_db_encrypt_no_plain_secret_is_in_the_file_or_in_a_new_backup(self):
        daemon = self.daemon().start()
        secrets = [daemon.endpoint("http://127.0.0.1:9/")["secret"] for _ in range(60)]
        self.assertEqual(0, daemon.stop())

        def left(path):
            return sum(secret.encode() in pathlib.Path(path).read_bytes() for secret in secrets)
        self.assertEqual(60, left(daemon.database), "the control: without a key they are there")
        key = self.folder / "secrets.key"
        key.write_text(os.urandom(32).hex())
        daemon.settings.append(f"store.secrets_key_file={key}")
        daemon.start()
        self.assertEqual(0, daemon.ctl("db", "encrypt").returncode)
        backup = self.folder / "backup.db"
        subprocess.run([str(BIN / "outboxctl"), "db", "backup", str(backup), "--config", str(daemon.config)], capture_output=True, check=True)
        self.assertEqual(0, daemon.stop())
        self.assertEqual((0, 0), (left(backup), left(daemon.database)))


if __name__ == "__main__":
    unittest.main()
