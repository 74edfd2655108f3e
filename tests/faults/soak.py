"""Mixed load with faults switched on and off at random; at the end what producers were promised is compared with what subscribers took.

    soak.py [--store sqlite|postgresql] [--minutes N] [--seed N] [--rate EVENTS_PER_SECOND]

Producers keep a ledger of every accepted event. Subscribers note what they answered 200. In between the daemon is killed, stopped, locked out,
paused and reloaded, over PostgreSQL the server ends as it is and begins again, and subscribers fail, hang, are slow and break off. Then all of that ends, the backlog drains, and: every accepted event was
taken by every endpoint that it matched or is a dead letter with a reason; nothing came that no producer had given; every body was the bytes
given; an idempotent repeat made no second event; the events of a key came in their order. Exit status 1 on any difference."""
import argparse
import collections
import http.client
import json
import os
import random
import signal
import socket
import sqlite3
import sys
import threading
import time

# Read where it is imported.
if "--store" in sys.argv[1:]:
    os.environ["OUTBOXD_STORE"] = sys.argv[sys.argv.index("--store") + 1]
from framework import POSTGRESQL, SQLITE, STORE, Run  # noqa: E402
from harness import UnixConnection, wait_until  # noqa: E402
from lock_holder import LockHolder  # noqa: E402
from process_watch import Watch, usage  # noqa: E402

PATIENT = ["0s"] + ["100ms"] * 13 + ["2s"] * 50  # no fault lasts long enough to use it up
FRAGILE = ["0s", "100ms", "300ms"]
WAL_LIMIT = 64 << 20
DEAD_LETTERS = {
    SQLITE: """SELECT lower(hex(p.id)), json_extract(CAST(e.payload AS TEXT), '$.serial'), d.reason FROM delivery d
               JOIN event e ON e.seq = d.event JOIN endpoint p ON p.seq = d.endpoint WHERE d.state = 'dead'""",
    POSTGRESQL: """SELECT replace(p.id::text, '-', ''), convert_from(e.payload, 'UTF8')::json ->> 'serial', d.reason FROM finished d
                   JOIN event e ON e.seq = d.event JOIN endpoint p ON p.seq = d.endpoint WHERE d.state = 'dead'"""}
FAILURES = ([500], [503], [404], [500, 200], [429, 503, 200])  # of an answer in such a mood one is chosen


def payload(serial):
    """The bytes of an event follow from its number: nobody has to keep them."""
    filling = "x" * (20_000 if serial % 100 == 0 else serial * 7919 % 1500)
    return f'{{"serial": {serial}, "price": 1.10, "filling": "{filling}"}}'


class Ledger:
    """What producers gave (every number below `given`) and what was promised to them."""

    def __init__(self):
        self.lock = threading.Lock()
        self.given = 0
        self.accepted = {}  # serial: type
        self.keys = {}      # serial: ordering key, of those that have one

    def next(self):
        with self.lock:
            self.given += 1
            return self.given - 1

    def accept(self, serial, type):
        with self.lock:
            self.accepted[serial] = type


class Subscriber:
    """An endpoint's receiver, with moods. Whatever it answers 200 it has taken."""

    def __init__(self, run, soak, name, types, **fields):
        self.soak, self.name, self.types, self.fields = soak, name, types, fields
        self.receiver = run.receiver(self.answer)
        self.lock = threading.Lock()
        self.mood, self.mood_changed, self.failures = "well", threading.Event(), [500]
        self.taken = collections.Counter()            # serial: times
        self.order = collections.defaultdict(list)    # ordering key: serials as they were taken
        self.endpoint = None

    def set_mood(self, mood, failures=(500,)):
        self.failures, self.mood = list(failures), mood
        self.mood_changed.set()
        self.mood_changed = threading.Event()

    def answer(self, request):
        with self.receiver.lock:
            self.receiver.requests.clear()  # a soak is long
        mood, changed = self.mood, self.mood_changed
        if mood == "fails" and (status := random.choice(self.failures)) != 200:
            return status, {"Retry-After": "1"} if status in (429, 503) else {}
        if mood == "hangs":
            changed.wait(30)
            raise ConnectionAbortedError
        if mood == "breaks off":
            raise ConnectionResetError
        self.take(request)
        if mood == "slow":
            time.sleep(random.uniform(0.05, 0.3))
        return 200

    def take(self, request):
        try:
            serial = json.loads(request.body)["serial"]
        except (ValueError, KeyError, TypeError):
            return self.soak.differs(f"{self.name} got what nobody gave: {request.body[:100]}")
        if serial >= self.soak.ledger.given or request.body != payload(serial).encode():
            self.soak.differs(f"{self.name} got other bytes than were given: {request.body[:100]}")
        with self.lock:
            self.taken[serial] += 1
            if (key := self.soak.ledger.keys.get(serial)) is not None:
                self.order[key].append(serial)
        if self.soak.ids.setdefault(serial, request.id) != request.id:
            self.soak.differs(f"event {serial} has two ids: {self.soak.ids[serial]} and {request.id}")


