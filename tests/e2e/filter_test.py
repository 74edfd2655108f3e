"""Filters: who gets an event is decided by what is in it, and an evaluation of its own, in Python, agrees."""
import decimal
import json
import random
import unittest

from harness import EndToEndTest, wait_until

CASES = 1500
MISSING = object()


def look(document, pointer):
    """RFC 6901, by the letter."""
    for step in pointer.split("/")[1:]:
        step = step.replace("~1", "/").replace("~0", "~")
        if isinstance(document, dict) and step in document:
            document = document[step]
        elif isinstance(document, list) and step.isdigit() and str(int(step)) == step and int(step) < len(document):
            document = document[int(step)]
        else:
            return MISSING
    return document


def kind(value):
    for name, types in (("boolean", bool), ("number", (int, decimal.Decimal)), ("string", str), ("null", type(None))):
        if isinstance(value, types):
            return name
    return "structure"


def equal(a, b):
    return kind(a) == kind(b) != "structure" and a == b


def holds(value, operator, wanted):
    if operator == "exists":
        return (value is not MISSING) == wanted
    if value is MISSING:
        return False
    if operator in ("eq", "ne"):
        return equal(value, wanted) == (operator == "eq")
    if operator == "in":
        return any(equal(value, one) for one in wanted)
    if operator == "prefix":
        return isinstance(value, str) and value.startswith(wanted)
    if kind(value) != kind(wanted) or kind(value) not in ("number", "string"):
        return False
    if kind(value) == "string":
        value, wanted = value.encode(), wanted.encode()
    return {"lt": value < wanted, "lte": value <= wanted, "gt": value > wanted, "gte": value >= wanted}[operator]


def passes(text, conditions):
    payload = json.loads(text, parse_float=decimal.Decimal)
    for pointer, wanted in conditions.items():
        value = look(payload, pointer)
        for operator, operand in (wanted.items() if isinstance(wanted, dict) else (("eq", wanted),)):
            if isinstance(operand, RawNumber):
                operand = operand.value
            elif isinstance(operand, list):
                operand = [one.value if isinstance(one, RawNumber) else one for one in operand]
            if not holds(value, operator, operand):
                return False
    return True


class RawNumber:
    """A number in one of its spellings."""

    def __init__(self, text):
        self.text = text
        self.value = decimal.Decimal(text)


def write(value):
    if isinstance(value, RawNumber):
        return value.text
    if isinstance(value, dict):
        return "{" + ", ".join(json.dumps(name) + ": " + write(one) for name, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(write, value)) + "]"
    return json.dumps(value)


class Filters(EndToEndTest):
    def scalar(self):
        return self.random.choice([
            lambda: RawNumber(self.random.choice(["0", "-0.0", "1", "1.0", "1e0", "10e-1", "1.10", "1.1", "11e-1", "-7", "0.25", "99999999",
                                                  "12345678901234567890", "12345678901234567891"])),
            lambda: self.random.choice(["", "a", "ab", "abc", "b", "EUR", "\u00e4", "1", "true"]),
            lambda: self.random.choice([True, False, None])])()

    def value(self, depth=0):
        roll = self.random.random()
        if depth < 3 and roll < 0.3:
            return {self.random.choice(["a", "b", "a/b", "~", "", "0"]): self.value(depth + 1) for _ in range(self.random.randrange(4))}
        if depth < 3 and roll < 0.4:
            return [self.value(depth + 1) for _ in range(self.random.randrange(4))]
        return self.scalar()

    def pointer(self):
        steps = [self.random.choice(["a", "b", "a~1b", "~0", "", "0", "1", "00"]) for _ in range(self.random.randrange(4))]
        return "".join("/" + step for step in steps)

    def condition(self):
        operator = self.random.choice(["eq", "ne", "lt", "lte", "gt", "gte", "in", "exists", "prefix", None])
        if operator == "exists":
            return {operator: self.random.choice([True, False])}
        if operator == "in":
            return {operator: [self.scalar() for _ in range(1 + self.random.randrange(3))]}
        if operator == "prefix":
            return {operator: self.random.choice(["", "a", "ab", "\u00e4"])}
        if operator in ("lt", "lte", "gt", "gte"):
            while kind(operand := self.scalar()) not in ("string", "structure") or operand is None:
                pass
            return {operator: operand}
        return self.scalar() if operator is None else {operator: self.scalar()}

    def test_an_evaluation_of_its_own_agrees_in_every_case(self):
        seed = random.randrange(1 << 32)
        self.random = random.Random(seed)
        daemon = self.daemon().start()
        receiver = self.receiver()
        endpoint = daemon.endpoint(receiver.url)
        agreed = {True: 0, False: 0}
        for case in range(CASES):
            payload = write(self.value())
            conditions = {self.pointer(): self.condition() for _ in range(1 + self.random.randrange(2))}
            body = '{"payload": ' + payload + ', "filter": ' + write(conditions) + "}"
            answer = daemon.post(f"/v1/endpoints/{endpoint['id']}/filter/test", body.encode())
            self.assertEqual(200, answer.status, (seed, case, body, answer))
            expected = passes(payload, conditions)
            self.assertEqual(expected, answer.json["matches"], (seed, case, body, answer.json))
            agreed[expected] += 1
        self.assertGreater(min(agreed.values()), CASES // 50, agreed)

    def test_an_endpoint_gets_what_its_filter_lets_pass_in_a_replay_too(self):
        daemon = self.daemon().start()
        everything, large = self.receiver(), self.receiver()
        for n in range(4):
            daemon.endpoint(everything.url, name=f"all-{n}", types=["order.*"])
        daemon.endpoint(large.url, name="large", types=["order.*"], filter={"/amount": {"gte": 100}, "/currency": {"in": ["EUR", "CHF"]}})
        payloads = ['{"amount": 100.0, "currency": "EUR"}', '{"amount": 99.99, "currency": "EUR"}', '{"amount": 250, "currency": "USD"}',
                    '{"amount": "250", "currency": "EUR"}', '"no object"']
        ids = [daemon.post("/v1/events", ('{"type": "order.paid", "payload": ' + p + "}").encode()).json["id"] for p in payloads]
        everything.wait_for(4 * len(payloads))
        self.assertEqual([payloads[0]], [request.body.decode() for request in large.wait_for(1)])
        for event in ids:
            daemon.post(f"/v1/events/{event}/replay")
        everything.wait_for(8 * len(payloads))
        large.wait_for(2)
        wait_until(lambda: daemon.get("/v1/status").json["deliveries"]["pending"] == 0, "all is delivered")
        self.assertEqual([payloads[0]] * 2, [request.body.decode() for request in large.requests])


if __name__ == "__main__":
    unittest.main()
