"""Nothing outside stops it: a log that nobody reads, descriptors that were closed, files taken away, threads that are not to be had."""
import fcntl
import http.client
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import strace
from framework import Skip, fault
from harness import BIN, UnixConnection, wait_until
from ledger import ApiProducers, Ledger
from stores import SqliteFile

HERE = pathlib.Path(__file__).resolve().parent
LIMIT = 10       # seconds in which everything below answers on a busy machine
FAIL_STOP = 70


def breaking(run, what):
    """The environment of a daemon in which a precaution does not work (broken_promise.c)."""
    library = run.folder() / "broken_promise.so"
    try:
        built = subprocess.run(["gcc", "-O1", "-shared", "-fPIC", "-o", str(library), str(HERE / "broken_promise.c")],
                               capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise Skip("no gcc") from None
    if built.returncode != 0:
        raise RuntimeError(built.stderr)
    return {**os.environ, "LD_PRELOAD": str(library), "BROKEN": what}


def fill(fd):
    flags = fcntl.fcntl(fd, fcntl.F_GETFL)
    fcntl.fcntl(fd, fcntl.F_SETFL, flags | os.O_NONBLOCK)
    for size in (4096, 1):
        try:
            while True:
                os.write(fd, b"x" * size)
        except BlockingIOError:
            pass
    fcntl.fcntl(fd, fcntl.F_SETFL, flags)


# ---- a log that nobody reads: each answers (stderr, what to keep open, a prefix of the command)

def full_pipe():
    reader, writer = os.pipe()
    fill(writer)
    return writer, reader, []


def still_terminal():
    master, slave = os.openpty()
    fill(slave)
    return slave, master, []


def reader_gone():
    reader, writer = os.pipe()
    os.close(reader)
    return writer, None, []


def full_disk():
    return os.open("/dev/full", os.O_WRONLY), None, []


JOURNAL = """
import os, socket, subprocess, sys
subprocess.run(["mount", "-t", "tmpfs", "journal", "/run"], check=True)
os.makedirs("/run/systemd/journal")
journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
journal.bind("/run/systemd/journal/socket")
journal.set_inheritable(True)
os.execv(sys.argv[1], sys.argv[1:])
"""


def unread_journal():
    if subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "probe", "/run"], capture_output=True, check=False).returncode != 0:
        return None
    return subprocess.DEVNULL, None, ["unshare", "-m", sys.executable, "-c", JOURNAL]


LOGS = {"a full pipe": full_pipe, "a terminal that is held": still_terminal, "a pipe without a reader": reader_gone,
        "a full disk": full_disk, "journald's socket, unread": unread_journal}


def answered(daemon, method, path, body=None):
    connection = UnixConnection(daemon.admin, timeout=LIMIT)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
        response = connection.getresponse()
        response.read()
        return response.status
    except (OSError, http.client.HTTPException) as error:
        return repr(error)
    finally:
        connection.close()


def unheard(run, log, changes, environment=None):
    """What goes wrong with a daemon that logs `changes` changes to a log like this: a list of texts."""
    made = log()
    if made is None:
        return None
    err, kept, prefix = made
    daemon = run.daemon("log.level=debug", "log.format=" + ("journald" if prefix else "logfmt"))
    receiver = run.receiver()
    daemon.process = subprocess.Popen([*prefix, *daemon.command()], stderr=err, stdout=subprocess.DEVNULL, env=environment)
    for fd in (err, kept):
        if isinstance(fd, int) and fd >= 0:
            run.closers.insert(0, lambda fd=fd: os.close(fd))
    wrong = []
    try:
        wait_until(daemon.ready_or_dead, "outboxd answers", LIMIT)
        endpoint = daemon.endpoint(receiver.url)["id"]
    except (AssertionError, OSError) as error:
        daemon.kill()
        return [f"it does not start: {error!r}"]
    for n in range(changes):
        status = answered(daemon, "PATCH", f"/v1/endpoints/{endpoint}", f'{{"name": "name-{n}"}}')
        if status != 200:
            wrong.append(f"change {n}: {status}")
            break
    if (status := answered(daemon, "POST", "/v1/events", '{"type": "order.paid", "payload": {}}')) != 202:
        wrong.append(f"event: {status}")
    else:
        try:
            receiver.wait_for(1, LIMIT)
        except AssertionError as error:
            wrong.append(str(error))
    begin = time.monotonic()
    try:
        status = daemon.stop(LIMIT)
        if status != 0:
            wrong.append(f"ended with {status}")
    except subprocess.TimeoutExpired:
        wrong.append(f"SIGTERM does not end it in {LIMIT} s")
        daemon.kill()
    run.figures = f"{changes} logged changes each; the last stop took {time.monotonic() - begin:.1f} s"
    return wrong