class Producer(threading.Thread):
    """Gives `size` events at a time, each kind in its own way, at a steady pace; a daemon that is away is waited for."""

    def __init__(self, soak, name, type, rate, size=1, repeats=False):
        super().__init__(name=name, daemon=True)
        self.soak, self.type, self.size, self.pause, self.repeats = soak, type, size, size / rate, repeats
        self.random = random.Random(f"{soak.seed}-{name}")
        self.connection = None
        self.refused = collections.Counter()
        self.start()

    def run(self):
        due = time.monotonic()
        while not self.soak.producing_ends.is_set():
            serials = [self.soak.ledger.next() for _ in range(self.size)]
            try:
                if self.give(serials):
                    for serial in serials:
                        self.soak.ledger.accept(serial, self.type)
            except Exception as error:  # a producer that died would make the soak pass
                self.soak.differs(f"producer {self.name}: {error!r}")
            due = max(due + self.pause, time.monotonic() - 1)
            self.soak.producing_ends.wait(max(due - time.monotonic(), 0))

    def event(self, serial):
        extra = f', "idempotency_key": "soak-{serial}"' if self.repeats else ""
        if self.random.random() < 0.2:
            extra += f', "priority": {self.random.randrange(10)}'
        if (key := self.soak.ledger.keys.get(serial)) is not None:
            extra += f', "ordering_key": "{key}"'
        elif self.random.random() < 0.05:
            extra += f', "delay": "{self.random.randrange(3000)}ms"'
        return f'{{"type": "{self.type}", "payload": {payload(serial)}{extra}}}'

    def give(self, serials):
        """Whether they were accepted. With idempotency keys it does not give up before it knows; without, what is not answered may exist."""
        body, content_type = self.body(serials)
        while True:
            status, answer = self.post(body, content_type)
            if status in (200, 202):
                break
            self.refused[status] += 1
            if status not in (0, 429, 503, 507):
                raise RuntimeError(f"answered {status} {answer[:200]}")
            if not self.repeats or self.soak.producing_ends.is_set():
                return False
            time.sleep(0.1)
        if self.repeats and self.random.random() < 0.05:
            again, repeated = self.post(body, content_type)
            if again == 202 or (again == 200 and json.loads(repeated)["id"] != json.loads(answer)["id"]):
                self.soak.differs(f"an idempotent repeat was answered {again} {repeated[:200]}")
        return True

    def body(self, serials):
        return self.event(serials[0]), "application/json"

    def connect(self):
        return UnixConnection(self.soak.daemon.ingest, timeout=30)

    def post(self, body, content_type):
        """(status, body); status 0: nobody knows."""
        try:
            self.connection = self.connection or self.connect()
            self.connection.request("POST", "/v1/events", body.encode(), {"Content-Type": content_type})
            response = self.connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException, LookupError):
            if self.connection:
                self.connection.close()
            self.connection = None
            return 0, b""


class OrderedProducer(Producer):
    """Its keys are its own, and it waits for each answer: the numbers of a key are the order in which they were accepted."""

    KEYS = 5

    def event(self, serial):
        self.soak.ledger.keys.setdefault(serial, f"{self.name}-{self.random.randrange(self.KEYS)}")
        return super().event(serial)


