"""Graceful stop: SIGTERM under load ends in time, loses nothing, and has nothing to send twice."""
import random
import time

from framework import POSTGRESQL, SQLITE, fault, wait_until
from ledger import Ledger, load

STOP_TIMEOUT = 5


def stops_under_load(run, stops, stop):
    """One database and `stops` daemons after each other, each ended by stop(daemon, number)."""
    daemon, ledger = run.daemon(f"delivery.stop_timeout={STOP_TIMEOUT}s").start(), Ledger()
    receiver = run.receiver(lambda request: time.sleep(random.uniform(0, 0.01)) or 200)
    daemon.endpoint(receiver.url)
    for number in range(stops):
        before = len(ledger)
        producers = load(run, daemon, ledger, str(number), sql=1)
        wait_until(lambda: len(ledger) > before + 20, "the load is under way")
        time.sleep(run.random.uniform(0, 0.5))  # the random moment
        stop(daemon, number)
        producers[0].stop()
        daemon.start()
        for producer in producers:
            producer.stop()
    return daemon, receiver, ledger


@fault("graceful stop", "SIGTERM at random moments under load, API and SQL producers", stores=(SQLITE, POSTGRESQL))
def sigterm_under_load(run):
    durations = []

    def stop(daemon, number):
        begin = time.monotonic()
        status = daemon.stop(STOP_TIMEOUT * 3)
        durations.append(time.monotonic() - begin)
        run.check(status == 0 and durations[-1] < STOP_TIMEOUT + 1, f"stop {number}: status {status} after {durations[-1]:.1f} s")

    daemon, receiver, ledger = stops_under_load(run, 5 if run.quick else 100, stop)
    broken = ledger.broken(daemon, [receiver], 60)
    run.check(not broken, f"{len(broken)} broken, such as {broken[:3]}")
    run.check(ledger.repeats() == 0, f"{ledger.repeats()} sent twice")
    run.check(daemon.integrity() == "ok", "integrity")
    run.figures = f"{len(durations)} stops, the longest {max(durations):.2f} s; {len(ledger)} events acknowledged"
    run.cleanup()
    daemon, receiver, ledger = stops_under_load(run, 3, lambda daemon, number: daemon.kill())
    ledger.broken(daemon, [receiver], 60)
    run.control("kill -9 in its place: repeats", ledger.repeats() > 0)
