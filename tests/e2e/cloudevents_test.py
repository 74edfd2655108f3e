"""CloudEvents in and out: sent and read by the CloudEvents project's own Python SDK, and by hand to the byte."""
import base64
import json
import socket
import unittest

from harness import PATIENCE, EndToEndTest, needs_package

STRUCTURED, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"
# Number forms, key order and white space that JSON libraries like to tidy up.
AWKWARD = '{ "z": 1.10, "a": 12345678901234567890,  "é": "Zürich \\u00e9 😀"}'
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def attributes(**more):
    return {"specversion": "1.0", "type": "order.paid", "source": "/shop/orders", "id": "A-1", **more}


class CloudEvents(EndToEndTest):
    def setUp(self):
        super().setUp()
        self.outboxd, self.subscriber = self.daemon().start(), self.receiver()
        self.outboxd.endpoint(self.subscriber.url, format="cloudevents")

    def send(self, body, headers):
        answer = self.outboxd.post("/v1/events", body, headers)
        self.assertEqual(202, answer.status, answer)
        return answer.json

    def received(self, count=1):
        requests = self.subscriber.wait_for(count)
        for request in requests:
            self.assertEqual(STRUCTURED, request.headers["content-type"])
        return [request.body for request in requests]

    def test_attributes_extensions_and_the_bytes_of_the_data_go_through(self):
        given = attributes(subject="42", time="2026-11-23T15:21:00.123456+01:00", dataschema="https://example.com/s.json", alive=True, count=-7,
                           zone="Zürich \u2028", off=None, traceparent=TRACE)
        self.send(json.dumps(given)[:-1] + ', "data" : ' + AWKWARD + " }", {"Content-Type": STRUCTURED})
        (body,) = self.received()
        self.assertIn(b'"data":' + AWKWARD.encode() + b"}", body)
        left = json.loads(body)
        del left["data"], given["off"]
        self.assertEqual({**given, "datacontenttype": "application/json"}, left)
        self.assertEqual(TRACE[:36], self.subscriber.requests[0].headers["traceparent"][:36])

    def test_what_came_is_shown_and_survives_a_kill(self):
        accepted = self.send(json.dumps(attributes(data=1)), {"Content-Type": STRUCTURED})
        self.received()
        self.outboxd.kill()
        self.outboxd.start()
        self.assertEqual(attributes(), self.outboxd.get("/v1/events/" + accepted["id"]).json["cloud_event"])
        shown = self.outboxd.ctl("event", "show", accepted["id"]).stdout.decode()
        self.assertIn('"source":"/shop/orders"', shown)
        again = self.outboxd.post("/v1/events", json.dumps(attributes(data=1)), {"Content-Type": STRUCTURED})
        self.assertEqual((200, accepted["id"], True), (again.status, again.json["id"], again.json["duplicate"]))
        other = self.outboxd.post("/v1/events", json.dumps(attributes(data=2)), {"Content-Type": STRUCTURED})
        self.assertEqual((422, "/id"), (other.status, other.json["errors"][0]["pointer"]))

    def test_headers_reach_their_attributes_as_they_were_sent(self):
        """The front decodes nothing in a header's value, so that one round of decoding is left for the binding."""
        raw = [b"ce-specversion: 1.0", b"ce-type: order.paid", b"CE-Source: /shop", b"ce-id: Euro%20%E2%82%AC%20%F0%9F%98%80",
               b"ce-once: %2541%2520", b'ce-quoted: "a \\"b\\" c"', b"Content-Type: application/octet-stream"]
        self.assertIn(b" 202 ", self.raw_post(raw, b"\x00\xff"))
        (body,) = self.received()
        left = json.loads(body)
        self.assertEqual(("Euro € 😀", "%41%20", 'a "b" c', "/shop"), (left["id"], left["once"], left["quoted"], left["source"]))
        self.assertEqual(b"\x00\xff", base64.b64decode(left["data_base64"]))
        for hidden in (b"%0D%0AX-Evil:1", b"%00", b"%C0%A0", b"\xff", b"%zz"):
            answer = self.raw_post(raw[:4] + [b"ce-x: " + hidden], b"")
            self.assertTrue(b" 400 " in answer.split(b"\r\n")[0] or b'"pointer":"ce-x"' in answer, (hidden, answer))

    def raw_post(self, fields, body):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PATIENCE)
            connection.connect(str(self.outboxd.ingest))
            head = [b"POST /v1/events HTTP/1.1", b"Host: localhost", b"Connection: close", b"Content-Length: %d" % len(body), *fields]
            connection.sendall(b"\r\n".join(head) + b"\r\n\r\n" + body)
            answer = b""
            while (some := connection.recv(65536)):
                answer += some
            return answer

    def test_in_order_by_the_partition_key_for_the_tenant_it_names(self):
        accepted = self.send(json.dumps(attributes(partitionkey="customer-7", outboxdtenant="acme")), {"Content-Type": STRUCTURED})
        shown = self.outboxd.get("/v1/events/" + accepted["id"]).json
        self.assertEqual(("customer-7", "acme", 0), (shown["ordering_key"], shown["tenant"], accepted["deliveries"]))

    def test_outboxctl_sends_one_from_a_file(self):
        sent = self.outboxd.ctl("event", "send", "--cloudevent", "-", stdin=json.dumps(attributes(data=[1])).encode())
        self.assertEqual(0, sent.returncode, sent.stderr)
        self.assertEqual([1], json.loads(self.received()[0])["data"])


