#!/usr/bin/env python3
"""The application: it changes customers, and each change and its event are one transaction of its own database.

    producer.py DATABASE CHANGES
"""
import contextlib
import json
import random
import sqlite3
import sys
import time

CUSTOMERS = 40
NAMES = ("Ada Lovelace", "Grace Hopper", "Žofie Nováková", "O'Brien", 'Jo "JJ" Jones', "李小龍")


def change_one(db):
    """Adds, changes or removes a customer. The event has the whole row, or null when there is none any more."""
    customer = random.randint(1, CUSTOMERS)
    db.execute("BEGIN IMMEDIATE")
    with db:  # commits, or rolls back on an exception
        exists = db.execute("SELECT 1 FROM customer WHERE id = ?", (customer,)).fetchone()
        row = None
        if exists and random.random() < 0.15:
            db.execute("DELETE FROM customer WHERE id = ?", (customer,))
        else:
            row = {"name": random.choice(NAMES), "email": random.choice((None, f"c{customer}@example.com")),
                   "credit": random.randint(-10**9, 10**9)}
            db.execute("INSERT OR REPLACE INTO customer(id, name, email, credit) VALUES (:id, :name, :email, :credit)",
                       {"id": customer, **row})
        db.execute("INSERT INTO outbox(type, ordering_key, payload) VALUES ('customer.changed', ?, ?)",
                   (str(customer), json.dumps({"id": customer, "row": row})))


def main(database, changes):
    with contextlib.closing(sqlite3.connect(database, timeout=30, isolation_level=None)) as db:
        for _ in range(int(changes)):
            change_one(db)
            time.sleep(0.01)


main(*sys.argv[1:])
