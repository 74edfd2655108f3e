"""Another process's open write transaction on a daemon's database."""
import sqlite3
import time


class LockHolder:
    def __init__(self, daemon):
        self.connection = sqlite3.connect(daemon.database, timeout=20, isolation_level=None, check_same_thread=False)
        self.connection.execute("PRAGMA wal_autocheckpoint=0")
        self.connection.execute("BEGIN IMMEDIATE")
        self.since = time.monotonic()

    def release(self):
        self.connection.execute("ROLLBACK")
        self.connection.close()
