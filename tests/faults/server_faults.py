"""Over PostgreSQL, of one daemon: its server ends as it is and comes back, beside a daemon that is killed, under load."""
import time

from framework import POSTGRESQL, fault, wait_until
from ledger import Ledger, load

KINDS = ("the server", "the daemon", "both", "the daemon, while the server is away")


@fault("accepted = survives the end of the server", "the server, the daemon or both ended at random moments under load, API and SQL producers",
       stores=(POSTGRESQL,))
def server_ends(run):
    rounds = 4 if run.quick else 60
    daemon, receiver, ledger = run.daemon().start(), run.receiver(), Ledger()
    daemon.endpoint(receiver.url)
    server, slowest = daemon.store.server, 0.0
    for number in range(rounds):
        kind = KINDS[number % len(KINDS)]
        before = len(ledger)
        producers = load(run, daemon, ledger, str(number), sql=2)
        wait_until(lambda: len(ledger) > before + 20, "the load is under way")
        time.sleep(run.random.uniform(0, 0.5))  # the random moment
        if kind != "the daemon":
            server.crash()
        if kind != "the server":
            daemon.kill()
        begin = time.monotonic()
        if kind == "the daemon, while the server is away":
            producers[0].stop()
            daemon.start_early()
        if kind != "the daemon":
            server.start()
        if kind in ("the daemon", "both"):
            producers[0].stop()
            daemon.start()
        wait_until(lambda: daemon.ready_or_dead() and daemon.process.poll() is None, f"it serves again after the end of {kind}", 30)
        slowest = max(slowest, time.monotonic() - begin)
        for producer in producers:
            producer.stop()
    broken = ledger.broken(daemon, [receiver], 60)
    run.check(not broken, f"{len(broken)} broken, such as {broken[:3]}")
    run.check(daemon.integrity() == "ok", f"what is stored does not agree: {daemon.integrity()}")
    run.passed(rounds)
    run.figures = (f"{rounds} ends, served again within {slowest:.1f} s; {len(ledger)} events acknowledged, {ledger.repeats()} repeats")
    ledger.promise("claimed-and-never-sent")
    run.control("one event more claimed than was acknowledged", ledger.broken(daemon, [receiver], 0))
