#!/usr/bin/env python3
"""Any of the daemons that share a store is asked anything, and told anything: of endpoints that another one owns it says what
the owner says, or that it does not know; never something else."""
import json
import re
import shlex
import unittest

import every_command_test as every
from described import Description
from harness import wait_until
from several_daemons import SharedStoreTest, needs_postgresql

# Of SQLite's file alone.
NOT_OF_A_SERVER = {"db backup"}
# What is only looked at, by everybody alike.
LOOKS = ["failures", "failures --by endpoint", "failures --endpoint shop", "why {dead}", "why {event}", "why broken", "event list",
         "event list --rejected", "event list --unmatched", "event types", "event show {event}", "event replay --endpoint shop --since 1h --dry-run",
         "endpoint list", "endpoint show shop", "endpoint stats shop", "endpoint stats lost", "endpoint secret list shop", "endpoint secret reveal shop",
         "endpoint export", "delivery list", "delivery list --state dead", "delivery list --endpoint held", "delivery show {dead}",
         "delivery attempts {dead}", "batch list", "batch show {batch}", "outbox list --rejected", "outbox show {row}",
         "source list", "db secrets", "status"]
# What differs by the time of asking, or says who answers.
OF_NOW = {"started_at", "oldest_due_at", "oldest_due_age_seconds", "heartbeat_age_seconds", "self", "listeners", "clock", "waited", "rates", "database_bytes",
          "oldest_snapshot_seconds", "pending_dead_rows", "age_seconds", "due_in"}
GETS = ["/v1/status", "/v1/setup", "/v1/endpoints", "/v1/endpoints?stats=true", "/v1/endpoints/shop", "/v1/endpoints/shop/stats", "/v1/events", "/v1/deliveries",
        "/v1/deliveries/{dead}", "/v1/events/{event}", "/v1/failures", "/v1/series?name=dead", "/v1/batches", "/v1/types", "/v1/secrets",
        "/v1/sources", "/v1/audit", "/v1/attempts"]


def sentences(text):
    """Of several, without times."""
    return set(re.split(r"[.;] ?", re.sub(r"\d+\w+ ago", "ago", text)))


@needs_postgresql
class AnyMember(every.EveryCommand, SharedStoreTest):
    """Two daemons. The second is asked; the first owns all endpoints that are made."""

    # It is about the commands, not about who carries them out.
    test_there_is_a_line_for_every_command = test_what_never_ends_refuses_to_be_one_document = None

    def setUp(self):
        SharedStoreTest.setUp(self)
        key = self.folder / "key"
        key.write_text("ab" * 32 + "\n")
        key.chmod(0o600)
        self.owner, self.outboxd = self.members(2, f"store.secrets_key_file={key}")
        owned = self.sql(f"""SELECT min(partition) FROM partition_owner JOIN member USING (token)
                             WHERE name LIKE '%:{self.owner.process.pid}'""")
        self.sql(f"ALTER SEQUENCE endpoint_seq INCREMENT BY 256 RESTART WITH {256 + int(owned)}")
        self.receiver_ = self.receiver(lambda request: 500 if request.path in ("/broken", "/lost") else 200)

    def write(self, script):
        self.sql(script)

    def says(self, daemon, call, data):
        ended = daemon.ctl("-o", "json", *shlex.split(call.format(**data)), stdin=b"")
        self.assertEqual(0, ended.returncode, (call, ended))
        return json.loads(ended.stdout)

    def assert_all_known(self, told, owner):
        """Who is not the owner hears of a failure when it has lasted."""
        known = {one["endpoint"]: one for one in owner}
        for one in told:
            self.assertIn(one["endpoint"], known)
            self.assert_not_wrong(one["name"], one, known[one["endpoint"]])

    def assert_not_wrong(self, path, told, owner):
        """What is told is what the owner tells, or null."""
        if told is None:
            return
        if isinstance(told, dict):
            self.assertIsInstance(owner, dict, path)
            self.assertEqual(sorted(owner), sorted(told), path)
            for name in set(told) - OF_NOW:
                if name in ("failing_endpoints", "worst_endpoints"):
                    self.assert_all_known(told[name], owner[name])
                elif name == "why":
                    self.assertLessEqual(sentences(told[name]), sentences(owner[name]))
                else:
                    self.assert_not_wrong(f"{path}/{name}", told[name], owner[name])
        elif isinstance(told, list):
            self.assertEqual(len(owner), len(told), (path, owner, told))
            for number, (one, other) in enumerate(zip(told, owner)):
                self.assert_not_wrong(f"{path}/{number}", one, other)
        else:
            self.assertEqual(owner, told, path)

    def test_each_prints_one_json_document(self):
        commands = {command: calls for command, calls in every.COMMANDS.items() if command not in NOT_OF_A_SERVER}
        data = self.some_data()
        self.call_all(commands, every.STATUS, data)
        refused = self.run_json("db", "backup", str(self.folder / "copy.db"), "--config", str(self.outboxd.config))
        self.assertEqual(1, refused.returncode)
        self.assertIn(b"pg_basebackup", refused.stderr)

    def test_what_is_told_is_what_the_owner_tells(self):
        data = self.some_data()
        wait_until(lambda: [one["name"] for one in self.outboxd.get("/v1/status").json["failing_endpoints"]] == ["lost"],
                   "the other daemon's failing endpoint is known")
        for call in LOOKS:
            with self.subTest(call=call):
                self.assert_not_wrong("", self.says(self.outboxd, call, data), self.says(self.owner, call, data))

    def test_what_is_ordered_is_done(self):
        data = self.some_data()
        asked, owner, receiver = self.outboxd, self.owner, self.receiver_

        def wait_for_attempts(path, more, what):
            wait_until(lambda: sum(request.path == path for request in receiver.requests) >= more, what)
        tried = sum(request.path == "/broken" for request in receiver.requests)
        self.says(asked, "delivery retry {dead}", data)
        wait_for_attempts("/broken", tried + 1, "what was retried is sent by its owner")
        delivered = sum(request.path == "/shop" for request in receiver.requests)
        self.says(asked, "event replay {event} --endpoint shop", data)
        wait_for_attempts("/shop", delivered + 1, "what was replayed is sent by its owner")
        self.says(asked, "endpoint pause shop", data)
        self.assertEqual("paused", self.says(asked, "endpoint show shop", data)["state"])
        wait_until(lambda: owner.get("/v1/endpoints/shop").json["state"] == "paused", "the owner knows")
        self.says(asked, "endpoint resume shop", data)
        self.assertEqual("active", self.says(asked, "endpoint show shop", data)["state"])
        self.says(asked, "delivery discard {waiting}", data)
        self.assertEqual("discarded", self.says(owner, "delivery show {waiting}", data)["state"])
        self.says(asked, "endpoint resume held", data)
        event = asked.event()
        wait_until(lambda: {row["state"] for row in owner.deliveries(f"&event={event['id']}")} == {"delivered", "dead"}, "all is sent")
        tests = sum(request.path == "/shop" for request in receiver.requests)
        self.assertEqual("success", self.says(asked, "endpoint test shop", data)["outcome"])
        wait_for_attempts("/shop", tests + 1, "a test is sent by whoever is asked")

    def test_answers_are_as_the_description_says(self):
        data = self.some_data()
        for daemon in (self.outboxd, self.owner):
            description = Description(daemon.get("/openapi.json").json)
            for path in GETS:
                with self.subTest(path=path):
                    answer = daemon.get(path.format(**data))
                    self.assertEqual(200, answer.status, answer)
                    self.assertEqual([], description.wrong_in(answer.json, "get", path))


if __name__ == "__main__":
    unittest.main()
