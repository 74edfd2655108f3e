"""An attempt is one request on the wire, recorded as it happened, and judged by the endpoint as it was when the request left."""
import json
import threading
import unittest

from harness import PATIENCE, EndToEndTest, wait_until


class Held:
    """A receiver's answer that waits until the test releases it."""

    def __init__(self, answer):
        self.answer = answer
        self.released = threading.Event()

    def __call__(self, request):
        self.released.wait(PATIENCE)
        return self.answer

    def release(self):
        self.released.set()


class Outcome(EndToEndTest):
    def held(self, answer):
        held = Held(answer)
        self.addCleanup(held.release)
        return held

    def attempts(self, daemon, delivery):
        return daemon.get(f"/v1/deliveries/{delivery['id']}").json["attempt_list"]

    def state(self, daemon, endpoint):
        return daemon.get(f"/v1/endpoints/{endpoint['id']}").json["state"]

    def patch(self, daemon, endpoint, **fields):
        answer = daemon.call("PATCH", f"/v1/endpoints/{endpoint['id']}", fields)
        self.assertEqual(200, answer.status, answer)

    def assert_sound(self, daemon):
        checked = daemon.ctl("db", "check", "--config", str(daemon.config))
        self.assertEqual(0, checked.returncode, checked.stdout + checked.stderr)

    def under_way(self, answer, **fields):
        """Returns a daemon, its endpoint, and the old receiver's held answer to a request that is under way."""
        held = self.held(answer)
        old = self.receiver(held)
        daemon = self.daemon().start()
        endpoint = daemon.endpoint(old.url, retry_schedule=["0s", "50ms", "50ms"], **fields)
        daemon.event()
        old.wait_for(1)
        return daemon, endpoint, old, held

    def test_a_late_410_of_the_old_url_is_recorded_for_it_and_does_not_disable_the_new_one(self):
        daemon, endpoint, old, held = self.under_way(410)
        new = self.receiver()
        self.patch(daemon, endpoint, url=new.url)
        held.release()
        row = daemon.wait_for_state("delivered", 1)[0]
        self.assertEqual([(f"POST {old.url}", 410, f"127.0.0.1:{old.port}"), (f"POST {new.url}", 200, f"127.0.0.1:{new.port}")],
                         [(a["request_line"], a["status"], a["remote_address"]) for a in self.attempts(daemon, row)])
        self.assertEqual("active", self.state(daemon, endpoint))

    def test_a_late_retry_after_of_the_old_url_does_not_hold_the_new_one(self):
        daemon, endpoint, old, held = self.under_way((429, {"Retry-After": "3600"}))
        new = self.receiver()
        self.patch(daemon, endpoint, url=new.url)
        held.release()
        daemon.event()
        daemon.wait_for_state("delivered", 2)
        self.assertEqual((1, 2), (len(old.requests), len(new.requests)))

    def test_a_retry_after_that_was_in_force_ends_with_its_url(self):
        old, new = self.receiver(lambda _: (429, {"Retry-After": "3600"})), self.receiver()
        daemon = self.daemon().start()
        endpoint = daemon.endpoint(old.url)
        daemon.event()
        held = wait_until(lambda: daemon.deliveries("&error=http_4xx"), "the 429 is recorded")[0]
        self.patch(daemon, endpoint, url=new.url)
        event = daemon.event()
        self.assertEqual([event["id"]], [r.id for r in new.wait_for(1)])
        self.assertEqual("pending", daemon.get(f"/v1/deliveries/{held['id']}").json["state"])

    def test_a_late_answer_to_a_changed_secret_does_not_disable_the_endpoint(self):
        daemon, endpoint, receiver, held = self.under_way(410)
        self.assertEqual(200, daemon.post(f"/v1/endpoints/{endpoint['id']}/secrets/rotate", {}).status)
        receiver.answer = lambda _: 200
        held.release()
        daemon.wait_for_state("delivered", 1)
        self.assertEqual("active", self.state(daemon, endpoint))

    def test_a_success_of_the_old_url_delivers(self):
        daemon, endpoint, old, held = self.under_way(204)
        new = self.receiver()
        self.patch(daemon, endpoint, url=new.url)
        held.release()
        row = daemon.wait_for_state("delivered", 1)[0]
        self.assertEqual([f"POST {old.url}"], [a["request_line"] for a in self.attempts(daemon, row)])
        self.assertEqual([], new.requests)

    def test_an_edit_of_anything_else_does_not_hide_a_410(self):
        daemon, endpoint, _, held = self.under_way(410)
        self.patch(daemon, endpoint, name="renamed", timeout="7s")
        held.release()
        wait_until(lambda: self.state(daemon, endpoint) == "disabled", "the endpoint is disabled")
        self.assertEqual("gone", daemon.wait_for_state("dead", 1)[0]["reason"])

    def test_a_success_of_a_removed_endpoint_is_recorded_however_many_wait_behind_it(self):
        self.check_removal(200)

    def test_a_failure_of_a_removed_endpoint_is_recorded_however_many_wait_behind_it(self):
        self.check_removal(500)

    def check_removal(self, answer):
        daemon, endpoint, _, held = self.under_way(answer, max_in_flight=1)
        event = json.dumps({"type": "order.late", "payload": {}})
        for _ in range(3):
            self.assertEqual(202, daemon.post("/v1/events", f"[{','.join([event] * 1000)}]").status)
        first, = daemon.deliveries("&type=order.paid")
        held.release()
        self.assertIn(daemon.call("DELETE", f"/v1/endpoints/{endpoint['id']}").status, (200, 204))
        attempts = wait_until(lambda: self.attempts(daemon, first), "the attempt is recorded")
        self.assertEqual([answer], [a["status"] for a in attempts])
        wait_until(lambda: not daemon.deliveries("&state=pending"), "what was pending is discarded")
        for row in daemon.deliveries("&state=delivered"):
            self.assertIn("success", [a["outcome"] for a in self.attempts(daemon, row)], row)
        self.assertEqual(0, daemon.stop())
        self.assert_sound(daemon)

    def test_what_a_subscriber_got_twice_is_recorded_as_twice(self):
        """The receiver's worker dies of one payload, on whichever connection it comes; four more connections are kept open."""
        together = threading.Barrier(5)

        def answer(request):
            if b"poison" in request.body:
                raise ConnectionError
            if b"first" in request.body:
                together.wait(PATIENCE)
            return 200

        receiver = self.receiver(answer)
        daemon = self.daemon().start()
        daemon.endpoint(receiver.url, retry_schedule=["0s", "50ms"])
        for _ in range(5):
            daemon.event(payload='"first"')
        daemon.wait_for_state("delivered", 5)
        event = daemon.event(payload='"poison"')
        row = daemon.wait_for_state("dead", 1)[0]
        attempts = self.attempts(daemon, row)
        self.assertEqual([("protocol", True), ("protocol", True)], [(a["outcome"], a["resent"]) for a in attempts])
        requests = [r.headers["outboxd-attempt"] for r in receiver.requests if r.id == event["id"]]
        self.assertEqual(["1", "1", "2", "2"], requests)

        shown = json.loads(daemon.ctl("delivery", "attempts", row["id"], "-o", "json").stdout)["data"]
        self.assertEqual([f"127.0.0.1:{receiver.port}"] * 2, [a["remote_address"] for a in shown])
        wide = daemon.ctl("delivery", "attempts", row["id"], "-o", "wide").stdout.decode()
        self.assertEqual(2, wide.count("twice"), wide)
        table = daemon.ctl("delivery", "attempts", row["id"]).stdout.decode()
        self.assertEqual(2, table.count(f"127.0.0.1:{receiver.port}"), table)

    def test_a_test_event_names_its_address_too(self):
        receiver = self.receiver()
        daemon = self.daemon().start()
        endpoint = daemon.endpoint(receiver.url)
        attempt = daemon.post(f"/v1/endpoints/{endpoint['id']}/test", {}).json["attempt"]
        self.assertEqual((f"127.0.0.1:{receiver.port}", False), (attempt["remote_address"], attempt["resent"]))


if __name__ == "__main__":
    unittest.main()
