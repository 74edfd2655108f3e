"""The fixed workload of the faults at every system call: everything that an answer promises, once or a few times."""
import concurrent.futures
import http.client
import pathlib
import threading

import strace
from framework import Run
from harness import PATIENCE, wait_until
from ledger import Ledger, integrity_as_found, payload_of

# Nearly what triggers a checkpoint (500 frames of 4120 bytes): the workload runs through one, and through the WAL's new beginning.
FILLED = 440 * 4120
SIDE_BY_SIDE = 4  # cases, which wait more than they work


class Flaky:
    """Fails the first attempt of each event."""

    def __init__(self):
        self.seen = set()
        self.lock = threading.Lock()

    def __call__(self, request):
        with self.lock:
            first = request.id not in self.seen
            self.seen.add(request.id)
        return 500 if first else 200


class Workload:
    def __init__(self, run):
        self.ledger = Ledger()
        self.steady, self.flaky = run.receiver(), run.receiver(Flaky())
        self.receivers = []  # of the endpoints that were acknowledged
        self.allowed = {}    # endpoint: {field: values it may have}; what was asked for and not answered may have happened or not
        self.sent = 0
        self.finished = False

    def fill(self, daemon):
        wal = pathlib.Path(f"{daemon.database}-wal")
        while wal.stat().st_size < FILLED:
            daemon.event("fill.ing")

    def run(self, daemon):
        """Up to its end, or the daemon's."""
        try:
            self.steps(daemon)
            self.ledger.settle(daemon, self.receivers, 5)
            self.finished = daemon.process.poll() is None
        except (OSError, http.client.HTTPException):
            pass

    def steps(self, daemon):
        steady = self.endpoint(daemon, self.steady)
        flaky = self.endpoint(daemon, self.flaky, retry_schedule=["0s"] + ["10ms"] * 20)
        first = self.event(daemon)
        for _ in range(5):
            self.event(daemon)
        self.change(daemon, steady, name="renamed")
        self.transaction(daemon)
        for _ in range(6):
            self.event(daemon)
        self.batch(daemon)
        self.ask(daemon, "POST", f"/v1/events/{first}/replay")
        self.transaction(daemon)
        self.change(daemon, flaky, state="paused")
        for _ in range(3):
            self.event(daemon)
        self.change(daemon, flaky, state="active")
        for _ in range(6):
            self.event(daemon)

    def ask(self, daemon, method, path, body=None):
        answer = daemon.call(method, path, body)
        if answer.status == 500:  # the last that a daemon says whose store failed: given up, the effect unknown
            wait_until(lambda: daemon.process.poll() is not None, f"outboxd ends after {answer}", 5)
            raise ConnectionError(answer)
        if answer.status >= 300:
            raise AssertionError(f"{method} {path}: {answer}")
        return answer.json

    def endpoint(self, daemon, receiver, **fields):
        endpoint = self.ask(daemon, "POST", "/v1/endpoints", {"url": receiver.url, **fields})
        self.receivers.append(receiver)
        self.allowed[endpoint["id"]] = {field: {endpoint[field]} for field in ("name", "state")}
        return endpoint["id"]

    def change(self, daemon, endpoint, **fields):
        for field, value in fields.items():
            self.allowed[endpoint][field].add(value)
        if "state" in fields:
            self.ask(daemon, "POST", f"/v1/endpoints/{endpoint}/{'pause' if fields['state'] == 'paused' else 'resume'}")
        else:
            self.ask(daemon, "PATCH", f"/v1/endpoints/{endpoint}", fields)
        for field, value in fields.items():
            self.allowed[endpoint][field] = {value}

    def key(self):
        self.sent += 1
        return f"fixed-{self.sent}"

    def event(self, daemon):
        key = self.key()
        event = self.ask(daemon, "POST", "/v1/events", f'{{"type": "fixed.one", "payload": {payload_of(key)}}}')["id"]
        self.ledger.promise(key, event)
        return event

    def batch(self, daemon):
        keys = [self.key() for _ in range(5)]
        events = ",".join(f'{{"type": "fixed.batch", "payload": {payload_of(key)}}}' for key in keys)
        for key, event in zip(keys, self.ask(daemon, "POST", "/v1/events", f"[{events}]")["data"]):
            self.ledger.promise(key, event["id"])

    def transaction(self, daemon):
        keys = [self.key() for _ in range(3)]
        rows = ",".join(f"('fixed.sql', '{payload_of(key)}')" for key in keys)
        ended = daemon.sql(f".bail on\nPRAGMA wal_autocheckpoint=0; BEGIN IMMEDIATE; INSERT INTO outbox(type, payload) VALUES {rows}; COMMIT;")
        if ended.returncode != 0:
            raise AssertionError(f"the SQL producer was refused: {ended.stderr}")
        for key in keys:
            self.ledger.promise(key)

    def broken(self, daemon, patience):
        """On a daemon that has been started again; ends what the kill left undone."""
        broken = []
        for endpoint, fields in self.allowed.items():
            answer = daemon.get(f"/v1/endpoints/{endpoint}")
            if answer.status != 200:
                broken.append(f"endpoint {endpoint} was acknowledged and is not there: {answer}")
                continue
            for field, values in fields.items():
                if answer.json[field] not in values:
                    broken.append(f"endpoint {endpoint}: {field} is {answer.json[field]}, not of {values}")
            if answer.json["state"] == "paused":
                daemon.post(f"/v1/endpoints/{endpoint}/resume")
        return broken + self.ledger.broken(daemon, self.receivers, patience)


