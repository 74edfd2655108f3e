"""The walk at three in the morning, in the dashboard alone: nothing is typed but a rate."""
import os
import time
import unittest

from browser import BrowserTest, needs_browser, until
from harness import wait_until

# OUTBOXD_DEAD_LETTERS=10000 is the walk in full.
DEAD = int(os.environ.get("OUTBOXD_DEAD_LETTERS", "1000"))
OTHER_DEAD = 200
SEEN_WITHIN = 5  # seconds
CLICKS = 3


@needs_browser
class Walk(BrowserTest):
    settings = ("delivery.timeout=2s", "delivery.connect_timeout=1s")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.answers = {"shop": (400, {}, b"unknown field"), "crm": (400, {}, b"unknown field")}
        cls.first_trouble = None
        cls.served = cls.receiver(cls.answer)
        for name in cls.answers:
            cls.outboxd.endpoint(f"{cls.served.url}/{name}", name=name, types=[f"{name}.**"], retry_schedule=["0s"])
        cls.outboxd.endpoint(f"{cls.served.url}/well", name="well", types=["well.**"])
        cls.enter()

    @classmethod
    def answer(cls, request):
        reply = cls.answers.get(request.path.rsplit("/", 1)[1], 200)
        if cls.first_trouble is None and isinstance(reply, tuple) and reply[0] == 500:
            cls.first_trouble = time.monotonic()
        return reply

    def send(self, name, count):
        for first in range(0, count, 500):
            some = [{"type": f"{name}.paid", "payload": n} for n in range(first, min(first + 500, count))]
            self.assertEqual(202, self.outboxd.post("/v1/events", some).status)

    def states(self):
        return self.outboxd.get("/v1/status").json["deliveries"]

    def endpoint_states(self, name):
        stats = self.outboxd.get(f"/v1/endpoints/{name}/stats").json
        return {state: stats[state] for state in ("pending", "delivered", "dead")}

    def test_from_the_alarm_to_everything_delivered(self):
        # What the night has left: dead letters of two endpoints, which took nothing for a while.
        self.send("shop", DEAD)
        self.send("crm", OTHER_DEAD)
        wait_until(lambda: self.states()["dead"] == DEAD + OTHER_DEAD, "all are dead", 60 + DEAD / 100)
        self.answers["shop"] = self.answers["crm"] = 200
        for name in ("shop", "crm", "well"):
            self.send(name, 5)
        wait_until(lambda: self.states()["pending"] == 0, "what is sent is delivered")
        self.alarm()
        self.cause()
        self.answers["shop"] = 200
        wait_until(lambda: self.endpoint_states("shop")["pending"] == 0, "the endpoint recovers", 60)
        before = self.endpoint_states("shop")
        self.replay(before["dead"])
        wait_until(lambda: self.endpoint_states("shop") == {"pending": 0, "delivered": before["delivered"] + before["dead"], "dead": 0},
                   "all of the shop's is delivered", 60)
        self.cancelled()

    def alarm(self):
        """Trouble begins; the overview, which is open, says so in time."""
        self.browser.open("/")
        self.browser.wait_for_text("Nothing is stuck")
        self.answers["shop"] = (500, {}, b"the database is down")
        self.send("shop", 8)
        self.browser.find(".alarms li", "^shop: .*HTTP (status )?500")
        self.assertLess(time.monotonic() - self.first_trouble, SEEN_WITHIN)

    def cause(self):
        """From the alarm to what the receiver said, by clicks alone."""
        self.browser.clicks = 0
        self.browser.click(".alarms a", "^shop$")
        self.browser.wait_for_text("HTTP 500|http_5xx")
        self.browser.click("main a[href^='#/deliveries/dlv_']")
        self.browser.wait_for_text("the database is down|HTTP 500")
        self.assertLessEqual(self.browser.clicks, CLICKS)

    def start_batch(self, name, rate):
        """Of an endpoint's dead letters, from the failures page."""
        self.browser.click("nav a", "^Failures$")
        self.browser.settle()
        self.browser.choose("^By$", "endpoint")
        self.browser.click("main tr button", "^Retry", row=name)
        self.browser.fill("^At most$", rate, "dialog")
        self.browser.click("dialog button", "^Retry ")
        self.browser.find("h1", "^Batch: retry")
        self.browser.wait_for_text(f"endpoint {name}")

    def replay(self, count):
        self.start_batch("shop", "200/s")
        began = time.monotonic()
        seen = set()

        def moved():
            seen.add(self.browser.js("return document.querySelector('main progress')?.value ?? null"))
            return len(seen - {None}) >= 3
        until(moved, "the progress moves on")
        self.browser.wait_for_text("Batch: retry finished", patience=60 + count / 200)
        self.assertGreater(time.monotonic() - began, count / 200 - 2)
        batch = self.outboxd.get("/v1/batches").json["data"][0]
        self.assertEqual(("finished", count, "200/s"), (batch["state"], batch["done"], batch["rate"]))

    def cancelled(self):
        self.start_batch("crm", "10/s")
        self.browser.click("main button", "^Cancel this batch$")
        self.browser.click("dialog button", "^Cancel the batch$")
        self.browser.wait_for_text("Batch: retry cancelled")
        batch = self.outboxd.get("/v1/batches").json["data"][0]
        self.assertEqual("cancelled", batch["state"])
        self.assertLess(batch["done"], OTHER_DEAD)
        wait_until(lambda: self.endpoint_states("crm") == {"pending": 0, "delivered": 5 + batch["done"], "dead": OTHER_DEAD - batch["done"]},
                   "what was not retried is dead still")


if __name__ == "__main__":
    unittest.main()
