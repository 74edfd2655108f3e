"""What the relay costs the application: commit latencies of a writer at full speed, with and without outboxd beside it, in turn.

   OUTBOXD_BIN=… python3 tests/bench/relay_hold.py [SECONDS] [ROUNDS] [FOLDER]     the folder on the disk that is meant

Prints for WAL and rollback journal p50, p99 and the maximum of the commits, and of their wait for the lock alone (BEGIN IMMEDIATE): that is
how long the relay holds a writer, and may be at most 5 ms at p99. The last lines are the medians of the rounds."""
import pathlib
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from harness import BIN, Daemon  # noqa: E402


def write(path, seconds):
    """Of commits of one row each, in milliseconds: how long they waited for the lock, and how long they took in all."""
    database = sqlite3.connect(path, timeout=30, isolation_level=None)
    database.execute("PRAGMA synchronous=FULL")
    waits, commits, end = [], [], time.monotonic() + seconds
    while (begin := time.monotonic()) < end:
        database.execute("BEGIN IMMEDIATE")
        waits.append(1000 * (time.monotonic() - begin))
        database.execute("INSERT INTO outbox(type, payload) VALUES ('order.paid', '{\"id\": 42}')")
        database.execute("COMMIT")
        commits.append(1000 * (time.monotonic() - begin))
    database.close()
    return waits, commits


def figures(times):
    times = sorted(times)
    return [times[len(times) // 2], times[int(0.99 * len(times))], times[-1]]


def measure(folder, mode, relayed, seconds):
    path = folder / "app.db"
    database = sqlite3.connect(path, isolation_level=None)
    database.execute(f"PRAGMA journal_mode={mode}")
    database.executescript(subprocess.run([str(BIN / "outboxctl"), "source", "ddl"], capture_output=True, text=True, check=True).stdout)
    daemon = Daemon(folder)
    with daemon.config.open("a") as config:
        config.write(f'[[source]]\nname = "app"\nurl = "sqlite://{path}"\n')
    if relayed:
        daemon.start()
    waits, commits = write(path, seconds)
    share = 0
    if relayed:
        share = daemon.get("/v1/sources").json["data"][0]["relayed"] / len(commits)
        daemon.stop()
    database.close()
    return [*figures(commits), *figures(waits), len(commits) / seconds, share]


def show(mode, relayed, values):
    c50, c99, c_max, w50, w99, w_max, rate, share = values
    print(f"{mode:8} {'relayed' if relayed else 'alone':8} commits p50 {c50:6.2f}  p99 {c99:6.2f}  max {c_max:7.2f} ms   "
          f"wait for the lock p50 {w50:5.2f}  p99 {w99:6.2f}  max {w_max:7.2f} ms   {rate:6.0f} commits/s  {100 * share:4.0f}% relayed meanwhile",
          flush=True)


def main():
    seconds, rounds, disk = float((sys.argv[1:2] or [20])[0]), int((sys.argv[2:3] or [3])[0]), (sys.argv[3:4] or [None])[0]
    found = {}
    for _ in range(rounds):
        for mode in ("wal", "delete"):
            for relayed in (False, True):
                with tempfile.TemporaryDirectory(prefix="outboxd-hold.", dir=disk) as folder:
                    values = measure(pathlib.Path(folder), mode, relayed, seconds)
                found.setdefault((mode, relayed), []).append(values)
                show(mode, relayed, values)
    print(f"medians of {rounds}")
    for (mode, relayed), values in found.items():
        show(mode, relayed, [statistics.median(column) for column in zip(*values)])


main()