@fault("nothing outside stops it", "a log that nobody reads: pipe, terminal, journald, full disk")
def unread_logs(run):
    changes = 300 if run.quick else 3000
    left_out = []
    for what, log in LOGS.items():
        wrong = unheard(run, log, changes)
        if wrong is None:
            left_out.append(what)
            continue
        run.check(not wrong, f"{what}: {wrong[:3]}")
    if left_out:
        run.figures += "; without " + ", ".join(left_out)
    run.control("whoever logs writes by himself, to a full pipe", unheard(run, full_pipe, 5, breaking(run, "log")))


# ---- descriptors that were closed

def started_without(run, closed, environment=None):
    """What goes wrong with a daemon that is started with these descriptors closed: a list of texts."""
    daemon, receiver, wrong = run.daemon("log.level=debug"), run.receiver(), []
    redirections = " ".join(f"{fd}{'<' if fd == 0 else '>'}&-" for fd in closed)
    daemon.process = subprocess.Popen(["sh", "-c", f'exec "$@" {redirections}', "sh", *daemon.command()], stdin=subprocess.DEVNULL,
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    wait_until(daemon.ready_or_dead, "outboxd answers")
    if daemon.process.poll() is not None:
        return [f"it ended with {daemon.process.returncode}"]
    daemon.endpoint(receiver.url)
    daemon.event()
    receiver.wait_for(1)
    for fd in closed:
        if (found := os.readlink(f"/proc/{daemon.process.pid}/fd/{fd}")) != "/dev/null":
            wrong.append(f"descriptor {fd} is {found}")
    lock = pathlib.Path(f"{daemon.database}.lock").read_text()
    if lock != f"{daemon.process.pid}\n":
        wrong.append(f"the lock file holds {lock[:200]!r}")
    if (status := daemon.stop()) != 0:
        wrong.append(f"ended with {status}")
    if (found := daemon.integrity()) != "ok":
        wrong.append(f"integrity: {found}")
    return wrong


def tools_without(run):
    """outboxctl on a database with its descriptors closed, and with an answer that cannot be written: each must say so and harm nothing."""
    daemon = run.daemon().start()
    for redirection, arguments, status in ((">&-", ["endpoint", "add", "http://127.0.0.1:9/"], 1), (">/dev/full", ["status"], 1),
                                           (">&-", ["status"], 1), ("2>&-", ["db", "check", "--config", daemon.config], 0),
                                           ("<&- >&- 2>&-", ["db", "check", "--config", daemon.config], 0)):
        command = ["sh", "-c", f'exec "$@" {redirection}', "sh", BIN / "outboxctl", "--socket", daemon.admin, *arguments]
        ended = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
        run.check(ended.returncode == status, f"outboxctl {' '.join(map(str, arguments))} {redirection}: {ended}")
    run.check(not daemon.get("/v1/endpoints").json["data"], "an endpoint was added whose secret nobody saw")
    run.check(daemon.stop() == 0 and daemon.integrity() == "ok", "the database is damaged")


@fault("nothing outside stops it", "descriptors 0 to 2 closed at the start, of outboxd and of outboxctl")
def closed_descriptors(run):
    for closed in ((2,), (0, 1, 2)) if run.quick else ((0,), (1,), (2,), (0, 1), (1, 2), (0, 2), (0, 1, 2)):
        wrong = started_without(run, closed)
        run.check(not wrong, f"without {closed}: {wrong}")
    tools_without(run)
    run.control("closed descriptors look open", started_without(run, (0, 1, 2), breaking(run, "descriptors")))


# ---- files taken away

def other_database(run):
    other = run.daemon().start()
    other.stop()
    return other.database


def paths(daemon):
    return [pathlib.Path(f"{daemon.database}{suffix}") for suffix in ("", "-wal", "-shm")]


def put_back(source, target):
    os.rename(source, target)


def rescued(daemon):
    os.rename(f"{daemon.database}.rescued", daemon.database)


def replace(daemon, run):
    os.rename(other_database(run), daemon.database)


def empty_log(daemon):
    fresh = pathlib.Path(f"{daemon.database}.fresh")
    fresh.touch()
    os.rename(fresh, paths(daemon)[1])


# What is done, and what the operator does as the sentence tells him. Nobody can save what lies in a folder that was removed with all
# that is in it, nor what an SQL producer commits into a removed file that it alone still has open.
TAKEN = {
    "the database moved": (lambda d, run: os.rename(d.database, f"{d.database}.away"),
                           lambda d: put_back(f"{d.database}.away", d.database)),
    "the database removed": (lambda d, run: d.database.unlink(), rescued),
    "all three files removed": (lambda d, run: [path.unlink() for path in paths(d)], rescued),
    "another database put in its place": (replace, rescued),
    "the write-ahead log removed": (lambda d, run: paths(d)[1].unlink(), lambda d: None),
    "the write-ahead log moved": (lambda d, run: os.rename(paths(d)[1], f"{d.database}.away"), lambda d: None),
    "the write-ahead log replaced": (lambda d, run: empty_log(d), lambda d: paths(d)[1].unlink()),
    "the log's index removed": (lambda d, run: paths(d)[2].unlink(), lambda d: None),
    "the lock removed": (lambda d, run: os.unlink(f"{d.database}.lock"), lambda d: None),
    "the folder moved": (lambda d, run: os.rename(d.database.parent, f"{d.folder}/away"),
                         lambda d: put_back(f"{d.folder}/away", d.database.parent)),
}


class InFolder:
    """The database of a daemon in a folder of its own, which can be moved."""

    def __init__(self, run):
        self.daemon = run.daemon()
        (self.daemon.folder / "data").mkdir()
        self.daemon.store = SqliteFile(self.daemon.folder / "data" / "outbox.db")
        self.daemon.settings.append(f"store.url=sqlite://{self.daemon.database}")


def taken_away(run, how, environment=None, idle=False):
    """What goes wrong when files are taken from a daemon that accepts events: a list of texts."""
    take, mend = TAKEN[how]
    daemon, ledger, receiver = InFolder(run).daemon, Ledger(), run.receiver()
    with open(daemon.log_file, "wb") as log:
        daemon.process = subprocess.Popen(daemon.command(), stderr=log, stdout=log, env=environment)
    wait_until(daemon.ready_or_dead, "outboxd answers")
    daemon.endpoint(receiver.url)
    producers = ApiProducers(daemon, ledger, "taken")
    wait_until(lambda: len(ledger) > 50, "the load is under way")
    if idle:
        producers.stop()
    time.sleep(run.random.uniform(0, 0.3))  # the random moment
    take(daemon, run)
    wrong = []
    try:
        status = daemon.process.wait(LIMIT)
        if status != FAIL_STOP:
            wrong.append(f"ended with {status}")
    except subprocess.TimeoutExpired:
        wrong.append("it goes on")
        daemon.kill()
    if not idle:
        producers.stop()
    if "while outboxd served it" not in daemon.log():
        wrong.append(f"it does not say what happened: {daemon.log()[-300:]}")
    try:
        mend(daemon)
        daemon.start()
        wrong += ledger.broken(daemon, [receiver], 30)[:3]
    except (AssertionError, OSError) as error:
        wrong.append(f"the next start: {error}")
    return wrong


@fault("accepted means durable", "files taken away from a daemon that accepts events: removed, moved, replaced")
def files_taken_away(run):
    rounds = 1 if run.quick else 5
    for how in TAKEN:
        for _ in range(rounds):
            wrong = taken_away(run, how)
            run.check(not wrong, f"{how}: {wrong}")
            run.cleanup()
    wrong = taken_away(run, "the database moved", idle=True)
    run.check(not wrong, f"while nothing comes in: {wrong}")
    run.figures = f"{len(TAKEN)} ways; each ended with {FAIL_STOP}, and the next start had every acknowledged event"
    run.control("files look as they did at first", taken_away(run, "the write-ahead log removed", breaking(run, "files")))


# ---- threads that are not to be had

def fails_in_order(run, daemon, k, delay="", *others):
    """A start whose k-th thread cannot be made. Which thread that was; None: it has fewer, and serves."""
    output = strace.run_under(daemon, [f"clone3:error=EAGAIN{delay}:when={k}", *others], ["clone3", "fdatasync"])
    daemon.log_file.unlink(missing_ok=True)
    if strace.starts(daemon):
        run.check(daemon.stop() == 0, f"thread {k}: the stop")
        return None
    status, log = daemon.process.returncode, daemon.log()
    named = "cannot be made" in log
    run.check(status == 1 and named, f"thread {k}: ended with {status}: {log[-300:]}")
    strace.complete(output, daemon)
    return log.split(" cannot be made")[0].rsplit("the thread ", 1)[1].strip('\\"') if named else "?"


@fault("fail stop", "the k-th thread of a start cannot be made, for every k, idle and with deliveries under way")
def threads_refused(run):
    strace.need_strace()
    names = []
    while (name := fails_in_order(run, run.daemon(), len(names) + 1)):
        names.append(name)
    # A slow store and a slow refusal: deliveries are under way when the parts are taken apart, and what is used after that shows.
    daemon, receiver = run.daemon().start(), run.receiver(lambda request: time.sleep(0.005) or 200)
    daemon.endpoint(receiver.url, max_in_flight=200)
    daemon.stop()
    os.environ["MALLOC_PERTURB_"] = "165"
    try:
        for _ in range(2 if run.quick else 10):
            for k in range(names.index("delivery") + 2, len(names) + 1):
                daemon.sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<3000)"
                           "INSERT INTO outbox(type, payload) SELECT 'a.b', '{}' FROM n;")
                fails_in_order(run, daemon, k, ":delay_enter=1s", "fdatasync:delay_enter=300ms")
    finally:
        del os.environ["MALLOC_PERTURB_"]
    run.figures = f"{len(names)} threads: {', '.join(dict.fromkeys(names))}; {len(receiver.requests)} deliveries under way meanwhile"
    run.control("no thread is refused: it starts", fails_in_order(run, run.daemon(), len(names) + 1) is None)
