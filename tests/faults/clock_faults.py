"""The wall clock set by an hour and by 400 days, while the daemon runs and while it is down: nothing lost, stalled or stormed."""
import collections
import concurrent.futures
import os
import pathlib
import threading
import time

from framework import Skip, fault, wait_until
from ledger import KEY, payload_of

PROMISE = "a clock that is set: nothing lost, stalled or stormed"
LIBRARY = pathlib.Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
HOUR, DAYS = 3600, 400 * 86400
PROMPT = 2.0       # seconds to deliver what comes after the step
WAIT = 3           # of a retry that is due soon
SOON = 2 * WAIT + 4  # when it must have been made, whatever the clock says
FAILING_WAIT = 6   # between the attempts at an endpoint that fails
CALM = 3           # seconds in which none but what fell due in the skipped time may be attempted
EVENTS = 450       # at the endpoint that fails some: their retries are more than a lane's window, most wait on disk
DELAYED, DELAY = 20, 120  # events, and seconds: long enough to be there when the clock is set


class FakeClock:
    """The wall clock of one daemon. The monotonic clock goes on as it is."""

    def __init__(self, run, daemon):
        if not LIBRARY.exists():
            raise Skip("libfaketime is not installed")
        self.file = run.folder() / "clock"
        self.offset = 0
        self.set(0)
        variables = {"LD_PRELOAD": LIBRARY, "FAKETIME_TIMESTAMP_FILE": self.file, "FAKETIME_NO_CACHE": 1, "DONT_FAKE_MONOTONIC": 1,
                     "NO_FAKE_STAT": 1}
        plain = daemon.command
        daemon.command = lambda: ["env", *(f"{name}={value}" for name, value in variables.items()), *plain()]

    def set(self, offset):
        self.offset = offset
        fresh = self.file.with_suffix(".new")
        fresh.write_text(f"{offset:+d}")
        os.replace(fresh, self.file)


class FailsSome:
    """The first attempt of each third event fails: many retries, but not so many failures in a row that the endpoint is given a rest."""

    def __init__(self):
        self.seen, self.lock = set(), threading.Lock()

    @staticmethod
    def fails(key):
        return int(key.rsplit("-", 1)[1]) % 3 == 0

    def __call__(self, request):
        key = KEY.search(request.body)[1].decode()
        with self.lock:
            first = key not in self.seen
            self.seen.add(key)
        return 500 if first and self.fails(key) else 200


