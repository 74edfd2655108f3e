"""The delivery engine: order across kills, isolation, rate limits, the breaker, fan-out, several loops, operational events."""
import collections
import json
import random
import threading
import time
import unittest

from harness import EndToEndTest, PATIENCE, wait_until


class Ledger:
    """What a receiver accepted: for each key the numbers, in the order in which they were answered 200."""

    def __init__(self, failure_rate, seed):
        self.random = random.Random(seed)
        self.failure_rate = failure_rate
        self.lock = threading.Lock()
        self.taken = collections.defaultdict(list)
        self.under_way = collections.Counter()
        self.overlaps = 0

    def answer(self, request):
        event = json.loads(request.body)
        key = event["key"]
        with self.lock:
            self.under_way[key] += 1
            self.overlaps += self.under_way[key] > 1
            fails = self.random.random() < self.failure_rate
        try:
            if fails:
                return self.random.choice([500, 500, 503, 404])
            with self.lock:
                self.taken[key].append(event["n"])
            return 200
        finally:
            with self.lock:
                self.under_way[key] -= 1

    def count(self):
        with self.lock:
            return sum(len(set(numbers)) for numbers in self.taken.values())


class Ordering(EndToEndTest):
    def post_keys(self, daemon, keys, each):
        for n in range(each):
            events = [{"type": "order.step", "payload": {"key": key, "n": n}, "ordering_key": key} for key in keys]
            answer = daemon.post("/v1/events", events)
            self.assertEqual(202, answer.status, answer)

    def test_twenty_keys_stay_in_order_across_failures_and_kills(self):
        ledger = Ledger(0.05, seed=7)
        daemon, receiver = self.daemon().start(), self.receiver(ledger.answer)
        daemon.endpoint(receiver.url, ordering="key", max_in_flight=32, retry_schedule=["0s"] + ["20ms"] * 40)
        keys = [f"key-{i}" for i in range(20)]
        self.post_keys(daemon, keys, 500)
        for part in (0.2, 0.4, 0.6, 0.8):
            wait_until(lambda: ledger.count() >= part * 10_000, f"{part:.0%} delivered, {ledger.count()} are", PATIENCE * 6)
            daemon.kill()
            with ledger.lock:
                ledger.under_way.clear()
            daemon.start()
        wait_until(lambda: ledger.count() == 10_000, f"all delivered, {ledger.count()} are", PATIENCE * 6)
        repeats = 0
        for key in keys:
            numbers = ledger.taken[key]
            distinct = [n for i, n in enumerate(numbers) if i == 0 or n != numbers[i - 1]]
            self.assertEqual(list(range(500)), distinct, key)  # a repeat comes directly after its first
            repeats += len(numbers) - len(distinct)
        self.assertLessEqual(repeats, 20 * 4)
        self.assertEqual(0, ledger.overlaps, "two of one key at a time")

    def test_a_failing_delivery_blocks_its_key_alone(self):
        broken = True
        receiver = self.receiver(lambda r: 500 if broken and b'"bad"' in r.body else 200)
        daemon = self.daemon().start()
        daemon.endpoint(receiver.url, ordering="key", retry_schedule=["0s"] + ["200ms"] * 60)
        first = daemon.event(payload='"bad"', ordering_key="a")["id"]
        second = daemon.event(payload='"behind"', ordering_key="a")["id"]
        other = daemon.event(payload='"other"', ordering_key="b")["id"]
        wait_until(lambda: other in receiver.ids() and receiver.ids().count(first) >= 3, "the other key goes on")
        self.assertNotIn(second, receiver.ids())
        broken = False
        wait_until(lambda: second in receiver.ids(), "the key goes on after its head")

    def test_skip_dead_letters_the_failing_one_and_goes_on(self):
        receiver = self.receiver(lambda r: 500 if b'"bad"' in r.body else 200)
        daemon = self.daemon().start()
        daemon.endpoint(receiver.url, ordering="endpoint", on_failure_in_order="skip")
        sent = [daemon.event(payload=f'"{p}"')["id"] for p in ("one", "bad", "three")]
        wait_until(lambda: sent[2] in receiver.ids(), "the one behind arrives")
        self.assertEqual(sent, receiver.ids())
        dead = daemon.wait_for_state("dead", 1)
        self.assertEqual(["skipped"], [row["reason"] for row in dead])

    def test_a_replayed_delivery_takes_its_old_place(self):
        behaviour = {"status": 500}
        receiver = self.receiver(lambda r: behaviour["status"])
        daemon = self.daemon().start()
        endpoint = daemon.endpoint(receiver.url, ordering="key", retry_schedule=["0s"])
        first = daemon.event(ordering_key="a")["id"]
        dead = daemon.wait_for_state("dead", 1)[0]
        daemon.post(f"/v1/endpoints/{endpoint['id']}/pause")
        second = daemon.event(ordering_key="a")["id"]
        self.assertEqual(200, daemon.post(f"/v1/deliveries/{dead['id']}/retry").status)
        behaviour["status"] = 200
        daemon.post(f"/v1/endpoints/{endpoint['id']}/resume")
        wait_until(lambda: second in receiver.ids(), "both arrive")
        self.assertEqual([first, first, second], receiver.ids())


