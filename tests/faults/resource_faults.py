"""Bounded: without file descriptors, or without memory, the daemon says so and goes on or dies; what was accepted is there either way."""
import collections
import http.client
import pathlib
import re
import socket
import subprocess
import time

from framework import Skip, fault
from harness import Daemon, UnixConnection, wait_until
from ledger import ApiProducers, Ledger

HERE = pathlib.Path(__file__).resolve().parent
SCHEDULE = "delivery.retry_schedule=0s," + ",".join(["200ms"] * 60)  # an attempt that failed for want of a descriptor is one


class Confined(Daemon):
    """A daemon started by a command that takes something away from it."""

    prefix = ()

    def command(self):
        return [*self.prefix, *super().command()]


def confined(run, prefix, *settings, folder=None):
    daemon = Confined(folder or run.folder(), settings)
    daemon.prefix = prefix
    run.closers.append(lambda: daemon.process and daemon.process.poll() is None and daemon.kill())
    return daemon


class Crowd:
    """Connections to the API that say nothing."""

    def __init__(self, run, daemon):
        self.sockets, self.unix, self.tcp = [], str(daemon.ingest), ("127.0.0.1", daemon.tcp_port)
        run.closers.append(self.leave)

    def come(self, count):
        for n in range(count):
            connection = socket.socket(socket.AF_UNIX if n % 2 else socket.AF_INET)
            connection.settimeout(5)
            self.sockets.append(connection)
            connection.connect(self.unix if n % 2 else self.tcp)

    def leave(self):
        for connection in self.sockets:
            connection.close()
        self.sockets = []


class Squeeze:
    """A daemon with so many descriptors, a crowd of connections and many endpoints, under load; and what became of it."""

    EVENTS = 300   # each goes to all endpoints
    PATIENCE = 15  # for an answer of the API when the crowd and the load have gone

    def __init__(self, run, limit, endpoints, seconds, *settings):
        self.ledger, self.reachable = Ledger(), True
        self.daemon = daemon = confined(run, ("prlimit", f"--nofile={limit}:{limit}"), SCHEDULE, *settings)
        receiver = run.receiver(lambda request: time.sleep(0.02) or 200)
        try:
            daemon.start()
        except AssertionError:  # it says why, see log()
            self.ended = daemon.process.poll()
            self.broken = []
            return
        crowd = Crowd(run, daemon)
        for n in range(endpoints):
            daemon.endpoint(f"{receiver.url}/{n}")
        producers = ApiProducers(daemon, self.ledger, f"limit-{limit}", threads=2)
        wait_until(lambda: len(self.ledger) > 5 or daemon.process.poll() is not None, "the load is under way")
        crowd.come(300)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and daemon.process.poll() is None:
            if len(self.ledger) > self.EVENTS:
                producers.stopping.set()
            time.sleep(0.01)
        producers.stop()
        crowd.leave()
        self.ended = daemon.process.poll()
        if self.ended is None:
            self.reachable = self.answers()
            daemon.kill()
        daemon.prefix = ()  # what was accepted is asked of a daemon that has enough
        self.broken = self.ledger.broken(daemon.start(), [receiver], 60)

    def answers(self):
        connection = UnixConnection(self.daemon.admin, timeout=self.PATIENCE)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()


@fault("bounded", "RLIMIT_NOFILE low, with many connections and many endpoints")
def few_descriptors(run):
    figures = []
    for limit in (100, 300) if run.quick else (40, 80, 100, 120, 150, 300, 400):
        squeeze = Squeeze(run, limit, 5 if run.quick else 50, 2 if run.quick else 6)
        log = squeeze.daemon.log()
        if squeeze.ended is not None and not squeeze.ledger:
            run.check(squeeze.ended > 0 and ("Too many open files" in log or "errno 24" in log or "LimitNOFILE" in log),
                      f"{limit} descriptors: does not start, with {squeeze.ended} and no word of descriptors: {log[-600:]}")
            figures.append(f"{limit}: refused to start")
            continue
        run.check(squeeze.ended is None, f"{limit} descriptors: ended with {squeeze.ended}: {log[-600:]}")
        run.check(squeeze.reachable, f"{limit} descriptors: no answer from the API {squeeze.PATIENCE} s after the load and the crowd had gone")
        run.check(not squeeze.broken, f"{limit} descriptors: {squeeze.broken[:3]}")
        run.check("LimitNOFILE" in log, f"{limit} descriptors: the log does not say what to raise")
        figures.append(f"{limit}: {len(squeeze.ledger)}")
        run.cleanup()
    run.figures = "events accepted with so many descriptors, none lost: " + ", ".join(figures)
    run.control("enough descriptors: the log has no reason to complain", "LimitNOFILE" not in Squeeze(run, 20000, 5, 0.5, "delivery.max_in_flight=4096").daemon.log())


