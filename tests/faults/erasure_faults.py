"""An erasure, killed at every write of its life: what it was answered for stays erased, and the bytes leave the files in any case."""
import http.client
import json

import strace
from framework import fault, wait_until
from harness import PATIENCE
from workload import check_restart, every_point

PROMISE = "an erased payload is gone"
POINTS = ["pwrite64", "fdatasync", "fsync", "ftruncate", "sendto"]
SECRETS = {"small": b"card-4929-" + b"s" * 40, "large": b"L" * 30_000}  # the large one is on pages of its own


class Life:
    """Three events wait for a paused endpoint; the payloads of two are erased."""

    def __init__(self, run, daemon):
        self.receiver = run.receiver()
        daemon.endpoint(self.receiver.url, name="shop", state="paused")
        self.kept = daemon.event(payload='"kept"')["id"]
        self.payloads = {name: json.dumps(secret.decode()) for name, secret in SECRETS.items()}
        self.events = {name: daemon.event(payload=payload)["id"] for name, payload in self.payloads.items()}
        self.erased = set()  # as it was answered
        self.finished = False

    def run(self, daemon):
        """Up to its end, or the daemon's."""
        try:
            for name in self.events:
                self.erase(daemon, name)
            wait_until(lambda: daemon.process.poll() is not None or not self.files_hold(daemon, self.events), "the log is rid of them")
            self.finished = daemon.process.poll() is None
        except (OSError, http.client.HTTPException):
            pass

    def erase(self, daemon, name):
        answer = daemon.call("DELETE", f"/v1/events/{self.events[name]}/payload")
        if answer.status != 200:
            raise AssertionError(f"the erasure is answered {answer}")
        self.erased.add(name)

    @staticmethod
    def files_hold(daemon, names):
        """In which files are the bytes of these? All of a small one, any 50 of the large one."""
        return [f"{name} in {path.name}" for path in daemon.folder.glob("outbox.db*") for name in names if SECRETS[name][:50] in path.read_bytes()]

    def broken(self, daemon, patience=PATIENCE):
        """On a daemon that has been started again. Until the bytes are gone it is left alone: nothing else may be what drives them out."""
        broken, gone = [], []
        for name, event in self.events.items():
            since = daemon.get(f"/v1/events/{event}").json["payload_erased_at"]
            payload = daemon.get(f"/v1/events/{event}/payload")
            if since is None and (name in self.erased or payload.body != self.payloads[name].encode()):
                broken.append(f"{name} was {'erased' if name in self.erased else 'kept'}, and its payload is {payload}")
            if since is not None:
                gone.append(name)
                if payload.status != 404:
                    broken.append(f"{name} was erased, and its payload is {payload}")
        try:
            wait_until(lambda: not self.files_hold(daemon, gone), "the files are rid of them", patience)
        except AssertionError:
            broken.append(f"erased, and there: {self.files_hold(daemon, gone)}")
        for name in self.events:
            self.erase(daemon, name)
        daemon.post("/v1/endpoints/shop/resume")
        wait_until(lambda: daemon.get("/v1/status").json["deliveries"]["pending"] == 0, "nothing waits")
        if self.receiver.ids() != [self.kept]:
            broken.append(f"sent: {self.receiver.ids()}, kept was {self.kept} alone")
        states = sorted(row["state"] for row in daemon.deliveries())
        if states != ["delivered", "discarded", "discarded"]:
            broken.append(f"the deliveries are {states}")
        return broken


@fault(PROMISE, "killed at every write of two erasures, and of the log's new beginning after them")
def erasure_killed(run):
    strace.need_strace()

    def live(own, *inject, settings=()):
        daemon = own.daemon(*settings).start()
        life = Life(own, daemon)
        attached = strace.Attached(daemon, inject)
        life.run(daemon)
        if life.finished:
            daemon.kill()
        daemon.process.wait()
        return daemon, life, attached.wait()

    def kill_at(own, name, k):
        daemon, life, _ = live(own, f"{name}:signal=SIGKILL:when={k}")
        return check_restart(daemon, life, own), not life.finished

    most = strace.counts(live(run)[2])
    run.figures = every_point(run, "erasures", most, POINTS, 8 if run.quick else None, kill_at)
    left_to_others(run)


def left_to_others(run):
    """The control: a log that the daemon does not begin anew."""
    daemon = run.daemon("store.checkpoint=external").start()
    life = Life(run, daemon)
    for name in life.events:
        life.erase(daemon, name)
    daemon.kill()
    run.control("a log that nobody begins anew", any("erased, and there" in text for text in life.broken(daemon.start(), 2)))
