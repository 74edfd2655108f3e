"""The shapes of requests: bodies made by templates, content types, numbers in order; and when an endpoint is given up."""
import base64
import collections
import json
import random
import unittest

from filter_test import MISSING, RawNumber, look, write
from harness import PATIENCE, EndToEndTest, wait_until


class ShapesTest(EndToEndTest):
    def pending(self, daemon):
        return daemon.get("/v1/status").json["deliveries"]["pending"]

    def wait_until_all_is_delivered(self, daemon):
        wait_until(lambda: self.pending(daemon) == 0, "all is delivered")

    def arrived(self, receiver, event):
        """The first request with this event."""
        return wait_until(lambda: next((request for request in list(receiver.requests) if request.id == event), None), f"{event} arrives")

    def check_refused(self, daemon, pointer, method="POST", path="/v1/endpoints", **fields):
        answer = daemon.call(method, path, fields)
        self.assertEqual(422, answer.status, (fields, answer))
        self.assertEqual([pointer], [error["pointer"] for error in answer.json["errors"]], fields)
        return answer.json["errors"][0]["detail"]


def parse(text):
    """JSON with its numbers as they are written, and members in their order, twins too."""
    def number(text):
        return ("number", text)

    return json.loads(text, parse_int=number, parse_float=number, object_pairs_hook=lambda pairs: ("object", pairs))