class Isolation(EndToEndTest):
    def test_many_hanging_endpoints_do_not_delay_a_healthy_one(self):
        released = threading.Event()
        self.addCleanup(released.set)
        hanging = self.receiver(lambda r: released.wait(60) and 200 or 200)
        healthy = self.receiver()
        daemon = self.daemon("delivery.max_in_flight=40", "delivery.timeout=30s").start()
        daemon.endpoint(healthy.url, types=["good"])
        daemon.event(type="good")
        healthy.wait_for(1)
        for n in range(60):
            daemon.endpoint(hanging.url + f"/{n}", types=["bad"])
        for _ in range(3):
            daemon.event(type="bad")
        wait_until(lambda: daemon.get("/v1/status").json["in_flight"] >= 30, "three quarters of the slots hang")
        for n in range(2, 30):
            daemon.event(type="good")
            healthy.wait_for(n, patience=5)
        self.assertLessEqual(daemon.get("/v1/status").json["in_flight"], 31)
        released.set()

    def test_several_delivery_loops_share_the_endpoints(self):
        daemon = self.daemon("delivery.threads=3").start()
        receivers = [self.receiver() for _ in range(5)]
        for receiver in receivers:
            daemon.endpoint(receiver.url)
        sent = {daemon.event()["id"] for _ in range(40)}
        for receiver in receivers:
            wait_until(lambda: sent <= set(receiver.ids()), "every endpoint gets every event")
        self.assertEqual(0, daemon.stop())


class Pace(EndToEndTest):
    def test_a_rate_limit_holds(self):
        receiver = self.receiver()
        daemon = self.daemon().start()
        daemon.endpoint(receiver.url, rate_limit="20/s")
        answer = daemon.post("/v1/events", [{"type": "a.b", "payload": n} for n in range(40)])
        self.assertEqual(202, answer.status)
        requests = receiver.wait_for(40)
        times = [r.at for r in requests]
        # At most the rate and its burst of two within any second. The receiver's own clock may blur the edges.
        for i, begin in enumerate(times):
            self.assertLessEqual(sum(begin <= t < begin + 0.95 for t in times[i:]), 22)

    def test_the_breaker_probes_one_at_a_time_and_uses_up_no_schedule(self):
        broken = True
        under_way = collections.Counter()
        lock = threading.Lock()

        def answer(request):
            with lock:
                under_way["now"] += 1
                under_way["most"] = max(under_way["most"], under_way["now"])
            time.sleep(0.01)
            with lock:
                under_way["now"] -= 1
            return 500 if broken else 200

        receiver = self.receiver(answer)
        daemon = self.daemon().start()
        daemon.endpoint(receiver.url, retry_schedule=["0s", "300ms", "300ms", "300ms"])
        daemon.post("/v1/events", [{"type": "a.b", "payload": n} for n in range(50)])
        receiver.wait_for(8)
        with lock:
            under_way["most"] = 0
        receiver.wait_for(14)
        self.assertEqual(1, under_way["most"])
        self.assertEqual([], daemon.deliveries("&state=dead"))
        broken = False
        wait_until(lambda: len(set(receiver.ids())) == 50 and not daemon.deliveries("&state=pending"), "all arrive")
        self.assertEqual(50, len(daemon.deliveries("&state=delivered")))


