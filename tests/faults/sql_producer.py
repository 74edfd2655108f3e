"""A SQL producer in a process of its own, so that it can be killed and holds its own locks:   sql_producer.py DATABASE NAME

Commits one to three events a transaction and then writes their keys as a line to standard output: what is not there was not promised.
A line that begins with "!" says why a transaction failed; it is tried again."""
import sqlite3
import sys
import time

PACE = 0.002  # between transactions: others write too
PAUSE = 0.05  # after a failure


def main():
    path, name = sys.argv[1:]
    database = sqlite3.connect(path, timeout=10, isolation_level=None)
    for setting in ("wal_autocheckpoint=0", "synchronous=FULL"):
        database.execute(f"PRAGMA {setting}").fetchall()
    number = 0
    while True:
        keys = [f"{name}-{number + i}" for i in range(1 + number % 3)]
        try:
            database.execute("BEGIN IMMEDIATE")
            for key in keys:
                database.execute("INSERT INTO outbox(type, payload) VALUES ('load.sql', ?)", [f'{{"key": "{key}", "n": 1.10}}'])
            database.execute("COMMIT")
        except sqlite3.OperationalError as error:
            if database.in_transaction:
                database.execute("ROLLBACK")
            print(f"! {error}", flush=True)
            time.sleep(PAUSE)
            continue
        print(" ".join(keys), flush=True)
        number += len(keys)
        time.sleep(PACE)


try:
    main()
except (BrokenPipeError, KeyboardInterrupt):
    pass
