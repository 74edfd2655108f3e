"""Corruption: a damaged or foreign file is refused with a status of its own and left as it is, or the damage is met later and stops the
daemon, or `outboxctl db check` finds it. What SQLite cannot know (a bit inside a payload) the event's checksum tells: not a wrong byte is sent."""
import collections
import pathlib
import signal
import sqlite3
import subprocess
import time

from framework import fault
from harness import wait_until
from specimen import PAGE, Specimen, integrity_of

CORRUPT, FAIL_STOP, NEWER_SCHEMA = 65, 70, 76
ADVICE = ("restore", "move it away")


def launch(daemon):
    """Starts it and waits until it serves or has ended; its exit status, or None."""
    with open(daemon.log_file, "ab") as log:
        daemon.process = subprocess.Popen(daemon.command(), stderr=log, stdout=log)
    wait_until(daemon.ready_or_dead, "the daemon serves or ends")
    return daemon.process.poll()


def why_refused_badly(daemon, status, content, statuses=(CORRUPT,)):
    """What is wrong with how a file was refused at the start; None when nothing is."""
    if status not in statuses:
        return f"exit status {status}: {daemon.log()[-400:]}"
    if not any(advice in daemon.log() for advice in ADVICE):
        return f"the message does not say what to do: {daemon.log()[-400:]}"
    if (daemon.database.read_bytes() if daemon.database.exists() else None) != content:
        return "the file was changed"
    return None


def db_check(daemon):
    """The exit status of outboxctl db check: 0 whole, 1 damaged."""
    return daemon.ctl("db", "check", "--config", str(daemon.config)).returncode


def exercise(daemon, specimen):
    """Reads and delivers everything there is. True: the daemon still serves; False: it has stopped itself."""
    try:
        daemon.post(f"/v1/endpoints/{specimen.paused}/resume", {})
        for id in list(specimen.payloads)[::20]:
            daemon.get(f"/v1/events/{id}/payload")
        for path in ("/v1/events?limit=250", "/v1/deliveries?limit=250", "/v1/endpoints", "/v1/status"):
            daemon.get(path)
        daemon.post("/v1/events", {"type": "sent.one", "payload": 1})
        daemon.damaged = False
        sent, quiet_since = -1, time.monotonic()
        while daemon.process.poll() is None and time.monotonic() - quiet_since < 0.5:
            if len(specimen.receiver.requests) != sent:
                sent, quiet_since = len(specimen.receiver.requests), time.monotonic()
            time.sleep(0.02)
        daemon.damaged = "outbox_deliveries_damaged_total 0" not in daemon.get("/metrics").body.decode()
    except OSError:
        wait_until(lambda: daemon.process.poll() is not None, "a daemon that does not answer has ended")
    return daemon.process.poll() is None


def wrong_bytes(specimen):
    """Requests whose body is not what was accepted under that id."""
    own = {b"1"}  # exercise()'s
    return [r for r in specimen.receiver.requests if r.body not in own and specimen.payloads.get(r.id) != r.body]


def one_flip(run, specimen, kind, bits):
    """One damaged database, from start to verdict: how it ended, and what is wrong with that (or None)."""
    content = specimen.flipped(kind, bits, run.random)
    truth = integrity_of(run.folder(), content)
    daemon = specimen.copy(content)
    specimen.receiver.requests.clear()
    found = db_check(daemon)
    if daemon.database.read_bytes() != content:
        return "changed", "db check changed the file"
    if truth != "ok" and found != 1:
        return "served", f"db check ended with {found}, but: {truth[:200]}"
    status = launch(daemon)
    if status is not None and status != FAIL_STOP:  # which is: served, and met the damage before anybody asked
        why = why_refused_badly(daemon, status, content, (CORRUPT, NEWER_SCHEMA) if kind == "header" else (CORRUPT,))
        return "refused", why or (f"refused, but db check ended with {found}" if found == 0 else None)
    if status == FAIL_STOP or not exercise(daemon, specimen):
        good = daemon.process.returncode == FAIL_STOP and "the store failed" in daemon.log()
        return "stopped", None if good else f"ended with {daemon.process.returncode} when it met the damage: {daemon.log()[-400:]}"
    altered = bool(wrong_bytes(specimen))
    daemon.process.send_signal(signal.SIGTERM)
    if (status := daemon.process.wait(30)) not in (0, FAIL_STOP):
        return "served", f"ended with {status} when asked to stop: {daemon.log()[-400:]}"
    if altered:
        return "sent", f"{len(wrong_bytes(specimen))} requests with bytes that were never accepted; db check ended with {found}"
    if daemon.damaged and found != 1:
        return "served", "an event was given up as damaged, but db check found nothing"
    if daemon.damaged:
        return "a damaged event held back", None
    return "harmless" if found == 0 else "served on, found by db check", None


@fault("corruption", "bits flipped on each kind of page")
def flipped_bits(run):
    specimen = Specimen(run, 600 if run.quick else 3000)
    ends = collections.Counter()
    for kind in specimen.pages:
        run.check(specimen.pages[kind], f"the specimen has no {kind} page")
        for n in range(1 if run.quick else 24):
            bits = (8, 1, 64)[n % 3]
            end, wrong = one_flip(run, specimen, kind, bits)
            ends[end] += 1
            run.check(wrong is None, f"{kind} page, {bits} bits: {wrong}")
    run.figures = ", ".join(f"{count} {end}" for end, count in sorted(ends.items()))
    whole = specimen.copy()
    status = launch(whole)
    run.control("nothing flipped: not refused", status is None and why_refused_badly(whole, status, specimen.bytes))
    run.control("nothing flipped: db check finds nothing", db_check(whole) == 0)
    run.control("a payload of an earlier version, without a checksum: its wrong bytes are sent, and seen", unchecked(specimen))


