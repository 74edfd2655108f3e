"""An I/O error of the store: the daemon stops at once, acknowledges nothing more, and the next start recovers."""
import re
import subprocess
import types

import strace
from framework import fault, wait_until
from workload import Workload, calls_of, calls_of_start, check_restart, every_point, killed_midway

FAILS = "fail stop after an I/O error"
STORE_FAILED, CANNOT_OPEN = 70, 74  # docs/operations.md: while it served; at its start
CORRUPT = 65  # at a start too: SQLite takes a page that cannot be read for a corrupt one
API_THREADS = ("api", "api worker")
TOUCHES_A_FILE = re.compile(r"^\d+ +(pwrite64|fdatasync|fsync|ftruncate)\(\d+<[^>]*\.db(-wal)?>")  # -shm is no store: it is built anew


def written_after_the_error(trace, by_others=False):
    """The store's calls after the one that failed, of every thread or of the others."""
    lines = trace.splitlines()
    for n, line in enumerate(lines):
        if "(INJECTED)" in line:
            thread = line.split()[0]
            return [later for later in lines[n + 1:] if TOUCHES_A_FILE.match(later) and not (by_others and later.split()[0] == thread)]
    return []


def elsewhere(line):
    """Not at a file of the store: at a library, or at the folder, which SQLite syncs for a new WAL without a look at what came of it."""
    return ".db" not in line


def answers_a_question(line, attached):
    """A read for a GET: that request alone fails, and promises nothing."""
    return "pread64" in line and attached.threads.get(line.split()[0]) in API_THREADS


def judge(daemon, trace, allowed, by_others=False):
    broken = []
    if daemon.process.returncode not in allowed:
        broken.append(f"ended with {daemon.process.returncode}, not {allowed}")
    if "pread64" in strace.struck(trace):  # mostly another thread than the writer's, which has nothing to do with it
        return broken
    later = written_after_the_error(trace, by_others)
    if later:
        broken.append(f"{len(later)} calls to the store after {strace.struck(trace)}, such as {later[0]}")
    return broken


def error_at(run, name, k):
    daemon, work = run.daemon().start(), Workload(run)
    work.fill(daemon)
    attached = strace.Attached(daemon, [f"{name}:error=EIO:when={k}"])
    work.run(daemon)
    if work.finished:
        daemon.kill()
    wait_until(lambda: daemon.process.poll() is not None, "outboxd has stopped")
    trace = attached.wait()
    failed = strace.struck(trace)
    broken = []
    if failed and not elsewhere(failed) and not answers_a_question(failed, attached):
        broken = judge(daemon, trace, [STORE_FAILED])
    return broken + check_restart(daemon, work, run), bool(failed)


def error_of_start_at(run, name, k):
    daemon, work = killed_midway(run)
    output = strace.run_under(daemon, [f"{name}:error=EIO:when={k}"])
    if strace.starts(daemon):  # it may say that it is ready before the call comes: what it does then is its own to decide
        failed = strace.until_struck(output)
        if failed and not elsewhere(failed):
            wait_until(lambda: daemon.process.poll() is not None, f"outboxd has stopped after {failed}")
        else:
            daemon.kill()
    strace.run_alone(daemon)
    trace = strace.complete(output, daemon)
    failed = strace.struck(trace)
    broken = []
    if failed and not elsewhere(failed):
        # Closing what it had opened is all that a start may still do.
        allowed = [STORE_FAILED, CANNOT_OPEN] + [CORRUPT] * (name == "pread64")
        broken = judge(daemon, trace, allowed, by_others=True)
    return broken + check_restart(daemon, work, run), bool(failed)


@fault(FAILS, "EIO at every sync of a fixed workload, and of a start after a kill")
def syncs_fail(run):
    errors(run, ["fdatasync", "fsync"])
    a_program_that_goes_on(run, "fdatasync", 4)


@fault(FAILS, "EIO at every write of a fixed workload, and of a start after a kill")
def writes_fail(run):
    errors(run, ["pwrite64", "ftruncate"])
    a_program_that_goes_on(run, "pwrite64", 12)


@fault(FAILS, "EIO at every read of a fixed workload, and of a start after a kill")
def reads_fail(run):
    errors(run, ["pread64"])
    a_program_that_goes_on(run, "pread64", 2)


def errors(run, names):
    run.figures = "; ".join([every_point(run, "workload", calls_of(run), names, 4 if run.quick else None, error_at),
                             every_point(run, "start", calls_of_start(run), names, 2 if run.quick else None, error_of_start_at)])


def a_program_that_goes_on(run, call, k):
    """The control: the sqlite3 shell meets such an error, reports it, and commits the next transaction as if nothing had been."""
    folder = run.folder()
    script = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE t(x);\n" + "INSERT INTO t VALUES (1);\n" * 5
    ended = subprocess.run([*strace.arguments(folder / "strace.log", [f"{call}:error=EIO:when={k}"]), "sqlite3", str(folder / "t.db")],
                           input=script, capture_output=True, text=True, timeout=20, check=False)
    trace = (folder / "strace.log").read_text()
    noticed = strace.struck(trace) and judge(types.SimpleNamespace(process=ended), trace, [STORE_FAILED])
    run.control(f"a program that goes on after EIO at {call} {k}", noticed)
