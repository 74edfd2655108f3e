"""Only what was accepted is sent: what is damaged on disk is held back, and no payload can alter the envelope around it."""
import base64
import json
import unittest

from harness import EndToEndTest, wait_until

EVIL = b'1,"type":"evil","admin":true'


class DamagedEvents(EndToEndTest):
    def flipped(self, daemon, text):
        """Flips one bit in the stopped daemon's database file, where this text occurs exactly once."""
        content = bytearray(daemon.database.read_bytes())
        self.assertEqual(1, content.count(text))
        content[content.index(text) + len(text) // 2] ^= 1
        daemon.database.write_bytes(content)

    def test_one_flipped_bit_is_a_dead_letter_and_those_beside_it_are_delivered(self):
        daemon, receiver = self.daemon().start(), self.receiver()
        endpoint = daemon.endpoint(receiver.url)["id"]
        daemon.post(f"/v1/endpoints/{endpoint}/pause", {})
        events = [daemon.event(payload=json.dumps({"text": f"a payload that is number {n}"}))["id"] for n in range(5)]
        self.assertEqual(0, daemon.stop())
        self.flipped(daemon, b"payload that is number 2")
        check = daemon.ctl("db", "check", "--config", str(daemon.config))
        self.assertEqual(1, check.returncode)
        self.assertIn(events[2].encode(), check.stdout + check.stderr)
        daemon.start()
        daemon.post(f"/v1/endpoints/{endpoint}/resume", {})
        dead, = daemon.wait_for_state("dead", 1)
        self.assertEqual((events[2], "damaged", 0), (dead["event"], dead["reason"], dead["attempts"]))
        daemon.wait_for_state("delivered", 4)
        self.assertEqual(set(events) - {events[2]}, set(receiver.ids()))
        self.assertIn("outbox_deliveries_damaged_total 1", daemon.get("/metrics").body.decode())
        daemon.wait_for_log("no longer matches its checksum")
        # An operator's retry cannot repair it.
        self.assertEqual(0, daemon.ctl("delivery", "retry", dead["id"]).returncode)
        wait_until(lambda: "outbox_deliveries_damaged_total 2" in daemon.get("/metrics").body.decode(), "it is held back again")
        self.assertEqual(4, len(receiver.requests))
        # A database with one damaged event is worth a backup.
        backup = daemon.ctl("db", "backup", str(self.folder / "copy.db"), "--config", str(daemon.config))
        self.assertEqual(0, backup.returncode, backup.stderr)

    def test_damage_to_what_is_sent_beside_the_payload_counts_too(self):
        daemon, receiver = self.daemon().start(), self.receiver()
        endpoint = daemon.endpoint(receiver.url)["id"]
        daemon.post(f"/v1/endpoints/{endpoint}/pause", {})
        for n in range(4):
            daemon.event(headers={"x-number": f"a header that is number {n}"})
        self.assertEqual(0, daemon.stop())
        self.flipped(daemon, b"header that is number 1")
        daemon.start()
        daemon.post(f"/v1/endpoints/{endpoint}/resume", {})
        dead, = daemon.wait_for_state("dead", 1)
        self.assertEqual("damaged", dead["reason"])
        daemon.wait_for_state("delivered", 3)


class Envelopes(EndToEndTest):
    def test_bytes_that_are_called_json_are_json_at_every_door(self):
        daemon = self.daemon().start()
        body = {"type": "a.b", "payload_base64": base64.b64encode(EVIL).decode()}
        for content_type in ("application/json", "Application/JSON; charset=utf-8", "application/vnd.api+json"):
            answer = daemon.post("/v1/events", {**body, "content_type": content_type})
            self.assertEqual((422, "/payload_base64"), (answer.status, answer.json["errors"][0]["pointer"]))
            refused = daemon.sql(f"INSERT INTO outbox(type, payload, content_type) VALUES ('a.b', x'{EVIL.hex()}', '{content_type}');")
            self.assertIn("JSON", refused.stderr)
        self.assertEqual(202, daemon.post("/v1/events", {**body, "content_type": "text/plain"}).status)
        self.assertEqual(1, len(daemon.get("/v1/events").json["data"]))

    def test_a_row_of_an_earlier_version_brings_no_members_into_an_envelope(self):
        daemon, receivers = self.daemon().start(), {name: self.receiver() for name in ("standard", "cloudevents")}
        endpoints = [daemon.endpoint(receiver.url, format=name)["id"] for name, receiver in receivers.items()]
        for id in endpoints:
            daemon.post(f"/v1/endpoints/{id}/pause", {})
        daemon.event(type="a.b")
        self.assertEqual(0, daemon.stop())
        daemon.sql(f"UPDATE event SET payload = x'{EVIL.hex()}', checksum = NULL; UPDATE counter SET last_unchecked = event_seq;")
        daemon.start()
        for id in endpoints:
            daemon.post(f"/v1/endpoints/{id}/resume", {})
        for receiver in receivers.values():
            receiver.wait_for(1)
            sent = json.loads(receiver.requests[0].body)
            self.assertEqual("a.b", sent["type"])
            self.assertNotIn("admin", sent)
            self.assertEqual(EVIL, base64.b64decode(sent["data_base64"]))

    def test_times_that_cannot_be_meant_are_refused(self):
        daemon = self.daemon().start()
        for field, value in (("expires_at", "2020-01-01T00:00:00Z"), ("deliver_at", "2999-01-01T00:00:00Z")):
            answer = daemon.post("/v1/events", {"type": "a.b", "payload": 1, field: value})
            self.assertEqual((422, f"/{field}"), (answer.status, answer.json["errors"][0]["pointer"]))
        self.assertEqual(202, daemon.post("/v1/events", {"type": "a.b", "payload": 1, "expires_at": "2999-01-01T00:00:00Z"}).status)


if __name__ == "__main__":
    unittest.main()