class Templates(ShapesTest):
    TEMPLATES, EVENTS = 60, 25

    def space(self):
        return self.random.choice(["", "", "", " ", "\n ", "\t"])

    def payload(self, depth=0):
        roll = self.random.random()
        if depth < 4 and roll < 0.5:
            return {self.random.choice(["a", "b", "a/b", "~", "", "0", "ä"]): self.payload(depth + 1) for _ in range(self.random.randrange(5))}
        if depth < 4 and roll < 0.65:
            return [self.payload(depth + 1) for _ in range(self.random.randrange(4))]
        return self.random.choice([True, False, None, RawNumber("1.10"), RawNumber("-0.0"), RawNumber("12345678901234567890"), RawNumber("1e5"), "",
                                   "plain", 'a "quoted" \\ one', "line\nbreak\t\x01", "Zürich 😀", "{{/a}}", "</script>\x7f"])

    def placeholder(self):
        steps = [self.random.choice(["a", "b", "a~1b", "~0", "", "0", "1", "00", "ä"]) for _ in range(self.random.randrange(4))]
        return "".join("/" + step for step in steps)

    # A template's tree: ("alone", pointer), ("string", pieces), ("array", items), ("object", [(pieces, value)]), ("text", JSON).
    def string(self, prefix=""):
        pieces = [prefix]
        for _ in range(self.random.randrange(4)):
            pieces.append(self.random.choice(["a", " ", "ä", '"', "\\", "\n", "}}", "/"]) if self.random.random() < 0.5
                          else ("alone", self.placeholder()))
        return pieces

    def template(self, depth=0):
        roll = self.random.random()
        if depth == 0 or depth < 3 and roll < 0.3:
            names = range(self.random.randrange(1, 5))
            return ("object", [(self.string(f"{n}:"), self.template(depth + 1)) for n in names])
        if depth < 3 and roll < 0.4:
            return ("array", [self.template(depth + 1) for _ in range(self.random.randrange(4))])
        if roll < 0.65:
            return ("alone", self.placeholder())
        return ("string", self.string()) if roll < 0.9 else ("text", self.random.choice(["1.50", "null", "[ ]", '"\\u007b\\u007b/a}}"']))

    def written_string(self, pieces):
        return '"' + "".join("{{" + piece[1] + "}}" if isinstance(piece, tuple) else json.dumps(piece, ensure_ascii=False)[1:-1]
                             for piece in pieces) + '"'

    def written(self, tree):
        what, value = tree
        inner = {"alone": lambda: "{{" + value + "}}", "text": lambda: value, "string": lambda: self.written_string(value),
                 "array": lambda: "[" + ",".join(map(self.written, value)) + "]",
                 "object": lambda: "{" + ",".join(f"{self.space()}{self.written_string(name)}{self.space()}:{self.written(one)}"
                                                  for name, one in value) + "}"}[what]()
        return self.space() + inner + self.space()

    def text_of(self, pieces, payload):
        text = ""
        for piece in pieces:
            if isinstance(piece, tuple):
                found = look(payload, piece[1])
                piece = found if isinstance(found, str) else "null" if found is MISSING else write(found)
            text += piece
        return text

    def expected(self, tree, payload):
        what, value = tree
        if what == "alone":
            found = look(payload, value)
            return None if found is MISSING else parse(write(found))
        if what == "text":
            return parse(value)
        if what == "string":
            return self.text_of(value, payload)
        if what == "array":
            return [self.expected(one, payload) for one in value]
        return ("object", [(self.text_of(name, payload), self.expected(one, payload)) for name, one in value])

    def test_an_evaluation_of_its_own_makes_the_same_body_of_every_template_and_payload(self):
        seed = random.randrange(1 << 32)
        self.random = random.Random(seed)
        daemon, receiver = self.daemon("log.level=warn").start(), self.receiver()
        templates = [self.template() for _ in range(self.TEMPLATES)]
        for number, tree in enumerate(templates):
            text = self.written(tree)
            made = daemon.endpoint(f"{receiver.url}/{number}", body_template=text)
            self.assertEqual(text, made["body_template"], seed)
        payloads = {}
        for _ in range(self.EVENTS):
            payload = self.payload()
            payloads[daemon.event(payload=write(payload))["id"]] = payload
        receiver.wait_for(self.TEMPLATES * self.EVENTS, PATIENCE * 3)
        self.wait_until_all_is_delivered(daemon)
        seen, nulls = set(), collections.Counter()
        for request in receiver.requests:
            number = int(request.path.rsplit("/", 1)[1])
            seen.add((number, request.id))
            payload = payloads[request.id]
            case = (seed, self.written(templates[number]), write(payload), request.body)
            self.assertEqual(self.expected(templates[number], payload), parse(request.body), case)
            self.assertEqual("application/json", request.headers["content-type"])
            nulls[b"null" in request.body] += 1
        self.assertEqual(self.TEMPLATES * self.EVENTS, len(seen))
        self.assertGreater(min(nulls[True], nulls[False]), 10, nulls)

    def test_a_chat_message_is_made_of_an_order(self):
        daemon, receiver = self.daemon().start(), self.receiver()
        daemon.endpoint(receiver.url, body_template='{"text": "Order {{/id}} of {{/customer/name}}: {{/total}} {{/currency}}", "amount": {{/total}}}')
        daemon.event(payload='{"id": 42, "customer": {"name": "Ann \\"A\\""}, "total": 1.10}')
        self.assertEqual(b'{"text": "Order 42 of Ann \\"A\\": 1.10 null", "amount": 1.10}', receiver.wait_for(1)[0].body)

    def test_a_payload_that_is_no_json_leaves_nulls(self):
        daemon, receiver = self.daemon().start(), self.receiver()
        daemon.endpoint(receiver.url, body_template='{"text": "<{{/a}}>", "all": {{}}}')
        answer = daemon.post("/v1/events", {"type": "a.b", "payload_base64": base64.b64encode(b"\xff{{/a}}").decode(), "content_type": "text/plain"})
        self.assertEqual(202, answer.status, answer)
        request = receiver.wait_for(1)[0]
        self.assertEqual({"text": "<null>", "all": None}, json.loads(request.body))
        self.assertEqual("application/json", request.headers["content-type"])

    def test_a_template_is_changed_and_taken_away_for_what_comes_then(self):
        daemon, receiver = self.daemon().start(), self.receiver()
        path = "/v1/endpoints/" + daemon.endpoint(receiver.url, body_template="[{{/a}}]")["id"]
        for change, body in (({}, b"[1.0]"), ({"body_template": '"{{/a}}"'}, b'"1.0"'), ({"name": "renamed"}, b'"1.0"'),
                             ({"body_template": None}, b'{"a":  1.0}')):
            self.assertEqual(200, daemon.call("PATCH", path, change).status)
            event = daemon.event(payload='{"a":  1.0}')
            self.assertEqual(body, self.arrived(receiver, event["id"]).body)
        daemon.kill()
        daemon.start()
        self.assertIsNone(daemon.get(path).json["body_template"])

    def test_what_would_make_no_json_is_refused_with_its_field_and_stores_nothing(self):
        daemon, receiver = self.daemon().start(), self.receiver()
        for text in ("", "{", '{"a": }', "{{/a}}{{/b}}", "{{/a", "{{a}}", '"{{/~2}}"', '{"a": {{/b}', "text", '"\\{{/a}}"', '"' + "x" * 16384 + '"',
                     "[" + ",".join(["{{/a}}"] * 65) + "]", 1, {}, []):
            self.check_refused(daemon, "/body_template", url=receiver.url, body_template=text)
        for other in ("standard", "cloudevents"):
            self.check_refused(daemon, "/body_template", url=receiver.url, body_template="{{}}", format=other)
        self.assertEqual([], daemon.get("/v1/endpoints").json["data"])


class ContentType(ShapesTest):
    def test_an_endpoint_names_the_content_type_of_what_it_gets(self):
        daemon, named, plain = self.daemon().start(), self.receiver(), self.receiver()
        path = "/v1/endpoints/" + daemon.endpoint(named.url, content_type="application/vnd.shop+json; v=1")["id"]
        daemon.endpoint(plain.url)
        daemon.event()
        self.assertEqual("application/vnd.shop+json; v=1", named.wait_for(1)[0].headers["content-type"])
        self.assertEqual("application/json", plain.wait_for(1)[0].headers["content-type"])
        for bad in ("text", "text/plain\r\nX-Evil: 1", "", 1):
            self.check_refused(daemon, "/content_type", "PATCH", path, content_type=bad)
        self.assertEqual(200, daemon.call("PATCH", path, {"content_type": None}).status)
        daemon.event()
        self.assertEqual("application/json", named.wait_for(2)[1].headers["content-type"])


