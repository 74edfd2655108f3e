"""An event in, a signed POST out."""
import base64
import json
import subprocess
import time
import unittest

from harness import EndToEndTest, needs_package, wait_until

# Number forms, key order and bytes that JSON libraries like to tidy up.
AWKWARD = '{ "z": 1.10, "a": 12345678901234567890,  "é": "Zürich \\u00e9 😀", "nested": {"b":1e5,"a":[ ]} , "z2":-0.0}'


class Delivery(EndToEndTest):
    def test_a_payload_arrives_byte_for_byte_signed_with_both_live_secrets(self):
        daemon, receiver = self.daemon().start(), self.receiver()
        endpoint = daemon.endpoint(receiver.url)
        rotated = daemon.post(f"/v1/endpoints/{endpoint['id']}/secrets/rotate", {"overlap": "1h"}).json
        event = daemon.event(payload=AWKWARD)
        request = receiver.wait_for(1)[0]
        self.assertEqual(AWKWARD.encode(), request.body)
        self.assertEqual(event["id"], request.id)
        self.assertEqual("application/json", request.headers["content-type"])
        self.assertEqual("order.paid", request.headers["outboxd-event-type"])
        self.assertEqual("1", request.headers["outboxd-attempt"])
        self.assertEqual(2, len(request.headers["webhook-signature"].split(" ")))
        self.assertTrue(request.signed_with(endpoint["secret"]))
        self.assertTrue(request.signed_with(rotated["secret"]))

    @needs_package("standardwebhooks")
    def test_the_public_standardwebhooks_package_verifies_the_signature(self):
        from standardwebhooks.webhooks import Webhook
        daemon, receiver = self.daemon().start(), self.receiver()
        endpoint = daemon.endpoint(receiver.url)
        rotated = daemon.post(f"/v1/endpoints/{endpoint['id']}/secrets/rotate", {"overlap": "1h"}).json
        daemon.event(payload=AWKWARD)
        request = receiver.wait_for(1)[0]
        for secret in (endpoint["secret"], rotated["secret"]):
            self.assertEqual(json.loads(AWKWARD), Webhook(secret).verify(request.body, request.headers))
        with self.assertRaises(Exception):
            Webhook(endpoint["secret"]).verify(request.body + b" ", request.headers)

    def test_openssl_verifies_an_asymmetric_signature(self):
        def openssl(*arguments, stdin=None):
            return subprocess.run(["openssl", *arguments], input=stdin, capture_output=True, cwd=self.folder, check=True).stdout

        openssl("genpkey", "-algorithm", "ed25519", "-out", "key.pem")
        seed = openssl("pkey", "-in", "key.pem", "-outform", "DER")[-32:]
        public = openssl("pkey", "-in", "key.pem", "-pubout", "-outform", "DER", "-out", "-")[-32:]
        openssl("pkey", "-in", "key.pem", "-pubout", "-out", "public.pem")
        secret = "whsk_" + base64.b64encode(seed + public).decode()
        daemon, receiver = self.daemon().start(), self.receiver()
        daemon.endpoint(receiver.url, secret=secret)
        daemon.event(payload=AWKWARD)
        request = receiver.wait_for(1)[0]
        version, _, signature = request.headers["webhook-signature"].partition(",")
        self.assertEqual("v1a", version)
        (self.folder / "signature").write_bytes(base64.b64decode(signature))
        (self.folder / "content").write_bytes(
            b".".join([request.id.encode(), request.headers["webhook-timestamp"].encode(), request.body]))
        verified = openssl("pkeyutl", "-verify", "-pubin", "-inkey", "public.pem", "-rawin", "-in", "content", "-sigfile", "signature")
        self.assertIn(b"Signature Verified Successfully", verified)

    def test_a_failing_attempt_is_retried_with_the_same_id_and_every_attempt_is_on_disk(self):
        answers = [(503, {"Retry-After": "1"}, b"overloaded"), 500, 204]
        daemon = self.daemon().start()
        receiver = self.receiver(lambda request: answers[int(request.headers["outboxd-attempt"]) - 1])
        daemon.endpoint(receiver.url, retry_schedule=["0s", "100ms", "100ms"])
        event = daemon.event()
        requests = receiver.wait_for(3)
        self.assertEqual({event["id"]}, {r.id for r in requests})
        self.assertGreaterEqual(requests[1].at - requests[0].at, 0.9, "Retry-After was not honoured")
        row = daemon.wait_for_state("delivered", 1)[0]
        shown = daemon.get(f"/v1/deliveries/{row['id']}").json
        self.assertEqual([503, 500, 204], [a["status"] for a in shown["attempt_list"]])
        self.assertEqual(["http_5xx", "http_5xx", "success"], [a["outcome"] for a in shown["attempt_list"]])
        self.assertEqual("overloaded", shown["attempt_list"][0]["response_body"])
        self.assertEqual(f"POST {receiver.url}", shown["attempt_list"][0]["request_line"])

    def test_the_end_of_the_schedule_makes_a_dead_letter_that_can_be_replayed(self):
        working = []
        daemon = self.daemon().start()
        receiver = self.receiver(lambda request: 200 if working else 400)
        daemon.endpoint(receiver.url, retry_schedule=["0s", "50ms"])
        daemon.event()
        row = daemon.wait_for_state("dead", 1)[0]
        self.assertEqual(("exhausted", 2, "http_4xx"), (row["reason"], row["attempts"], row["error"]))
        working.append(True)
        self.assertIn(daemon.post(f"/v1/deliveries/{row['id']}/retry").status, (200, 202))
        daemon.wait_for_state("delivered", 1)
        self.assertEqual(["1", "2", "3"], [r.headers["outboxd-attempt"] for r in receiver.requests])

    def test_410_disables_the_endpoint_and_what_comes_later_waits(self):
        gone = [True]
        daemon = self.daemon().start()
        receiver = self.receiver(lambda request: 410 if gone else 200)
        endpoint = daemon.endpoint(receiver.url)
        daemon.event()
        self.assertEqual("gone", daemon.wait_for_state("dead", 1)[0]["reason"])
        path = f"/v1/endpoints/{endpoint['id']}"
        wait_until(lambda: daemon.get(path).json["state"] == "disabled", "the endpoint is disabled")
        self.assertEqual("gone", daemon.get(path).json["disabled_reason"])
        daemon.event()
        self.assertEqual(1, len(daemon.deliveries("&state=pending")))
        gone.clear()
        self.assertEqual(200, daemon.call("PATCH", path, {"state": "active"}).status)
        daemon.wait_for_state("delivered", 1)

    def test_a_paused_endpoint_keeps_its_deliveries_until_it_is_resumed(self):
        daemon, receiver = self.daemon().start(), self.receiver()
        endpoint = daemon.endpoint(receiver.url)
        self.assertEqual(200, daemon.post(f"/v1/endpoints/{endpoint['id']}/pause").status)
        ids = [daemon.event()["id"] for _ in range(5)]
        self.assertEqual(5, len(daemon.deliveries("&state=pending")))
        self.assertEqual([], receiver.requests)
        self.assertEqual(200, daemon.post(f"/v1/endpoints/{endpoint['id']}/resume").status)
        self.assertEqual(sorted(ids), sorted(r.id for r in receiver.wait_for(5)))

    def test_a_removed_endpoint_s_pending_deliveries_are_discarded(self):
        daemon, receiver = self.daemon().start(), self.receiver()
        endpoint = daemon.endpoint(receiver.url)
        daemon.post(f"/v1/endpoints/{endpoint['id']}/pause")
        for _ in range(3):
            daemon.event()
        self.assertEqual(204, daemon.call("DELETE", f"/v1/endpoints/{endpoint['id']}").status)
        daemon.wait_for_state("discarded", 3)
        self.assertEqual(404, daemon.get(f"/v1/endpoints/{endpoint['id']}").status)
        self.assertEqual(0, daemon.event()["deliveries"])

    def test_only_endpoints_of_the_tenant_whose_patterns_match_get_the_event(self):
        daemon = self.daemon().start()
        wanted = {"order.*": True, "order.**": True, "**": True, "order.paid": True, "order.paid.*": False, "customer.*": False}
        receivers = {}
        for pattern in wanted:
            receivers[pattern] = self.receiver()
            daemon.endpoint(receivers[pattern].url, types=[pattern], tenant="acme")
        other = self.receiver()
        daemon.endpoint(other.url, tenant="other")
        self.assertEqual(4, daemon.event("order.paid", tenant="acme")["deliveries"])
        daemon.wait_for_state("delivered", 4)
        self.assertEqual(wanted, {pattern: len(r.requests) == 1 for pattern, r in receivers.items()})
        self.assertEqual([], other.requests)

    def test_an_event_that_expires_before_its_turn_becomes_a_dead_letter(self):
        daemon, receiver = self.daemon().start(), self.receiver(lambda request: 500)
        daemon.endpoint(receiver.url, retry_schedule=["0s", "1h"])
        daemon.event(ttl="30m")
        self.assertEqual("expired", daemon.wait_for_state("dead", 1)[0]["reason"])

    def replay_after_expiry(self, status, act):
        """Lets an event expire after its first attempt was answered with `status`; then `act` is what the operator does."""
        answers = [status, 200]
        receiver = self.receiver(lambda request: answers.pop(0) if len(answers) > 1 else answers[0])
        daemon = self.daemon().start()
        daemon.endpoint(receiver.url, retry_schedule=["0s", "1h"])
        event = daemon.event(ttl="2s")
        receiver.wait_for(1)
        delivery = daemon.wait_for_state("delivered" if status == 200 else "dead", 1)[0]
        wait_until(lambda: time.time() > receiver.requests[0].at + 2.5, "the event has expired")
        act(daemon, event["id"], delivery["id"])
        receiver.wait_for(2)
        wait_until(lambda: (d := daemon.get(f"/v1/deliveries/{delivery['id']}").json)["state"] == "delivered"
                   and len(d["attempt_list"]) == 2, "it is delivered, and both attempts are there")

    def test_a_replay_after_the_expiry_sends_again_and_keeps_what_was_delivered(self):
        self.replay_after_expiry(200, lambda daemon, event, _: self.assertEqual(
            0, daemon.ctl("event", "replay", event).returncode))

    def test_a_retried_dead_letter_that_expired_is_sent(self):
        self.replay_after_expiry(500, lambda daemon, _, delivery: self.assertEqual(
            0, daemon.ctl("delivery", "retry", delivery).returncode))

    def test_dead_letters_that_expired_are_sent_when_they_are_retried_in_bulk(self):
        self.replay_after_expiry(500, lambda daemon, *_: self.assertEqual(
            0, daemon.ctl("delivery", "retry", "--since", "1h", "--yes").returncode))

    def test_a_delayed_event_is_not_sent_before_its_time(self):
        daemon, receiver = self.daemon().start(), self.receiver()
        daemon.endpoint(receiver.url)
        sent = time.time()
        daemon.event(delay="700ms")
        self.assertGreaterEqual(receiver.wait_for(1)[0].at - sent, 0.65)

    def test_the_first_wait_of_a_schedule_comes_before_the_first_attempt(self):
        daemon, receiver = self.daemon().start(), self.receiver()
        daemon.endpoint(receiver.url, retry_schedule=["600ms", "1s"])
        sent = time.time()
        daemon.event()
        self.assertGreaterEqual(receiver.wait_for(1)[0].at - sent, 0.5)

    def test_the_formats_standard_and_cloudevents_wrap_the_payload_s_exact_bytes(self):
        daemon = self.daemon().start()
        standard, cloud = self.receiver(), self.receiver()
        daemon.endpoint(standard.url, format="standard")
        daemon.endpoint(cloud.url, format="cloudevents")
        event = daemon.event("order.paid", AWKWARD)
        body = standard.wait_for(1)[0].body
        self.assertIn(b'"data":' + AWKWARD.encode(), body)
        self.assertEqual(["type", "timestamp", "data"], list(json.loads(body)))
        request = cloud.wait_for(1)[0]
        self.assertEqual("application/cloudevents+json", request.headers["content-type"])
        parsed = json.loads(request.body)
        self.assertEqual(("1.0", event["id"], "order.paid"), (parsed["specversion"], parsed["id"], parsed["type"]))
        self.assertIn(b'"data":' + AWKWARD.encode(), request.body)

    def test_a_traceparent_goes_along_with_a_span_of_its_own(self):
        daemon, receiver = self.daemon().start(), self.receiver()
        daemon.endpoint(receiver.url)
        came = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        daemon.post("/v1/events", {"type": "a.b", "payload": 1}, {"traceparent": came})
        left = receiver.wait_for(1)[0].headers["traceparent"]
        self.assertEqual((came[:36], came[52:]), (left[:36], left[52:]))
        self.assertNotEqual(came[36:52], left[36:52])

    def test_the_test_of_an_endpoint_sends_a_signed_event_and_answers_what_came_back(self):
        daemon, receiver = self.daemon().start(), self.receiver(lambda request: (418, {}, b"short and stout"))
        endpoint = daemon.endpoint(receiver.url)
        attempt = daemon.post(f"/v1/endpoints/{endpoint['id']}/test").json["attempt"]
        self.assertEqual((418, "http_4xx", "short and stout"), (attempt["status"], attempt["outcome"], attempt["response_body"]))
        request = receiver.requests[0]
        self.assertEqual("outboxd.test", request.headers["outboxd-event-type"])
        self.assertTrue(request.signed_with(endpoint["secret"]))
        self.assertEqual([], daemon.deliveries())

    def test_the_same_idempotency_key_makes_one_event(self):
        daemon, receiver = self.daemon().start(), self.receiver()
        daemon.endpoint(receiver.url)
        body = {"type": "a.b", "payload": {"n": 1}}
        first = daemon.post("/v1/events", body, {"Idempotency-Key": "k1"})
        again = daemon.post("/v1/events", body, {"Idempotency-Key": "k1"})
        other = daemon.post("/v1/events", {**body, "payload": {"n": 2}}, {"Idempotency-Key": "k1"})
        self.assertEqual((202, 200, 422), (first.status, again.status, other.status))
        self.assertEqual({**first.json, "duplicate": True}, again.json)
        receiver.wait_for(1)
        daemon.wait_for_state("delivered", 1)
        self.assertEqual([first.json["id"]], receiver.ids())

    def test_a_forbidden_address_is_refused_at_registration_and_after_a_reload_also_on_an_open_connection(self):
        daemon, receiver = self.daemon().start(), self.receiver()
        for url in ("http://169.254.169.254/", "http://10.0.0.1/", "http://[::1]/", "http://0x7f.1/", "http://127.1/", "ftp://127.0.0.1/"):
            answer = daemon.post("/v1/endpoints", {"url": url})
            self.assertEqual(422, answer.status, url)
            if "169.254" in url:  # an operator is told the reason
                self.assertIn("address 169.254.169.254 is not allowed", answer.json["detail"])
        daemon.endpoint(receiver.url, retry_schedule=["0s", "50ms"])
        daemon.event()
        daemon.wait_for_state("delivered", 1)
        daemon.config.write_text(daemon.config.read_text().replace("ports = []", 'ports = []\ndeny_networks = ["127.0.0.1/32"]'))
        daemon.process.send_signal(1)
        wait_until(lambda: "reloaded" in daemon.log(), "the configuration is reloaded")
        daemon.event()
        dead = daemon.wait_for_state("dead", 1)[0]
        self.assertEqual(("blocked", 2), (dead["reason"], dead["attempts"]))
        attempts = daemon.get(f"/v1/deliveries/{dead['id']}").json["attempt_list"]
        self.assertEqual([("blocked", None)] * 2, [(a["outcome"], a["remote_address"]) for a in attempts])
        self.assertEqual(1, len(receiver.requests))

    def test_a_hanging_endpoint_times_out_and_does_not_hold_up_another(self):
        daemon = self.daemon().start()
        hanging = self.receiver(lambda request: time.sleep(5) or 200)
        healthy = self.receiver()
        daemon.endpoint(hanging.url, timeout="300ms", retry_schedule=["0s"], types=["slow.*"])
        daemon.endpoint(healthy.url, types=["fast.*"])
        for _ in range(20):
            daemon.event("slow.one")
        sent = [daemon.event("fast.one")["id"] for _ in range(20)]
        self.assertEqual(sorted(sent), sorted(r.id for r in healthy.wait_for(20)))
        dead = daemon.wait_for_state("dead", 20)
        self.assertEqual({"timeout"}, {row["error"] for row in dead})


if __name__ == "__main__":
    unittest.main()
