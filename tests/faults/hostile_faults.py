"""Bounded: receivers that mean harm, and name servers that never answer, cost memory, threads and sockets only up to a bound, and
nothing to the endpoint that behaves."""
import concurrent.futures
import json
import pathlib
import socket
import struct
import subprocess
import sys
import threading
import time

from framework import fault
from harness import wait_until
from process_watch import Watch

HERE = pathlib.Path(__file__).resolve().parent
# state, outcome of the attempt, and a piece of its error
JUDGEMENTS = {
    "endless-headers": ("dead", "protocol", "64 KiB"),
    "endless-body": ("delivered", "success", ""),  # the head was complete: a body that never ends is no failure
    "slow": ("dead", "timeout", "timed out"),
    "garbage": ("dead", "protocol", ""),
    "reset": ("dead", "protocol", "connection"),
    "half-head": ("dead", "protocol", "closed before"),
    "two-lengths": ("delivered", "success", ""),  # the head was complete; the connection must not serve again
    "endless-1xx": ("dead", "protocol", "64 KiB"),
    "silence": ("dead", "timeout", "timed out"),
}
# The stated bounds: payloads 32 MiB; a request in flight 16 KiB and a socket, and as many sockets may be kept open for the next; nothing
# costs a thread.
PAYLOADS_MIB, REQUEST_MIB = 32, 1 / 64
LATENCY_MEDIAN, LATENCY_WORST, TIMES_TAME = 0.25, 3.0, 3


