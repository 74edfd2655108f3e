#!/usr/bin/env python3
"""The daemon over PostgreSQL: one that delivers, several that share a database, and a database that is away."""
import json
import signal
import subprocess
import time
import unittest

from harness import BIN, PATIENCE, wait_until
from several_daemons import PARTITIONS, TAKEOVER, TRUST, SharedStoreTest, needs_postgresql, partitions_of

SHOPS = 20  # of eight, one daemon of two owned all, once in many runs


@needs_postgresql
class OneDaemon(SharedStoreTest):
    def test_events_of_http_and_of_sql_are_delivered_signed_and_survive_a_kill(self):
        daemon, receiver = self.member("only").start(), self.receiver()
        endpoint = daemon.endpoint(receiver.url, types=["order.**"])
        daemon.event(payload='{"total": 1.10}')
        self.sql("""BEGIN; CREATE TABLE account (id int, balance int); INSERT INTO account VALUES (7, 100);
                    INSERT INTO outbox(type, payload) VALUES ('order.paid', '{"id":  42}'); COMMIT""")
        requests = receiver.wait_for(2)
        self.assertEqual({b'{"total": 1.10}', b'{"id":  42}'}, {request.body for request in requests})
        self.assertTrue(all(request.signed_with(endpoint["secret"]) for request in requests))
        daemon.wait_for_state("delivered", 2)
        self.assertEqual("0", self.sql("SELECT count(*) FROM outbox"))
        self.sql("BEGIN; INSERT INTO outbox(type, payload) VALUES ('order.paid', '1'); ROLLBACK")
        daemon.kill()
        receiver.answer = lambda request: 503
        daemon.start()
        kept = daemon.event()
        receiver.wait_for(3)
        daemon.kill()
        receiver.answer = lambda request: 200
        daemon.start()
        daemon.post(f"/v1/deliveries/{daemon.deliveries('&state=pending')[0]['id']}/retry")
        daemon.wait_for_state("delivered", 3)
        self.assertIn(kept["id"], receiver.ids())
        self.assertEqual(0, daemon.stop())

    def test_status_doctor_and_metrics_tell_of_the_member(self):
        daemon = self.member("only").start()
        self.wait_for_shares([daemon])
        status = daemon.get("/v1/status").json
        self.assertEqual([(PARTITIONS, True)], [(one["partitions"], one["self"]) for one in status["members"]])
        self.assertLess(status["members"][0]["heartbeat_age_seconds"], 5)
        self.assertTrue(status["store"]["url"].startswith("postgresql:///"))
        metrics = daemon.get("/metrics").body.decode()
        self.assertIn("outbox_members 1\n", metrics)
        self.assertIn(f"outbox_partitions_owned {PARTITIONS}\n", metrics)
        shown = daemon.ctl("status").stdout.decode()
        self.assertIn("(this one)", shown)
        self.assertNotIn("WAL", shown)
        found = {row["check"]: row for row in json.loads(daemon.ctl("doctor", "-o", "json").stdout)["data"]}
        self.assertEqual("ok", found["members"]["result"])
        self.assertNotIn("integrity", found)
        self.assertIn("postgresql:///", daemon.ctl("db", "info").stdout.decode())

    def test_a_password_in_the_url_is_refused_and_not_shown(self):
        daemon = self.daemon(name="secret", store="postgresql://outboxd:sesame@db.corp/outboxd")
        refused = daemon.ctl("config", "check", "--config", str(daemon.config))
        self.assertEqual(78, refused.returncode)
        self.assertIn(b"holds a password", refused.stderr)
        self.assertNotIn(b"sesame", refused.stdout + refused.stderr)


