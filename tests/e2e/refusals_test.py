#!/usr/bin/env python3
"""Databases that outboxd cannot work over, or must not: it says which and what to do, where an operator looks."""
import json
import os
import re
import socket
import subprocess
import unittest

from harness import BIN, wait_until
from several_daemons import SharedStoreTest, needs_postgresql
from cable import Cable
from pgbouncer import Pooler, needs_pgbouncer
from postgres import Server

CANNOT_OPEN, SCHEMA_TOO_NEW = 74, 76
STRANGER, OWNER = "stranger", "app"  # roles: of one a password is asked, the other is an ordinary one


class OldServer(Cable):
    """A server that says it is PostgreSQL 12, which no package has any more."""

    def on_its_way(self, end, data):
        return data if end in self.clients else re.sub(rb"(server_version\0)\d\d", rb"\g<1>12", data)


class RefusalTest(SharedStoreTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        rules = cls.server.data / "pg_hba.conf"
        rules.write_text(f"local all {STRANGER} scram-sha-256\n" + rules.read_text())
        cls.server.sql(f"""CREATE ROLE {STRANGER} LOGIN PASSWORD 'sesame'; CREATE ROLE {OWNER} LOGIN; SELECT pg_reload_conf()""",
                       "postgres")

    def setUp(self):
        super().setUp()
        self.notices = self.notify_socket()

    def notify_socket(self):
        """Where the daemons of this test tell the service manager what they do."""
        path = str(self.folder / "notify")
        notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notices.bind(path)
        notices.setblocking(False)
        self.addCleanup(notices.close)
        self.addCleanup(os.environ.pop, "NOTIFY_SOCKET", None)
        os.environ["NOTIFY_SOCKET"] = path
        return notices

    def status_told(self):
        """The last STATUS= since the last call, or ""."""
        last = ""
        while True:
            try:
                said = self.notices.recv(65536).decode()
            except BlockingIOError:
                return last
            for line in said.splitlines():
                if line.startswith("STATUS="):
                    last = line.removeprefix("STATUS=")

    def url(self, user, database=None):
        return re.sub("user=.*", f"user={user}", self.server.url(database or self.database))

    def found_by_doctor(self, daemon):
        rows = json.loads(daemon.ctl("doctor", "--config", str(daemon.config), "-o", "json").stdout)["data"]
        return {row["check"]: row for row in rows}

    def assert_refused(self, url, *words):
        """outboxd ends at once and doctor finds the same; both with a sentence in which these words are."""
        daemon = self.daemon(name="refused", store=url)
        with open(daemon.log_file, "wb") as log:
            status = subprocess.run(daemon.command(), stderr=log, timeout=30, check=False).returncode
        self.assertEqual(CANNOT_OPEN, status, daemon.log())
        lines = [line for line in daemon.log().splitlines() if "cannot serve this store" in line]
        self.assertEqual(1, len(lines), daemon.log())
        found = self.found_by_doctor(daemon)["database"]
        self.assertEqual("wrong", found["result"])
        for word in words:
            self.assertIn(word, lines[0].replace('\\"', '"'))
            self.assertIn(word, found["found"])
        return lines[0]


@needs_postgresql
class NotLetIn(RefusalTest):
    def test_a_wrong_password(self):
        passwords = self.folder / "passwords"
        passwords.write_text(f"*:*:*:{STRANGER}:wrong\n")
        passwords.chmod(0o600)
        said = self.assert_refused(f"{self.url(STRANGER)}&passfile={passwords}", "refuses the password", f'"{STRANGER}"', "passfile=")
        self.assertNotIn("wrong", said)

    def test_no_password(self):
        self.assert_refused(self.url(STRANGER), "wants a password", f'"{STRANGER}"', "passfile=")

    def test_no_such_role(self):
        self.assert_refused(self.url("nobody_here"), 'does not let in the role "nobody_here"', "CREATE ROLE")

    def test_no_such_database(self):
        self.assert_refused(self.url(OWNER, "nowhere"), 'no database "nowhere"', "CREATE DATABASE")

    def test_a_role_that_may_not_connect(self):
        self.sql(f"REVOKE CONNECT ON DATABASE {self.database} FROM PUBLIC")
        self.assert_refused(self.url(OWNER), "GRANT CONNECT")

    def test_a_role_that_may_not_make_tables(self):
        self.sql("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        daemon = self.daemon(name="refused", store=self.url(OWNER))
        with open(daemon.log_file, "wb") as log:
            status = subprocess.run(daemon.command(), stderr=log, timeout=30, check=False).returncode
        self.assertEqual(CANNOT_OPEN, status, daemon.log())
        self.assertIn("the role app may not make tables in the schema public", daemon.log())

    def test_tables_of_another_role(self):
        owner = self.member("owner").start()
        self.assertEqual(0, owner.stop())
        self.assert_refused(self.url(OWNER), "belong to another role", f"role {OWNER}")


@needs_postgresql
class NotSuited(RefusalTest):
    def test_a_server_that_is_too_old(self):
        old = OldServer(self.server)
        self.addCleanup(old.close)
        self.assert_refused(old.url(self.database), "PostgreSQL 12", "13 or newer")

    def test_another_encoding(self):
        self.server.sql("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0", "postgres")
        self.assert_refused(self.server.url("latin"), "LATIN1", "ENCODING 'UTF8'")

    def test_no_schema_for_tables(self):
        self.sql(f"ALTER DATABASE {self.database} SET search_path = nowhere")
        self.assert_refused(self.server.url(self.database), "search_path")

    def test_a_server_that_grants_the_same_lock_twice(self):
        self.sql(f"""CREATE SCHEMA granting;
                     CREATE FUNCTION granting.pg_try_advisory_lock(integer, integer) RETURNS boolean LANGUAGE sql AS 'SELECT true';
                     ALTER DATABASE {self.database} SET search_path = granting, pg_catalog""")
        self.assert_refused(self.server.url(self.database), "grants the same advisory lock to two sessions")

    @needs_pgbouncer
    def test_a_pooler_in_transaction_mode(self):
        pooler = Pooler(self.server, "transaction")
        self.addCleanup(pooler.close)
        self.assert_refused(pooler.url(self.database), "pooler in transaction mode", "let the URL name")

    @needs_pgbouncer
    def test_a_pooler_in_session_mode_is_none(self):
        pooler = Pooler(self.server, "session")
        self.addCleanup(pooler.close)
        daemon, receiver = self.daemon(name="pooled", store=pooler.url(self.database)).start(), self.receiver()
        daemon.endpoint(receiver.url)
        daemon.event()
        receiver.wait_for(1)
        self.assertEqual(0, daemon.stop())


@needs_postgresql
class AnotherSchema(RefusalTest):
    """docs/stability.md: what a daemon does with a database of a later release."""

    def later_by(self, steps):
        self.assertEqual(0, self.member("before").start().stop())
        self.sql(f"UPDATE installation SET schema_version = schema_version + {steps}")

    def test_the_one_after_its_own_is_served(self):
        self.later_by(1)
        daemon, receiver = self.member("after").start(), self.receiver()
        daemon.endpoint(receiver.url)
        daemon.event()
        receiver.wait_for(1)
        self.assertEqual(0, daemon.stop())

    def test_later_ones_are_refused(self):
        self.later_by(2)
        daemon = self.member("after")
        with open(daemon.log_file, "wb") as log:
            status = subprocess.run(daemon.command(), stderr=log, timeout=30, check=False).returncode
        self.assertEqual(SCHEMA_TOO_NEW, status, daemon.log())
        self.assertIn("run the newer outboxd", daemon.log())


@needs_postgresql
class Waiting(RefusalTest):
    def test_a_standby_is_waited_for_until_it_is_promoted(self):
        standby = Server()
        self.addCleanup(standby.remove)
        standby.copy_of(self.server).start()
        daemon = self.daemon(name="early", store=standby.url(self.database))
        with open(daemon.log_file, "wb") as log:
            daemon.process = subprocess.Popen(daemon.command(), stderr=log)
        daemon.wait_for_log("waiting for the store")
        self.assertIn("the server is in recovery", daemon.log())
        wait_until(lambda: "is in recovery" in self.status_told(), "the service manager is told")
        self.assertIn("is in recovery", self.found_by_doctor(daemon)["database"]["found"])
        standby.promote()
        wait_until(daemon.ready_or_dead, "it serves")
        self.assertIsNone(daemon.process.poll(), daemon.log())
        wait_until(lambda: self.status_told() == "serving", "the service manager is told")

    def test_a_running_daemon_that_is_not_let_in_any_more_says_so_and_goes_on_when_it_is(self):
        self.sql(f"ALTER DATABASE {self.database} OWNER TO {OWNER}; GRANT ALL ON SCHEMA public TO {OWNER}")
        daemon, receiver = self.daemon(name="let-in", store=self.url(OWNER)).start(), self.receiver()
        daemon.endpoint(receiver.url)
        self.sql(f"ALTER ROLE {OWNER} NOLOGIN; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{OWNER}'")
        refused = f'role "{OWNER}" is not permitted to log in'
        wait_until(lambda: refused in daemon.get("/readyz").json.get("detail", ""), "an operator is told why it is not ready")
        anybody = daemon.call("GET", "/readyz", socket_path=daemon.ingest)
        self.assertEqual(503, anybody.status)
        self.assertNotIn(OWNER, anybody.json["detail"])
        wait_until(lambda: refused in self.status_told(), "the service manager is told")
        wait_until(lambda: refused in self.found_by_doctor(daemon)["daemon"]["found"], "doctor tells it")
        self.assertIn(OWNER, daemon.log())
        self.sql(f"ALTER ROLE {OWNER} LOGIN")
        wait_until(lambda: daemon.get("/readyz").status == 200, "it is ready again")
        wait_until(lambda: self.status_told() == "serving", "the service manager is told")
        daemon.event()
        receiver.wait_for(1)
        self.assertEqual(0, daemon.stop())


@needs_postgresql
class Copied(RefusalTest):
    def test_a_copy_on_another_server_is_refused_until_it_is_adopted(self):
        receiver = self.receiver()
        daemon = self.member("original").start()
        daemon.endpoint(receiver.url, state="paused", name="shop")
        daemon.event()
        self.assertEqual(0, daemon.stop())
        other = Server().create().start()
        self.addCleanup(other.remove)
        other.new_database("copy")
        dump = self.server.run("pg_dump", "--dbname", self.server.url(self.database))
        other.sql(dump, "copy")
        self.assert_refused(other.url("copy"), "made on another server", "outboxctl db adopt")
        copy = self.daemon(name="copy", store=other.url("copy"))
        self.assertNotEqual(0, copy.ctl("db", "adopt", "--config", str(copy.config)).returncode)  # nobody says yes
        for adopted in (True, False):
            done = copy.ctl("db", "adopt", "--yes", "-o", "json", "--config", str(copy.config))
            self.assertEqual((0, adopted), (done.returncode, json.loads(done.stdout)["adopted"]))
        copy.start()
        self.assertEqual([], receiver.requests)
        copy.post("/v1/endpoints/shop/resume")
        receiver.wait_for(1)
        self.assertEqual(0, copy.stop())

    def test_a_running_daemon_that_is_led_to_a_copy_sends_nothing_from_it(self):
        receiver = self.receiver()
        daemon = self.member("led").start()
        daemon.endpoint(receiver.url)
        # As if the name in store.url led to another server now.
        self.sql("""UPDATE installation SET system_identifier = '1';
                    SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'outboxd%'""")
        wait_until(lambda: "copy of one that was made on another server (1)" in daemon.get("/readyz").json.get("detail", ""), "it says so")
        daemon.wait_for_log("outboxctl db adopt")
        self.assertIsNone(daemon.process.poll())
        self.assertEqual(0, daemon.ctl("db", "adopt", "--yes", "--config", str(daemon.config)).returncode)
        wait_until(lambda: daemon.get("/readyz").status == 200, "it is ready again")
        daemon.event()
        receiver.wait_for(1)


if __name__ == "__main__":
    unittest.main()
