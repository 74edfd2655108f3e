"""The WAL stays bounded: hours of load in minutes, with readers, SQL producers and retention, and its file stays under 64 MiB."""
import json
import sqlite3
import threading
import time

from framework import fault
from harness import UnixConnection, wait_until
from ledger import Ledger, SqlProducer
from process_watch import Watch, file_size

LIMIT = 64 << 20
PAYLOAD = "w" * 2000


class Batches(threading.Thread):
    """Posts batches of 100 as fast as they are accepted."""

    def __init__(self, daemon, stopping):
        super().__init__(daemon=True)
        self.daemon_, self.stopping, self.accepted = daemon, stopping, 0
        self.body = json.dumps([{"type": "wal.one", "payload": PAYLOAD}] * 100).encode()
        self.start()

    def run(self):
        connection = UnixConnection(self.daemon_.ingest, timeout=60)
        while not self.stopping.is_set():
            connection.request("POST", "/v1/events", self.body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            response.read()
            if response.status == 202:
                self.accepted += 100
            else:
                self.stopping.wait(0.1)  # the queue is full
        connection.close()


class Readers(threading.Thread):
    """An operator who cannot look enough: lists, details, the status, metrics, without a pause."""

    def __init__(self, daemon, stopping):
        super().__init__(daemon=True)
        self.daemon_, self.stopping, self.reads = daemon, stopping, 0
        self.start()

    def run(self):
        connection = UnixConnection(self.daemon_.admin, timeout=60)
        while not self.stopping.is_set():
            for path in ("/v1/events?limit=250", "/v1/deliveries?limit=250", "/v1/deliveries?limit=250&state=pending", "/v1/status", "/metrics"):
                connection.request("GET", path)
                response = connection.getresponse()
                response.read()
                self.reads += response.status == 200
        connection.close()


@fault("WAL stays bounded", "batches, SQL producers, readers and retention at full speed")
def wal_under_load(run):
    seconds = 5 if run.quick else 240
    daemon = run.daemon("retention.delivered=1s", "retention.dead=1s", "limits.idempotency_window=1s", "log.level=warn").start()
    receiver = run.receiver()
    original = receiver.answer

    def forget(request):
        with receiver.lock:
            receiver.requests.clear()
        return original(request)

    receiver.answer = forget
    daemon.endpoint(receiver.url, types=["load.**"])  # the SQL producers' events; the batches match nobody and are done at once
    watch, stopping, ledger = Watch(daemon), threading.Event(), Ledger()
    batches = [Batches(daemon, stopping) for _ in range(2)]
    readers = [Readers(daemon, stopping) for _ in range(3)]
    producers = [SqlProducer(daemon, ledger, f"wal-{n}") for n in range(2)]
    run.closers += [producer.process.kill for producer in producers]
    deadline = time.monotonic() + seconds
    highest = 0
    while time.monotonic() < deadline:
        time.sleep(0.1)
        highest = max(highest, watch.wal)
        run.check(watch.wal < LIMIT, f"the WAL has {watch.wal >> 20} MiB")
    stopping.set()
    for worker in [*batches, *readers]:
        worker.join()
    for producer in producers:
        producer.stop()
    watch.stop()
    accepted = sum(b.accepted for b in batches) + len(ledger)
    run.figures = (f"{accepted} events, {sum(r.reads for r in readers)} lists in {seconds} s: WAL at most {highest / (1 << 20):.1f} MiB, "
                   f"{daemon.sql('SELECT count(*) FROM event').stdout.strip()} events kept in {file_size(daemon.database) >> 20} MiB")

    # A foreign reader that keeps its transaction open: nothing can be checkpointed past it, whatever outboxd does.
    reader = sqlite3.connect(daemon.database, isolation_level=None, check_same_thread=False)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM endpoint").fetchone()
    stopping.clear()
    again = Batches(daemon, stopping)
    wait_until(lambda: file_size(f"{daemon.database}-wal") > LIMIT, "the WAL grows behind a foreign reader", 120)
    stopping.set()
    again.join()
    run.control("a foreign reader holds its transaction: the WAL grows beyond the bound", file_size(f"{daemon.database}-wal") > LIMIT)
    run.check("another process reads for long" in daemon.log(), "the log does not say that another process holds up the checkpoints")
    reader.execute("COMMIT")
    reader.close()
    wait_until(lambda: daemon.event(type="wal.after") and file_size(f"{daemon.database}-wal") < LIMIT, "the WAL is cut when the reader has gone")
