#!/usr/bin/env python3
"""Keeps a copy of the customers in a database of its own. May be killed at any moment.

    consumer.py URL-FILE SECRET-FILE DATABASE PORT
"""
import json
import pathlib
import sqlite3
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from receiver import say, serve  # noqa: E402

url_file, secret_file, database, port = sys.argv[1:]
SCHEMA = """
PRAGMA journal_mode = WAL;
CREATE TABLE IF NOT EXISTS customer(id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT, credit INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS applied(customer INTEGER PRIMARY KEY, sequence INTEGER NOT NULL);  -- the last change of each
"""
# Is this change later than the last one that was applied to this customer? If so, it is the last one now.
ADVANCE = """
INSERT INTO applied(customer, sequence) VALUES (?1, ?2)
ON CONFLICT (customer) DO UPDATE SET sequence = excluded.sequence WHERE excluded.sequence > sequence
"""


LOCK = threading.Lock()  # SQLite has one writer at a time: they wait here, and not in it
copy = sqlite3.connect(database, timeout=10, isolation_level=None, check_same_thread=False)


def apply(customer, row, sequence):
    """False if this was applied before. The row, and how far it is: one transaction."""
    with LOCK:
        copy.execute("BEGIN IMMEDIATE")
        with copy:  # commits, or rolls back on an exception
            if copy.execute(ADVANCE, (customer, sequence)).rowcount == 0:
                return False
            if row is None:
                copy.execute("DELETE FROM customer WHERE id = ?", (customer,))
            else:
                copy.execute("INSERT OR REPLACE INTO customer(id, name, email, credit) VALUES (:id, :name, :email, :credit)",
                             {"id": customer, **row})
            return True


def receive(delivery):
    change = json.loads(delivery.body)
    if not apply(change["id"], change["row"], int(delivery.headers["outboxd-sequence"])):
        say(f"consumer: {delivery.id} came again, and changes nothing")
    # Only for the demo: a kill often finds it here, where the change is stored and outboxd does not know it yet.
    time.sleep(0.02)
    return 200


copy.executescript(SCHEMA)
serve(receive, url_file, pathlib.Path(secret_file).read_text().strip(), port=int(port))