def unchecked(specimen):
    """Requests with wrong bytes, from a specimen whose events have no checksums and one of which has changed."""
    daemon = specimen.copy()
    connection = sqlite3.connect(daemon.database)
    connection.executescript("UPDATE event SET checksum = NULL; UPDATE counter SET last_unchecked = event_seq;"
                             "UPDATE event SET payload = CAST(replace(CAST(payload AS TEXT), 'leaf', 'lead') AS BLOB) WHERE type = 'kept.one' AND CAST(payload AS TEXT) LIKE '%leaf%'")
    connection.close()
    specimen.receiver.requests.clear()
    return launch(daemon) is None and exercise(daemon, specimen) and wrong_bytes(specimen)


def foreign_database(folder):
    path = pathlib.Path(folder) / "foreign.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE mine(x)")
    connection.commit()
    connection.close()
    return path.read_bytes()


@fault("corruption", "a truncated, foreign, empty, text or missing file")
def wrong_files(run):
    specimen = Specimen(run, 600)
    size = len(specimen.bytes)
    cases = {"an empty file": b"", "a text file": b"somebody's notes\n" * 1000, "zeros": bytes(size), "a header and no more": specimen.bytes[:100],
             "a database of another program": foreign_database(run.folder()), "no start": specimen.bytes[PAGE:]}
    for _ in range(3 if run.quick else 30):
        cut = run.random.randrange(1, size)
        cases[f"cut to {cut} of {size} bytes"] = specimen.bytes[:cut]
    for pages in (1, 2, size // PAGE - 1):
        cases[f"cut to {pages} pages"] = specimen.bytes[:pages * PAGE]
    for what, content in cases.items():
        daemon = specimen.copy(content)
        wrong = why_refused_badly(daemon, launch(daemon), content)
        run.check(wrong is None, f"{what}: {wrong}")
        found = db_check(daemon)
        run.check(found == 1 and daemon.database.read_bytes() == content, f"{what}: db check ended with {found}")
    # The log of accepted events without the database it belongs to.
    daemon = specimen.copy()
    daemon.database.unlink()
    wal = pathlib.Path(f"{daemon.database}-wal")
    wal.write_bytes(bytes(5000))
    wrong = why_refused_badly(daemon, launch(daemon), None)
    run.check(wrong is None, f"a WAL without its database: {wrong}")
    run.check(wal.read_bytes() == bytes(5000), "the WAL was changed")
    run.figures = f"{len(cases) + 1} files, each refused with {CORRUPT} and left as it was"
    whole = specimen.copy()
    run.control("the whole file: not refused", why_refused_badly(whole, launch(whole), specimen.bytes))


class Killed:
    """A database whose daemon was killed while commits were in the WAL alone, as bytes; and the ids accepted, in their order."""

    def __init__(self, run):
        self.run = run
        # How much is in the WAL depends on when the last checkpoint was: with more or fewer events it was earlier.
        for count in (100, 120, 140, 160, 180, 200):
            daemon = run.daemon().start()
            self.ids = [daemon.event(type="wal.one")["id"] for _ in range(count)]
            daemon.kill()
            self.database = daemon.database.read_bytes()
            self.wal = pathlib.Path(f"{daemon.database}-wal").read_bytes()
            if count - self.events_without_wal() >= 30:
                return
        raise AssertionError("the WAL was always nearly empty")

    def events_without_wal(self):
        copy = self.run.daemon().database
        copy.write_bytes(self.database)
        connection = sqlite3.connect(copy)
        try:
            return connection.execute("SELECT count(*) FROM event").fetchone()[0]
        finally:
            connection.close()

    def reopened(self, wal):
        """(exit status of the start or None, the daemon, the ids it has), with these bytes for a WAL; None: no WAL."""
        daemon = self.run.daemon()
        daemon.database.write_bytes(self.database)
        if wal is not None:
            pathlib.Path(f"{daemon.database}-wal").write_bytes(wal)
        status = launch(daemon)
        ids = [row["id"] for row in daemon.get("/v1/events?limit=250").json["data"]] if status is None else None
        return status, daemon, ids


@fault("corruption", "a damaged, cut or missing WAL after kill -9")
def damaged_wal(run):
    killed = Killed(run)
    lost = collections.Counter()

    def judge(what, wal):
        """SQLite takes a WAL up to the first frame whose checksum is wrong: what is left must be whole and a beginning of what was accepted."""
        status, daemon, ids = killed.reopened(wal)
        if status is not None:
            return run.check(why_refused_badly(daemon, status, killed.database) is None, f"{what}: {daemon.log()[-400:]}")
        daemon.stop()
        run.check(daemon.integrity() == "ok", f"{what}: {daemon.integrity()}")
        run.check(sorted(ids) == sorted(killed.ids[:len(ids)]), f"{what}: {len(ids)} events are there, but not the first ones")
        lost[what.split(":")[0]] += len(killed.ids) - len(ids)

    for _ in range(3 if run.quick else 40):
        damaged = bytearray(killed.wal)
        damaged[run.random.randrange(len(damaged))] ^= 1 << run.random.randrange(8)
        judge("a bit flipped", bytes(damaged))
        judge("cut", killed.wal[:run.random.randrange(len(killed.wal))])
    judge("missing", None)
    run.figures = "accepted events lost with the damaged part of the log: " + ", ".join(f"{what} {n}" for what, n in lost.items())
    status, daemon, ids = killed.reopened(killed.wal)
    run.check(status is None and sorted(ids) == sorted(killed.ids), "the whole WAL does not bring back what was accepted")
    run.control("a WAL that lost its end: events are missing, and it is seen", lost["cut"] > 0)
