"""What producers were promised, and whether it was kept: the receiver's log and the store against the acknowledgements."""
import http.client
import json
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import time

from harness import PATIENCE, UnixConnection
from stores import SqliteFile

SQL_PRODUCER = pathlib.Path(__file__).with_name("sql_producer.py")
KEY = re.compile(rb'"key": "([^"]+)"')


def payload_of(key):
    return f'{{"key": "{key}", "n": 1.10}}'


class Ledger:
    """Every event has a key of its own in its payload; the ledger has the keys that were acknowledged or committed, and the id if one
    was told. Events that were tried but not acknowledged may exist or not."""

    def __init__(self):
        self.lock = threading.Lock()
        self.promised = {}
        self.arrived = {}  # receiver: {key: ids, in the order it got them}
        self.read = {}     # receiver: requests already in `arrived`

    def promise(self, key, event_id=None):
        """To every receiver that broken() will be asked about."""
        with self.lock:
            self.promised[key] = event_id

    def __len__(self):
        with self.lock:
            return len(self.promised)

    def read_arrivals(self, receiver):
        with receiver.lock:
            fresh = receiver.requests[self.read.get(receiver, 0):]
        self.read[receiver] = self.read.get(receiver, 0) + len(fresh)
        arrived = self.arrived.setdefault(receiver, {})
        for request in fresh:
            found = KEY.search(request.body)
            if found:
                arrived.setdefault(found[1].decode(), []).append(request.id)

    def missing(self, receivers):
        for receiver in receivers:
            self.read_arrivals(receiver)
        with self.lock:
            return [key for key in self.promised if any(key not in self.arrived[receiver] for receiver in receivers)]

    def settle(self, daemon, receivers, patience=PATIENCE):
        """Waits until everything promised has arrived and nothing is pending; says in vain by returning, for broken() to find."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if not self.missing(receivers) and nothing_pending(daemon):
                return True
            time.sleep(0.01)
        return False

    def broken(self, daemon, receivers, patience=PATIENCE):
        """Every promise that was not kept, once everything should have been: a list of texts, best empty."""
        self.settle(daemon, receivers, patience)
        broken = []
        stored, states = events_in(daemon)
        for key in self.missing(receivers):
            broken.append(f"{key} was acknowledged and never arrived; the store says {states.get(key, 'nothing')}")
        for key, event_id in self.promised.items():
            ids = stored.get(key, [])
            if not ids:
                broken.append(f"{key} was acknowledged and is not in the store")
            elif event_id and event_id not in ids:
                broken.append(f"{key} was acknowledged as {event_id}, the store has {ids}")
        for key, ids in stored.items():
            if len(ids) != 1:
                broken.append(f"{key} was given once and is {len(ids)} events: {ids}")
            if states[key] - {"delivered"}:
                broken.append(f"{key} is {states[key]}, and nothing refused it")
        for receiver in receivers:
            for key, ids in self.arrived[receiver].items():
                if set(ids) - set(stored.get(key, [])):
                    broken.append(f"{key} arrived as {set(ids)}, the store has {stored.get(key)}")
            for key, state in states.items():
                if state == {"delivered"} and key not in self.arrived[receiver]:
                    broken.append(f"{key} is marked delivered and never arrived")
        waiting = daemon.sql("SELECT count(*) FROM outbox").stdout.strip()
        if waiting != "0":
            broken.append(f"{waiting} rows are left in the outbox")
        return broken

    def repeats(self):
        return sum(len(ids) - 1 for arrived in self.arrived.values() for ids in arrived.values())


def nothing_pending(daemon):
    try:
        answer = daemon.get("/v1/deliveries?limit=1&state=pending")
        return answer.status == 200 and not answer.json["data"]
    except (OSError, http.client.HTTPException):
        return False


def events_in(daemon):
    """{key: ids} and {key: states of its deliveries} of the store."""
    rows = daemon.sql(daemon.store.EVENTS).stdout
    stored, states = {}, {}
    for line in rows.splitlines():
        found = KEY.search(line.encode())
        if not found:
            continue
        key, event_id = found[1].decode(), "evt_" + line.split("|", 1)[0]
        if event_id not in stored.setdefault(key, []):
            stored[key].append(event_id)
        states.setdefault(key, set()).add(line.rsplit("|", 1)[1])
    return stored, states


def copy_as_found(daemon, scratch):
    """The files a killed daemon left, copied: whoever opens them recovers them, and that is the next daemon's part. Nobody may have
    the database open."""
    copy = scratch / "as-found.db"
    for suffix in ("", "-wal", "-shm"):
        pathlib.Path(f"{copy}{suffix}").unlink(missing_ok=True)
    for suffix in ("", "-wal"):
        if pathlib.Path(f"{daemon.database}{suffix}").exists():
            shutil.copyfile(f"{daemon.database}{suffix}", f"{copy}{suffix}")
    return copy


def ask(database, question):
    return subprocess.run(["sqlite3", str(database), question], capture_output=True, text=True, check=False).stdout.strip()


def integrity_as_found(daemon, scratch):
    if not isinstance(daemon.store, SqliteFile):
        return daemon.integrity()
    return ask(copy_as_found(daemon, scratch), "PRAGMA integrity_check")


class ApiProducers:
    """Threads that post events as fast as they are acknowledged, one by one and in batches; they end with the daemon."""

    def __init__(self, daemon, ledger, name, threads=4):
        self.daemon, self.ledger, self.name = daemon, ledger, name
        self.stopping = threading.Event()
        self.refused = []
        self.threads = [threading.Thread(target=self.run, args=(t,), daemon=True) for t in range(threads)]
        for thread in self.threads:
            thread.start()

    def run(self, number):
        connection = UnixConnection(self.daemon.ingest)
        sent = 0
        try:
            while not self.stopping.is_set():
                keys = [f"{self.name}-{number}-{sent + i}" for i in range(5 if sent % 4 == 3 else 1)]
                sent += len(keys)
                self.post(connection, keys)
        except (OSError, http.client.HTTPException, ValueError):
            pass  # the daemon ended under us: what is not acknowledged does not count
        finally:
            connection.close()

    def post(self, connection, keys):
        events = ",".join(f'{{"type": "load.api", "payload": {payload_of(key)}}}' for key in keys)
        connection.request("POST", "/v1/events", (events if len(keys) == 1 else f"[{events}]").encode(),
                           {"Content-Type": "application/json"})
        response = connection.getresponse()
        body = response.read()
        if response.status != 202:
            self.refused.append((response.status, body))
            return
        answer = json.loads(body)
        for key, event in zip(keys, [answer] if len(keys) == 1 else answer["data"]):
            self.ledger.promise(key, event["id"])

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()


class SqlProducer:
    """A process that commits events into the outbox; killed at its end, as it may be."""

    def __init__(self, daemon, ledger, name):
        self.ledger = ledger
        self.errors = []
        self.process = subprocess.Popen([sys.executable, str(SQL_PRODUCER), daemon.store.url, name], stdout=subprocess.PIPE,
                                        text=True)
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        for line in self.process.stdout:
            if line.startswith("!"):
                self.errors.append(line[2:].strip())
            elif line.endswith("\n"):
                for key in line.split():
                    self.ledger.promise(key)

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.thread.join()
        self.process.stdout.close()


def load(run, daemon, ledger, name, sql):
    """API producers and so many SQL producers; the first of the list are those that end with the daemon."""
    producers = [ApiProducers(daemon, ledger, f"api-{name}")] + [SqlProducer(daemon, ledger, f"sql{i}-{name}") for i in range(sql)]
    run.closers += [producer.stop for producer in producers]
    return producers