class BatchProducer(Producer):
    def body(self, serials):
        return "[" + ",".join(map(self.event, serials)) + "]", "application/json"


class NdjsonProducer(Producer):
    def body(self, serials):
        return "\n".join(map(self.event, serials)), "application/x-ndjson"

    def connect(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.soak.daemon.tcp_port, timeout=30)
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection


class SqlProducer(Producer):
    def give(self, serials):
        if STORE == POSTGRESQL:
            return self.give_to_server(serials)
        self.connection = self.connection or sqlite3.connect(self.soak.daemon.database, timeout=1, isolation_level=None)
        try:
            self.connection.execute("PRAGMA wal_autocheckpoint=0").fetchall()
            self.connection.execute("BEGIN IMMEDIATE")
            self.connection.executemany("INSERT INTO outbox(type, payload) VALUES (?, ?)", [(self.type, payload(s)) for s in serials])
            self.connection.execute("COMMIT")
            return True
        except sqlite3.OperationalError as error:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            self.refused[str(error)] += 1
            return False

    def give_to_server(self, serials):
        """If the server ends under it, nobody knows whether they were committed."""
        rows = ", ".join(f"('{self.type}', '{payload(serial)}')" for serial in serials)
        failed = self.soak.daemon.sql(f"SET lock_timeout = '1s'; INSERT INTO outbox(type, payload) VALUES {rows};").stderr
        if failed:
            self.refused[failed.splitlines()[0][:80]] += 1
        return not failed


