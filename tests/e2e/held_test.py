"""Whatever holds a delivery back, it is shown as late wherever outboxd says how it is doing, and it expires on time."""
import json
import re
import threading
import time
import unittest

from harness import EndToEndTest, wait_until

HOUR = 3600
# What a delivery may wait for, beside its due time.
HOLDERS = ["paused", "disabled", "breaker", "retry_after", "rate", "order"]


class Held(EndToEndTest):
    def setUp(self):
        super().setUp()
        self.answers = {}
        self.served = self.receiver(lambda request: self.answers.get(request.path, 200))
        self.running = self.daemon().start()

    def hold(self, holder):
        """Makes an endpoint for events of this type that holds everything back; returns its id, and what an event needs to be held."""
        path, daemon = "/" + holder, self.running
        fields = {"types": [holder], "name": holder, "retry_schedule": ["0s", "2h"]}
        if holder == "rate":
            fields["rate_limit"] = "1/h"
        if holder == "order":
            fields["ordering"] = "endpoint"
        endpoint = daemon.endpoint(self.served.url.replace("/hook", path), **fields)["id"]
        if holder == "paused":
            self.assertEqual(200, daemon.post(f"/v1/endpoints/{endpoint}/pause").status)
            return endpoint
        self.answers[path] = {"disabled": 410, "breaker": 500, "order": 500, "retry_after": (429, {"Retry-After": "7200"})}.get(holder, 200)
        first = {"breaker": 5}.get(holder, 1)
        for _ in range(first):
            daemon.event(holder)
        wait_until(lambda: sum(r.path == path for r in self.served.requests) >= first, f"{holder} is asked")
        if holder == "disabled":
            wait_until(lambda: daemon.get(f"/v1/endpoints/{endpoint}").json["state"] == "disabled", "410 disables")
        elif holder == "breaker":
            # Its probes go on, each of them after a pause that is twice as long.
            self.lengthen_the_pause(daemon, path)
        else:
            wait_until(lambda: any(d["attempts"] for d in daemon.deliveries(f"&endpoint={endpoint}")), "its outcome is recorded")
        return endpoint

    def lengthen_the_pause(self, daemon, path):
        for _ in range(3):
            daemon.event("breaker")
        wait_until(lambda: sum(r.path == path for r in self.served.requests) >= 8, "three probes: 8 s of pause")

    def metric(self, endpoint):
        text = self.running.get("/metrics").body.decode()
        found = re.search(rf'^outbox_oldest_due_age_seconds{{endpoint="{endpoint}"}} (\S+)', text, re.M)
        return float(found.group(1)) if found else 0.0

    def test_what_is_due_counts_whatever_holds_it(self):
        for holder in HOLDERS:
            with self.subTest(holder):
                endpoint = self.hold(holder)
                daemon = self.running
                status = daemon.ctl("status", "--exit-code")
                self.assertEqual(1 if holder == "disabled" else 0, status.returncode, status.stderr)
                self.assertLess(self.metric(endpoint), HOUR / 2)
                due = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - HOUR))
                daemon.event(holder, deliver_at=due)
                # Where it takes long to read, what others have just been told may be told again for a moment.
                wait_until(lambda: (daemon.get("/v1/status").json["oldest_due_age_seconds"] or 0) > HOUR - 1, "it is late")
                for _ in range(3):  # then, and still later
                    told = daemon.get("/v1/status").json
                    self.assertGreater(told["oldest_due_age_seconds"], HOUR - 1)
                    worst = told["worst_endpoints"][0]
                    self.assertEqual(endpoint, worst["endpoint"])
                    self.assertGreater(worst["oldest_due_age_seconds"], HOUR - 1)
                    self.assertGreaterEqual(worst["backlog"], 1)
                    self.assertTrue(told["waiting_complete"])
                    self.assertGreaterEqual(told["waiting"][{"rate": "rate_limit"}.get(holder, holder)], 1)
                    first = daemon.get("/v1/endpoints?sort=backlog&limit=1&stats=true").json["data"][0]
                    self.assertEqual((endpoint, worst["backlog"]), (first["id"], first["stats"]["pending"]))
                    self.assertGreater(self.metric(endpoint), HOUR - 1)
                status = daemon.ctl("status", "--exit-code")
                self.assertEqual(1, status.returncode)
                self.assertNotRegex(status.stdout.decode(), r"health +ok")
                self.assertEqual(204, daemon.call("DELETE", f"/v1/endpoints/{endpoint}").status)
                wait_until(lambda: daemon.get("/v1/status").json["oldest_due_age_seconds"] is None, "what is discarded is not late")

    def test_what_waits_is_late_for_the_next_daemon_too(self):
        endpoint, daemon = self.hold("paused"), self.running
        daemon.event("paused", deliver_at="2026-01-01T00:00:00Z")
        daemon.kill()
        daemon.start()
        self.assertGreater(daemon.get("/v1/status").json["oldest_due_age_seconds"], HOUR)
        self.assertGreater(self.metric(endpoint), HOUR)

    def test_it_expires_at_its_time_whatever_holds_it(self):
        daemon = self.running
        told = self.receiver()
        daemon.endpoint(told.url, tenant="_ops", types=["outboxd.delivery.dead"])
        for holder in HOLDERS:
            with self.subTest(holder):
                endpoint = self.hold(holder)
                event = daemon.event(holder, payload='"expires"', ttl="1500ms")
                expires = time.time() + 1.5

                def delivery():
                    return daemon.deliveries(f"&event={event['id']}")[0]

                self.assertEqual("pending", delivery()["state"])
                dead = wait_until(lambda: (d := delivery())["state"] == "dead" and d, "it expires")
                self.assertGreaterEqual(time.time(), expires - 0.1)
                self.assertEqual(("expired", 0), (dead["reason"], dead["attempts"]))
                self.assertFalse([r for r in self.served.requests if r.id == event["id"]])
                wait_until(lambda: event["id"] in [json.loads(r.body)["event"] for r in told.requests], "it is told")
                self.assertEqual(204, daemon.call("DELETE", f"/v1/endpoints/{endpoint}").status)
        self.assertEqual(len(HOLDERS), len({json.loads(r.body)["delivery"] for r in told.requests if
                                            json.loads(r.body)["reason"] == "expired"}))

    def test_one_that_expires_makes_room_for_what_waits_behind_it(self):
        daemon = self.running
        endpoint = daemon.endpoint(self.served.url, ordering="endpoint")["id"]
        daemon.post(f"/v1/endpoints/{endpoint}/pause")
        head = daemon.event(payload="1", ttl="500ms")
        behind = daemon.event(payload="2")
        daemon.wait_for_state("dead", 1)
        daemon.post(f"/v1/endpoints/{endpoint}/resume")
        daemon.wait_for_state("delivered", 1)
        self.assertEqual([behind["id"]], self.served.ids())
        self.assertNotEqual(head["id"], behind["id"])

    def test_what_expires_while_it_is_sent_is_delivered(self):
        daemon, answers = self.running, threading.Event()

        def answer(_):
            answers.wait(60)
            return 200

        slow = self.receiver(answer)
        daemon.endpoint(slow.url, timeout="60s", types=["order.paid"])
        daemon.event(ttl="500ms")
        slow.wait_for(1)
        other = daemon.endpoint(self.served.url, types=["other"])["id"]
        daemon.post(f"/v1/endpoints/{other}/pause")
        daemon.event("other", ttl="1s")
        dead = daemon.wait_for_state("dead", 1)  # it expires after the one under way
        self.assertEqual(other, dead[0]["endpoint"])
        answers.set()
        daemon.wait_for_state("delivered", 1)
        self.assertEqual(1, len(daemon.deliveries("&state=dead")))

    def test_many_expire_while_the_daemon_is_down(self):
        endpoint, daemon = self.hold("paused"), self.running
        self.assertEqual(202, daemon.post("/v1/events", [{"type": "paused", "payload": n, "ttl": "1s"} for n in range(1000)]).status)
        daemon.kill()
        time.sleep(1.2)  # it expires while no daemon is there to record that
        daemon.start()
        wait_until(lambda: daemon.get("/v1/status").json["deliveries"]["dead"] == 1000, "all expire")
        self.assertEqual(0, self.metric(endpoint))


if __name__ == "__main__":
    unittest.main()