class Sdk(EndToEndTest):
    """The SDK on both sides. Its events hold a time, so that what goes out is compared as the SDK reads it."""

    def setUp(self):
        super().setUp()
        self.outboxd, self.subscriber = self.daemon().start(), self.receiver()
        self.outboxd.endpoint(self.subscriber.url, format="cloudevents")

    def events(self):
        from cloudevents.core.v1.event import CloudEvent
        return [CloudEvent(attributes(id="json", subject="Zürich 100 %", count="7", datacontenttype="application/json"), {"n": 1.5, "s": "é"}),
                CloudEvent(attributes(id="bytes", datacontenttype="image/png", dataschema="https://example.com/schema"), b"\x89PNG\x00\xff"),
                CloudEvent(attributes(id='a "quoted" %41 id €', datacontenttype="application/json"), {})]

    def check(self, sent):
        from cloudevents.core.bindings.http import HTTPMessage, from_http_event
        requests = self.subscriber.wait_for(len(sent))
        came = {event.get_id(): event for event in (from_http_event(HTTPMessage(r.headers, r.body)) for r in requests)}
        for event in sent:
            self.assertEqual(event.get_attributes(), came[event.get_id()].get_attributes())
            self.assertEqual(event.get_data(), came[event.get_id()].get_data())

    def post(self, message):
        answer = self.outboxd.post("/v1/events", message.body, {"Content-Type" if name == "content-type" else name: value for name, value in message.headers.items()})
        self.assertEqual(202, answer.status, answer)

    @needs_package("cloudevents")
    def test_structured_events_arrive_as_they_were_sent(self):
        from cloudevents.core.bindings.http import to_structured_event
        for event in (sent := self.events()):
            self.post(to_structured_event(event))
        self.check(sent)

    @needs_package("cloudevents")
    def test_binary_events_arrive_as_they_were_sent(self):
        from cloudevents.core.bindings.http import to_binary_event
        for event in (sent := self.events()):
            self.post(to_binary_event(event))
        self.check(sent)

    @needs_package("cloudevents")
    def test_a_batch_arrives_as_it_was_sent(self):
        from cloudevents.core.bindings.http import to_structured_event
        sent = self.events()
        body = b"[" + b",".join(to_structured_event(event).body for event in sent) + b"]"
        answer = self.outboxd.post("/v1/events", body, {"Content-Type": BATCH})
        self.assertEqual((202, len(sent)), (answer.status, len(answer.json["data"])))
        self.check(sent)

    @needs_package("cloudevents")
    def test_an_event_of_another_form_is_one_that_the_sdk_reads(self):
        from cloudevents.core.bindings.http import HTTPMessage, from_http_event
        accepted = self.outboxd.event("order.paid", '{"id": 42}')
        request = self.subscriber.wait_for(1)[0]
        event = from_http_event(HTTPMessage(request.headers, request.body))
        self.assertEqual((accepted["id"], "/outboxd", {"id": 42}), (event.get_id(), event.get_source(), event.get_data()))


if __name__ == "__main__":
    unittest.main()