class Soak:
    def __init__(self, run, seed, rate):
        self.seed, self.random, self.ledger, self.ids = seed, random.Random(seed), Ledger(), {}
        self.differences, self.faults = [], collections.Counter()
        self.producing_ends, self.faults_end = threading.Event(), threading.Event()
        self.daemon = run.daemon("delivery.timeout=3s", "delivery.connect_timeout=2s", "delivery.stop_timeout=3s", "log.level=warn",
                                 "retention.delivered=1m", "limits.idempotency_window=1m", f"delivery.retry_schedule={','.join(PATIENT)}").start()
        self.watch = Watch(self.daemon)
        every = ["soak.api", "soak.batch", "soak.ndjson", "soak.sql", "soak.key"]
        self.subscribers = [Subscriber(run, self, "all", every), Subscriber(run, self, "ordered", ["soak.key"], ordering="key"),
                            Subscriber(run, self, "narrow", ["soak.sql", "soak.batch"], max_in_flight=4),
                            Subscriber(run, self, "fragile", ["soak.api", "soak.ndjson"], retry_schedule=FRAGILE)]
        for s in self.subscribers:
            s.endpoint = self.daemon.endpoint(s.receiver.url, name=s.name, types=s.types, **s.fields)["id"]
        self.producers = [Producer(self, "one", "soak.api", rate * 0.1), Producer(self, "repeater", "soak.api", rate * 0.1, repeats=True),
                          OrderedProducer(self, "orderly", "soak.key", rate * 0.1, repeats=True),
                          OrderedProducer(self, "orderly-too", "soak.key", rate * 0.1, repeats=True),
                          BatchProducer(self, "batches", "soak.batch", rate * 0.2, size=20),
                          NdjsonProducer(self, "lines", "soak.ndjson", rate * 0.2, size=20), SqlProducer(self, "sql", "soak.sql", rate * 0.2, size=3)]

    def differs(self, what):
        self.differences.append(what)
        print(f"DIFFERENCE: {what}", flush=True)

    # Faults

    def torment(self, seconds):
        moods = threading.Thread(target=self.change_moods)
        moods.start()
        deadline, report = time.monotonic() + seconds, time.monotonic() + 60
        torments = [self.kill, self.kill, self.stop, self.lock, self.pause, self.reload, self.rest, self.rest]
        torments += [self.end_server, self.end_both] if STORE == POSTGRESQL else []
        while time.monotonic() < deadline:
            self.random.choice(torments)()
            self.look_alive()
            self.faults_end.wait(self.random.uniform(0.5, 4))
            if time.monotonic() > report:
                report += 60
                left = max(deadline - time.monotonic(), 0) / 60
                print(f"{left:4.1f} min left: {len(self.ledger.accepted)} accepted, {self.watch}, {dict(self.faults)}", flush=True)
        self.faults_end.set()
        moods.join()

    def change_moods(self):
        while not self.faults_end.is_set():
            subscriber = self.random.choice(self.subscribers)
            mood = self.random.choice(["well", "well", "fails", "hangs", "slow", "breaks off"])
            subscriber.set_mood(mood, self.random.choice(FAILURES))
            if mood != "well":
                self.faults[mood] += 1
            self.faults_end.wait(self.random.uniform(0.2, 3))
        for subscriber in self.subscribers:
            subscriber.set_mood("well")

    def look_alive(self):
        if (status := self.daemon.process.poll()) is not None:
            self.differs(f"the daemon ended with {status}: {self.daemon.log()[-1000:]}")
            self.daemon.start()

    def rest(self):
        self.faults_end.wait(3)

    def kill(self):
        self.faults["kill -9"] += 1
        self.daemon.kill()
        self.daemon.start()

    def end_server(self):
        """As after a crash of the server's, which takes a while to come back."""
        self.faults["server ended"] += 1
        server = self.daemon.store.server
        server.crash()
        self.faults_end.wait(self.random.uniform(0, 4))
        server.start()

    def end_both(self):
        self.faults["server and daemon ended"] += 1
        self.daemon.store.server.crash()
        self.daemon.kill()
        self.daemon.start_early()
        self.faults_end.wait(self.random.uniform(0, 2))
        self.daemon.store.server.start()
        wait_until(self.daemon.ready_or_dead, "it serves again")

    def stop(self):
        self.faults["SIGTERM"] += 1
        if (status := self.daemon.stop(30)) != 0:
            self.differs(f"SIGTERM: ended with {status}: {self.daemon.log()[-1000:]}")
        self.daemon.start()

    def lock(self):
        self.faults["lock held"] += 1
        holder = LockHolder(self.daemon)
        self.faults_end.wait(self.random.uniform(0.1, 7))
        holder.release()

    def pause(self):
        self.faults["pause"] += 1
        subscriber = self.random.choice(self.subscribers)
        self.operate(subscriber, "pause")
        self.faults_end.wait(self.random.uniform(0.1, 3))
        self.operate(subscriber, "resume")

    def operate(self, subscriber, action):
        wait_until(lambda: self.daemon.post(f"/v1/endpoints/{subscriber.endpoint}/{action}", {}).status == 200, f"{action} is accepted")

    def reload(self):
        self.faults["SIGHUP"] += 1
        self.daemon.process.send_signal(signal.SIGHUP)

    # The end

    def drain(self, patience):
        """Seconds until nothing was left to deliver."""
        self.producing_ends.set()
        for producer in self.producers:
            producer.join()
        begin = time.monotonic()

        def left():
            pending = self.daemon.get("/v1/status").json["deliveries"]["pending"]
            return pending + int(self.daemon.sql("SELECT count(*) FROM outbox").stdout or 1)

        try:
            wait_until(lambda: left() == 0, "nothing is left to deliver", patience)
        except AssertionError as error:
            self.differs(f"{error}: {left()} left")
        return time.monotonic() - begin

    def dead_letters(self):
        """{endpoint id: {serial: reason}}, from the database itself."""
        asked = self.daemon.sql(DEAD_LETTERS[STORE])
        if asked.stderr:
            self.differs(f"dead letters: {asked.stderr}")
        dead = collections.defaultdict(dict)
        for row in asked.stdout.splitlines():
            endpoint, serial, reason = row.split("|")
            dead["ep_" + endpoint][int(serial)] = reason
        return dead

    def compare(self, accepted, dead):
        """Every difference between what was promised and what was kept."""
        differences = []
        for s in self.subscribers:
            letters = dead[s.endpoint]
            lost = [serial for serial, type in accepted.items() if type in s.types and serial not in s.taken and not letters.get(serial)]
            if lost:
                differences.append(f"{len(lost)} accepted events neither came to {s.name} nor are dead letters, such as {lost[:5]}")
            if s.fields.get("retry_schedule") != FRAGILE and letters:
                differences.append(f"{len(letters)} dead letters of {s.name}, which was never gone for long: {list(letters.items())[:5]}")
            for key, serials in s.order.items() if s.fields.get("ordering") == "key" else ():
                if serials != sorted(serials):
                    at = next(n for n in range(1, len(serials)) if serials[n] < serials[n - 1])
                    differences.append(f"{s.name}: key {key} out of order: {serials[max(at - 3, 0):at + 3]}")
        return differences

    def controls(self, dead):
        """A ledger, a dead letter and an order made wrong on purpose: is each noticed?"""
        good = len(self.compare(self.ledger.accepted, dead))
        ordered = self.subscribers[1]
        key = max(ordered.order, key=lambda k: len(ordered.order[k]))
        one_more = {**self.ledger.accepted, self.ledger.given: "soak.api"}
        yield "an event that was accepted and never came", len(self.compare(one_more, dead)) > good
        one_dead = collections.defaultdict(dict, {**dead, ordered.endpoint: {0: "exhausted"}})
        yield "a dead letter of an endpoint that was well", len(self.compare(self.ledger.accepted, one_dead)) > good
        ordered.order[key].reverse()
        yield "the events of a key the other way round", len(self.compare(self.ledger.accepted, dead)) > good
        ordered.order[key].reverse()

    def finish(self, minutes):
        drained = self.drain(60 + 60 * minutes)
        self.watch.stop()
        files_after = usage(self.daemon.process.pid)[2]
        if (status := self.daemon.stop(30)) != 0:
            self.differs(f"the last SIGTERM: ended with {status}")
        if (integrity := self.daemon.integrity()) != "ok":
            self.differs(f"integrity: {integrity}")
        if self.watch.wal > WAL_LIMIT:
            self.differs(f"the WAL grew to {self.watch.wal >> 20} MiB")
        dead = self.dead_letters()
        for what in self.compare(self.ledger.accepted, dead):
            self.differs(what)
        self.report(drained, files_after, dead)
        controls = list(self.controls(dead))
        for how, noticed in controls:
            print(f"control     {how}: {'noticed' if noticed else 'NOT NOTICED'}")
        good = not self.differences and all(noticed for _, noticed in controls)
        print("clean" if good else f"{len(self.differences)} DIFFERENCES")
        return 0 if good else 1

    def report(self, drained, files_after, dead):
        taken = sum(len(s.taken) for s in self.subscribers)
        repeats = sum(sum(s.taken.values()) for s in self.subscribers) - taken
        unacknowledged = sum(serial not in self.ledger.accepted for serial in self.ids)
        print(f"events      {self.ledger.given} given, {len(self.ledger.accepted)} accepted, {unacknowledged} came though no answer had promised it")
        print(f"deliveries  {taken} taken, {repeats} times again; {sum(map(len, dead.values()))} dead letters")
        print(f"faults      {', '.join(f'{count} × {fault}' for fault, count in sorted(self.faults.items()))}")
        print(f"refused     {', '.join(f'{p.name}: {dict(p.refused)}' for p in self.producers)}   (0: no answer)")
        print(f"backlog     drained {drained:.1f} s after the last event")
        print(f"daemon      at most {self.watch.memory:.0f} MiB, {self.watch.threads} threads, {self.watch.files} descriptors "
              f"({files_after} at the end), WAL {self.watch.wal / (1 << 20):.1f} MiB")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", choices=(SQLITE, POSTGRESQL), default=SQLITE)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--rate", type=float, default=200, help="events a second, over all producers")
    options = parser.parse_args()
    print(f"soak of {options.minutes:g} minutes, seed {options.seed}, {options.rate:g} events/s", flush=True)
    run = Run(False, options.seed)
    try:
        soak = Soak(run, options.seed, options.rate)
        soak.torment(options.minutes * 60)
        return soak.finish(options.minutes)
    finally:
        run.cleanup()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nothing is left behind
    sys.exit(main())
