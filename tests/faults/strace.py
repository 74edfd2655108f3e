"""strace as the hand that kills, delays and fails system calls. It counts per thread and per system call: the writer thread makes all
writes of a running daemon, the main thread those of a start, so the k-th call means the same one in each run of a fixed workload."""
import collections
import pathlib
import re
import shutil
import subprocess

from framework import Skip, wait_until

# Whatever changes a file or tells somebody something.
WRITES = ["pwrite64", "write", "fdatasync", "fsync", "ftruncate", "unlink", "rename", "sendto"]
TRACED = WRITES + ["pread64"]
CALL = re.compile(r"(\d+) +(\w+)\(")


def need_strace():
    if not shutil.which("strace"):
        raise Skip("strace is not installed")


def arguments(output, inject=(), trace=TRACED):
    return ["strace", "-f", "-q", "-y", "-o", str(output), "-e", "trace=" + ",".join(trace)] + [
        f"--inject={what}" for what in inject]


class Attached:
    """strace on a running daemon; ends with it, or when told."""

    def __init__(self, daemon, inject=(), trace=TRACED):
        need_strace()
        self.output = daemon.folder / "strace.log"
        self.threads = {task.name: (task / "comm").read_text().strip() for task in pathlib.Path(f"/proc/{daemon.process.pid}/task").iterdir()}
        command = arguments(self.output, inject, trace)
        command.remove("-q")  # its "attached" is what we wait for
        self.process = subprocess.Popen([*command, "-p", str(daemon.process.pid)], stderr=subprocess.PIPE, text=True)
        line = self.process.stderr.readline()
        if "attached" not in line:
            self.process.wait()
            raise Skip("strace cannot attach: " + line.strip())

    def wait(self):
        self.process.communicate(timeout=20)
        return self.output.read_text(errors="replace")

    def detach(self):
        self.process.terminate()
        return self.wait()


def run_under(daemon, inject=(), trace=TRACED):
    """Lets the daemon's next start be traced from its first instruction. -D: the daemon, not strace, is our child."""
    need_strace()
    output = daemon.folder / "strace.log"
    plain = type(daemon).command
    daemon.command = lambda: [*arguments(output, inject, trace), "-D", *plain(daemon)]
    return output


def run_alone(daemon):
    daemon.__dict__.pop("command", None)


def starts(daemon):
    """Does it start? False: it ended first."""
    try:
        daemon.start()
        return True
    except AssertionError:
        if daemon.process.poll() is None:
            raise
        return False


def complete(output, daemon):
    """The trace of a daemon that has ended: strace, nobody's child, may still be writing."""
    end = re.compile(rf"^{daemon.process.pid} +\+\+\+ ", re.MULTILINE)
    wait_until(lambda: end.search(output.read_text(errors="replace")), "strace has written all")
    return output.read_text(errors="replace")


def struck(trace):
    """The call that an --inject failed, with the file it was for; None: none was."""
    lines = trace.splitlines()
    for n, line in enumerate(lines):
        if "(INJECTED)" in line and "resumed>" in line:  # strace tells of calls that overlap in two lines
            return next(begun for begun in reversed(lines[:n]) if begun.split()[0] == line.split()[0])
        if "(INJECTED)" in line:
            return line
    return None


def until_struck(output, patience=2):
    """As struck(), of a daemon that runs: it has that long to get there."""
    try:
        wait_until(lambda: "(INJECTED)" in output.read_text(errors="replace"), "the fault came", patience)
    except AssertionError:
        return None
    return struck(output.read_text(errors="replace"))


def counts(trace):
    """{system call: how often the busiest thread made it}"""
    calls = collections.Counter(CALL.match(line).groups() for line in trace.splitlines() if CALL.match(line))
    most = collections.Counter()
    for (_, name), count in calls.items():
        most[name] = max(most[name], count)
    return most


def points(most, names, limit, random):
    """[(system call, k)] for every k, or `limit` of them that are spread over all."""
    every = [(name, k) for name in names for k in range(1, most[name] + 1)]
    if limit is None or len(every) <= limit:
        return every
    step = len(every) / limit
    return [every[int((n + random.random()) * step)] for n in range(limit)]
