"""The API through real sockets: silent clients, hostile framing, bad input."""
import json
import socket
import time
import unittest

from harness import PATIENCE, EndToEndTest

EVENT = b'{"type":"a.b","payload":1}'


def read_all(sock):
    """Reads everything until the other side closes."""
    data = b""
    while True:
        try:
            chunk = sock.recv(65536)
        except ConnectionResetError:
            return data
        if not chunk:
            return data
        data += chunk


class Raw(EndToEndTest):
    def setUp(self):
        super().setUp()
        self.outboxd = self.daemon().start()
        self.port = self.outboxd.tcp_port

    def connect(self, listener):
        sock = socket.create_connection(("127.0.0.1", self.port)) if listener == "tcp" else socket.socket(socket.AF_UNIX)
        sock.settimeout(PATIENCE)
        if listener != "tcp":
            sock.connect(str(self.outboxd.ingest if listener == "ingest" else self.outboxd.admin))
        self.addCleanup(sock.close)
        return sock

    def events_stored(self):
        return self.outboxd.get("/v1/status").json["events"]

    def test_silent_connections_on_each_listener_do_not_delay_a_request(self):
        for listener in ("tcp", "ingest", "admin"):
            for n in range(100):
                sock = self.connect(listener)
                if n % 2:
                    sock.sendall(b"POST /v1/events HTTP/1.1\r\nHo")  # and not a byte more
        worst = 0
        for listener in ("tcp", "ingest", "admin"):
            for _ in range(20):
                sock = self.connect(listener)
                started = time.perf_counter()
                sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                self.assertTrue(read_all(sock).startswith(b"HTTP/1.1 200"))
                worst = max(worst, time.perf_counter() - started)
        print(f"beside 300 silent connections the slowest of 60 requests took {worst * 1000:.1f} ms")

    def test_hostile_framing_gets_a_4xx_a_closed_connection_and_stores_nothing(self):
        head = b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        length = b"Content-Length: %d\r\n" % len(EVENT)
        chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(EVENT), EVENT)
        too_much = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
        attacks = {
            "length and chunked": head + length + b"Transfer-Encoding: chunked\r\n\r\n" + chunked,
            "two lengths": head + length + b"Content-Length: 5\r\n\r\n" + EVENT,
            "the same length twice": head + length + length + b"\r\n" + EVENT,
            "a length that is no number": head + b"Content-Length: +26\r\n\r\n" + EVENT,
            "another transfer coding": head + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + chunked,
            "a GET with a body": b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\n" + length + b"\r\n" + EVENT,
            "an encoded CRLF in a header": head + length + b"X-A: b%0d%0aX-C: d\r\n\r\n" + EVENT,
            "20,000 headers": head + length + b"".join(b"X-%d: 1\r\n" % n for n in range(20_000)) + b"\r\n" + EVENT,
            "an oversized chunked body": head + b"Transfer-Encoding: chunked\r\n\r\n" + too_much * 17,
            "a space before the colon": head + b"Content-Length : 26\r\n\r\n" + EVENT,
            "a folded header": head + length + b"X-A: b\r\n c\r\n\r\n" + EVENT,
            "a bare line feed": head.replace(b"\r\n", b"\n") + length + b"\r\n" + EVENT,
            "a NUL in a header": head + length + b"X-A: a\x00b\r\n\r\n" + EVENT,
            "no host": b"POST /v1/events HTTP/1.1\r\nContent-Type: application/json\r\n" + length + b"\r\n" + EVENT,
            "two hosts": head + b"Host: other\r\n" + length + b"\r\n" + EVENT,
            "an absolute target with user information": head.replace(b"/v1", b"http://a@localhost/v1") + length + b"\r\n" + EVENT,
            "a bad chunk size": head + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n" + EVENT,
            "no HTTP at all": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        }
        for listener in ("tcp", "ingest", "admin"):
            for name, attack in attacks.items():
                with self.subTest(listener=listener, attack=name):
                    sock = self.connect(listener)
                    try:
                        sock.sendall(attack)
                    except (BrokenPipeError, ConnectionResetError):
                        pass  # the request was refused before it was complete
                    answer = read_all(sock)
                    self.assertRegex(answer[:12], rb"^HTTP/1.1 4\d\d")
                    self.assertIn(b"application/problem+json", answer)
                    self.assertEqual(1, answer.count(b"HTTP/1.1 4"), "what followed was read as another request")
        self.assertEqual(0, self.events_stored())

    def test_chunked_pipelined_and_byte_by_byte_requests_are_understood(self):
        head = b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        one = head + b"Content-Length: %d\r\n\r\n" % len(EVENT) + EVENT
        absolute = one.replace(b"POST /v1", b"POST http://localhost/v1")
        chunked = head + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + b"".join(
            b"%x\r\n%s\r\n" % (len(part), part) for part in (EVENT[:5], EVENT[5:])) + b"0\r\n\r\n"
        sock = self.connect("tcp")
        sock.sendall(one + absolute)
        for byte in chunked:
            sock.sendall(bytes([byte]))
        self.assertEqual(3, read_all(sock).count(b"HTTP/1.1 202"))
        self.assertEqual(3, self.events_stored())

    def test_the_ingest_socket_lets_producers_enqueue_and_nothing_else(self):
        call = lambda method, path, body=None: self.outboxd.call(method, path, body, socket_path=self.outboxd.ingest).status
        self.assertEqual(202, call("POST", "/v1/events", {"type": "a.b", "payload": 1}))
        for method, path in (("GET", "/v1/events"), ("GET", "/v1/endpoints"), ("GET", "/v1/status"), ("GET", "/metrics")):
            self.assertEqual(403, call(method, path), path)
        self.assertEqual(403, call("POST", "/v1/endpoints", {"url": "http://127.0.0.1:1/"}))

    def test_tcp_wants_a_host_that_is_its_own(self):
        sock = self.connect("tcp")
        sock.sendall(b"GET /readyz HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
        self.assertTrue(read_all(sock).startswith(b"HTTP/1.1 403"))

    def test_an_absolute_target_is_judged_by_its_own_host_and_not_by_the_header(self):
        for named, header, status in ((b"localhost", b"evil.example", 200), (b"127.0.0.1:%d" % self.port, b"localhost", 200),
                                      (b"evil.example", b"localhost", 403)):
            sock = self.connect("tcp")
            sock.sendall(b"GET http://%s/readyz HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % (named, header))
            self.assertTrue(read_all(sock).startswith(b"HTTP/1.1 %d" % status), (named, header))


class Details(EndToEndTest):
    """`detail` is what people read: it names the field, what was sent, what is accepted, and the word that was probably meant."""

    def test_each_refusal_says_all_that_is_needed_to_mend_it(self):
        daemon = self.daemon().start()
        endpoint = daemon.endpoint("http://127.0.0.1:1/hook")["id"]
        event = {"type": "a.b", "payload": 1}
        cases = [
            ("POST", "/v1/events", {**event, "paylod": 2}, ("/paylod", "is not a field of an event", 'did you mean "payload"?')),
            ("POST", "/v1/events", {**event, "priority": 12}, ("/priority", "0 to 9", "got 12")),
            ("POST", "/v1/events", {**event, "delay": "5 minutes"}, ("/delay", '"2h30m"', 'got "5 minutes"')),
            ("POST", "/v1/events", {**event, "tenant": ["a"], "ttl": 7}, ("/tenant", "got an array", "(and 1 more)")),
            ("POST", "/v1/events", [event, {**event, "idempotencyKey": "k"}], ("/1/idempotencyKey", 'did you mean "idempotency_key"?')),
            ("POST", "/v1/endpoints", {"url": "https://example.com/", "tiemout": "5s"}, ("/tiemout", 'did you mean "timeout"?')),
            ("POST", "/v1/endpoints", {"url": "https://example.com/", "format": "standart"},
             ("/format", "raw, standard or cloudevents", 'got "standart"', 'did you mean "standard"?')),
            ("POST", "/v1/endpoints", {"url": "https://example.com/", "max_in_flight": 0}, ("/max_in_flight", "1 to 1000", "got 0")),
            ("POST", "/v1/endpoints", {"url": "http//example.com/"}, ("/url", 'got "http//example.com/"')),
            ("POST", "/v1/endpoints", {"url": "https://example.com/", "tls": {"cafile": "/x"}}, ("/tls/cafile", 'did you mean "ca_file"?')),
            ("POST", f"/v1/endpoints/{endpoint}/secrets/rotate", {"overlp": "1h"},
             ("/overlp", "which takes overlap or secret", 'did you mean "overlap"?')),
            ("POST", f"/v1/endpoints/{endpoint}/secrets/rotate", {"overlap": "1 h"}, ("/overlap", '"24h"', 'got "1 h"')),
            ("GET", "/v1/deliveries?stat=dead", None, ("stat", "is not a parameter", "which takes state", 'did you mean "state"?')),
            ("GET", "/v1/deliveries?state=deda", None, ("state", "pending, delivered, dead or discarded", 'got "deda"', 'did you mean "dead"?')),
            ("GET", "/v1/deliveries?limit=1000", None, ("limit", "1 to 250", 'got "1000"')),
            ("GET", "/v1/deliveries?since=yesterday", None, ("since", "RFC 3339", 'got "yesterday"')),
            ("GET", "/v1/deliveries?endpoint=shop", None, ("endpoint", "ep_", 'there is no endpoint "shop"')),
            ("GET", "/v1/deliveries?cursor=zzz", None, ("cursor", "next_cursor")),
        ]
        for method, path, body, wanted in cases:
            with self.subTest(path=path, body=body):
                answer = daemon.call(method, path, body)
                self.assertEqual(answer.status, 422, answer)
                for text in wanted:
                    self.assertIn(text, answer.json["detail"])

    def test_what_is_secret_is_not_said_again(self):
        daemon = self.daemon().start()
        for fields in ({"secret": "whsec_s3cr3t!"}, {"headers": {"Authorization": 5, "X-Key": "s3cr3t\u0007"}},
                       {"url": "https://user:s3cr3t@example.com/"}):
            answer = daemon.post("/v1/endpoints", {"url": "https://example.com/", **fields})
            self.assertEqual(answer.status, 422, answer)
            self.assertNotIn(b"s3cr3t", answer.body)
        answer = daemon.post("/v1/events", {"type": "a.b", "payload": 1, "headers": {"X-Key": "s3cr3t\u0007"}})
        self.assertEqual(answer.status, 422, answer)
        self.assertNotIn(b"s3cr3t", answer.body)

    def test_an_idempotency_conflict_names_the_key_and_the_first_event(self):
        daemon = self.daemon().start()
        first = daemon.event(idempotency_key="order-1")["id"]
        answer = daemon.post("/v1/events", {"type": "a.b", "payload": 2, "idempotency_key": "order-1"})
        self.assertEqual(answer.status, 422)
        for text in ('"order-1"', first):
            self.assertIn(text, answer.json["detail"])

    def test_a_body_with_a_content_encoding_is_refused(self):
        daemon = self.daemon().start()
        answer = daemon.post("/v1/events", EVENT, {"Content-Encoding": "gzip"})
        self.assertEqual((answer.status, answer.headers["accept-encoding"]), (415, "identity"))
        self.assertIn("Content-Encoding", answer.json["detail"])
        self.assertEqual(0, daemon.get("/v1/status").json["events"])

    def test_an_endpoints_query_may_have_brackets_and_keeps_them(self):
        daemon, receiver = self.daemon().start(), self.receiver()
        daemon.endpoint(receiver.url + "?filter[type]=a&b[]=1")
        daemon.event()
        self.assertEqual("/hook?filter[type]=a&b[]=1", receiver.wait_for(1)[0].path)

    def test_a_url_that_policy_denies_comes_with_the_setting_that_allows_it(self):
        daemon = self.daemon("policy.allow_networks=192.168.0.0/16", "policy.allow_http=false", "policy.ports=443").start()
        answer = daemon.post("/v1/endpoints", {"url": "http://10.1.2.3:8080/hook"})
        self.assertEqual(answer.status, 422)
        settings = ('allow_http = true', 'ports = [443, 8080]', 'allow_networks = ["192.168.0.0/16", "10.0.0.0/8"]')
        for setting in settings:
            self.assertIn(setting, answer.json["detail"])
            daemon.wait_for_log(setting.replace('"', '\\"'))


class BadInput(EndToEndTest):
    def setUp(self):
        super().setUp()
        self.outboxd = self.daemon().start()

    def refused(self, path, body, status, pointer=None, headers=None, method="POST"):
        answer = self.outboxd.call(method, path, body, headers)
        self.assertEqual(status, answer.status, (body if len(str(body)) < 300 else "...", answer))
        self.assertEqual("application/problem+json", answer.headers["content-type"])
        problem = answer.json
        self.assertEqual(status, problem["status"])
        self.assertTrue(problem["type"].startswith("/problems/"))
        if pointer is not None:
            self.assertIn(pointer, [e["pointer"] for e in problem["errors"]], problem)

    def test_every_bad_field_of_an_event_is_named_and_nothing_is_stored(self):
        good = {"type": "a.b", "payload": 1}
        bad = {
            "/type": [None, 7, "", "a b", "a..b", ".a", "é", "x" * 129],
            "/tenant": [7, "x" * 129, "a b"],
            "/idempotency_key": [7, "", "x" * 257],
            "/ordering_key": [7, "", "x" * 257],
            "/deliver_at": [7, "tomorrow", "2026-13-01T00:00:00Z"],
            "/delay": [7, "5 minutes", "-5s", "9999d"],
            "/expires_at": [7, "never"],
            "/ttl": [7, "0s", "1y"],
            "/priority": ["5", -1, 10, 1.5],
            "/headers": [7, ["a"], {"host": "x"}, {"x": "a\r\nb"}, {"webhook-id": "x"}],
            "/content_type": [7, "", "text\r\nX: y", "nonsense"],
            "/unknown": [1],
        }
        for pointer, values in bad.items():
            for value in values:
                body = {**good, pointer[1:]: value}
                with self.subTest(pointer=pointer, value=str(value)[:40]):
                    self.refused("/v1/events", body, 422, pointer)
        self.refused("/v1/events", {"payload": 1}, 422, "/type")
        self.refused("/v1/events", {"type": "a.b"}, 422, "/payload")
        self.refused("/v1/events", {**good, "payload_base64": "AA=="}, 422)
        self.refused("/v1/events", {"type": "a.b", "payload_base64": "*", "content_type": "text/plain"}, 422, "/payload_base64")
        self.refused("/v1/events", {**good, "delay": "1s", "deliver_at": "2026-12-01T00:00:00Z"}, 422)
        self.refused("/v1/events", [good, {"type": "a.b"}], 422, "/1/payload")
        self.refused("/v1/events", '{"type":"a.b","type":"c.d","payload":1}', 422)
        self.assertEqual(0, self.outboxd.get("/v1/status").json["events"])

    def test_bodies_that_are_no_events_are_refused_and_nothing_is_stored(self):
        for body in ("", "{", "null x", '"text"', "[1]", "7", b"\xff\xfe", '{"type":"a.b","payload":01}', "[" * 100_000):
            answer = self.outboxd.post("/v1/events", body)
            self.assertIn(answer.status, (400, 422), (body[:20], answer))
        self.refused("/v1/events", "[]", 422)
        self.refused("/v1/events", [{"type": "a.b", "payload": 1}] * 1001, 413)
        self.refused("/v1/events", json.dumps({"type": "a.b", "payload": "x" * (1 << 20)}), 413)
        self.refused("/v1/events", b" " * ((16 << 20) + 1), 413)
        self.refused("/v1/events", '{"type":"a.b","payload":1}\n{"type":"a.b"}\n', 422, "/1/payload", {"Content-Type": "application/x-ndjson"})
        for kind in ("text/plain", "application/xml", "multipart/form-data; boundary=x", ""):
            self.refused("/v1/events", {"type": "a.b", "payload": 1}, 415, headers={"Content-Type": kind})
        self.assertEqual(0, self.outboxd.get("/v1/status").json["events"])

    def test_every_bad_field_of_an_endpoint_is_named_and_nothing_is_created(self):
        good = {"url": "http://127.0.0.1:9/"}
        bad = {
            "/url": [None, 7, "", "nonsense", "http:/127.0.0.1/", "http://user@127.0.0.1/", "http://127.0.0.1:0/", "http://127.0.0.1:99999/",
                     "http://good\\@127.0.0.1/", "http://127%2e0.0.1/", "http://①②⑦.⓪.⓪.①/", "http://127.0.0.1/a b", "gopher://127.0.0.1/",
                     "http://127.0.0.1/" + "x" * 2048],
            "/name": [7, "x" * 129],
            "/types": [7, [], [7], ["a b"], ["*.a"], ["a"] * 65],
            "/secret": [7, "", "whsec_", "whsec_AAAA", "whsk_AAAA", "plain"],
            "/format": [7, "xml"],
            "/timeout": [7, "1", "0s", "1h"],
            "/retry_schedule": [7, [], ["x"], ["1s"] * 65],
            "/max_in_flight": ["1", 0, 100_000, 1.5],
            "/state": [7, "broken"],
            "/metadata": [7, "x"],
            "/tenant": [7, "a b"],
            "/unknown": [1],
        }
        for pointer, values in bad.items():
            for value in values:
                with self.subTest(pointer=pointer, value=str(value)[:60]):
                    answer = self.outboxd.post("/v1/endpoints", {**good, pointer[1:]: value})
                    self.assertEqual(422, answer.status, answer)
                    pointers = [e["pointer"] for e in answer.json["errors"]]
                    self.assertTrue(any(p.startswith(pointer) for p in pointers), pointers)
        self.refused("/v1/endpoints", {}, 422, "/url")
        self.assertEqual([], self.outboxd.get("/v1/endpoints").json["data"])

    def test_bad_parameters_and_paths_are_named(self):
        for query in ("limit=0", "limit=251", "limit=x", "cursor=nonsense", "state=broken", "endpoint=7", "since=yesterday", "unknown=1"):
            answer = self.outboxd.get("/v1/deliveries?" + query)
            self.assertEqual(422, answer.status, (query, answer))
            self.assertEqual(query.split("=")[0], answer.json["errors"][0]["pointer"].lstrip("/"))
        for path in ("/v1/events/evt_x", "/v1/endpoints/ep_" + "0" * 32, "/v1/deliveries/dlv_", "/v1/nothing", "/v1/events/../status/x"):
            self.assertEqual(404, self.outboxd.get(path).status, path)
        answer = self.outboxd.call("PUT", "/v1/events", {"type": "a.b", "payload": 1})
        self.assertEqual(405, answer.status)
        self.assertIn("POST", answer.headers["allow"])

    def test_pages_cover_everything_once(self):
        for n in range(7):
            self.outboxd.event(payload=str(n))
        seen, cursor = [], ""
        while True:
            page = self.outboxd.get("/v1/events?limit=3" + cursor).json
            seen += [row["id"] for row in page["data"]]
            if page["next_cursor"] is None:
                break
            cursor = "&cursor=" + page["next_cursor"]
        self.assertEqual(7, len(set(seen)))
        self.assertEqual(sorted(seen, reverse=True), seen)


if __name__ == "__main__":
    unittest.main()