class FanOut(EndToEndTest):
    def test_an_event_to_many_endpoints_is_resumed_after_a_kill(self):
        receiver = self.receiver()
        daemon = self.daemon().start()
        endpoints = {daemon.endpoint(receiver.url + f"/{n}", types=["wide.*"], state="paused")["id"] for n in range(2500)}
        answer = daemon.event(type="wide.one")
        self.assertEqual(2500, answer["deliveries"])
        daemon.kill()
        daemon.start()
        rows = wait_until(lambda: len(r := daemon.deliveries(f"&event={answer['id']}")) == 2500 and r, "every delivery is made")
        self.assertEqual(endpoints, {row["endpoint"] for row in rows})


class OperationalEvents(EndToEndTest):
    def test_dead_letters_and_turns_of_endpoints_are_told_to_ops(self):
        status = {"bad": 500, "gone": 410}
        ops = self.receiver()
        receiver = self.receiver(lambda r: status[r.path.rsplit("/", 1)[1]])
        daemon = self.daemon().start()
        daemon.endpoint(ops.url, tenant="_ops")
        bad = daemon.endpoint(receiver.url + "/bad", types=["a"], retry_schedule=["0s"])["id"]
        gone = daemon.endpoint(receiver.url + "/gone", types=["b"])["id"]
        for _ in range(5):
            daemon.event(type="a")
        daemon.event(type="b")

        def told():
            return [(r.headers["outboxd-event-type"], json.loads(r.body)) for r in list(ops.requests)]

        wait_until(lambda: len([t for t, _ in told() if t == "outboxd.delivery.dead"]) == 6, "every dead letter is told")
        wait_until(lambda: [b["endpoint"] for t, b in told() if t == "outboxd.endpoint.disabled"] == [gone], "410 is told")
        failing = wait_until(lambda: [b for t, b in told() if t == "outboxd.endpoint.failing"], "the fifth failure in a row is told")
        self.assertEqual([(bad, "http_5xx")], [(b["endpoint"], b["error"]) for b in failing])
        status["bad"] = 200
        daemon.event(type="a")
        recovered = wait_until(lambda: [b for t, b in told() if t == "outboxd.endpoint.recovered"], "recovery is told")
        self.assertEqual(bad, recovered[0]["endpoint"])
        self.assertEqual({"exhausted", "gone"}, {b["reason"] for t, b in told() if t == "outboxd.delivery.dead"})

    def test_a_high_backlog_is_told_to_ops_once(self):
        ops = self.receiver()
        daemon = self.daemon("limits.backlog=4").start()
        daemon.endpoint(ops.url, tenant="_ops", types=["outboxd.backlog.*"])
        daemon.endpoint(self.receiver().url, name="shop", types=["a"], state="paused")
        for _ in range(5):
            daemon.event(type="a")
        told = wait_until(lambda: list(ops.requests), "it is told")
        self.assertEqual({"outboxd.backlog.high"}, {request.headers["outboxd-event-type"] for request in told})
        self.assertEqual(4, json.loads(told[0].body)["limit"])
        self.assertGreaterEqual(json.loads(told[0].body)["pending"], 4)
        daemon.post("/v1/endpoints/shop/resume")
        daemon.wait_for_log("the backlog is no longer high")
        self.assertEqual(1, len(ops.requests))


if __name__ == "__main__":
    unittest.main()