def failing_malloc(run):
    library = run.folder() / "failing_malloc.so"
    try:
        built = subprocess.run(["gcc", "-O1", "-shared", "-fPIC", "-o", str(library), str(HERE / "failing_malloc.c")], capture_output=True,
                               text=True, check=False)
    except FileNotFoundError:
        raise Skip("no gcc") from None
    if built.returncode != 0:
        raise RuntimeError(built.stderr)
    return library


def loaded_until_it_ends(run, daemon, seconds):
    """Loads a confined daemon until it has ended or the time is up; the ledger, the receiver and the exit status (None: it lived)."""
    ledger, receiver = Ledger(), run.receiver()
    try:
        daemon.start()
        daemon.endpoint(receiver.url)
    except (AssertionError, OSError):  # no memory to begin with
        daemon.process.kill()
        return ledger, receiver, daemon.process.wait()
    producers = ApiProducers(daemon, ledger, "memory", threads=2)
    big = 0
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and daemon.process.poll() is None:
        post_big(daemon, ledger, f"big-{big}")
        big += 1
    producers.stop()
    before = len(ledger)
    for n in range(20):  # some of them may be refused; a daemon that lives and takes nothing any more is worse than a dead one
        post_big(daemon, ledger, f"last-{n}")
    status = daemon.process.poll()
    if status is None:
        daemon.kill()
        status = None if len(ledger) > before else "alive and useless"
    return ledger, receiver, status


def post_big(daemon, ledger, key):
    connection = UnixConnection(daemon.ingest, timeout=10)
    try:
        connection.request("POST", "/v1/events", f'{{"type": "load.big", "payload": {{"key": "{key}", "filling": "{"x" * 200_000}"}}}}',
                           {"Content-Type": "application/json"})
        response = connection.getresponse()
        response.read()
        if response.status == 202:
            ledger.promise(key)
    except (OSError, http.client.HTTPException):
        pass  # it ended under us
    finally:
        connection.close()


def recovered(run, daemon, ledger, receiver):
    """What is broken after a start with enough of everything."""
    daemon.prefix = ()
    if daemon.database.exists():
        if (found := daemon.integrity()) != "ok":
            return [f"integrity: {found}"]
    daemon.start()
    receivers = [receiver] if daemon.get("/v1/endpoints").json["data"] else []
    return ledger.broken(daemon, receivers, 60)


def peak_address_space(run):
    daemon = run.daemon().start()
    status = pathlib.Path(f"/proc/{daemon.process.pid}/status").read_text()
    daemon.kill()
    return int(re.search(r"VmPeak:\s+(\d+) kB", status)[1]) * 1024


@fault("bounded", "allocations that fail: an address space just large enough, and a malloc that fails at random")
def failed_allocations(run):
    ends = collections.Counter()
    accepted = 0

    def case(what, prefix):
        nonlocal accepted
        daemon = confined(run, prefix, SCHEDULE)
        ledger, receiver, status = loaded_until_it_ends(run, daemon, 2 if run.quick else 4)
        ends["lived" if status is None else f"ended with {status}"] += 1
        run.check(status != "alive and useless", f"{what}: alive, but accepts nothing: {daemon.log()[-600:]}")
        accepted += len(ledger)
        broken = recovered(run, daemon, ledger, receiver)
        run.check(not broken, f"{what}: {broken[:3]}; {daemon.log()[-300:]}")
        return ledger, daemon, receiver

    room = peak_address_space(run)
    for extra in (2,) if run.quick else (0, 1, 2, 4, 8, 16, 32, 64, 128):
        case(f"RLIMIT_AS {extra} MiB over what it takes to start", ("prlimit", f"--as={room + (extra << 20)}"))
    library = failing_malloc(run)
    for _ in range(2 if run.quick else 30):
        after, every = run.random.randrange(5_000, 100_000), run.random.choice((1, 10, 100, 1000, 10_000))
        case(f"one malloc in {every} fails after {after}", ("env", f"LD_PRELOAD={library}", f"FAIL_AFTER={after}", f"FAIL_EVERY={every}"))
    run.figures = f"{accepted} events accepted, none lost; " + ", ".join(f"{count} {end}" for end, count in sorted(ends.items()))
    ledger, daemon, receiver = case("nothing fails", ())
    ledger.promise("never-sent")
    run.control("an event in the ledger that was never accepted", ledger.broken(daemon, [receiver], 0))
