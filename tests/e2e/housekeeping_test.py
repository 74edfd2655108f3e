#!/usr/bin/env python3
"""What the owner of partition 0 does with whole tables, in running daemons: days are made ahead and go when nothing of them is
kept any more, and neither waits for anybody, nor anybody for it."""
import datetime
import json
import subprocess
import time
import unittest

from harness import PATIENCE, wait_until
from several_daemons import PARTITIONS, SharedStoreTest, needs_postgresql, partitions_of
from postgres import Server

LARGE = 20_100  # events of a day that is emptied at once
SMALL = 40
TABLES = ("event", "finished", "attempt")


def date_of(days_ago):
    return datetime.datetime.now(datetime.timezone.utc).date() - datetime.timedelta(days=days_ago)


def day_of(days_ago):
    return (date_of(days_ago) - datetime.date(1970, 1, 1)).days


class Analyst:
    """Somebody who reads, in a transaction that stays open."""

    def __init__(self, url, question):
        self.process = subprocess.Popen(["psql", "-X", "-q", "-A", "-t", url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.process.stdin.write(f"BEGIN; {question};\n")
        self.process.stdin.flush()
        self.answer = self.process.stdout.readline().strip()

    def end(self):
        if self.process.poll() is None:
            self.process.communicate("COMMIT;\n", timeout=PATIENCE)


@needs_postgresql
class Housekeeping(SharedStoreTest):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(autovacuum_naptime="1s").create().start()
        cls.addClassCleanup(cls.server.remove)
        cls.databases = 0

    def days(self, table="event"):
        """The days that have a partition."""
        rows = self.sql(f"""SELECT right(c.relname, 8) FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
                            WHERE i.inhparent = '{table}'::regclass AND c.relname ~ '_[0-9]+$' ORDER BY 1""")
        return [datetime.datetime.strptime(row, "%Y%m%d").date() for row in rows.split()]

    def has_day(self, days_ago):
        return any(date_of(days_ago) in self.days(table) for table in TABLES)

    def add_day(self, days_ago, events, endpoint, pending=0):
        """As if daemons had accepted so many events on that day and delivered all but the last ones."""
        day, at = day_of(days_ago), day_of(days_ago) * 86_400_000 + 1000
        number = f"(SELECT seq FROM endpoint WHERE id = '{self.uuid_of(endpoint)}')"
        first = int(self.sql("SELECT coalesce(max(seq), 0) + 1 FROM event"))
        last, ended = first + events - 1, first + events - 1 - pending
        self.sql(f"""
            SELECT make_day({day}), setval('event_seq', {last});
            INSERT INTO event SELECT {day}, g, (lpad(to_hex({at}), 12, '0') || '70008000' || lpad(to_hex(g), 12, '0'))::uuid, '', 'order.old',
                '', 'text/plain', NULL, 5, NULL, NULL, NULL, {at}, NULL, NULL, 1, NULL, {at} FROM generate_series({first}, {last}) AS g;
            INSERT INTO event_block SELECT DISTINCT g >> 16, {day} FROM generate_series({first}, {last}) AS g;
            INSERT INTO finished SELECT {day}, g, {number}, 'delivered', NULL, 1, 1, 0, 5, NULL, {at}, {at}, 0
                FROM generate_series({first}, {ended}) AS g;
            INSERT INTO attempt SELECT day, event, endpoint, 1, gen_random_uuid(), {at}, NULL, NULL, NULL, NULL, 1, 'success', 200, '', '',
                NULL, '', NULL, false, 0 FROM finished WHERE day = {day};
            INSERT INTO pending (event, endpoint, day, due_at, priority, created_at)
                SELECT g, {number}, {day}, {at}, 5, {at} FROM generate_series({ended} + 1, {last}) AS g;
            INSERT INTO counter VALUES (900, {day}, {events}, {pending}, {events - pending}, 0, 0);
            INSERT INTO endpoint_count VALUES ({number}, 900, {day}, {pending}, {events - pending}, 0, 0);""")

    def uuid_of(self, endpoint):
        """The column's form of an id."""
        found = self.sql("SELECT id FROM endpoint").split()
        self.assertEqual(1, len(found), endpoint)
        return found[0]

    def accept_until(self, daemon, condition):
        """What is accepted has the daemon count events by type, up to those of transactions that are under way. Returns how many."""
        accepted = 0
        deadline = time.monotonic() + 2 * PATIENCE
        while not condition():
            self.assertLess(time.monotonic(), deadline, "events are not counted by type")
            daemon.event("order.new")
            accepted += 1
            time.sleep(0.5)
        return accepted

    def test_days_come_and_go_whoever_owns_partition_0_and_nobody_waits(self):
        receiver = self.receiver()
        first = self.member("first").start()
        endpoint = first.endpoint(receiver.url, state="paused", name="shop")["id"]
        wait_until(lambda: all(self.days(table) == [date_of(ago) for ago in (0, -1, -2, -3)] for table in TABLES), "days are made ahead")
        self.add_day(60, LARGE, endpoint, pending=3)
        self.add_day(50, SMALL, endpoint)
        self.add_day(40, SMALL, endpoint, pending=1)
        self.assertTrue(self.has_day(60) and self.has_day(50) and self.has_day(40))
        # Retention takes what is old; what is pending stays, whatever its age. The partitions stay until their owner looks again.
        old = int(self.sql("SELECT max(seq) FROM event"))
        fresh = self.accept_until(first, lambda: int(self.sql("SELECT types_counted FROM sweep")) >= old)
        self.assertEqual(0, first.ctl("db", "prune", "--yes").returncode)
        self.assertEqual("0", self.sql("SELECT count(*) FROM finished"))
        self.assertEqual(str(4 + fresh), self.sql("SELECT count(*) FROM event"))
        self.assertEqual("3", self.sql("SELECT count(*) FROM event_kept"))
        self.assertTrue(self.has_day(60) and self.has_day(50) and self.has_day(40))
        self.assertEqual(0, first.stop())
        analyst = Analyst(self.server.url(self.database), "SELECT count(*) FROM event")
        self.addCleanup(analyst.end)
        self.assertEqual(str(4 + fresh), analyst.answer)
        # Another daemon is the owner now. It cannot drop what somebody reads, and nobody waits for either.
        second = self.member("second").start()
        wait_until(lambda: partitions_of(second) == PARTITIONS, "the second owns all", 2 * PATIENCE)
        waits = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'outboxd housekeeper' AND wait_event_type = 'Lock'"
        wait_until(lambda: self.sql(waits) == "1", "its housekeeper waits for the analyst")
        second.post("/v1/endpoints/shop/resume")
        accepted = second.event()
        wait_until(lambda: accepted["id"] in receiver.ids(), "what is accepted meanwhile is delivered meanwhile", 5)
        receiver.wait_for(fresh + 1)
        second.wait_for_state("dead", 4)  # those that the test has put there have no checksum, so nothing of them is sent
        self.assertEqual("1", self.sql(waits))
        analyst.end()
        wait_until(lambda: not self.has_day(60) and not self.has_day(50), "the empty days go")
        self.assertTrue(self.has_day(40))  # a dead letter of it is kept
        self.assertTrue(self.has_day(0))
        counters = f"SELECT count(*) FROM counter WHERE day IN ({day_of(60)}, {day_of(50)})"
        wait_until(lambda: self.sql(counters) == "0", "and what was counted of them")
        self.assertEqual(0, second.stop())
        checked = second.ctl("db", "check", "-o", "json", "--config", str(second.config))
        problems = json.loads(checked.stdout)["problems"]
        # Nobody has counted what the test has put there by types; the rest is whole.
        self.assertEqual([], [problem for problem in problems if "does not match its checksum" not in problem])

    def test_what_is_erased_is_vacuumed_and_pending_is_kept_small(self):
        daemon, receiver = self.member("only").start(), self.receiver()
        daemon.endpoint(receiver.url, types=["person.**"])
        erased = daemon.event("person.new", payload='{"name": "a person whom nobody may know any more"}')["id"]
        receiver.wait_for(1)
        daemon.wait_for_state("delivered", 1)
        self.assertLess(daemon.call("DELETE", f"/v1/events/{erased}/payload").status, 300)
        partition = f"event_{date_of(0):%Y%m%d}"
        vacuumed = f"SELECT vacuum_count FROM pg_stat_user_tables WHERE relname = '{partition}'"
        wait_until(lambda: int(self.sql(vacuumed)) > 0, "the partition of what was erased is vacuumed")
        self.assertEqual({"autovacuum_vacuum_scale_factor=0", "autovacuum_vacuum_threshold=5000", "autovacuum_vacuum_cost_delay=0",
                          "vacuum_truncate=off"} - set(self.sql("SELECT unnest(reloptions) FROM pg_class WHERE relname = 'pending'").split()), set())
        daemon.endpoint(receiver.url, state="paused", name="shop")
        for _ in range(11):
            self.assertEqual(202, daemon.post("/v1/events", [{"type": "order.paid", "payload": {}}] * 500).status)
        self.assertLess(daemon.call("DELETE", "/v1/endpoints/shop").status, 300)  # discards them
        wait_until(lambda: self.sql("SELECT count(*) FROM pending") == "0", "nothing is pending", 2 * PATIENCE)
        wait_until(lambda: int(self.sql("SELECT autovacuum_count FROM pg_stat_user_tables WHERE relname = 'pending'")) > 0,
                   "pending is vacuumed by itself")


if __name__ == "__main__":
    unittest.main()
