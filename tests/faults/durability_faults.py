"""Accepted = survives kill -9: at random moments under load, and at every write system call."""
import time

import strace
from framework import POSTGRESQL, SQLITE, STORE, fault, wait_until
from harness import PATIENCE
from ledger import Ledger, integrity_as_found, load, payload_of
from workload import Workload, calls_of, calls_of_start, check_restart, every_point, killed_midway

ACCEPTED = "accepted = survives kill -9"


@fault(ACCEPTED, "kill -9 at random moments under load, API and SQL producers", stores=(SQLITE, POSTGRESQL))
def random_kills(run):
    kills = 8 if run.quick else 100
    daemon, receiver, ledger = run.daemon().start(), run.receiver(), Ledger()
    daemon.endpoint(receiver.url)
    scratch = run.folder()
    for kill in range(kills):
        before = len(ledger)
        producers = load(run, daemon, ledger, str(kill), sql=2)
        wait_until(lambda: len(ledger) > before + 20, "the load is under way")
        time.sleep(run.random.uniform(0, 0.5))  # the random moment
        daemon.kill()
        # Producers go down with the daemon, or go on while it is away: then the files are in use, and are checked where they are.
        together = kill % 2 == 0
        for producer in producers if together else producers[:1]:
            producer.stop()
        found = integrity_as_found(daemon, scratch) if together else daemon.integrity()
        run.check(found == "ok", f"integrity after kill {kill}: {found}")
        daemon.start()
        for producer in producers:
            producer.stop()
    broken = ledger.broken(daemon, [receiver], 60)
    run.check(not broken, f"{len(broken)} broken, such as {broken[:3]}")
    run.figures = f"{kills} kills, {len(ledger)} events acknowledged, {ledger.repeats()} repeats"
    ledger.promise("claimed-and-never-sent")
    run.control("one event more claimed than was acknowledged", ledger.broken(daemon, [receiver], 0))
    (lose_the_end_of_the_wal if STORE == SQLITE else lose_rows)(run)


def lose_the_end_of_the_wal(run):
    """The control with a store that really loses: the end of its WAL is gone between the kill and the restart."""
    daemon, receiver, ledger = run.daemon().start(), run.receiver(lambda request: 503), Ledger()
    daemon.endpoint(receiver.url, retry_schedule=["0s"] + ["50ms"] * 50)
    for n in range(20):
        key = f"cut-{n}"
        ledger.promise(key, daemon.event(payload=payload_of(key))["id"])
    daemon.kill()
    receiver.answer = lambda request: 200
    receiver.requests.clear()
    cut_wal(daemon)
    daemon.start()
    broken = ledger.broken(daemon, [receiver], 2)
    run.control("the last third of the WAL cut off before the restart", any("not in the store" in text for text in broken))


def lose_rows(run):
    """The control of the other store: one event and its delivery are gone between the kill and the restart."""
    daemon, receiver, ledger = run.daemon().start(), run.receiver(lambda request: 503), Ledger()
    daemon.endpoint(receiver.url, retry_schedule=["0s"] + ["50ms"] * 50)
    for n in range(5):
        key = f"lost-{n}"
        ledger.promise(key, daemon.event(payload=payload_of(key))["id"])
    daemon.kill()
    receiver.answer = lambda request: 200
    receiver.requests.clear()
    daemon.sql("DELETE FROM event WHERE seq = (SELECT max(seq) FROM event); DELETE FROM pending WHERE event NOT IN (SELECT seq FROM event);")
    run.control("an event missing, as a store would that lost it", daemon.integrity() != "ok")
    broken = ledger.broken(daemon.start(), [receiver], 2)
    run.control("an event missing after the restart", any("not in the store" in text for text in broken))


def kill_at(run, name, k, spoil=None):
    """One case: the workload, killed at the k-th such call of a thread. What broke, and whether it came so far."""
    daemon, work = run.daemon().start(), Workload(run)
    work.fill(daemon)
    attached = strace.Attached(daemon, [f"{name}:signal=SIGKILL:when={k}"])
    work.run(daemon)
    if work.finished:  # the groups that commits make differ from run to run: killed where it got to, then
        daemon.kill()
    daemon.process.wait()
    attached.wait()
    if spoil:
        spoil(daemon)
    return check_restart(daemon, work, run, 2 if spoil else PATIENCE), not work.finished


def kill_start_at(run, name, k):
    """The same for a start: it recovers what a kill has left, and is killed over it."""
    daemon, work = killed_midway(run)
    strace.run_under(daemon, [f"{name}:signal=SIGKILL:when={k}"])
    reached = not strace.starts(daemon)
    if not reached:
        daemon.kill()
    strace.run_alone(daemon)
    return check_restart(daemon, work, run), reached


def kill_stop_at(run, name, k):
    """The same for a graceful stop, which commits what is left and closes the database."""
    daemon, work = about_to_stop(run)
    attached = strace.Attached(daemon, [f"{name}:signal=SIGKILL:when={k}"])
    reached = daemon.stop() != 0
    attached.wait()
    return check_restart(daemon, work, run), reached


def about_to_stop(run):
    daemon, work = run.daemon().start(), Workload(run)
    work.run(daemon)
    return daemon, work


def calls_of_stop(run):
    daemon, _ = about_to_stop(run)
    attached = strace.Attached(daemon)
    daemon.stop()
    return strace.counts(attached.wait())


@fault(ACCEPTED, "killed at every write system call of a fixed workload, of a start after a kill, and of a stop")
def kill_at_every_write(run):
    most = calls_of(run)
    run.figures = "; ".join([every_point(run, "workload", most, strace.WRITES, 8 if run.quick else None, kill_at),
                             every_point(run, "start", calls_of_start(run), strace.WRITES, 3 if run.quick else None, kill_start_at),
                             every_point(run, "stop", calls_of_stop(run), strace.WRITES, 3 if run.quick else None, kill_stop_at)])
    broken, _ = kill_at(run, "pwrite64", most["pwrite64"] // 10, cut_wal)  # before the checkpoint
    run.control("the end of the WAL cut off before the restart", any("not in the store" in text or "not there" in text for text in broken))


def cut_wal(daemon):
    with open(f"{daemon.database}-wal", "r+b") as wal:
        wal.truncate(wal.seek(0, 2) * 2 // 3)
