"""A payload that is erased: gone from what is served, from what is sent, and from the files."""
import json
import unittest

from harness import EndToEndTest, wait_until


class ErasureTest(EndToEndTest):
    def setUp(self):
        super().setUp()
        self.outboxd = self.daemon().start()

    def files_hold(self, needle):
        return [path.name for path in self.folder.iterdir()
                if path.name.startswith("outbox.db") and needle in path.read_bytes()]

    def test_the_bytes_are_gone_from_the_database_and_its_log(self):
        small = "card-4929-1111-" + "s" * 40
        large = "iban-CH93-" + "L" * 30_000  # on pages of its own
        kept = "this stays"
        other = self.outboxd.event(payload=json.dumps({"note": kept}))["id"]
        events = [self.outboxd.event(payload=json.dumps({"secret": secret}))["id"] for secret in (small, large)]
        self.assertTrue(self.files_hold(small.encode()))
        self.assertTrue(self.files_hold(large.encode()[:200]))
        for event in events:
            erased = self.outboxd.ctl("event", "erase", event, "--yes")
            self.assertEqual(erased.returncode, 0, erased.stderr)
        for secret in (small.encode(), large.encode()[:200], b"L" * 100):
            wait_until(lambda needle=secret: not self.files_hold(needle), "the bytes are in no file")
        self.assertTrue(self.files_hold(kept.encode()))
        self.assertEqual(self.outboxd.get(f"/v1/events/{other}/payload").body, json.dumps({"note": kept}).encode())
        self.assertEqual(self.outboxd.get(f"/v1/events/{events[0]}/payload").status, 404)
        self.outboxd.stop()
        checked = self.outboxd.ctl("db", "check", "--config", str(self.outboxd.config))
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)
        self.outboxd.start()
        self.assertIsNotNone(self.outboxd.get(f"/v1/events/{events[0]}").json["payload_erased_at"])

    def test_what_a_sql_producer_wrote_is_gone_too(self):
        secret = "passport-X1234567-" + "p" * 6000
        self.outboxd.sql(f"INSERT INTO outbox(type, payload) VALUES ('order.paid', '{json.dumps({'n': secret})}');")
        events = wait_until(lambda: self.outboxd.get("/v1/events").json["data"], "the row is an event")
        self.assertEqual(self.outboxd.ctl("event", "erase", events[0]["id"], "--yes").returncode, 0)
        wait_until(lambda: not self.files_hold(secret.encode()[:60]), "the bytes are in no file")

    def test_nothing_that_waits_is_sent_and_nothing_brings_it_back(self):
        receiver = self.receiver()
        endpoint = self.outboxd.endpoint(receiver.url, name="shop", max_in_flight=1)
        self.outboxd.post(f"/v1/endpoints/{endpoint['id']}/pause")
        event = self.outboxd.event(payload='"erase me"')["id"]
        answer = self.outboxd.call("DELETE", f"/v1/events/{event}/payload")
        self.assertEqual((answer.status, answer.json["discarded"]), (200, 1))
        self.outboxd.post(f"/v1/endpoints/{endpoint['id']}/resume")
        other = self.outboxd.event(payload='"send me"')["id"]
        receiver.wait_for(1)
        self.outboxd.wait_for_state("delivered", 1)
        self.assertEqual(receiver.ids(), [other])
        delivery = self.outboxd.deliveries("&state=discarded")[0]["id"]
        self.assertEqual(self.outboxd.post(f"/v1/deliveries/{delivery}/retry").status, 409)
        self.assertEqual(self.outboxd.post(f"/v1/events/{event}/replay").status, 409)
        replay = self.outboxd.ctl("event", "replay", event)
        self.assertEqual(replay.returncode, 4)
        self.assertIn(b"erased", replay.stderr)


if __name__ == "__main__":
    unittest.main()
