"""The relay, killed at any point together with the application that writes: each row is one event, in the order of the rows."""
import collections
import json
import pathlib
import signal
import sqlite3
import subprocess
import sys
import time

from framework import fault, wait_until
from harness import BIN

PROMISE = "a relayed row is one event"
WRITER = pathlib.Path(__file__).resolve().parent / "application_writer.py"
MODES = ["wal", "delete"]


class Application:
    def __init__(self, run, mode):
        self.path = run.folder() / "app.db"
        ddl = subprocess.run([str(BIN / "outboxctl"), "source", "ddl"], capture_output=True, text=True, check=True).stdout
        self.database = sqlite3.connect(self.path, timeout=30, isolation_level=None)
        run.closers.append(self.database.close)
        self.database.execute(f"PRAGMA journal_mode={mode}")
        self.database.executescript(ddl)
        self.writer = None

    def start(self, last):
        self.writer = subprocess.Popen([sys.executable, str(WRITER), str(self.path), "1", str(last)], stdout=subprocess.DEVNULL)

    def kill(self):
        self.writer.send_signal(signal.SIGKILL)
        self.writer.wait()

    def written(self):
        try:
            row = self.database.execute("SELECT number FROM progress").fetchone()
        except sqlite3.OperationalError:  # not yet
            return 0
        return row[0] if row else 0

    def left(self):
        return self.database.execute("SELECT count(*) FROM outbox").fetchone()[0]


def relaying(run, application):
    daemon = run.daemon()
    with daemon.config.open("a") as config:
        config.write(f'[[source]]\nname = "app"\nurl = "sqlite://{application.path}"\n')
    return daemon


def events(daemon):
    """The numbers of the rows that became events, in the order in which these were accepted; read from the stopped daemon's file."""
    with sqlite3.connect(daemon.database) as database:
        return [json.loads(payload)["n"] for (payload,) in database.execute("SELECT payload FROM event ORDER BY seq")]


def is_between(daemon, application):
    """The killed daemon has made events of rows that it has not deleted yet. Read only: its WAL stays as it was left."""
    database = sqlite3.connect(f"file:{daemon.database}?mode=ro", uri=True)
    relayed = (database.execute("SELECT relayed FROM source").fetchone() or [0])[0]
    database.close()
    return application.database.execute("SELECT EXISTS (SELECT 1 FROM outbox WHERE seq <= ?)", [relayed]).fetchone()[0]


class Comparison:
    """The events of rows 1 to `rows`; so many kills came between a commit of events and the deletion of their rows."""

    def __init__(self, daemon, rows, between):
        self.between = between
        found = events(daemon)
        self.twice = [n for n, count in collections.Counter(found).items() if count > 1]
        self.lost = sorted(set(range(1, rows + 1)) - set(found))
        self.in_order = found == sorted(found)
        self.good = found == list(range(1, rows + 1))

    def __repr__(self):
        return f"{len(self.lost)} rows were lost {self.lost[:5]}, {len(self.twice)} came twice {self.twice[:5]}, in order: {self.in_order}"


def life(run, mode, rows, kills, at_restart=lambda daemon, application: None):
    """Rows are written and relayed; `kills` times the daemon is killed, every third time with the writer. Returns what came of it."""
    application = Application(run, mode)
    daemon = relaying(run, application).start()
    application.start(rows)
    between = 0
    for k in range(kills):
        # Somewhere in the next share of the rows, so that the kills are spread over all of them.
        target = rows * (k + 1) // (kills + 1)
        wait_until(lambda t=target: application.written() >= t or application.writer.poll() is not None, "rows are written")
        time.sleep(run.random.random() * 0.05)
        daemon.kill()
        if k % 3 == 0:
            application.kill()
        between += is_between(daemon, application)
        at_restart(daemon, application)
        daemon.start()
        if application.writer.poll() is not None:
            application.start(rows)
    application.writer.wait()
    assert application.written() == rows
    wait_until(lambda: application.left() == 0, "all rows are relayed and deleted", 120)
    assert application.database.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    assert daemon.stop() == 0, daemon.log()
    return Comparison(daemon, rows, between)


@fault(PROMISE, "kill -9 of the daemon at any point, every third time of the application too")
def killed(run):
    kills, rows = (10, 1000) if run.quick else (200, 20_000)
    between = 0
    for mode in MODES:
        found = life(run, mode, rows // len(MODES), kills // len(MODES))
        run.check(found.good, f"journal mode {mode}: {found}")
        run.passed(kills // len(MODES) - 1)
        between += found.between
    run.figures = f"{kills} kills, {between} of them between a commit of events and the deletion of their rows; {rows} rows"
    # A relay that does not know what it has relayed: its place is lost with the kill.
    forgets = life(run, "wal", 600, 6, lambda daemon, _: daemon.sql("UPDATE source SET relayed = 0, cleared = 0;"))
    run.control("a place that is lost with the kill", forgets.twice)
    # One that takes rows for relayed that are not. There have to be such rows: a place behind the last one is noticed.
    def skip(daemon, application):
        wait_until(lambda: application.left() > 40 or application.writer.poll() is not None, "rows wait")
        daemon.sql("UPDATE source SET relayed = relayed + 20;")

    skips = life(run, "wal", 600, 6, skip)
    run.control("a place ahead of the events", skips.lost)
