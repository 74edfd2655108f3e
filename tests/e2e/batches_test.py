"""Acts on everything that matched a filter: each is done once, at its rate, whatever is killed meanwhile."""
import collections
import json
import signal
import subprocess
import time
import unittest

from harness import BIN, EndToEndTest, wait_until

EVENTS = 600


class Batches(EndToEndTest):
    def setUp(self):
        super().setUp()
        self.answer = 400
        self.served = self.receiver(lambda request: self.answer)
        self.outboxd = self.daemon().start()

    def dead_letters(self, count):
        self.outboxd.endpoint(self.served.url, name="shop", retry_schedule=["0s"])
        for first in range(0, count, 200):
            some = [{"type": "a.b", "payload": n} for n in range(first, min(first + 200, count))]
            self.assertEqual(202, self.outboxd.post("/v1/events", some).status)
        wait_until(lambda: self.outboxd.get("/v1/status").json["deliveries"]["dead"] == count, "all are dead")
        self.answer = 200

    def batch(self):
        return self.outboxd.get("/v1/batches").json["data"][0]

    def ctl_process(self, *arguments):
        return subprocess.Popen([BIN / "outboxctl", "--socket", self.outboxd.admin, *arguments], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)

    def retry(self, *more):
        return self.ctl_process("delivery", "retry", "--endpoint", "shop", "--state", "dead", "--reason", "exhausted", "--yes", *more)

    def wait_for_batch(self, state="finished"):
        return wait_until(lambda: (batch := self.batch())["state"] == state and batch, f"the batch is {state}")

    def test_dead_letters_are_sent_once_more_and_no_more_whatever_is_killed(self):
        self.dead_letters(EVENTS)
        # What is under way when the daemon is killed would be sent again, as always; here it is the batch that is looked at.
        self.outboxd.post("/v1/endpoints/shop/pause")
        began = time.monotonic()
        ctl = self.retry("--rate", "200/s", "--note", "it is mended")
        wait_until(lambda: self.outboxd.get("/v1/batches").json["data"] and self.batch()["done"] > 0, "it has begun")
        self.assertEqual(EVENTS, self.batch()["matched"])
        ctl.kill()
        ctl.communicate()
        for done in (EVENTS // 3, EVENTS // 2):
            wait_until(lambda: self.batch()["done"] >= done, "it goes on")
            self.outboxd.kill()
            self.outboxd.start()
        ended = self.wait_for_batch()
        self.assertGreater(time.monotonic() - began, EVENTS / 200 - 1)
        self.assertEqual((EVENTS, 0, "it is mended"), (ended["done"], ended["skipped"], ended["reason"]))
        self.assertRegex(ended["who"], r"^uid \d+$")
        self.outboxd.post("/v1/endpoints/shop/resume")
        wait_until(lambda: self.outboxd.get("/v1/status").json["deliveries"]["delivered"] == EVENTS, "all are delivered")
        sent = collections.Counter(self.served.ids())
        self.assertEqual(EVENTS, len(sent))
        self.assertEqual({2}, set(sent.values()))
        self.assertEqual("ok", self.outboxd.integrity())

    def test_who_is_interrupted_says_how_to_go_on_and_who_cancels_ends_it(self):
        self.dead_letters(100)
        ctl = self.retry("--rate", "20/s")
        wait_until(lambda: self.outboxd.get("/v1/batches").json["data"] and self.batch()["done"] > 0, "it has begun")
        ctl.send_signal(signal.SIGINT)
        _, said = ctl.communicate()
        self.assertEqual(0, ctl.returncode, said)
        batch = self.batch()["id"]
        self.assertIn(f"outboxctl batch watch {batch}", said)
        self.assertIn(f"outboxctl batch cancel {batch}", said)
        watcher = self.ctl_process("batch", "watch", batch)
        self.assertEqual(0, self.outboxd.ctl("batch", "cancel", batch).returncode)
        out, _ = watcher.communicate()
        self.assertEqual(1, watcher.returncode)
        self.assertIn("cancelled", out)
        ended = self.wait_for_batch("cancelled")
        delivered = lambda: self.outboxd.get("/v1/status").json["deliveries"]["delivered"]
        wait_until(lambda: delivered() == ended["done"], "what was retried is delivered")
        self.assertLess(ended["done"], 100)
        time.sleep(0.3)
        self.assertEqual(ended, self.batch())
        self.assertEqual(100 + ended["done"], len(self.served.requests))
        # The rest, by another one.
        self.assertEqual(0, self.retry("--rate", "1000/s").wait())
        self.assertEqual(100 - ended["done"], self.batch()["done"])

    def test_an_endpoint_that_came_later_gets_what_it_has_missed_and_nothing_twice(self):
        self.answer = 200
        self.outboxd.endpoint(self.served.url, name="old")
        events = [self.outboxd.event("order.paid" if n % 3 else "order.lost", str(n))["id"] for n in range(9)]
        late = self.receiver()
        self.outboxd.endpoint(late.url, name="late", types=["order.paid"])
        newest = self.outboxd.event("order.paid", "9")["id"]
        self.outboxd.wait_for_state("delivered", 11)
        counted = self.outboxd.ctl("event", "replay", "--missing", "--endpoint", "late", "--since", "1h", "--dry-run", "-o", "json")
        self.assertEqual({"matched": 6, "exact": True}, json.loads(counted.stdout))
        for done in (6, 0):
            ended = self.outboxd.ctl("event", "replay", "--missing", "--endpoint", "late", "--since", "1h", "--yes")
            self.assertEqual(0, ended.returncode, ended.stderr)
            if done:
                self.assertEqual(f"{done} replayed\n", ended.stdout.decode())
            self.outboxd.wait_for_state("delivered", 17)
        self.assertEqual(collections.Counter([e for n, e in enumerate(events) if n % 3] + [newest]), collections.Counter(late.ids()))
        self.assertEqual(10, len(self.served.requests))

    def test_the_end_of_a_batch_is_announced_and_its_log_is_two_lines(self):
        ops = self.receiver()
        self.dead_letters(30)
        self.outboxd.endpoint(ops.url, tenant="_ops", types=["outboxd.batch.finished"])
        self.assertEqual(0, self.retry().wait())
        told = json.loads(ops.wait_for(1)[0].body)
        batch = self.wait_for_batch()
        self.assertEqual((batch["id"], "finished", 30), (told["batch"], told["state"], told["done"]))
        lines = lambda: [line for line in self.outboxd.log().splitlines() if batch["id"] in line and "msg=\"batch " in line]
        wait_until(lambda: len(lines()) >= 2, "the log tells of its beginning and its end")
        self.assertEqual(2, len(lines()), self.outboxd.log())
        self.assertIn('outbox_batch_items_total{action="retry",result="done"} 30', self.outboxd.get("/metrics").body.decode())


if __name__ == "__main__":
    unittest.main()