def calls_of(run):
    """{system call: how often the busiest thread makes it} in the workload."""
    strace.need_strace()
    daemon, work = run.daemon().start(), Workload(run)
    work.fill(daemon)
    attached = strace.Attached(daemon)
    work.run(daemon)
    daemon.kill()
    return strace.counts(attached.wait())


def killed_midway(run):
    """A daemon that was killed with everything yet to deliver, for starts to recover."""
    daemon, work = run.daemon().start(), Workload(run)
    work.flaky.answer = work.steady.answer = lambda request: 503
    work.fill(daemon)
    for receiver in (work.steady, work.flaky):
        work.endpoint(daemon, receiver, retry_schedule=["0s"] + ["100ms"] * 60)
    for _ in range(12):
        work.event(daemon)
    work.transaction(daemon)
    daemon.kill()
    for receiver in work.receivers:
        receiver.answer = lambda request: 200
        receiver.requests.clear()
    return daemon, work


def calls_of_start(run):
    daemon, _ = killed_midway(run)
    output = strace.run_under(daemon)
    daemon.start()
    daemon.kill()
    return strace.counts(strace.complete(output, daemon))


def every_point(run, what, most, names, limit, case):
    """Does the case at each point, some side by side, and says how many were reached."""
    chosen = strace.points(most, names, limit, run.random)

    def one(point):
        own = Run(run.quick, seed=0)
        try:
            return case(own, *point)
        except Exception as error:  # one that waited in vain is a failed case, and the others go on
            return [repr(error)], True
        finally:
            own.cleanup()

    reached = 0
    with concurrent.futures.ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        try:
            for (name, k), (broken, came) in zip(chosen, pool.map(one, chosen)):
                reached += came
                run.check(not broken, f"{what} {name} {k}: {broken[:3]}")
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    calls = ", ".join(f"{most[name]} {name}" for name in names if most[name])
    return f"{what}: {reached} of {len(chosen)} faults at their call of {calls}"


def check_restart(daemon, work, run, patience=PATIENCE):
    """What a killed daemon left: sound as it was found, and everything promised there after a start."""
    found = integrity_as_found(daemon, run.folder())
    if found != "ok":
        return [f"integrity: {found}"]
    try:
        return work.broken(daemon.start(), patience)
    except AssertionError as error:  # it does not start
        return [str(error)]
