"""What an operator does with the store: retention, backup and restore, check, migrate, doctor."""
import json
import os
import pathlib
import re
import shutil
import sqlite3
import subprocess
import threading
import time
import unittest

from harness import BIN, EndToEndTest, PATIENCE, wait_until
from stores import sqlite_only


class Operations(EndToEndTest):
    def db(self, daemon, *arguments, **environment):
        command = [str(BIN / "outboxctl"), "--socket", str(daemon.admin), *arguments, "--config", str(daemon.config)]
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE * 3, check=False, env={**os.environ, **environment})

    def metric(self, daemon, name):
        for line in daemon.get("/metrics").body.decode().splitlines():
            if line.startswith(name + " "):
                return float(line.split()[-1])
        return 0

    def test_retention_deletes_what_was_delivered_and_keeps_dead_letters_and_what_is_pending(self):
        daemon = self.daemon("retention.delivered=0s", "limits.idempotency_window=1s", "delivery.retry_schedule=0s").start()
        receiver, failing = self.receiver(), self.receiver(lambda request: 500)
        daemon.endpoint(receiver.url, types=["good.*"])
        daemon.endpoint(failing.url, types=["bad.*"])
        paused = daemon.endpoint(receiver.url, types=["held.*"])
        daemon.post(f"/v1/endpoints/{paused['id']}/pause")
        for _ in range(300):
            daemon.event("good.one")
        daemon.event("bad.one")
        daemon.event("held.one")
        daemon.wait_for_state("dead", 1)
        receiver.wait_for(300)
        wait_until(lambda: daemon.get("/v1/status").json["deliveries"]["delivered"] == 300, "all are delivered")
        # Retention runs once a minute on its own; here the operator asks for a round.
        wait_until(lambda: daemon.ctl("db", "prune").returncode == 0 and daemon.get("/v1/status").json["events"] == 2,
                   "retention has done its work")
        status = daemon.get("/v1/status").json
        self.assertEqual({"pending": 1, "delivered": 0, "dead": 1, "discarded": 0}, status["deliveries"])
        self.assertEqual(300, self.metric(daemon, 'outbox_pruned_total{table="event"}'))
        self.assertEqual(300, self.metric(daemon, 'outbox_pruned_total{table="attempt"}'))
        self.assertEqual("", self.db(daemon, "db", "check").stdout)

    def test_endpoints_that_come_and_go_leave_their_labels_to_the_next(self):
        daemon, receiver = self.daemon("retention.delivered=30d").start(), self.receiver()
        label = lambda endpoint: f'outbox_attempts_total{{endpoint="{endpoint}",outcome="success"}}'
        for n in range(205):  # more endpoints than can have a label of their own
            endpoint = daemon.endpoint(receiver.url, types=[f"churn.{n}"])["id"]
            daemon.event(f"churn.{n}")
            receiver.wait_for(n + 1)
            if n == 204:
                wait_until(lambda: self.metric(daemon, label(endpoint)) == 1, "the last one has a label of its own")
            self.assertEqual(204, daemon.call("DELETE", f"/v1/endpoints/{endpoint}").status)
        wait_until(lambda: endpoint not in daemon.get("/metrics").body.decode(), "its series end with it")

    def test_retention_runs_by_itself(self):
        daemon, receiver = self.daemon("retention.delivered=0s", "limits.idempotency_window=1s").start(), self.receiver()
        daemon.endpoint(receiver.url)
        daemon.event()
        daemon.wait_for_state("delivered", 1)
        first = daemon.deliveries()[0]["id"]
        # The first round runs right after the start.
        self.assertEqual(0, daemon.stop())
        stopped = time.monotonic()
        wait_until(lambda: time.monotonic() > stopped + 2, "it is older than a second")
        daemon.start()
        wait_until(lambda: first not in [d["id"] for d in daemon.deliveries()], "the delivery is gone")

    def locked(self, daemon):
        """The store, locked by somebody else until this is closed."""
        lock = daemon.store.lock(PATIENCE)
        self.addCleanup(lock.close)
        return lock

    def test_an_endpoint_that_is_gone_while_the_store_is_locked_is_disabled_once_it_is_not(self):
        asked, may_answer = threading.Event(), threading.Event()

        def gone(_):
            asked.set()
            may_answer.wait(PATIENCE)
            return 410

        daemon, receiver = self.daemon().start(), self.receiver(gone)
        endpoint = daemon.endpoint(receiver.url)["id"]
        daemon.event()
        self.assertTrue(asked.wait(PATIENCE))
        lock = self.locked(daemon)
        before = self.metric(daemon, 'outbox_db_errors_total{op="commit"}')
        may_answer.set()
        answered = re.compile(r'^outbox_attempts_total\{.*outcome="http_4xx".*\} 1$', re.MULTILINE)
        wait_until(lambda: answered.search(daemon.get("/metrics").body.decode()), "the answer is there")
        # Commands that may be refused are refused after a while, and the event came later than the 410.
        self.assertEqual(503, daemon.post("/v1/events", '{"type": "a", "payload": 1}').status)
        self.assertGreater(self.metric(daemon, 'outbox_db_errors_total{op="commit"}'), before)
        lock.close()
        wait_until(lambda: daemon.get(f"/v1/endpoints/{endpoint}").json["state"] == "disabled", "the endpoint is disabled")
        self.assertEqual("gone", daemon.get(f"/v1/endpoints/{endpoint}").json["disabled_reason"])
        # And it delivers again when it is told to.
        receiver.answer = lambda request: 200
        self.assertEqual(200, daemon.post(f"/v1/endpoints/{endpoint}/resume").status)
        second = daemon.event()["id"]
        wait_until(lambda: second in receiver.ids(), "it is active again")

    def test_what_a_removed_endpoint_left_is_discarded_although_the_store_was_locked_meanwhile(self):
        daemon, receiver = self.daemon().start(), self.receiver()
        endpoint = daemon.endpoint(receiver.url)["id"]
        daemon.post(f"/v1/endpoints/{endpoint}/pause")
        for _ in range(3):
            self.assertEqual(202, daemon.post("/v1/events", [{"type": "a", "payload": 1}] * 1000).status)
        self.assertEqual(204, daemon.call("DELETE", f"/v1/endpoints/{endpoint}").status)
        lock = self.locked(daemon)  # probably before the last step
        self.assertEqual(503, daemon.post("/v1/events", '{"type": "a", "payload": 1}').status)
        lock.close()
        wait_until(lambda: daemon.get("/v1/status").json["deliveries"]["pending"] == 0, "all are discarded")

    def test_prune_asks_before_it_deletes_more_than_configured(self):
        daemon = self.daemon().start()
        refused = daemon.ctl("db", "prune", "--delivered", "1h")
        self.assertEqual(2, refused.returncode, refused)
        self.assertIn(b"--yes", refused.stderr)
        self.assertEqual(0, daemon.ctl("db", "prune", "--delivered", "1h", "--yes").returncode)
        self.assertEqual(4, daemon.ctl("db", "prune", "--delivered", "soon", "--yes").returncode)

    @sqlite_only("PostgreSQL has tools of its own for it")
    def test_a_backup_under_load_holds_every_event_acknowledged_before_it_and_can_be_restored(self):
        daemon, receiver = self.daemon().start(), self.receiver()
        endpoint = daemon.endpoint(receiver.url)
        daemon.post(f"/v1/endpoints/{endpoint['id']}/pause")
        acknowledged = [daemon.event()["id"] for _ in range(200)]
        stopping = threading.Event()

        def load():
            while not stopping.is_set():
                daemon.event("load.one")

        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        target = self.folder / "backup.db"
        try:
            made = self.db(daemon, "db", "backup", str(target))
        finally:
            stopping.set()
            for thread in threads:
                thread.join()
        self.assertEqual(0, made.returncode, made)
        self.assertEqual(0o600, target.stat().st_mode & 0o777)
        self.assertNotEqual(0, self.db(daemon, "db", "backup", str(target)).returncode, "a backup overwrote another one")
        self.assertEqual([], [p.name for p in self.folder.iterdir() if "part" in p.name])
        # Restore, as docs/operations.md says: stop, put the copy in place of the file and its -wal and -shm, start.
        self.assertEqual(0, daemon.stop())
        for suffix in ("", "-wal", "-shm"):
            pathlib.Path(str(daemon.database) + suffix).unlink(missing_ok=True)
        shutil.copy(target, daemon.database)
        daemon.start()
        self.assertEqual(0, self.db(daemon, "db", "check").returncode)
        daemon.post(f"/v1/endpoints/{endpoint['id']}/resume")
        wait_until(lambda: set(acknowledged) <= set(receiver.ids()), "every event of before the backup arrives")

    def test_check_finds_what_does_not_agree_and_changes_nothing(self):
        daemon = self.daemon().start()
        daemon.endpoint(self.receiver().url)
        daemon.event()
        daemon.wait_for_state("delivered", 1)
        self.assertEqual(0, self.db(daemon, "db", "check").returncode)
        daemon.kill()  # the write-ahead log stays
        before = {p.name: p.read_bytes() for p in self.folder.glob("outbox.db*") if not p.name.endswith("-shm")}
        self.assertEqual(0, self.db(daemon, "db", "check").returncode)
        after = {p.name: p.read_bytes() for p in self.folder.glob("outbox.db*") if not p.name.endswith("-shm")}
        self.assertEqual(before, after)
        daemon.sql("DELETE FROM event;")
        found = self.db(daemon, "db", "check", "-o", "json")
        self.assertEqual(1, found.returncode)
        problems = " ".join(json.loads(found.stdout)["problems"])
        self.assertRegex(problems, "deliveries (that have ended and )?whose event is missing")
        self.assertRegex(problems, "counts of events|events too many or too few are counted")
        self.assertIn("restore", self.db(daemon, "db", "check").stderr)

    @sqlite_only("databases of these tests have their tables already")
    def test_migrate_tells_the_schema_and_is_refused_beside_the_daemon(self):
        daemon = self.daemon()
        self.assertEqual(1, self.db(daemon, "db", "migrate", "status").returncode)
        self.assertEqual(0, self.db(daemon, "db", "migrate", "up").returncode)
        self.assertEqual(0, self.db(daemon, "db", "migrate", "status").returncode)
        daemon.start()
        refused = self.db(daemon, "db", "migrate", "up")
        self.assertEqual(1, refused.returncode)
        self.assertIn("already served by pid", refused.stderr)

    @sqlite_only("postgresql_test.py asks doctor about the other store")
    def test_doctor_tells_what_is_wrong_and_how_to_mend_it(self):
        daemon = self.daemon().start()
        healthy = json.loads(self.db(daemon, "doctor", "-o", "json").stdout)["data"]
        results = {row["check"]: row for row in healthy}
        for check in ("permissions", "disk", "schema", "integrity", "daemon", "deliveries", "DNS"):
            self.assertEqual("ok", results[check]["result"], results[check])
        os.chmod(daemon.database, 0o666)
        daemon.stop()
        sick = self.db(daemon, "doctor", "-o", "json")
        self.assertEqual(1, sick.returncode)
        results = {row["check"]: row for row in json.loads(sick.stdout)["data"]}
        self.assertEqual("wrong", results["permissions"]["result"])
        self.assertIn("chmod", results["permissions"]["mend"])
        self.assertEqual("wrong", results["daemon"]["result"])
        self.assertIn("systemctl", results["daemon"]["mend"])

    @sqlite_only("it is about paths")
    def test_doctor_asks_the_daemon_for_its_paths_limits_and_name_servers(self):
        daemon = self.daemon("delivery.dns_servers=127.0.0.1:9").start()
        daemon.endpoint("https://hooks.example/")
        # Without --config, because the file of this machine is not the daemon's.
        rows = json.loads(daemon.ctl("-o", "json", "doctor").stdout)["data"]
        results = {row["check"]: row for row in rows}
        self.assertIn(str(daemon.config), results["configuration"]["found"])
        self.assertEqual("ok", results["configuration"]["result"])
        self.assertIn(str(daemon.database), results["permissions"]["found"])
        self.assertIn("open files", results["limits"]["found"])
        self.assertEqual("warning", results["DNS"]["result"])
        self.assertIn("hooks.example", results["DNS"]["found"])
        self.assertIn("127.0.0.1:9", results["DNS"]["found"])
        other = self.folder / "other.toml"
        other.write_text("")
        rows = json.loads(daemon.ctl("-o", "json", "doctor", "--config", str(other)).stdout)["data"]
        results = {row["check"]: row for row in rows}
        self.assertEqual("warning", results["configuration"]["result"])
        self.assertIn(str(daemon.database), results["permissions"]["found"])
        daemon.config.write_text(daemon.config.read_text() + "nonsense = 1\n")
        sick = daemon.ctl("-o", "json", "doctor")
        self.assertEqual(1, sick.returncode)
        results = {row["check"]: row for row in json.loads(sick.stdout)["data"]}
        self.assertEqual("wrong", results["configuration"]["result"])

    @sqlite_only("it is about SQLite's write-ahead log")
    def test_with_external_checkpoints_the_log_is_left_to_the_other_program(self):
        daemon = self.daemon("store.checkpoint=external").start()
        for _ in range(40):
            self.assertEqual(202, daemon.post("/v1/events", [{"type": "a.b", "payload": "x" * 1000}] * 100).status)
        wal = pathlib.Path(str(daemon.database) + "-wal")
        self.assertGreater(wal.stat().st_size, 4_000_000)
        with sqlite3.connect(daemon.database) as db:
            self.assertEqual(0, db.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()[0])
        daemon.event()
        self.assertEqual("ok", daemon.integrity())


if __name__ == "__main__":
    unittest.main()
