"""One daemon: of many that are started on one database exactly one serves, and the others say who does."""
import re
import subprocess
import time

from framework import fault
from harness import wait_until

LOCKED = 75


class Race:
    """Daemons started together on one database, until all but those that serve have ended."""

    def __init__(self, daemons):
        self.entrants = []
        for n, daemon in enumerate(daemons):
            log = open(f"{daemon.folder}/racer-{n}.log", "w+b")
            self.entrants.append((subprocess.Popen(daemon.command(), stdout=log, stderr=log), log))
        self.winners = []

    def finish(self, patience=60):
        wait_until(lambda: sum(p.poll() is None for p, _ in self.entrants) <= 1, "all but one have ended", patience)
        self.winners = [p for p, _ in self.entrants if p.poll() is None]

    def end(self):
        for process, log in self.entrants:
            if process.poll() is None:
                process.kill()
            process.wait()
            log.close()

    def losers(self):
        """(exit status, what it said) of each that did not serve."""
        for process, log in self.entrants:
            if process.poll() is not None:
                log.seek(0)
                yield process.returncode, log.read().decode(errors="replace")


def judge(race):
    """What is wrong with the end of a race, a text each."""
    wrong = [] if len(race.winners) == 1 else [f"{len(race.winners)} daemons serve"]
    for status, said in race.losers():
        named = re.search(r"already served by (pid (\d+)|another process)", said)
        if status != LOCKED or not named:
            wrong.append(f"ended with {status}: {said[-300:]}")
        elif race.winners and named[2] and int(named[2]) != race.winners[0].pid:
            wrong.append(f"names pid {named[2]}, but pid {race.winners[0].pid} serves")
    return wrong


@fault("one daemon", "50 daemons raced on one database, new or just left by kill -9")
def race_fifty(run):
    rounds, count = (2, 50) if run.quick else (20, 50)
    daemon = run.daemon()
    accepted, unnamed = [], 0
    for n in range(rounds):
        begin = time.monotonic()
        race = Race([daemon] * count)
        run.closers.append(race.end)
        race.finish()
        daemon.process = race.winners[0] if race.winners else None
        wrong = judge(race)
        run.passed(count - len(wrong))
        for what in sorted(set(wrong)):
            run.failed(f"race {n}: {wrong.count(what)} × {what}")
        if not race.winners:
            return
        unnamed += sum("another process" in said for _, said in race.losers())
        wait_until(daemon.ready_or_dead, "the winner answers")
        run.check({row["id"] for row in daemon.get("/v1/events?limit=250").json["data"]} == set(accepted),
                  "the winner does not have the events accepted before")
        accepted.append(daemon.event(type="race.won")["id"])
        daemon.kill()  # and the next race begins at once
        run.figures = f"{n + 1} races, the last decided in {time.monotonic() - begin:.1f} s; {unnamed} of the losers could not name the pid"
        race.end()
    run.check(daemon.integrity() == "ok", "the database is damaged")

    apart = Race([run.daemon(), run.daemon()])
    run.closers.append(apart.end)
    for process, log in apart.entrants:
        wait_until(lambda log=log: b"serving" in open(log.name, "rb").read(), "a daemon on its own database serves")
    apart.winners = [p for p, _ in apart.entrants if p.poll() is None]
    run.control("a database for each of two: two serve", judge(apart))
