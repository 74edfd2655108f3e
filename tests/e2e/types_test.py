"""Event types: seen, accepted or refused; events that nobody wants; payloads that retention takes away."""
import json
import signal
import time
import unittest

from harness import EndToEndTest, wait_until


class TypesTest(EndToEndTest):
    def types(self, outboxd):
        return {row["type"]: (row["events"], row["endpoints"]) for row in outboxd.get("/v1/types").json["data"]}

    def test_every_event_is_counted_once_through_every_door_and_across_a_restart(self):
        outboxd = self.daemon().start()
        receiver = self.receiver()
        outboxd.endpoint(receiver.url, types=["order.*"])
        for _ in range(3):
            outboxd.event(type="order.paid")
        outboxd.event(type="ordr.paid")
        outboxd.sql("INSERT INTO outbox(type, payload) VALUES ('order.sent', '1'), ('order.sent', '2');")
        expected = {"order.paid": (3, 1), "order.sent": (2, 1), "ordr.paid": (1, 0)}
        wait_until(lambda: self.types(outboxd) == expected, "all are counted")
        count = "SELECT sum(events) FROM event_type"
        wait_until(lambda: outboxd.sql(count).stdout.strip() == "6", "the daemon has counted them for good")
        self.assertEqual(self.types(outboxd), expected)
        outboxd.kill()
        outboxd.start()
        outboxd.event(type="order.paid")
        expected["order.paid"] = (4, 1)
        wait_until(lambda: self.types(outboxd) == expected, "the same after a restart, and one more")
        shown = outboxd.ctl("event", "types")
        self.assertEqual(shown.returncode, 0, shown.stderr)
        self.assertIn(b"1 type reaches no endpoint", shown.stderr)

    def test_an_unknown_type_is_refused_at_every_door_until_a_reload_knows_it(self):
        more = self.folder / "conf.d" / "types.toml"
        more.parent.mkdir()
        more.write_text('[ingest]\nevent_types = ["order.paid", "user.*"]\n')
        outboxd = self.daemon().start()
        refused = outboxd.post("/v1/events", json.dumps({"type": "ordr.paid", "payload": 1}))
        self.assertEqual(refused.status, 422)
        self.assertEqual(refused.json["errors"][0]["pointer"], "/type")
        self.assertIn('did you mean "order.paid"?', refused.json["errors"][0]["detail"])
        sent = outboxd.ctl("event", "send", "user.made", "--data", "1")
        self.assertEqual(sent.returncode, 0, sent.stderr)
        self.assertIn(b"no endpoint wants user.made", sent.stderr)
        outboxd.sql("INSERT INTO outbox(type, payload) VALUES ('order.sent', '1');")
        wait_until(lambda: outboxd.get("/v1/events?rejected=true").json["data"], "the row is rejected")
        row = outboxd.get("/v1/events?rejected=true").json["data"][0]
        self.assertIn("[ingest] event_types", row["reason"])
        more.write_text('[ingest]\nevent_types = ["order.paid", "order.sent"]\n')
        outboxd.process.send_signal(signal.SIGHUP)
        wait_until(lambda: outboxd.post("/v1/events", json.dumps({"type": "order.sent", "payload": 1})).status == 202,
                   "the new list counts")
        self.assertEqual(outboxd.ctl("outbox", "retry", str(row["row"])).returncode, 0)
        wait_until(lambda: not outboxd.get("/v1/events?rejected=true").json["data"], "the row is an event")

    def test_what_nobody_wanted_is_found_and_sent_once_somebody_does(self):
        outboxd = self.daemon().start()
        lost = outboxd.event(type="ordr.paid")["id"]
        receiver = self.receiver()
        outboxd.endpoint(receiver.url, name="shop", types=["order.*"])
        outboxd.event(type="order.paid")
        receiver.wait_for(1)
        listed = outboxd.ctl("event", "list", "--unmatched", "-o", "id")
        self.assertEqual(listed.stdout.decode().split(), [lost])
        self.assertIn("outbox_events_unmatched_total 1", outboxd.get("/metrics").body.decode())
        doctor = outboxd.ctl("doctor", "--config", str(outboxd.config))
        self.assertIn(b"1 event of type ordr.paid in the last hour matched no endpoint", doctor.stdout)
        self.assertIn(b"order.*", doctor.stdout)
        self.assertEqual(outboxd.ctl("endpoint", "set", "shop", "--types", "order.*,ordr.*").returncode, 0)
        self.assertEqual(outboxd.ctl("event", "replay", lost).returncode, 0)
        receiver.wait_for(2)
        self.assertEqual(outboxd.get("/v1/events?unmatched=true").json["data"], [])


class PayloadRetentionTest(EndToEndTest):
    @staticmethod
    def erased(outboxd, event):
        return outboxd.get(f"/v1/events/{event}").json["payload_erased_at"]

    def test_the_bytes_of_what_has_ended_go_and_those_of_what_is_pending_stay(self):
        outboxd = self.daemon("retention.payload=1s").start()
        receiver = self.receiver()
        paused = outboxd.endpoint(receiver.url, name="slow", types=["slow.*"])
        outboxd.post(f"/v1/endpoints/{paused['id']}/pause")
        outboxd.endpoint(receiver.url, name="shop", types=["order.*"])
        secret, kept = "card-4929-1111-" + "s" * 40, "waiting-" + "w" * 40
        large = "iban-CH93-" + "L" * 30_000
        ended = [outboxd.event(type="order.paid", payload=json.dumps(text))["id"] for text in (secret, large)]
        waiting = outboxd.event(type="slow.one", payload=json.dumps(kept))["id"]
        outboxd.wait_for_state("delivered", 2)
        accepted = time.monotonic()
        wait_until(lambda: time.monotonic() > accepted + 1.1, "the payloads are old")
        outboxd.stop()
        outboxd.start()  # a round begins at each start, and otherwise once a minute
        wait_until(lambda: all(self.erased(outboxd, event) for event in ended), "the payloads are gone")
        for needle in (secret.encode(), large.encode()[:200]):
            wait_until(lambda needle=needle: not outboxd.store.holds(needle), "the bytes are in no file")
        self.assertIsNone(self.erased(outboxd, waiting))
        self.assertTrue(outboxd.store.holds(kept.encode()))
        self.assertEqual(outboxd.post(f"/v1/events/{ended[0]}/replay").status, 409)
        outboxd.post(f"/v1/endpoints/{paused['id']}/resume")
        outboxd.wait_for_state("delivered", 3)
        self.assertIn(json.dumps(kept).encode(), [request.body for request in receiver.requests])


if __name__ == "__main__":
    unittest.main()
