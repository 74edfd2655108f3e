"""What a process uses while something is done to it: memory, threads and file descriptors from /proc, and the WAL's size."""
import os
import pathlib
import threading

from stores import SqliteFile


def usage(pid):
    """(RSS in MiB, threads, open file descriptors) of a process; None when it is gone."""
    try:
        status = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
        if "VmRSS" not in status:
            return None  # a zombie
        return int(status["VmRSS"].split()[0]) / 1024, int(status["Threads"]), len(os.listdir(f"/proc/{pid}/fd"))
    except (OSError, KeyError):
        return None


def file_size(path):
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


class Watch:
    """Samples a daemon until stopped; keeps the highest of each, and what was there at the beginning. Follows it over restarts."""

    PACE = 0.05

    def __init__(self, daemon):
        self.daemon = daemon
        self.memory_before, self.threads_before, self.files_before = usage(daemon.process.pid)
        self.memory, self.threads, self.files = self.memory_before, self.threads_before, self.files_before
        self.wal = 0
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.ending.wait(self.PACE):
            if isinstance(self.daemon.store, SqliteFile):
                self.wal = max(self.wal, file_size(f"{self.daemon.database}-wal"))
            if (now := usage(self.daemon.process.pid)):
                self.memory, self.threads, self.files = (max(a, b) for a, b in zip((self.memory, self.threads, self.files), now))

    def stop(self):
        self.ending.set()
        self.thread.join()
        return self

    @property
    def memory_grown(self):
        return self.memory - self.memory_before

    @property
    def threads_grown(self):
        return self.threads - self.threads_before

    @property
    def files_grown(self):
        return self.files - self.files_before

    def __str__(self):
        return f"+{self.memory_grown:.0f} MiB, +{self.threads_grown} threads, +{self.files_grown} sockets"