def hostile_receiver(run):
    """The URL of a hostile receiver that ends with the row."""
    process = subprocess.Popen([sys.executable, str(HERE / "hostile_receiver.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def end():
        process.stdin.close()
        process.wait()
        process.stdout.close()

    run.closers.append(end)
    return f"http://127.0.0.1:{int(process.stdout.readline())}"


class Heartbeat:
    """Posts an event for the healthy endpoint every 20 ms, and says how long each took to arrive."""

    def __init__(self, daemon, receiver):
        self.daemon, self.receiver, self.posted = daemon, receiver, {}
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.ending.wait(0.02):
            begin = time.time()
            self.posted[self.daemon.event("healthy.beat")["id"]] = begin

    def latencies(self, patience):
        """Ends it; sorted seconds from the request to the arrival. What never arrives fails the row."""
        self.ending.set()
        self.thread.join()
        wait_until(lambda: self.posted.keys() <= set(self.receiver.ids()), "the healthy endpoint gets all of its events", patience)
        arrived = {}
        for request in list(self.receiver.requests):
            arrived.setdefault(request.id, request.at)
        return sorted(arrived[id] - at for id, at in self.posted.items())


def prompt(latencies, tame=(0,)):
    """On a machine that others use too, compared with what well-behaved company cost just before."""
    return latencies[len(latencies) // 2] < max(LATENCY_MEDIAN, TIMES_TAME * tame[len(tame) // 2]) and \
        latencies[-1] < max(LATENCY_WORST, TIMES_TAME * tame[-1])


def described(latencies):
    median, late = latencies[len(latencies) // 2], latencies[len(latencies) * 99 // 100]
    return f"healthy: median {median * 1000:.0f} ms, p99 {late * 1000:.0f} ms, worst {latencies[-1] * 1000:.0f} ms"


def within_bounds(watch, in_flight):
    return watch.memory_grown < PAYLOADS_MIB + REQUEST_MIB * in_flight and watch.threads_grown <= 0 and watch.files_grown < 2 * in_flight


def misjudged(daemon, kinds):
    """Deliveries whose end is not the one that their kind (by endpoint id) must have."""
    wrong = []
    for row in daemon.deliveries():
        if (kind := kinds.get(row["endpoint"])) is None:
            continue
        state, outcome, error = JUDGEMENTS[kind]
        attempt = daemon.get(f"/v1/deliveries/{row['id']}").json["attempt_list"][-1]
        if (row["state"], attempt["outcome"]) != (state, outcome) or error not in (attempt["error"] or ""):
            wrong.append(f"{kind}: {row['state']}, {attempt['outcome']}: {attempt['error']}")
    return wrong


def storm(daemon, healthy, type, events):
    """Events that go to all the endpoints of that type; how long the healthy one waited for its own meanwhile."""
    heartbeat = Heartbeat(daemon, healthy)
    for _ in range(events):
        daemon.event(type, payload=json.dumps("x" * 2000))

    def pending():
        return daemon.get("/v1/status").json["deliveries"]["pending"]

    wait_until(lambda: pending() <= 2, "all but the healthy endpoint's deliveries have ended", 300)
    latencies = heartbeat.latencies(60)
    wait_until(lambda: pending() == 0, "every delivery has ended", 60)
    return latencies


@fault("bounded", "1,000 hostile receivers of nine kinds beside one healthy endpoint")
def hostile_receivers(run):
    count, events, in_flight, timeout = (180, 1, 256, "4s") if run.quick else (1000, 5, 4096, "10s")
    daemon = run.daemon(f"delivery.timeout={timeout}", "delivery.connect_timeout=2s", "delivery.retry_schedule=0s",
                        f"delivery.max_in_flight={in_flight}").start()
    healthy, hostile = run.receiver(), hostile_receiver(run)
    daemon.endpoint(healthy.url, types=["healthy.*"])
    kinds = {}
    for n in range(count):
        kind = list(JUDGEMENTS)[n % len(JUDGEMENTS)]
        kinds[daemon.endpoint(f"{hostile}/{kind}/{n}", types=["hostile.*"])["id"]] = kind
        daemon.endpoint(f"{hostile}/good/{n}", types=["tame.*"])
    watch = Watch(daemon)
    tame = storm(daemon, healthy, "tame.one", events)  # what as many of them cost when they behave, here and now
    latencies = storm(daemon, healthy, "hostile.one", events)
    watch.stop()
    wrong = misjudged(daemon, kinds)
    run.passed(count * events - len(wrong))
    for what in sorted(set(wrong)):
        run.failed(f"{wrong.count(what)} × {what}")
    run.check(prompt(latencies, tame), f"{described(latencies)}; while the others behaved: {described(tame)}")
    run.check(within_bounds(watch, in_flight), f"out of bounds: {watch}")
    run.check(daemon.process.poll() is None, "the daemon ended")
    run.figures = f"{watch}; {described(latencies)} (while the others behaved: {described(tame)})"

    liar = daemon.endpoint(f"{hostile}/good/1", types=["control.*"])
    daemon.event("control.one")
    wait_until(lambda: daemon.deliveries(f"&state=delivered&endpoint={liar['id']}"), "the control's delivery")
    run.control("a whole header where half of one is expected", misjudged(daemon, {liar["id"]: "half-head"}))
    run.control("more in flight than the bound says", not within_bounds(watch, watch.files_grown // 4))
    run.control("a healthy endpoint that takes its time", not prompt([x + LATENCY_WORST + TIMES_TAME * tame[-1] for x in latencies], tame))


class SilentNameServer:
    """A UDP name server. Says nothing until `address` is set; then every name has that address."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.where = "127.0.0.1:%d" % self.socket.getsockname()[1]
        self.address, self.queries = None, 0
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                query, peer = self.socket.recvfrom(2048)
            except OSError:
                return
            if not query:
                return
            self.queries += 1
            if self.address:
                self.socket.sendto(self.answer(query), peer)

    def answer(self, query):
        question_end = query.index(b"\0", 12) + 5
        question, is_a = query[12:question_end], query[question_end - 4:question_end - 2] == b"\0\1"
        record = b"\xc0\x0c\0\1\0\1" + struct.pack(">IH", 60, 4) + socket.inet_aton(self.address) if is_a else b""
        return query[:2] + b"\x81\x80\0\1" + struct.pack(">H", is_a) + b"\0\0\0\0" + question + record

    def close(self):
        self.socket.sendto(b"", self.socket.getsockname())
        self.socket.close()


@fault("bounded", "hundreds of endpoints whose names a dead name server never resolves")
def dead_dns(run):
    count, events = (100, 1) if run.quick else (600, 3)
    dns = SilentNameServer()
    run.closers.append(dns.close)
    daemon = run.daemon("delivery.timeout=3s", "delivery.connect_timeout=2s", "delivery.retry_schedule=0s",
                        f"delivery.dns_servers={dns.where}").start()
    healthy = run.receiver()
    daemon.endpoint(healthy.url, types=["healthy.*"])
    with concurrent.futures.ThreadPoolExecutor(100) as pool:  # each waits for the name server
        list(pool.map(lambda n: daemon.endpoint(f"http://host-{n}.zone-{n % 50}.test:{healthy.port}/dead", types=["dead.*"]), range(count)))
    watch = Watch(daemon)
    latencies = storm(daemon, healthy, "dead.one", events)
    watch.stop()
    run.check(daemon.get("/v1/status").json["deliveries"]["dead"] == count * events, "not every delivery died")
    errors = [daemon.get(f"/v1/deliveries/{row['id']}").json["attempt_list"][-1] for row in daemon.deliveries("&state=dead")]
    wrong = [f"{a['outcome']}: {a['error']}" for a in errors if a["outcome"] not in ("dns", "timeout")]
    run.passed(len(errors) - len(wrong))
    for what in sorted(set(wrong)):
        run.failed(f"{wrong.count(what)} × {what}")
    run.check(prompt(latencies), described(latencies))
    run.check(within_bounds(watch, 256), f"out of bounds: {watch}")
    run.figures = f"{watch}; {dns.queries} queries unanswered; {described(latencies)}"
    dns.address = "127.0.0.1"
    daemon.endpoint(f"http://living.test:{healthy.port}/living", types=["living.*"])
    daemon.event("living.one")
    delivered = wait_until(lambda: any(r.path == "/living" for r in healthy.requests), "a name that is answered is delivered to")
    run.control("a name server that answers: the delivery arrives", delivered)
