"""PostgreSQL is away for minutes: it refuses, or it hangs and says nothing at all."""
import http.client
import signal
import threading
import time

from framework import Skip, fault, wait_until
from harness import PATIENCE
from several_daemons import TAKEOVER, TRUST
from shared_load import IN_FLIGHT, Load, backlog, members, require_postgresql, server, wait_for_shares

AWAY = "several machines: an outage of the database loses nothing, and all goes on by itself"
DATABASE = "shop"


class Prober(threading.Thread):
    """Asks a daemon again and again, each time whatever the answer to the last was, and writes down what it is told."""

    def __init__(self, daemon, ask):
        super().__init__(daemon=True)
        self.daemon_asked, self.ask = daemon, ask
        self.answers = []  # (asked at, answered at, status, Retry-After)
        self.ending = threading.Event()
        self.start()

    def run(self):
        while not self.ending.wait(0.1):
            at = time.time()
            try:
                answer = self.ask(self.daemon_asked)
                self.answers.append((at, time.time(), answer.status, answer.headers["Retry-After"]))
            except (OSError, http.client.HTTPException):
                self.answers.append((at, time.time(), 0, None))

    def end(self):
        self.ending.set()
        self.join()


class Probes:
    """Asks all daemons for the time of an outage. Whose event was in the middle of a commit then is not asked: whether it was
    accepted nobody knows until the database is back."""

    def __init__(self, run, daemons):
        post = {"type": "probe.sent", "payload": {}}
        self.posts = [Prober(daemon, lambda asked: asked.call("POST", "/v1/events", post, timeout=30)) for daemon in daemons]
        self.ready = [Prober(daemon, lambda asked: asked.get("/readyz")) for daemon in daemons]
        self.alive = [Prober(daemon, lambda asked: asked.get("/healthz")) for daemon in daemons]
        run.closers.append(self.end)

    def end(self):
        for prober in [*self.posts, *self.ready, *self.alive]:
            prober.end()

    def check(self, run, noticed, back):
        """Returns how long a producer waited at most to be told."""
        posts = answers_of(self.posts, 0, back)
        run.check(posts and all(status == 503 and int(retry or 0) > 0 for _, _, status, retry in posts),
                  f"producers were told {({answer[2:] for answer in posts})}")
        ready = answers_of(self.ready, noticed, back)
        run.check(ready and {status for _, _, status, _ in ready} == {503}, f"/readyz said {({answer[2] for answer in ready})}")
        alive = answers_of(self.alive, 0, back)
        run.check(alive and {status for _, _, status, _ in alive} == {200}, f"/healthz said {({answer[2] for answer in alive})}")
        return max((until - at for at, until, _, _ in posts), default=0)


def answers_of(probers, begin, end):
    return [answer for prober in probers for answer in prober.answers if begin <= answer[0] and answer[1] <= end]


def outage(run, seconds, noticed, take, give):
    """How it is for producers and receivers while `take(server)` has taken the database away, until `give(server)`. `noticed`: the
    seconds after which /readyz has to say so."""
    shared, receivers = server(run).create().start(), [run.receiver() for _ in range(4)]
    url = shared.url(shared.new_database(DATABASE))
    daemons = members(run, [url] * 2, receivers=receivers)
    load, slow = Load(run, daemons, receivers, keys=4, urls=[url], pause=0.05), backlog(run, daemons[0])
    load.wait_for_progress(100)
    take(shared)
    away = time.time()
    probes = Probes(run, daemons)
    time.sleep(seconds)
    back = time.time()
    times = [request.at for receiver in [*receivers, slow] for request in receiver.requests]
    late = [at - away for at in times if at > away + TRUST + IN_FLIGHT]
    run.check(not late, f"something was sent {max(late, default=0):.1f} s after the database was gone")
    before = load.count()
    give(shared)
    wait_until(lambda: load.count() > before, "events are accepted again", 60)
    accepted = time.time() - back
    wait_until(lambda: all(any(request.at > back for request in receiver.requests) for receiver in receivers), "all are sent to again", 60)
    sent = time.time() - back
    wait_for_shares(daemons)
    load.broke(away, back + IN_FLIGHT)
    load.wait_for_progress(100)
    load.end()
    probes.end()
    told = probes.check(run, away + noticed, back)
    broken = load.broken(PATIENCE + TAKEOVER)
    run.check(not broken, f"{len(broken)} broken, such as {broken[:3]}")
    run.passed(load.count() - 1)
    run.figures = (f"away for {seconds} s: told within {told:.1f} s, accepted again after {accepted:.1f} s, sent again after {sent:.1f} s; "
                   f"{load.count()} events acknowledged, {load.repeats()} repeats")
    return load


@fault(AWAY, "the server of PostgreSQL is killed, and started again after minutes")
def refuses(run):
    require_postgresql()
    load = outage(run, 10 if run.quick else 180, 3, lambda shared: shared.kill(), lambda shared: shared.start())
    load.claim_one_more()
    run.control("one event more claimed than was acknowledged", load.broken(0))


@fault(AWAY, "the server of PostgreSQL hangs for minutes, and goes on")
def hangs(run):
    require_postgresql()
    if run.quick:
        raise Skip("takes longer than a quick case may: a daemon gives up on a server that says nothing after 15 s")
    load = outage(run, 180, 10, lambda shared: shared.signal_all(signal.SIGSTOP),
                  lambda shared: shared.signal_all(signal.SIGCONT))
    load.claim_one_more()
    run.control("one event more claimed than was acknowledged", load.broken(0))
