"""The walk at three in the morning: thirty endpoints in ten kinds of trouble, and an operator who has outboxctl and its --help."""
import json
import time
import unittest

from harness import EndToEndTest, wait_until

EVENTS = 5_000
COMMANDS = 12
FAST = ["0s", "200ms", "500ms"] + ["1s"] * 40


class Walk(EndToEndTest):
    """Each endpoint has its own receiver's path; what a receiver answers to a path is in `answers`."""

    def setUp(self):
        super().setUp()
        self.answers = {}
        self.got = {}
        self.commands = []
        self.served = self.receiver(self.answer)
        self.outboxd = self.daemon("delivery.timeout=1s", "delivery.connect_timeout=1s").start()

    def answer(self, request):
        name = request.path.rsplit("/", 1)[1]
        reply = self.answers.get(name, 200)
        if reply == "hang":
            time.sleep(1.2)
            reply = 200
        if (reply if isinstance(reply, int) else reply[0]) == 200:
            self.got.setdefault(name, set()).add(request.id)
        return reply

    def ctl(self, *arguments):
        """One command of the operator's; answers what it printed."""
        self.commands.append(" ".join(arguments))
        done = self.outboxd.ctl(*arguments)
        self.assertEqual(0, done.returncode, done.stderr.decode())
        self.assertNotIn(b"Traceback", done.stderr)
        return done.stdout.decode()

    def endpoint(self, name, trouble=200, **fields):
        self.answers[name] = trouble
        fields = {"retry_schedule": FAST, "types": [name + ".x"], **fields}
        return self.outboxd.endpoint(f"{self.served.url}/{name}", name=name, **fields)

    def in_trouble(self):
        names = []

        def some(count, kind, *arguments, **fields):
            for n in range(count):
                self.endpoint(f"{kind}-{n}", *arguments, **fields)
                names.append(f"{kind}-{n}")

        some(5, "well")
        some(4, "failing", 503)
        some(2, "hanging", "hang")
        some(4, "flaky", 500)
        some(3, "limiting", (429, {"Retry-After": "1"}))
        some(4, "ordered", 500, ordering="key")
        some(2, "slow", rate_limit="200/s")
        some(1, "gone", 410)
        some(3, "refusing", 400, retry_schedule=["0s", "100ms"])
        some(1, "paused")
        # Nobody listens at the URL that somebody mistyped.
        self.outboxd.endpoint("http://127.0.0.1:9/hook/mistyped", name="mistyped", types=["mistyped.x"], retry_schedule=FAST)
        names.append("mistyped")
        self.outboxd.post("/v1/endpoints/paused-0/pause")
        return names

    def test_from_no_arguments_to_everything_delivered_in_a_dozen_commands(self):
        names = self.in_trouble()
        self.assertEqual(30, len(names))
        wanted = {name: set() for name in names}
        for first in range(0, EVENTS, 500):
            some = [{"type": names[n % 30] + ".x", "payload": n, "ordering_key": "k"} for n in range(first, first + 500)]
            answer = self.outboxd.post("/v1/events", some)
            self.assertEqual(202, answer.status, answer)
            for n, event in enumerate(answer.json["data"], first):
                wanted[names[n % 30]].add(event["id"])
        refused = {name: len(events) for name, events in wanted.items() if name.startswith("refusing")}

        def all_refused_is_dead():
            rows = self.outboxd.get("/v1/endpoints?stats=true").json["data"]
            return {row["name"]: row["stats"]["dead"] for row in rows if row["name"] in refused} == refused

        wait_until(all_refused_is_dead, "all that is refused is dead", 60)
        wait_until(lambda: self.outboxd.get("/v1/endpoints/gone-0").json["state"] == "disabled", "the one that is gone is disabled")

        # What there is; what is wrong; with whom; why.
        help_text = self.outboxd.ctl()
        self.commands.append("")
        self.assertEqual(2, help_text.returncode)
        self.assertIn("status", self.ctl("--help"))
        status = self.ctl("status")
        self.assertIn("1 endpoint is disabled", status)
        table = self.ctl("endpoint", "list")
        self.assertRegex(table, r"(?m)^paused-0 +paused +16\d +0")
        self.assertRegex(table, r"(?m)^gone-0 +disabled \(gone\) +16\d")
        self.assertRegex(table, r"(?m)^refusing-0 +active +0 +16\d")
        self.assertRegex(table, r"(?m)^mistyped .*breaker \d+")
        failures = self.ctl("failures", "--by", "endpoint")
        self.assertIn("refusing-0", failures)
        why = self.ctl("why", "mistyped")
        self.assertRegex(why, r"mistyped fails, \d+ times in a row")

        # The subscribers mend what is theirs; the operator what is his.
        for name in self.answers:
            self.answers[name] = 200
        self.ctl("endpoint", "set", "mistyped", "--url", f"{self.served.url}/mistyped")
        self.ctl("endpoint", "enable", "gone-0")
        self.ctl("endpoint", "resume", "paused-0")
        retried = self.ctl("delivery", "retry", "--state", "dead", "--yes")
        self.assertRegex(retried, r"\d+")
        wait_until(lambda: self.outboxd.get("/v1/status").json["deliveries"]["delivered"] == EVENTS, "all is delivered", 120)
        self.assertIn("health", self.ctl("status"))
        self.assertEqual(wanted, self.got)
        self.assertLessEqual(len(self.commands), COMMANDS, self.commands)

    def test_every_pending_delivery_says_what_it_waits_for(self):
        self.endpoint("paused")
        self.outboxd.post("/v1/endpoints/paused/pause")
        self.endpoint("asking", (429, {"Retry-After": "600"}))
        self.endpoint("breaking", 500, retry_schedule=["0s"] + ["10m"] * 3)
        self.endpoint("ordered", 500, ordering="key", retry_schedule=["0s", "10m"])
        self.endpoint("rated", 200, rate_limit="1/m")
        for name in ("paused", "asking", "breaking", "ordered", "rated"):
            for n in range(7):
                self.outboxd.event(name + ".x", str(n), ordering_key="k")
        expected = {"paused": {"paused": 7}, "ordered": {"due": 1, "order": 6}, "rated": {"rate_limit": 6}, "asking": {"retry_after", "due"},
                    "breaking": {"breaker", "due"}}

        def counted():
            rows = {e["name"]: e["stats"]["waiting"] for e in self.outboxd.get("/v1/endpoints?stats=true").json["data"]}
            return all(rows[name] == want if isinstance(want, dict) else set(rows[name]) <= want and rows[name]
                       for name, want in expected.items()) and rows
        wait_until(counted, "every endpoint counts what its deliveries wait for")
        for name in expected:
            stats = self.outboxd.get(f"/v1/endpoints/{name}/stats").json
            rows = self.outboxd.deliveries(f"&state=pending&endpoint={name}")
            said = {}
            for row in rows:
                self.assertIsNotNone(row["waiting"], row)
                said[row["waiting"]["for"]] = said.get(row["waiting"]["for"], 0) + 1
            self.assertEqual(stats["waiting"], said, name)
            for what, count in said.items():
                self.assertEqual(count, len(self.outboxd.deliveries(f"&waiting={what}&endpoint={name}")), (name, what))
        asked = json.loads(self.outboxd.ctl("why", "asking", "-o", "json").stdout)
        self.assertIn("asked for a pause (Retry-After), which ends in", asked["why"])
        metrics = self.outboxd.get("/metrics").body.decode()
        paused = self.outboxd.get("/v1/endpoints/paused").json["id"]
        self.assertIn(f'outbox_waiting{{endpoint="{paused}",for="paused"}} 7', metrics)
        self.assertEqual(0, self.outboxd.stop())
        self.assertIn("ok", self.outboxd.integrity())
        check = self.outboxd.ctl("db", "check", "--config", str(self.outboxd.config))
        self.assertEqual(0, check.returncode, check.stdout + check.stderr)


if __name__ == "__main__":
    unittest.main()
