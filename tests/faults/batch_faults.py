"""A batch, killed at every write of its life: it is made, goes on step by step, ends or is cancelled, and acts once on each delivery."""
import collections
import http.client

import strace
from framework import fault, wait_until
from harness import PATIENCE
from workload import check_restart, every_point

PROMISE = "a batch acts once on what matched"
LETTERS = {"whole": 200, "cancelled": 100}  # dead letters of each endpoint
RATES = {"whole": "500/s", "cancelled": "40/s"}  # several steps each
POINTS = ["pwrite64", "fdatasync", "fsync", "ftruncate", "sendto"]
ENDS = ("finished", "cancelled")


class DeadLetters:
    """A database of dead letters, made once and stopped cleanly: every case gets a copy of its one file."""

    def __init__(self, run):
        daemon, receiver = run.daemon().start(), run.receiver(lambda request: 400)
        for name, count in LETTERS.items():
            daemon.endpoint(receiver.url, name=name, types=[f"{name}.*"], retry_schedule=["0s"])
            answer = daemon.post("/v1/events", [{"type": f"{name}.one", "payload": n} for n in range(count)])
            assert answer.status == 202, answer
        wait_until(lambda: counts(daemon)["dead"] == sum(LETTERS.values()), "all are dead")
        # What is under way at a kill is sent again, as always; here it is the batch that is looked at.
        for name in LETTERS:
            daemon.post(f"/v1/endpoints/{name}/pause")
        assert daemon.stop() == 0, daemon.log()
        self.bytes = daemon.database.read_bytes()

    def copy(self, run):
        daemon, receiver = run.daemon(), run.receiver()
        daemon.database.write_bytes(self.bytes)
        daemon.database.chmod(0o660)
        daemon.start()
        for name in LETTERS:
            answer = daemon.call("PATCH", f"/v1/endpoints/{name}", {"url": receiver.url})
            assert answer.status == 200, answer
        return daemon, Life(receiver)


def counts(daemon):
    return daemon.get("/v1/status").json["deliveries"]