@needs_postgresql
class SeveralDaemons(SharedStoreTest):
    def test_what_one_is_told_all_do(self):
        receiver = self.receiver()
        first, second = self.members(2)
        self.assertEqual([PARTITIONS // 2] * 2, [partitions_of(first), partitions_of(second)])
        names = [first.endpoint(receiver.url, name=f"shop-{number}")["id"] for number in range(4)]
        wait_until(lambda: len(second.get("/v1/endpoints").json["data"]) == 4, "the second knows the endpoints")
        event = second.event()
        self.assertEqual(4, event["deliveries"])
        receiver.wait_for(4)
        for daemon in (first, second):
            wait_until(lambda asked=daemon: len(asked.deliveries("&state=delivered")) == 4, "both see what was delivered")
        # An operator's word to any of them.
        second.post(f"/v1/endpoints/{names[0]}/pause")
        wait_until(lambda: first.get(f"/v1/endpoints/{names[0]}").json["state"] == "paused", "the first hears of it")
        first.event()
        receiver.wait_for(7)
        wait_until(lambda: len(first.deliveries("&state=pending")) == 1, "only what is paused waits")
        first.post(f"/v1/endpoints/{names[0]}/resume")
        receiver.wait_for(8)
        listed = {(one["partitions"], one["self"]) for one in first.get("/v1/status").json["members"]}
        self.assertEqual({(PARTITIONS // 2, True), (PARTITIONS // 2, False)}, listed)

    def test_who_stops_hands_over_at_once(self):
        first, second = self.members(2)
        self.assertEqual(0, second.stop())
        began = time.monotonic()
        wait_until(lambda: partitions_of(first) == PARTITIONS, "the first owns all")
        self.assertLess(time.monotonic() - began, 5)
        second.start()
        self.wait_for_shares([first, second])

    def test_who_is_killed_or_stopped_by_a_signal_is_replaced_in_time(self):
        receiver = self.receiver()
        first, second = self.members(2)
        for number in range(8):
            first.endpoint(receiver.url, name=f"shop-{number}")
        wait_until(lambda: len(second.get("/v1/endpoints").json["data"]) == 8, "the second knows the endpoints")
        for how in (signal.SIGKILL, signal.SIGSTOP):
            with self.subTest(how=how.name):
                before = len(receiver.ids())
                second.process.send_signal(how)
                began = time.monotonic()
                event = first.event()
                receiver.wait_for(before + 8, TAKEOVER + 5)
                self.assertLess(time.monotonic() - began, TAKEOVER)
                self.assertEqual(8, receiver.ids().count(event["id"]))
                if how == signal.SIGKILL:
                    second.process.wait()
                    second.start()
                    self.wait_for_shares([first, second])
        # Who wakes up again finds that it owns nothing, joins anew, and gets its share.
        second.process.send_signal(signal.SIGCONT)
        self.wait_for_shares([first, second])
        self.assertIsNone(second.process.poll())
        first.event()
        receiver.wait_for(24)

    def test_who_is_cut_off_sends_nothing_new_and_is_replaced_in_time(self):
        cable, receiver = self.cable(), self.receiver()
        first = self.member("first", "delivery.user_agent=first").start()
        second = self.member("second", "delivery.user_agent=second", cable=cable).start()
        self.wait_for_shares([first, second])
        for number in range(SHOPS):
            first.endpoint(receiver.url, name=f"shop-{number}")
        wait_until(lambda: len(second.get("/v1/endpoints").json["data"]) == SHOPS, "the second knows the endpoints")
        first.event()
        receiver.wait_for(SHOPS)
        self.assertEqual({"first", "second"}, {request.headers["user-agent"] for request in receiver.requests})
        # A backlog that the second would go on sending, one after another.
        for number in range(SHOPS):
            first.call("PATCH", f"/v1/endpoints/shop-{number}", {"rate_limit": "5/s"})
        for _ in range(60):
            first.event()
        cable.cut()
        cut_at = time.time()
        event = first.event()
        wait_until(lambda: receiver.ids().count(event["id"]) >= SHOPS, "all is sent by who is left", 2 * PATIENCE)
        wait_until(lambda: partitions_of(first) == PARTITIONS, "the first owns all")
        late = [request.at - cut_at for request in receiver.requests if request.headers["user-agent"] == "second" and request.at > cut_at]
        self.assertLess(max(late, default=0), TRUST + 0.5)
        self.assertIsNone(second.process.poll())
        cable.mend()
        self.wait_for_shares([first, second])


@needs_postgresql
class DatabaseAway(SharedStoreTest):
    def tearDown(self):
        if self.server.process.poll() is not None:
            self.server.start()

    def test_producers_are_refused_for_now_and_all_goes_on_by_itself(self):
        daemon, receiver = self.member("only").start(), self.receiver()
        daemon.endpoint(receiver.url)
        daemon.event()
        receiver.wait_for(1)
        self.server.crash()
        refused = daemon.post("/v1/events", {"type": "order.paid", "payload": {}})
        self.assertEqual(503, refused.status)
        self.assertGreater(int(refused.headers["Retry-After"]), 0)
        wait_until(lambda: daemon.get("/readyz").status == 503, "it says that it is not ready")
        self.assertEqual(200, daemon.get("/healthz").status)
        time.sleep(3)
        self.assertIsNone(daemon.process.poll())
        self.server.start()
        wait_until(lambda: daemon.get("/readyz").status == 200, "it is ready again", 2 * PATIENCE)
        event = daemon.event()
        wait_until(lambda: event["id"] in receiver.ids(), "what comes after is delivered", TAKEOVER + PATIENCE)
        self.assertEqual(0, daemon.stop())

    def test_a_start_waits_for_the_database_and_can_be_stopped_meanwhile(self):
        daemon = self.member("early")
        self.server.stop()
        for then in ("stop", "serve"):
            with self.subTest(then=then):
                with open(daemon.log_file, "wb") as log:
                    daemon.process = subprocess.Popen([str(BIN / "outboxd"), "--config", str(daemon.config)], stderr=log)
                daemon.wait_for_log("waiting for the store")
                if then == "stop":
                    self.assertEqual(0, daemon.stop(5))
        self.server.start()
        wait_until(daemon.ready_or_dead, "it serves")
        self.assertIsNone(daemon.process.poll())


if __name__ == "__main__":
    unittest.main()
