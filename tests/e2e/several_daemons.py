"""What the tests of daemons that share a PostgreSQL database are built on."""
import http.client
import json
import pathlib
import random
import sys
import threading
import time

from harness import EndToEndTest, wait_until

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from cable import Cable  # noqa: E402
from postgres import Server, needs_postgresql  # noqa: E402, F401

PARTITIONS = 256
# Whoever is killed, stopped or cut off: its partitions have another owner by then.
TAKEOVER = 15
# Whoever cannot commit any more sends nothing new after this.
TRUST = 4


class SharedStoreTest(EndToEndTest):
    """A server for all tests of the class, a database for each."""

    @classmethod
    def setUpClass(cls):
        cls.server = Server().create().start()
        cls.addClassCleanup(cls.server.remove)
        cls.databases = 0

    def setUp(self):
        super().setUp()
        type(self).databases += 1
        self.database = self.server.new_database(f"test_{self.databases}")

    def member(self, name, *settings, cable=None):
        return self.daemon(*settings, name=name, store=(cable or self.server).url(self.database))

    def cable(self):
        cable = Cable(self.server)
        self.addCleanup(cable.close)
        return cable

    def members(self, count, *settings):
        """So many daemons that serve, each with its share."""
        daemons = [self.member(f"d{number}", *settings).start() for number in range(count)]
        self.wait_for_shares(daemons)
        return daemons

    def sql(self, script):
        return self.server.sql(script, self.database)

    def wait_for_shares(self, daemons, patience=2 * TAKEOVER):
        """Until each owns its fair share, and all partitions have an owner."""
        least = PARTITIONS // len(daemons)

        def shared():
            owned = [partitions_of(daemon) for daemon in daemons]
            return sum(owned) == PARTITIONS and min(owned) >= least
        wait_until(shared, f"{len(daemons)} daemons have their shares", patience)


def partitions_of(daemon):
    return daemon.get("/v1/setup?hosts=false").json["partitions"]["owned"]


class Producer(threading.Thread):
    """Sends events of one ordering key, one after another, each until some daemon has acknowledged it. Who does not answer is left
    out for a while, as whatever balances HTTP would do."""

    TIMEOUT = 3
    LEFT_OUT = 5

    def __init__(self, key, daemons, pause):
        super().__init__(daemon=True)
        self.key = key
        self.daemons = daemons
        self.pause = pause
        self.acknowledged = []  # ids, in their order
        self.refused = 0
        self.left_out = {}  # a daemon, and until when
        self.ending = threading.Event()
        self.random = random.Random(key)
        self.start()

    def run(self):
        while not self.ending.is_set():
            self.send(len(self.acknowledged))
            self.ending.wait(self.pause)

    def send(self, number):
        event = {"type": "order.paid", "ordering_key": self.key, "idempotency_key": f"{self.key} {number}",
                 "payload": {"key": self.key, "number": number}}
        while not self.ending.is_set():
            daemon = self.choose()
            try:
                answer = daemon.call("POST", "/v1/events", event, timeout=self.TIMEOUT)
            except (OSError, http.client.HTTPException):  # it was killed; whether the event was taken is not known
                answer = None
                self.left_out[daemon] = time.monotonic() + self.LEFT_OUT
            if answer and answer.status in (200, 202):
                return self.acknowledged.append(answer.json["id"])
            if answer:
                assert answer.status in (429, 503) and int(answer.headers["Retry-After"]) > 0, answer
            self.refused += 1
            self.ending.wait(0.05)

    def choose(self):
        now = time.monotonic()
        return self.random.choice([daemon for daemon in self.daemons if self.left_out.get(daemon, 0) <= now] or self.daemons)

    def end(self):
        self.ending.set()
        self.join()


def misordered(requests):
    """Of each key: what came before something that had come earlier in its order, except as a repeat of the last."""
    wrong, last = [], {}
    for request in requests:
        event = json.loads(request.body)
        expected = last.get(event["key"], -1)
        if event["number"] not in (expected, expected + 1):
            wrong.append((event["key"], expected, event["number"]))
        last[event["key"]] = max(expected, event["number"])
    return wrong


def longest_silence(requests):
    """In seconds, between two requests."""
    times = sorted(request.at for request in requests)
    return max((later - earlier for earlier, later in zip(times, times[1:])), default=0)


