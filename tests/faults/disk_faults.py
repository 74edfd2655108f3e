"""Disk full: refused in time, nothing corrupt, outcomes recorded all the same, and well again by itself."""
import subprocess
import threading
import time

from framework import Skip, fault, wait_until
from ledger import Ledger, SqlProducer, events_in, payload_of
from stores import SqliteFile

PROMISE = "disk full: refused, never corrupt"
SMALL, LARGE = 40, 160  # MiB
HELD = 4                # deliveries under way while the disk is full
FULL, SHORT = 507, 503


class SmallDisk:
    """A file system of its own, unmounted at the end of the row."""

    def __init__(self, run):
        self.folder = run.folder()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL}m", "tmpfs", str(self.folder)], capture_output=True, text=True,
                                 check=False)
        if mounted.returncode != 0:
            raise Skip("no right to mount: " + mounted.stderr.strip())
        run.closers.append(self.unmount)
        self.other = self.folder / "somebody-elses"

    def unmount(self):
        subprocess.run(["umount", "-l", str(self.folder)], check=True)

    def grow(self):
        subprocess.run(["mount", "-o", f"remount,size={LARGE}m", str(self.folder)], check=True)

    def fill(self, leave=0):
        """By another file, to the last `leave` bytes."""
        with open(self.other, "ab", buffering=0) as other:
            try:
                while other.write(b"x" * 65536):
                    pass
            except OSError:
                pass  # no space left
            if leave:
                other.truncate(other.tell() - leave)


class Case:
    def __init__(self, run, how, sql, settings=()):
        self.run, self.how, self.disk, self.ledger = run, how, SmallDisk(run), Ledger()
        self.refused = {}  # key: status
        # Filled by events there is no floor, or nothing would get as far as a full disk.
        floor = ["retention.free_disk=0"] if how == "by events" else []
        self.daemon = run.daemon(f"store.url=sqlite://{self.disk.folder}/outbox.db", "delivery.timeout=60s", *floor, *settings)
        self.daemon.store = SqliteFile(self.disk.folder / "outbox.db")
        self.daemon.start()
        self.release = threading.Event()
        self.receiver = run.receiver(lambda request: (b"held" not in request.body or self.release.wait(60)) and 200)
        for types in (["held.one"], ["order.paid", "load.sql"]):  # two lanes: those held are not in the way of the others
            self.daemon.endpoint(self.receiver.url, types=types)
        for n in range(HELD):
            self.post(f"held-{n}", "held.one")
        self.receiver.wait_for(HELD)
        self.sql = SqlProducer(self.daemon, self.ledger, "sql") if sql else None
        if sql:
            run.closers.append(self.sql.stop)

    def post(self, key, type="order.paid"):
        answer = self.daemon.post("/v1/events", f'{{"type": "{type}", "payload": {payload_of(key)}}}')
        if answer.status == 202:
            self.ledger.promise(key, answer.json["id"])
        else:
            self.refused[key] = answer.status
            if answer.status == SHORT and "Retry-After" not in answer.headers:
                self.run.failed(f"{self.name}: 503 without Retry-After: {answer}")
        return answer.status

    @property
    def name(self):
        return f"{self.how}{', SQL producers' if self.sql else ''}"

    def fill(self):
        """Until events are refused."""
        if self.how == "by events":
            while self.daemon.post("/v1/events", {"type": "fill.ing", "payload": "x" * 60000}).status == 202:
                pass
        else:
            self.disk.fill(leave=960 * 1024 if self.how == "near the floor" else 0)
        count = 0

        def refused():
            nonlocal count
            count += 1
            time.sleep(0.1)  # the floor is looked at once a second: not so many that they fill what is left
            return self.post(f"probe-{count}") != 202

        wait_until(refused, f"{self.name}: an event is refused", 10)

    def refusals(self):
        """While it lasts: every event is refused, with the status for it."""
        statuses = {self.post(f"while-full-{n}") for n in range(20)}
        allowed = {("by events", False): {FULL}, ("near the floor", False): {SHORT}}.get((self.how, bool(self.sql)), {FULL, SHORT})
        self.run.check(statuses <= allowed, f"{self.name}: events were answered {statuses}, not {allowed}")

    def outcomes_recorded(self, patience=5):
        """Of what was under way when the disk became full."""
        self.release.set()
        held = "SELECT count(*) FROM event e JOIN delivery d ON d.event = e.seq WHERE d.state = 'delivered' AND e.type = 'held.one';"
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if self.daemon.sql(held).stdout.strip() == str(HELD):
                return True
            time.sleep(0.05)
        return False

    def make_room(self):
        if self.how == "by events":
            self.disk.grow()
        else:
            self.disk.other.unlink()

    def recovers(self):
        count = 0

        def accepted():
            nonlocal count
            count += 1
            return self.post(f"afterwards-{count}") == 202

        wait_until(accepted, f"{self.name}: events are accepted again", 10)
        if self.sql:
            before = len(self.ledger)
            wait_until(lambda: len(self.ledger) > before + 10, f"{self.name}: SQL producers commit again")
            self.sql.stop()
        broken = self.ledger.broken(self.daemon, [self.receiver], 30)
        stored, _ = events_in(self.daemon)
        left = set(self.refused) & set(stored)
        self.run.check(not broken, f"{self.name}: {len(broken)} broken, such as {broken[:3]}")
        self.run.check(not left, f"{self.name}: refused and there all the same: {sorted(left)[:5]}")
        self.run.check(self.daemon.integrity() == "ok", f"{self.name}: integrity")


@fault(PROMISE, "filled by events and by another file, with and without SQL producers")
def fills_up(run):
    hows = ["by events", "by another file", "near the floor"]
    cases = [(how, sql) for how in hows for sql in (False, True)]
    for how, sql in cases[::2] + cases[3:4] if run.quick else cases * 2:
        case = Case(run, how, sql)
        case.fill()
        recorded = case.outcomes_recorded()
        run.check(recorded, f"{case.name}: outcomes of what was under way are not recorded")
        case.refusals()
        run.check(case.daemon.integrity() == "ok", f"{case.name}: integrity while full")
        run.check(case.daemon.get("/v1/status").status == 200, f"{case.name}: the status cannot be asked")
        case.make_room()
        case.recovers()
        run.cleanup()
    case = Case(run, "by another file", False, ["retention.ballast=0"])
    case.fill()
    run.control("no ballast: outcomes are not recorded", not case.outcomes_recorded(1))


@fault(PROMISE, "kill -9 and a start while it is full")
def killed_when_full(run):
    starts = 0
    for how, sql in (("by events", False), ("by another file", True)):
        case = Case(run, how, sql)
        case.fill()
        case.daemon.kill()
        case.release.set()
        status = 0
        try:
            case.daemon.start()
            starts += 1
        except AssertionError:
            status = case.daemon.process.returncode
        run.check(status in (0, 74), f"{case.name}: the start on a full disk ended with {status}: {case.daemon.log()[-300:]}")
        case.make_room()
        if status:
            case.daemon.start()
        case.recovers()
        run.cleanup()
    case = Case(run, "by another file", False)
    case.fill()
    case.daemon.kill()
    case.make_room()
    (case.disk.folder / "outbox.db-wal").unlink()
    case.release.set()
    case.daemon.start()
    run.control("the WAL removed before the start", case.ledger.broken(case.daemon, [case.receiver], 1))
    run.figures = f"{starts} of 2 starts on a full disk served; the others said 74"
