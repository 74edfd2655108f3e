"""An application that writes to its own file, in a process of its own, so that it can be killed:   application_writer.py DATABASE FIRST LAST

Commits one to five rows a transaction, with numbers from FIRST on, and then writes the last one as a line to standard output. It goes on from
what the file says, not from what it was told, so that a commit that nobody heard of is not repeated."""
import sqlite3
import sys


def main():
    path, first, last = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    database = sqlite3.connect(path, timeout=30, isolation_level=None)
    database.execute("CREATE TABLE IF NOT EXISTS progress (one INTEGER PRIMARY KEY CHECK (one = 1), number INTEGER)")
    database.execute("INSERT OR IGNORE INTO progress VALUES (1, ?)", [first - 1])
    number = database.execute("SELECT number FROM progress").fetchone()[0] + 1
    while number <= last:
        count = min(1 + number % 5, last + 1 - number)
        database.execute("BEGIN IMMEDIATE")
        for n in range(number, number + count):
            database.execute("INSERT INTO outbox(type, payload) VALUES ('load.relay', ?)", [f'{{"n": {n}}}'])
        number += count
        database.execute("UPDATE progress SET number = ?", [number - 1])
        database.execute("COMMIT")
        print(number - 1, flush=True)


try:
    main()
except (BrokenPipeError, KeyboardInterrupt):
    pass
