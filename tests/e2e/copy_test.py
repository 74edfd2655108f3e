#!/usr/bin/env python3
"""`outboxctl db copy`: everything of SQLite's file is in PostgreSQL afterwards, and of that in a file again, as seen through the API."""
import json
import subprocess
import time
import unittest

from harness import BIN, wait_until
from several_daemons import SharedStoreTest, needs_postgresql

ASKED = ["/v1/endpoints", "/v1/events", "/v1/events?unmatched=true", "/v1/events?rejected=true", "/v1/deliveries", "/v1/deliveries?state=pending",
         "/v1/deliveries?state=dead", "/v1/batches", "/v1/types", "/v1/failures?since=1h", "/v1/secrets"]
# What follows from the time of asking.
OF_NOW = {"waiting", "in_flight", "rates", "since"}


def without_now(value):
    if isinstance(value, list):
        return [without_now(one) for one in value]
    if isinstance(value, dict):
        return {name: without_now(one) for name, one in value.items() if name not in OF_NOW}
    return value


@needs_postgresql
class Copy(SharedStoreTest):
    def setUp(self):
        super().setUp()
        self.url = self.server.url(self.database)
        self.file = f"sqlite://{self.folder}/file/outbox.db"

    def copy(self, source, target):
        return subprocess.run([str(BIN / "outboxctl"), "db", "copy", "--from", source, "--to", target], capture_output=True, text=True,
                              check=False, timeout=120)

    def filled(self):
        """A daemon over a file, with something of everything, that has come to rest."""
        daemon = self.daemon(name="file").start()
        good, bad = self.receiver(), self.receiver(lambda request: (500, {}, b"no \x00 way"))
        daemon.endpoint(good.url, name="good", types=["order.**"])
        daemon.endpoint(bad.url, name="bad", types=["order.**"], retry_schedule=["0s", "10ms"], filter={"/n": {"gte": 5}})
        daemon.endpoint(bad.url, name="ordered", types=["order.**"], ordering="key", retry_schedule=["0s", "1h"])
        daemon.endpoint(good.url, name="gone")
        daemon.call("DELETE", "/v1/endpoints/gone")
        for number in range(12):
            daemon.event(payload=json.dumps({"n": number, "text": "ü'\\"}), ordering_key=f"k{number % 3}", idempotency_key=f"once {number}",
                         headers={"x-n": str(number)})
        daemon.event("nobody.wants")
        erased = daemon.event()["id"]
        daemon.wait_for_state("delivered", 13)
        wait_until(lambda: len(daemon.deliveries("&endpoint=bad&state=dead")) == 7, "dead letters")
        self.assertLess(daemon.call("DELETE", f"/v1/events/{erased}/payload").status, 300)
        for number in (1, 2):
            daemon.sql(f"INSERT INTO outbox(type, payload, idempotency_key) VALUES ('a.b', '{number}', 'k')")
        wait_until(lambda: daemon.get("/v1/events?rejected=true").json["data"], "a row is rejected")
        batch = daemon.post("/v1/batches", {"action": "discard", "filter": {"endpoint": "bad", "state": "pending"}}).json["id"]
        wait_until(lambda: daemon.get(f"/v1/batches/{batch}").json["state"] == "finished", "the batch ends")
        daemon.post("/v1/endpoints/ordered/pause")
        wait_until(lambda: all(row["in_flight"] is False for row in daemon.deliveries()), "nothing is under way")
        return daemon

    def seen(self, daemon):
        seen = {path: without_now(daemon.get(path).json) for path in ASKED}
        for row in daemon.deliveries():
            seen[row["id"]] = without_now(daemon.get("/v1/deliveries/" + row["id"]).json)
        for row in seen["/v1/events"]["data"]:
            seen[row["id"]] = daemon.get(f"/v1/events/{row['id']}/payload").body
        status = daemon.get("/v1/status").json
        return {**seen, "counts": [status[name] for name in ("deliveries", "events", "outbox_rejected", "endpoints")]}

    def assert_same(self, before, after):
        self.assertEqual(sorted(before), sorted(after))
        for what, value in before.items():
            with self.subTest(what=what):
                self.assertEqual(value, after[what])

    def test_everything_arrives_and_comes_back(self):
        daemon = self.filled()
        before = self.seen(daemon)
        refused = self.copy(self.file, self.url)
        self.assertEqual(1, refused.returncode)
        self.assertIn("already served", refused.stderr)
        self.assertEqual(0, daemon.stop())
        done = self.copy(self.file, self.url)
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertIn("compared every row", done.stderr)
        shared = self.member("shared").start()
        self.wait_for_shares([shared])
        self.assert_same(before, self.seen(shared))
        again = shared.event(payload=json.dumps({"n": 3, "text": "ü'\\"}), ordering_key="k0", idempotency_key="once 3", headers={"x-n": "3"})
        self.assertTrue(again["duplicate"])
        self.assertIn("served by", self.copy(self.url, f"sqlite://{self.folder}/back.db").stderr)
        self.assertEqual(0, shared.stop())
        self.assertEqual(0, shared.ctl("db", "check", "--config", str(shared.config)).returncode)
        (self.folder / "back").mkdir()
        done = self.copy(self.url, f"sqlite://{self.folder}/back/outbox.db")
        self.assertEqual(0, done.returncode, done.stderr)
        back = self.daemon(name="back").start()
        self.assert_same(before, self.seen(back))
        # What waits goes on: the ordered ones, one after another.
        self.receiver_of_ordered(back)
        self.assertEqual(0, back.stop())
        self.assertEqual(0, back.ctl("db", "check", "--config", str(back.config)).returncode)

    def receiver_of_ordered(self, daemon):
        receiver = self.receiver()
        daemon.call("PATCH", "/v1/endpoints/ordered", {"url": receiver.url})
        daemon.post("/v1/endpoints/ordered/resume")
        daemon.post("/v1/batches", {"action": "retry", "filter": {"endpoint": "ordered", "state": "pending"}})
        numbers = [json.loads(request.body)["n"] for request in receiver.wait_for(12)]
        for key in range(3):
            self.assertEqual([n for n in range(12) if n % 3 == key], [n for n in numbers if n % 3 == key])

    def test_a_copy_that_is_cut_off_goes_on_and_is_not_served_before(self):
        daemon = self.daemon(name="file").start()
        daemon.endpoint(self.receiver().url, name="shop", state="paused")
        for _ in range(6):
            batch = [{"type": "order.paid", "payload": {"text": "x" * 2000}} for _ in range(500)]
            self.assertEqual(202, daemon.post("/v1/events", batch).status)
        self.assertEqual(0, daemon.stop())
        process = subprocess.Popen([str(BIN / "outboxctl"), "db", "copy", "--from", self.file, "--to", self.url], stderr=subprocess.DEVNULL)
        some = "SELECT CASE WHEN to_regclass('event') IS NULL THEN 0 ELSE 1 END"
        wait_until(lambda: self.sql(some) == "1" and int(self.sql("SELECT count(*) FROM event")) > 0, "some is copied")
        process.kill()
        process.wait()
        time.sleep(0.2)
        early = self.member("early")
        with open(early.log_file, "wb") as log:
            self.assertNotEqual(0, subprocess.run([str(BIN / "outboxd"), "--config", str(early.config)], stderr=log, timeout=30, check=False).returncode)
        done = self.copy(self.file, self.url)
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertIn("3000 events", done.stderr)
        late = self.member("late").start()
        self.assertEqual(3000, late.get("/v1/status").json["events"])


if __name__ == "__main__":
    unittest.main()
