"""A SQL producer in a process of its own, so that it can be killed and holds its own locks:   sql_producer.py STORE_URL NAME

Commits one to three events a transaction and then writes their keys as a line to standard output: what is not there was not promised.
A line that begins with "!" says why a transaction failed; it is tried again, over PostgreSQL with other keys, because a server that
went away may have committed it."""
import sqlite3
import subprocess
import sys
import time

PACE = 0.002  # between transactions: others write too
PAUSE = 0.05  # after a failure


def some_keys(name, number):
    return [f"{name}-{number + i}" for i in range(1 + number % 3)]


def to_sqlite(path, name):
    database = sqlite3.connect(path, timeout=10, isolation_level=None)
    for setting in ("wal_autocheckpoint=0", "synchronous=FULL"):
        database.execute(f"PRAGMA {setting}").fetchall()
    number = 0
    while True:
        keys = some_keys(name, number)
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


def to_postgresql(url, name):
    number = 0
    while True:
        number = one_session(url, name, number)
        print("! the server has gone away", flush=True)
        time.sleep(PAUSE)


def one_session(url, name, number):
    """As long as the server lives. The number to go on with."""
    psql = subprocess.Popen(["psql", "-X", "-A", "-t", "-q", url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                            text=True)
    try:
        while True:
            keys = some_keys(name, number)
            number += len(keys)
            rows = ", ".join(f"""('load.sql', '{{"key": "{key}", "n": 1.10}}')""" for key in keys)
            psql.stdin.write(f"INSERT INTO outbox(type, payload) VALUES {rows};\n"
                             "\\if :ERROR\nSELECT '! ' || :'LAST_ERROR_MESSAGE';\n\\else\nSELECT 'committed';\n\\endif\n")
            psql.stdin.flush()
            said = psql.stdout.readline()
            if not said:
                return number
            print(" ".join(keys) if said.startswith("committed") else said.strip(), flush=True)
            time.sleep(PACE)
    except BrokenPipeError:
        return number
    finally:
        psql.kill()
        psql.wait()
        psql.stdin.detach()  # what was not written is nobody's
        psql.stdout.close()


try:
    store_url, own_name = sys.argv[1:]
    if store_url.startswith("postgresql:"):
        to_postgresql(store_url, own_name)
    else:
        to_sqlite(store_url.removeprefix("sqlite://"), own_name)
except (BrokenPipeError, KeyboardInterrupt):
    pass
