"""What the daemons of the end-to-end tests keep their data in: an SQLite file each, or, with OUTBOXD_STORE=postgresql, a
database each of one PostgreSQL server, which the test program starts and ends with."""
import atexit
import os
import pathlib
import sqlite3
import subprocess
import sys
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from postgres import Server, programs  # noqa: E402

POSTGRESQL = os.environ.get("OUTBOXD_STORE") == "postgresql"
LOCKED = 5000  # milliseconds that an SQL producer waits for others


def sqlite_only(why):
    """For tests of what only the store over SQLite has."""
    return unittest.skipIf(POSTGRESQL, f"over SQLite only: {why}")


def new_store(folder, outboxd):
    """Of a daemon's own, as chosen. `outboxd`: the program that makes its tables."""
    return PostgresqlDatabase(outboxd) if POSTGRESQL else SqliteFile(pathlib.Path(folder) / "outbox.db")


class SqliteFile:
    BEGIN = "BEGIN IMMEDIATE"
    # Of each event its id, its payload, and the state of each delivery.
    EVENTS = """SELECT lower(hex(e.id)), CAST(e.payload AS TEXT), ifnull(d.state, 'without delivery') FROM event e
                LEFT JOIN delivery d ON d.event = e.seq"""

    def __init__(self, path):
        self.path = path
        self.url = f"sqlite://{path}"

    def sql(self, script):
        """The finished process of the store's own shell, which was given the script."""
        return subprocess.run(["sqlite3", "-cmd", f".timeout {LOCKED}", str(self.path)], input=script, capture_output=True, text=True,
                              check=False)

    def integrity(self):
        return self.sql("PRAGMA integrity_check").stdout.strip()

    def holds(self, needle):
        """Whether these bytes are in one of its files."""
        return any(needle in path.read_bytes() for path in self.path.parent.iterdir() if path.name.startswith(self.path.name))

    def lock(self, patience):
        """Nobody else writes until the lock is closed."""
        connection = sqlite3.connect(self.path, isolation_level=None, timeout=patience, check_same_thread=False)
        connection.execute("PRAGMA wal_autocheckpoint=0")
        connection.execute(self.BEGIN)
        return connection


class PostgresqlDatabase:
    BEGIN = "BEGIN"
    EVENTS = """SELECT replace(e.id::text, '-', ''), convert_from(e.payload, 'UTF8'), coalesce(d.state, 'without delivery') FROM event e
                LEFT JOIN (SELECT event, 'pending' AS state FROM pending UNION ALL SELECT event, state FROM finished) d
                ON d.event = e.seq"""
    # What a lost or doubled row would show in.
    UNSOUND = """
      SELECT 'delivery of no event: ' || p.event FROM pending p LEFT JOIN event e ON e.seq = p.event WHERE e.seq IS NULL
      UNION ALL SELECT 'here twice: ' || seq FROM event GROUP BY seq HAVING count(*) > 1
      UNION ALL SELECT 'one id, two events: ' || id FROM event GROUP BY id HAVING count(*) > 1
      UNION ALL SELECT 'pending and ended: ' || p.event FROM pending p JOIN finished f USING (event, endpoint)
      UNION ALL SELECT format('%s are %s, and %s counted', found, state, counted)
        FROM (SELECT 'pending' AS state, count(*) AS found, (SELECT coalesce(sum(pending), 0) FROM counter) AS counted FROM pending
              UNION ALL SELECT 'delivered', count(*), (SELECT coalesce(sum(delivered), 0) FROM counter) FROM finished
                WHERE state = 'delivered'
              UNION ALL SELECT 'dead', count(*), (SELECT coalesce(sum(dead), 0) FROM counter) FROM finished WHERE state = 'dead'
             ) AS compared WHERE found <> counted"""

    def __init__(self, outboxd):
        self.server = shared_server()
        self.name = self.server.new_database_with_tables(outboxd)
        self.url = self.server.url(self.name)

    def sql(self, script):
        return subprocess.run(["psql", "-X", "-A", "-t", "-q", self.url], input=script, capture_output=True, text=True, check=False)

    def integrity(self):
        """SQLite's word for it, or what is wrong."""
        asked = self.sql(self.UNSOUND)
        return asked.stderr or asked.stdout.strip() or "ok"

    def holds(self, needle):
        """Whether an event has these bytes in its payload. (In files they may be for as long as PostgreSQL keeps old rows.)"""
        return self.sql(f"SELECT count(*) FROM event WHERE position('\\x{needle.hex()}'::bytea IN payload) > 0").stdout.strip() != "0"

    def begun(self, statement):
        return Transaction(self.url, statement)

    def lock(self, patience):
        """What a command of maintenance would do: nobody else writes to the largest tables until the lock is closed."""
        return self.begun(f"SET lock_timeout = {int(patience * 1000)}; LOCK TABLE event, pending, finished, outbox IN EXCLUSIVE MODE")


class Transaction:
    """Somebody's, which has executed a statement and is open yet."""

    def __init__(self, url, statement):
        self.process = subprocess.Popen(["psql", "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", url], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.process.stdin.write(f"BEGIN; {statement}; SELECT 'begun';\n")
        self.process.stdin.flush()
        if self.process.stdout.readline().strip() != "begun":
            self.close()
            raise AssertionError(f"refused: {statement}")

    def commit(self):
        self.process.stdin.write("COMMIT;\n")
        self.close()

    def close(self):
        """Rolls back what was not committed."""
        if not self.process.stdin.closed:
            self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class SharedServer(Server):
    """For all tests of a program. Each of its databases is a copy of one that has the tables already."""

    TEMPLATE = "with_tables"

    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()
        self.made = 0

    def new_database_with_tables(self, outboxd):
        with self.lock:
            if self.made == 0:
                self.new_database(self.TEMPLATE)
                subprocess.run([str(outboxd), "migrate", "--set", f"store.url={self.url(self.TEMPLATE)}"], check=True,
                               capture_output=True)
            self.made += 1
            name = f"test_{self.made}"
            self.sql(f"CREATE DATABASE {name} TEMPLATE {self.TEMPLATE}", "postgres")
            return name


def shared_server():
    with _starting:
        if "one" not in _server:
            server = SharedServer()
            atexit.register(server.remove)
            _server["one"] = server.create().start()
        return _server["one"]


_server = {}
_starting = threading.Lock()
