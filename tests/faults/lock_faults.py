"""Locked database: while another process holds the write lock producers wait a bounded time and are told to come again, what is in memory
is delivered, readers are served; and when the lock is released everything that happened is recorded."""
import threading
import time

from framework import POSTGRESQL, SQLITE, fault
from harness import UnixConnection, wait_until
from lock_holder import LockHolder

LONGEST_ANSWER = 8.0  # five seconds of patience, one commit's busy timeout, and a slow machine
IN_MEMORY = 64  # a lane's window


class Producers:
    """Threads that post an event a request while told to; each answer with how long it took."""

    def __init__(self, daemon, threads):
        self.daemon, self.answers, self.stopping = daemon, [], threading.Event()
        self.threads = [threading.Thread(target=self.run) for _ in range(threads)]
        for thread in self.threads:
            thread.start()

    def run(self):
        connection = UnixConnection(self.daemon.ingest, timeout=60)
        while not self.stopping.is_set():
            begin = time.monotonic()
            connection.request("POST", "/v1/events", b'{"type":"lock.load","payload":1}', {"Content-Type": "application/json"})
            response = connection.getresponse()
            body = response.read()
            self.answers.append((response.status, response.headers["Retry-After"], time.monotonic() - begin, body))
            self.stopping.wait(0.05)
        connection.close()

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()


def refusals_wrong(answers):
    """Of the answers to producers while the database is locked: what is not a 503 with Retry-After in time."""
    return [f"{status}, Retry-After {retry_after}, after {seconds:.1f} s" for status, retry_after, seconds, _ in answers
            if status != 503 or not retry_after or seconds > LONGEST_ANSWER]


@fault("locked database", "another process holds the write lock", stores=(SQLITE, POSTGRESQL))
def write_lock_held(run):
    seconds = 8 if run.quick else 60
    gate = threading.Event()
    run.closers.append(gate.set)
    receiver = run.receiver(lambda request: gate.wait(60) and 200)
    daemon = run.daemon("delivery.timeout=50s").start()
    daemon.endpoint(receiver.url)
    before = [daemon.event()["id"] for _ in range(IN_MEMORY)]
    receiver.wait_for(5)

    holder = LockHolder(daemon)
    gate.set()
    producers = Producers(daemon, threads=8)
    wait_until(lambda: set(before) <= set(receiver.ids()), "what is in memory is delivered while the database is locked", seconds)
    in_memory = time.monotonic() - holder.since
    slowest = 0.0
    while time.monotonic() - holder.since < seconds:
        begin = time.monotonic()
        for path, good in (("/healthz", (200,)), ("/readyz", (200, 503)), ("/v1/status", (200,)), ("/v1/deliveries", (200,)), ("/metrics", (200,))):
            answer = daemon.get(path)
            run.check(answer.status in good, f"{path} answers {answer} while the database is locked")
        slowest = max(slowest, time.monotonic() - begin)
        time.sleep(0.2)
    locked = list(producers.answers)
    holder.release()
    run.check(locked, "no producer was answered while the database was locked")
    wrong = refusals_wrong(locked)
    run.passed(len(locked) - len(wrong))
    for what in sorted(set(wrong)):
        run.failed(f"a producer was answered {what}")
    run.check(slowest < 2, f"the five reads took {slowest:.1f} s")

    wait_until(lambda: any(status == 202 for status, *_ in producers.answers), "producers are accepted again", 10)
    back = time.monotonic() - holder.since - seconds
    producers.stop()
    accepted = sum(status == 202 for status, *_ in producers.answers)
    wait_until(lambda: daemon.get("/v1/status").json["deliveries"]["pending"] == 0, "everything is recorded")
    stored = {row["event"] for row in daemon.deliveries("&state=delivered")}
    run.check(set(before) <= stored, "an outcome of the time of the lock was not recorded")
    run.check(len(stored) == len(before) + accepted, f"{len(before)} + {accepted} events were accepted, {len(stored)} are there")
    run.check(len(receiver.ids()) == len(set(receiver.ids())), "an event was sent twice, though nothing was killed")
    run.check("could not be committed, trying again" in daemon.log(), "the log does not say that the database is locked")
    run.figures = (f"locked {seconds} s: {len(before)} deliveries went on within {in_memory:.1f} s, {len(locked)} producers refused after "
                   f"at most {max(answer[2] for answer in locked):.1f} s, accepted again after {max(back, 0):.1f} s")

    free = Producers(daemon, threads=1)
    wait_until(lambda: free.answers, "an answer")
    free.stop()
    run.control("nobody holds the lock: producers are not refused", refusals_wrong(free.answers))
    run.control("killed before the release: the outcome is not recorded, the event sent twice", sent_twice_after_a_kill(run))


def sent_twice_after_a_kill(run):
    gate = threading.Event()
    run.closers.append(gate.set)
    receiver = run.receiver(lambda request: gate.wait(60) and 200)
    daemon = run.daemon().start()
    daemon.endpoint(receiver.url)
    daemon.event()
    receiver.wait_for(1)
    holder = LockHolder(daemon)
    gate.set()
    wait_until(lambda: daemon.get("/v1/status").json["in_flight"] == 0, "the attempt has ended")
    daemon.kill()
    holder.release()
    daemon.start()
    return len(receiver.wait_for(2)) > len(set(receiver.ids()))


@fault("locked database", "stopped, and started, while another process holds the write lock", stores=(SQLITE, POSTGRESQL))
def restarted_under_lock(run):
    stop_timeout, longest = 2, 0.0
    for _ in range(1 if run.quick else 6):
        gate = threading.Event()
        run.closers.append(gate.set)
        receiver = run.receiver(lambda request, gate=gate: gate.wait(60) and 200)
        daemon = run.daemon(f"delivery.stop_timeout={stop_timeout}s").start()
        daemon.endpoint(receiver.url)
        accepted = [daemon.event()["id"] for _ in range(IN_MEMORY)]
        receiver.wait_for(5)
        holder = LockHolder(daemon)
        gate.set()
        time.sleep(run.random.uniform(0, 2))  # any moment will do
        begin = time.monotonic()
        status = daemon.stop(60)
        longest = max(longest, time.monotonic() - begin)
        run.check(status == 0, f"ended with {status}: {daemon.log()[-400:]}")
        run.check(longest < stop_timeout + LONGEST_ANSWER, f"took {longest:.1f} s to stop")
        daemon.start()
        run.check(daemon.get("/v1/deliveries").status == 200, "no reading while the database is locked")
        refused = daemon.post("/v1/events", {"type": "a.b", "payload": 1})
        run.check(refused.status == 503, f"a producer was answered {refused}")
        holder.release()
        delivered = daemon.wait_for_state("delivered", len(accepted))
        run.check({row["event"] for row in delivered} == set(accepted), "other events than the accepted ones are there")
        run.check(set(receiver.ids()) == set(accepted), "an event did not arrive")
        run.cleanup()
    run.figures = f"stopped within {longest:.1f} s; outcomes that could not be written are repeated, none is lost"
    run.control("nobody holds the lock: a producer is not refused", run.daemon().start().event()["id"])
