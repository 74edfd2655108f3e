"""A load of producers on daemons that share a PostgreSQL database, and what has become of each event: given once, it is one event,
came to every receiver, in its order, and whatever came twice was under way when something broke."""
import collections
import json
import os
import pathlib
import subprocess
import sys
import threading

from framework import Skip

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from harness import wait_until
from postgres import Server, programs
from several_daemons import PARTITIONS, TAKEOVER, Producer, misordered, partitions_of

# Whoever sends, records the outcome so much later at most, on a busy machine too.
UNDER_WAY = 2
# From the kernel's buffers of a daemon that is no more to the receiver.
IN_FLIGHT = 0.5


def require_postgresql():
    if not programs():
        raise Skip("PostgreSQL is not installed: scripts/setup does it")


def server(run, **settings):
    made = Server(**settings)
    run.closers.append(made.remove)
    return made


def members(run, urls, *settings, receivers=()):
    """A daemon for each URL, with its share of the partitions; each knows an endpoint with an order for each receiver. Each tells
    its receivers who it is: d0, d1, ..."""
    daemons = [run.daemon(f"delivery.user_agent=d{number}", *settings, store=url) for number, url in enumerate(urls)]
    return serve(daemons, receivers)


def spawn(daemon):
    """Starts it and does not wait until it serves."""
    with open(daemon.log_file, "ab") as log:
        daemon.process = subprocess.Popen(daemon.command(), stderr=log, stdout=log)


def serve(daemons, receivers):
    for daemon in daemons:
        daemon.start()
    for number, receiver in enumerate(receivers):
        daemons[0].endpoint(receiver.url, name=f"shop-{number}", ordering="key", types=["order.**"])
    for daemon in daemons:
        wait_until(lambda asked=daemon: len(asked.get("/v1/endpoints").json["data"]) == len(receivers), "all know the endpoints")
    wait_for_shares(daemons)
    return daemons


def backlog(run, daemon, **where):
    """A receiver for endpoints of all daemons with more to send than they may: any of them would go on sending at any moment."""
    receiver = run.receiver(**where)
    for number in range(16):
        daemon.endpoint(receiver.url, name=f"slow-{number}", types=["order.**"], rate_limit="2/s")
    return receiver


def wait_for_shares(daemons, patience=2 * TAKEOVER):
    least = PARTITIONS // len(daemons)

    def shared():
        try:
            owned = [partitions_of(daemon) for daemon in daemons]
        except (OSError, KeyError, ValueError):
            return False
        return sum(owned) == PARTITIONS and min(owned) >= least
    wait_until(shared, f"{len(daemons)} daemons have their shares", patience)


class SqlProducer(threading.Thread):
    """Inserts rows into the outbox, one after another, each until its transaction is committed for certain."""

    def __init__(self, key, url, pause):
        super().__init__(daemon=True)
        self.key, self.url, self.pause = key, url, pause
        self.acknowledged, self.refused = [], 0
        self.ending = threading.Event()
        self.start()

    def run(self):
        while not self.ending.is_set():
            if self.insert(len(self.acknowledged)):
                self.acknowledged.append(None)  # ids are for the daemons to give
            else:
                self.refused += 1
            self.ending.wait(self.pause)

    def insert(self, number):
        payload = json.dumps({"key": self.key, "number": number})
        row = f"INSERT INTO outbox(type, payload, idempotency_key) VALUES ('order.paid', '{payload}', '{self.key} {number}')"
        environment = {**os.environ, "PGCONNECT_TIMEOUT": "3"}
        try:
            done = subprocess.run(["psql", "-X", "-q", "-c", row, self.url], env=environment, capture_output=True, text=True,
                                  check=False, timeout=15)
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0 and "WARNING" not in done.stderr

    def end(self):
        self.ending.set()
        self.join()


class Load:
    """HTTP producers of so many keys, and SQL producers; receivers of endpoints that get everything, each key in its order."""

    def __init__(self, run, daemons, receivers, keys, urls, pause=0.02):
        self.receivers = receivers
        self.sql = [SqlProducer(f"sql-{number}", url, pause) for number, url in enumerate(urls)]
        self.pause = pause
        self.http = [Producer(f"key-{number}", daemons, pause) for number in range(keys)]
        self.breaks = []  # (from, to), by time.time(): what comes at such a time may come again
        run.closers.append(self.end)

    def add(self, key, daemons):
        self.http.append(Producer(key, daemons, self.pause))

    @property
    def producers(self):
        return self.sql + self.http

    def end(self):
        for producer in self.producers:
            producer.ending.set()
        for producer in self.producers:
            producer.join()

    def count(self):
        return sum(len(producer.acknowledged) for producer in self.producers)

    def wait_for_progress(self, count, patience=60):
        """Until so many more are acknowledged."""
        before = self.count()
        wait_until(lambda: self.count() >= before + count, f"{count} more events are acknowledged", patience)

    def broke(self, begin, end):
        self.breaks.append((begin - UNDER_WAY, end))

    def missing(self):
        """Of what was acknowledged, all that has not come to every receiver."""
        came = [{(event["key"], event["number"]) for event in bodies(receiver)} for receiver in self.receivers]
        return [(producer.key, number) for producer in self.producers for number in range(len(producer.acknowledged))
                if any((producer.key, number) not in its for its in came)]

    def broken(self, patience):
        """Every promise that was not kept, once everything should have been: a list of texts, best empty."""
        try:
            wait_until(lambda: not self.missing(), "all that was acknowledged arrives", patience)
        except AssertionError:
            pass
        broken = [f"{key} {number} was acknowledged and has not arrived everywhere" for key, number in self.missing()]
        for receiver in self.receivers:
            broken += self.broken_at(receiver)
        return broken

    def broken_at(self, receiver):
        with receiver.lock:
            requests = list(receiver.requests)
        ids, copies = collections.defaultdict(set), collections.defaultdict(list)
        for request in requests:
            event = json.loads(request.body)
            ids[event["key"], event["number"]].add(request.id)
            copies[request.id].append(request.at)
        broken = [f"{event} was given once and is {len(its)} events" for event, its in ids.items() if len(its) != 1]
        for producer in self.http:
            told = {id: number for number, id in enumerate(producer.acknowledged)}
            broken += [f"{producer.key} {number} was acknowledged as {id} and came as {ids[producer.key, number]}"
                       for id, number in told.items() if ids[producer.key, number] - {id}]
        broken += [f"{id} came again, and was not under way when anything broke" for id, times in copies.items()
                   if any(not self.was_broken(at) for at in times[:-1])]
        ordered = [request for request in requests if json.loads(request.body)["key"].startswith("key-")]
        return broken + [f"out of order: {wrong}" for wrong in misordered(ordered)]

    def was_broken(self, at):
        return any(begin <= at <= end for begin, end in self.breaks)

    def repeats(self):
        return sum(len(receiver.ids()) - len(set(receiver.ids())) for receiver in self.receivers)

    def claim_one_more(self):
        """For a control."""
        self.http[0].acknowledged.append("evt_claimed")


def bodies(receiver):
    with receiver.lock:
        requests = list(receiver.requests)
    return [json.loads(request.body) for request in requests]