class Case:
    def __init__(self, run, wait=WAIT, failing_wait=FAILING_WAIT):
        self.daemon = run.daemon()
        self.clock = FakeClock(run, self.daemon)
        self.daemon.start()
        self.steady, self.flaky, self.failing = run.receiver(), run.receiver(FailsSome()), run.receiver(lambda request: 500)
        self.endpoints = [
            self.daemon.endpoint(self.steady.url, types=["steady.**"])["id"],
            self.daemon.endpoint(self.flaky.url, types=["flaky.**"], retry_schedule=["0s"] + [f"{wait}s"] * 9)["id"],
            self.daemon.endpoint(self.failing.url, types=["failing.**"], retry_schedule=["0s"] + [f"{failing_wait}s"] * 9)["id"]]

    def send(self, kind, count, **fields):
        keys = [f"{kind}-{time.monotonic_ns()}-{n}" for n in range(count)]
        extra = "".join(f', "{name}": "{value}"' for name, value in fields.items())
        events = ",".join(f'{{"type": "{kind}.one", "payload": {payload_of(key)}{extra}}}' for key in keys)
        answer = self.daemon.post("/v1/events", f"[{events}]")
        assert answer.status == 202, answer
        return keys

    def prepare(self):
        """What waits when the clock is set: retries, most of them on disk only, and delayed events."""
        early = self.send("steady", 10)
        self.steady.wait_for(len(early))
        self.delayed = self.send("steady", DELAYED, delay=f"{DELAY}s")
        sent = self.send("flaky", EVENTS)
        self.retried = [key for key in sent if FailsSome.fails(key)]
        self.flaky.wait_for(EVENTS)
        self.failed = self.send("failing", 3)
        self.failing.wait_for(len(self.failed))
        wait_until(lambda: all(row["attempts"] for row in self.daemon.deliveries("&type=failing.one")), "failures are recorded")

    def late(self, receiver, keys, patience):
        """Those that have not been delivered after so many seconds."""
        deadline = time.monotonic() + patience
        while True:
            with receiver.lock:
                arrived = collections.Counter(KEY.search(request.body)[1].decode() for request in receiver.requests)
            missing = [key for key in keys if arrived[key] < (2 if receiver is self.flaky else 1)]
            if not missing or time.monotonic() > deadline:
                return missing
            time.sleep(0.02)

    def judge(self):
        """After the step: what is late, too much, lost or wrong."""
        broken, self.stepped = [], time.time()
        fresh = self.send("steady", 10)
        if late := self.late(self.steady, fresh, PROMPT):
            broken.append(f"{len(late)} of {len(fresh)} events sent after the step are not there after {PROMPT:g} s")
        if late := self.late(self.flaky, self.retried, SOON):
            broken.append(f"{len(late)} of {len(self.retried)} retries due within {WAIT} s are not made after {SOON} s")
        # A deliver_at, which a delay becomes, is a time of the wall clock: set back, it is yet to come.
        if self.clock.offset > 0 and (late := self.late(self.steady, self.delayed, SOON)):
            broken.append(f"{len(late)} of {len(self.delayed)} delayed by {DELAY} s are not there after {SOON} s")
        again = collections.Counter(request.id for request in self.failing.requests if request.at < self.stepped + CALM)
        # What fell due in the time that a step forward skips is due at once, but each once: the wait after it begins then.
        allowed = 2 if self.clock.offset > 0 else 1
        if max(again.values()) > allowed:
            broken.append(f"{max(again.values())} attempts of one delivery at an endpoint that fails, not {allowed}")
        after = [r for r in self.steady.requests if r.at > self.stepped]
        off = max(abs(int(r.headers["webhook-timestamp"]) - r.at - self.clock.offset) for r in after) if after else 0
        if off > 3:
            broken.append(f"a webhook-timestamp is off by {off:.0f} s")
        return broken

    def end(self):
        """Nothing is dead, no endpoint disabled; and what failed arrives when its endpoint answers."""
        broken = [f"endpoint {id} is {state}" for id in self.endpoints
                  if (state := self.daemon.get(f"/v1/endpoints/{id}").json["state"]) != "active"]
        if dead := self.daemon.deliveries("&state=dead"):
            broken.append(f"{len(dead)} dead letters: {dead[0]}")
        self.failing.answer = lambda request: 200
        self.failing.requests.clear()
        if late := self.late(self.failing, self.failed, 4 * FAILING_WAIT):
            broken.append(f"{len(late)} of {len(self.failed)} that had failed never arrived")
        waiting = DELAYED if self.clock.offset < 0 else 0
        deadline = time.monotonic() + 5  # what has arrived is recorded a little later
        while len(pending := self.daemon.deliveries("&state=pending")) != waiting and time.monotonic() < deadline:
            time.sleep(0.05)
        if len(pending) != waiting:
            broken.append(f"{len(pending)} left pending, not {waiting}, such as {pending[:1]}")
        return broken


def while_running(case, offset):
    case.clock.set(offset)


def across_stop(case, offset):
    case.daemon.stop()
    case.clock.set(offset)
    case.daemon.start()


def across_kill(case, offset):
    case.daemon.kill()
    case.clock.set(offset)
    case.daemon.start()


@fault(PROMISE, "steps of an hour and of 400 days, while running, across a stop and across kill -9")
def steps(run):
    hows = [while_running, across_stop, across_kill]
    cases = [(how, offset) for how in hows for offset in (HOUR, -HOUR, DAYS, -DAYS)]
    chosen = [cases[1], cases[2], cases[11]] if run.quick else cases

    def one(how, offset):
        case = Case(run)
        case.prepare()
        how(case, offset)
        return case.judge() + case.end()

    def broken_on_purpose(waits):
        case = Case(run, **waits)
        case.prepare()
        return case.judge()

    controls = [("a retry that waits an hour", {"wait": HOUR}, "retries due"),
                ("a schedule without waits", {"failing_wait": 0}, "attempts of one delivery")]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:  # they wait, mostly
        results = [pool.submit(one, *each) for each in chosen]
        shown = [pool.submit(broken_on_purpose, waits) for _, waits, _ in controls]
        for (how, offset), result in zip(chosen, results):
            run.check(not result.result(), f"{offset:+d} s {how.__name__}: {result.result()}")
        for (how, _, expected), result in zip(controls, shown):
            run.control(how, any(expected in text for text in result.result()))
    run.figures = f"prompt: {PROMPT:g} s, retries and delayed: {SOON} s"