class Life:
    """Two batches: one goes to its end, the other is cancelled on its way. Remembers what was answered."""

    def __init__(self, receiver):
        self.receiver = receiver
        self.made, self.ended = {}, {}  # by the name of the endpoint, as the daemon answered
        self.finished = False

    def run(self, daemon):
        """Up to its end, or the daemon's."""
        try:
            self.go_on(daemon)
            self.finished = True
        except (OSError, http.client.HTTPException):
            pass

    def ask(self, daemon, method, path, body=None):
        answer = daemon.call(method, path, body)
        if answer.status >= 300:
            raise AssertionError(f"{method} {path}: {answer}")
        return answer.json

    def batch(self, daemon, name):
        return self.ask(daemon, "GET", f"/v1/batches/{self.made[name]}")

    def make(self, daemon, name):
        batch = {"action": "retry", "filter": {"endpoint": name}, "rate": RATES[name]}
        self.made[name] = self.ask(daemon, "POST", "/v1/batches", batch)["id"]

    def begin(self, daemon, name):
        if name not in self.made:
            self.make(daemon, name)
        return wait_until(lambda: (batch := self.batch(daemon, name))["done"] > 0 and batch, f"the batch for {name} has begun")

    def go_on(self, daemon):
        """From wherever it was."""
        self.begin(daemon, "whole")
        self.ended["whole"] = wait_until(lambda: (batch := self.batch(daemon, "whole"))["state"] in ENDS and batch, "the batch has ended")
        if self.begin(daemon, "cancelled")["state"] == "running":
            self.ended["cancelled"] = self.ask(daemon, "POST", f"/v1/batches/{self.made['cancelled']}/cancel")
        else:
            self.ended.setdefault("cancelled", self.batch(daemon, "cancelled"))

    def find(self, daemon):
        """What the daemon knows of the batches after a kill; those that it did not answer for may be there or not."""
        broken = []
        known = collections.defaultdict(list)
        for batch in self.ask(daemon, "GET", "/v1/batches")["data"]:
            known[batch["endpoint_name"]].append(batch)
        for name in LETTERS:
            ids = [batch["id"] for batch in known[name]]
            if len(ids) > 1 or (name in self.made and ids != [self.made[name]]):
                broken.append(f"the batch for {name} was answered as {self.made.get(name)}, and there are {ids}")
            elif ids:
                self.made[name] = ids[0]
            if name in self.ended and known[name] != [self.ended[name]]:
                broken.append(f"the batch for {name} had ended as {self.ended[name]}, and is {known[name]}")
        return broken

    def broken(self, daemon, patience=PATIENCE):
        """On a daemon that has been started again; ends what the kill left undone, and lets everything be sent."""
        broken = self.find(daemon)
        if broken:
            return broken
        self.go_on(daemon)
        whole, cancelled = self.ended["whole"], self.ended["cancelled"]
        done = {"whole": LETTERS["whole"], "cancelled": cancelled["done"]}
        if (whole["state"], whole["done"], whole["skipped"], whole["matched"]) != ("finished", done["whole"], 0, done["whole"]):
            broken.append(f"of {done['whole']} the batch says {whole}")
        if cancelled["state"] != "cancelled" or not 0 < cancelled["done"] < LETTERS["cancelled"] or cancelled["skipped"]:
            broken.append(f"of {LETTERS['cancelled']} the cancelled batch says {cancelled}")
        for name in LETTERS:
            self.ask(daemon, "POST", f"/v1/endpoints/{name}/resume")
        wait_until(lambda: counts(daemon)["pending"] == 0, "all is sent", patience)
        for name in LETTERS:
            sent = collections.Counter(r.id for r in self.receiver.requests if r.headers["outboxd-event-type"] == f"{name}.one")
            if len(sent) != done[name] or set(sent.values()) != {1}:
                broken.append(f"for {name} {done[name]} were done, and {len(sent)} sent, {sum(sent.values())} times")
        now = {state: counts(daemon)[state] for state in ("delivered", "dead")}
        if now != {"delivered": sum(done.values()), "dead": sum(LETTERS.values()) - sum(done.values())}:
            broken.append(f"{done} were done, and the store counts {now}")
        return broken + self.find(daemon)


def calls_of(run, letters):
    daemon, life = letters.copy(run)
    attached = strace.Attached(daemon)
    life.run(daemon)
    daemon.kill()
    return strace.counts(attached.wait())


@fault(PROMISE, "killed at every write of two batches, of which one is cancelled")
def batch_killed(run):
    strace.need_strace()
    letters = DeadLetters(run)

    def kill_at(own, name, k):
        daemon, life = letters.copy(own)
        attached = strace.Attached(daemon, [f"{name}:signal=SIGKILL:when={k}"])
        life.run(daemon)
        if life.finished:  # how many steps there are differs from run to run
            daemon.kill()
        daemon.process.wait()
        attached.wait()
        return check_restart(daemon, life, own), not life.finished

    run.figures = every_point(run, "batches", calls_of(run, letters), POINTS, 8 if run.quick else None, kill_at)
    forgetful(run, letters)
    undead(run, letters)


def forgetful(run, letters):
    """A store that forgets how far a batch has come, and what it has done."""
    daemon, life = letters.copy(run)
    life.begin(daemon, "whole")
    life.begin(daemon, "cancelled")
    daemon.kill()
    daemon.sql("UPDATE batch SET place = ''; UPDATE delivery SET after_batch = NULL;")
    run.control("a batch that begins again after the kill", life.broken(daemon.start()))


def undead(run, letters):
    daemon, life = letters.copy(run)
    life.run(daemon)
    daemon.kill()
    daemon.sql("UPDATE batch SET state = 'running', finished_at = NULL WHERE state = 'cancelled';")
    run.control("a cancelled batch that runs after the kill", life.broken(daemon.start()))