class DisableAfter(ShapesTest):
    def test_an_endpoint_that_fails_for_as_long_as_it_says_is_disabled_and_one_that_says_never_is_not(self):
        daemon, receiver = self.daemon().start(), self.receiver(lambda request: 500)
        names = {"short": {"disable_after": "1m"}, "default": {}, "never": {"disable_after": "never"}}
        for name, fields in names.items():
            daemon.endpoint(f"{receiver.url}/{name}", name=name, retry_schedule=["0s"] + ["1s"] * 30, **fields)
        shown = {name: daemon.get(f"/v1/endpoints/{name}").json for name in names}
        self.assertEqual({"short": "1m", "default": "5d", "never": "never"}, {name: one["disable_after"] for name, one in shown.items()})
        daemon.event()
        wait_until(lambda: all(daemon.get(f"/v1/endpoints/{name}").json["failing_since"] for name in names), "all of them fail")
        daemon.stop()
        # As if they had begun to fail so long ago: two minutes, two minutes, and a year.
        for name, seconds in (("short", 120), ("default", 120), ("never", 365 * 86400)):
            edited = daemon.sql(f"UPDATE endpoint SET failing_since = failing_since - {seconds * 1000} WHERE name = '{name}';")
            self.assertEqual(0, edited.returncode, edited.stderr)
        daemon.start()
        before = collections.Counter(request.path for request in receiver.requests)
        short = wait_until(lambda: (one := daemon.get("/v1/endpoints/short").json)["state"] == "disabled" and one, "it is disabled")
        self.assertEqual("failing", short["disabled_reason"])
        wait_until(lambda: all(collections.Counter(r.path for r in list(receiver.requests))[f"/hook/{name}"] > before[f"/hook/{name}"]
                               for name in ("default", "never")), "the others are tried again")
        daemon.event()
        self.assertEqual(["active", "active"], [daemon.get(f"/v1/endpoints/{name}").json["state"] for name in ("default", "never")])
        # What waits for it goes when it is enabled again.
        receiver.answer = lambda request: 200
        self.assertEqual(200, daemon.post("/v1/endpoints/short/resume").status)
        self.wait_until_all_is_delivered(daemon)

    def test_what_is_no_time_to_wait_is_refused(self):
        daemon, receiver = self.daemon().start(), self.receiver()
        for bad in ("59s", "366d", "", "soon", 5, True):
            self.check_refused(daemon, "/disable_after", url=receiver.url, disable_after=bad)


class Sequence(ShapesTest):
    KEYS, EVENTS = 4, 12

    def numbers(self, receiver, without=None):
        """The number of each event, the same in all of its requests."""
        found = {}
        for request in list(receiver.requests):
            if request.id != without:
                number = int(request.headers["outboxd-sequence"])
                self.assertEqual(number, found.setdefault(request.id, number))
        return found

    def test_numbers_grow_along_each_key_and_stay_with_their_event(self):
        refused = set()

        def refuse_some(request):
            first = (request.path, request.id) not in refused
            refused.add((request.path, request.id))
            return 503 if first and int(request.id[-1], 16) % 3 == 0 else 200

        daemon = self.daemon().start()
        by_key, in_all, unordered = self.receiver(refuse_some), self.receiver(refuse_some), self.receiver()
        schedule = ["0s"] + ["100ms"] * 8
        daemon.endpoint(by_key.url, ordering="key", retry_schedule=schedule)
        daemon.endpoint(in_all.url, ordering="endpoint", retry_schedule=schedule)
        daemon.endpoint(unordered.url)
        keys = {}
        for number in range(self.KEYS * self.EVENTS):
            key = f"customer-{number % self.KEYS}"
            keys[daemon.event(ordering_key=key)["id"]] = key
        loose = daemon.event()["id"]
        self.wait_until_all_is_delivered(daemon)

        self.assertGreater(len(by_key.requests), len(keys) + 1, "none of them was tried again")
        self.assertNotIn("outboxd-sequence", self.arrived(by_key, loose).headers)
        self.assertEqual([], [request for request in unordered.requests if "outboxd-sequence" in request.headers])
        of_keys, of_all = self.numbers(by_key, loose), self.numbers(in_all)
        self.assertEqual(set(keys), set(of_keys))
        for key in set(keys.values()):
            along = [of_keys[event] for event in keys if keys[event] == key]
            self.assertEqual(sorted(set(along)), along)
        self.assertEqual(sorted(set(of_all.values())), [of_all[event] for event in [*keys, loose]])

        replayed = list(keys)[len(keys) // 2]
        daemon.post(f"/v1/events/{replayed}/replay")
        unordered.wait_for(len(keys) + 2)
        self.wait_until_all_is_delivered(daemon)
        self.assertGreater(by_key.ids().count(replayed), 1)
        self.assertEqual((of_keys, of_all), (self.numbers(by_key, loose), self.numbers(in_all)))

        daemon.kill()
        daemon.start()
        later = daemon.event(ordering_key="customer-0")["id"]
        self.arrived(by_key, later)
        self.assertGreater(self.numbers(by_key, loose)[later], max(of_keys.values()))


if __name__ == "__main__":
    unittest.main()
