"""Migrations and creation: killed or out of space at every write, the schema is old or new, and no row is missing."""
import hashlib
import pathlib
import shutil
import subprocess
import sys
import time

import strace
from framework import fault, wait_until
from ledger import ask, copy_as_found, payload_of

PROMISE = "migrations: old or new, never between"
MIGRATIONS = sorted((pathlib.Path(__file__).resolve().parents[2] / "migrations/sqlite").glob("0*.sql"))
APPLICATION_ID = 0x4F425844
SCHEMA_TOO_NEW, STORE_FAILED, CANNOT_OPEN = 76, 70, 74
CHANGES = ["pwrite64", "fdatasync", "fsync", "ftruncate", "unlink", "rename"]
EVENTS, ROWS = 30, 10

# Leaves the rows in the WAL, as a kill does: the migration begins with recovery.
INSERT = """
import os, sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("PRAGMA wal_autocheckpoint=0")
database.executescript(sys.stdin.read())
os._exit(0)
"""


def make(folder, version, rows=""):
    """A database of that schema, made as outboxd makes its own."""
    applied = [f"BEGIN;{path.read_text()};PRAGMA application_id={APPLICATION_ID};PRAGMA user_version={n};COMMIT;"
               for n, path in enumerate(MIGRATIONS[:version], 1)]
    subprocess.run(["sqlite3", "-bail", str(folder / "outbox.db")], input="PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=WAL;" +
                   "\n".join(applied), text=True, stdout=subprocess.DEVNULL, check=True)
    subprocess.run([sys.executable, "-c", INSERT, str(folder / "outbox.db")], input=rows, text=True, check=True)


def rows_of(url, version):
    """One endpoint, EVENTS pending events and ROWS rows of the outbox, in the words of schema 1."""
    unchecked = f", last_unchecked = {EVENTS}" if version >= 7 else ""  # these have no checksums
    now = int(time.time() * 1000)
    secret = f'[{{"text": "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz", "created_at": {now}}}]'
    statements = [f"""INSERT INTO endpoint(seq, id, url, name, tenant, types, secrets, headers, format, state, disabled_reason, metadata,
        created_at, updated_at) VALUES (1, x'{uuid(1)}', '{url}', '', '', '["**"]', '{secret}', '[]', 'raw', 'active', '', '{{}}',
        {now}, {now})"""]
    for n in range(1, EVENTS + 1):
        statements += [f"""INSERT INTO event(seq, id, tenant, type, payload, content_type, priority, created_at, deliveries)
            VALUES ({n}, x'{uuid(n)}', '', 'old.one', CAST('{payload_of(f"event-{n}")}' AS BLOB), 'application/json', 5, {now}, 1)""",
                       f"INSERT INTO delivery(event, endpoint, state, due_at, priority, created_at) VALUES ({n}, 1, 'pending', {now}, 5, {now})"]
    statements += [f"INSERT INTO outbox(type, payload) VALUES ('old.row', '{payload_of(f'row-{n}')}')" for n in range(ROWS)]
    statements.append(f"UPDATE counter SET event_seq = {EVENTS}, endpoint_seq = 1, events = {EVENTS}, pending = {EVENTS}{unchecked}")
    if version >= 12:
        statements.append(f"INSERT INTO endpoint_count VALUES (1, {EVENTS}, 0, 0, 0)")
    return "BEGIN;" + ";\n".join(statements) + ";COMMIT;"


def uuid(n):
    return f"018f00000000700080000000{n:08x}"


def newest_schema(run):
    """As far as the binary goes."""
    daemon = run.daemon()
    subprocess.run([*daemon.command(), "migrate"], capture_output=True, check=True)
    return int(ask(daemon.database, "PRAGMA user_version"))


def schema_of(database):
    return ask(database, "SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite%' ORDER BY type, name;")


# What every schema has.
CONTENT = ("SELECT hex(id), type, payload FROM event; SELECT event, endpoint, state, attempts, due_at FROM delivery;"
           "SELECT hex(id), url, types FROM endpoint; SELECT seq, type, payload FROM outbox;")


class Migration:
    """Databases of one old schema, all with the same rows."""

    def __init__(self, run, version, newest):
        self.run, self.version, self.newest = run, version, newest
        self.receiver = run.receiver()
        self.template = run.folder()
        make(self.template, version, rows_of(self.receiver.url, version) if version else "")
        self.schemas = {}
        for known in range(max(version, 1), newest + 1):
            folder = run.folder()
            make(folder, known)
            self.schemas[known] = schema_of(folder / "outbox.db")

    def daemon(self):
        daemon = self.run.daemon()
        self.receiver.requests.clear()
        if self.version:
            for suffix in ("", "-wal"):
                shutil.copyfile(self.template / f"outbox.db{suffix}", f"{daemon.database}{suffix}")
        return daemon

    def migrate(self, daemon):
        """The exit status of `outboxd migrate`, as the daemon's command is now."""
        daemon.process = subprocess.Popen([*daemon.command(), "migrate"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return daemon.process.wait(20)

    def look(self, daemon):
        """What is wrong with the files as they are."""
        if not self.version and not daemon.database.exists():
            return []
        found = copy_as_found(daemon, self.run.folder())
        integrity, version = ask(found, "PRAGMA integrity_check"), int(ask(found, "PRAGMA user_version") or -1)
        broken = [] if integrity == "ok" else [f"integrity: {integrity or 'no database'}"]
        if version not in (range(self.version, self.newest + 1) if self.version else [self.newest]):
            return [*broken, f"schema {version}"]
        if schema_of(found) != self.schemas[version]:
            broken.append(f"says that it is schema {version}, and is not")
        if self.version and ask(found, CONTENT) != self.content():
            broken.append("rows are missing or changed")
        return broken

    def content(self):
        shutil.copytree(self.template, copy := self.run.folder(), dirs_exist_ok=True)
        return ask(copy / "outbox.db", CONTENT)

    def finish(self, daemon):
        """The next start completes the migration and delivers what was there."""
        if not strace.starts(daemon):
            return [f"the next start ended with {daemon.process.returncode}: {daemon.log()}"]
        if self.version:
            wait_until(lambda: len(set(self.receiver.ids())) >= EVENTS + ROWS, "everything there was is delivered")
        daemon.kill()
        found = copy_as_found(daemon, self.run.folder())
        version = int(ask(found, "PRAGMA user_version"))
        return [] if version == self.newest and schema_of(found) == self.schemas[version] else [f"schema {version} after the next start"]


def at_every_write(run, version, newest, limit):
    migration = Migration(run, version, newest)
    daemon = migration.daemon()
    output = strace.run_under(daemon, trace=CHANGES)
    status = migration.migrate(daemon)
    most = strace.counts(strace.complete(output, daemon))
    run.check(status == 0 and not migration.look(daemon), f"undisturbed from schema {version}: status {status}, {migration.look(daemon)}")
    chosen = [(name, k, "signal=SIGKILL") for name, k in strace.points(most, CHANGES, limit, run.random)]
    chosen += [(name, k, "error=ENOSPC") for name, k in strace.points(most, ["pwrite64"], limit and limit // 2, run.random)]
    for name, k, what in chosen:
        daemon = migration.daemon()
        output = strace.run_under(daemon, [f"{name}:{what}:when={k}"], CHANGES)
        status = migration.migrate(daemon)
        strace.complete(output, daemon)
        strace.run_alone(daemon)
        # 0: it was the checkpoint at the end that found the disk full; the WAL has everything.
        allowed = [-9] if "SIGKILL" in what else [STORE_FAILED, CANNOT_OPEN, 0]
        broken = [] if status in allowed else [f"ended with {status}"]
        broken += migration.look(daemon) + migration.finish(daemon)
        run.check(not broken, f"from schema {version}, {what} at {name} {k}: {broken}")
    return migration, f"schema {version or 'none'} to {newest}: {len(chosen)} points"


@fault(PROMISE, "killed, and out of space, at every write of a migration and of a creation")
def interrupted(run):
    figures = []
    newest = newest_schema(run)
    for version in range(newest):
        migration, text = at_every_write(run, version, newest, 6 if run.quick else None)
        figures.append(text)
        if version == 1:
            controls(run, migration)
        run.cleanup()
    run.figures = "; ".join(figures)


def controls(run, migration):
    for how, script in (("half of the next migration applied", "ALTER TABLE endpoint ADD COLUMN failing_since INTEGER;"),
                        ("one row gone", "DELETE FROM event WHERE seq = 3;"),
                        ("a version without its schema", f"PRAGMA user_version={migration.newest};")):
        daemon = migration.daemon()
        daemon.sql(script)
        run.control(how, migration.look(daemon))


@fault(PROMISE, "a database of a newer schema")
def downgrade(run):
    newest = newest_schema(run)
    daemon = run.daemon().start()
    daemon.event()
    daemon.stop()
    daemon.sql(f"PRAGMA user_version={newest + 1};")
    before = hashlib.sha256(daemon.database.read_bytes()).hexdigest()
    for command in ("serve", "migrate"):
        ended = subprocess.run([*daemon.command(), command], capture_output=True, text=True, timeout=20, check=False)
        run.check(ended.returncode == SCHEMA_TOO_NEW and f"schema {newest + 1}" in ended.stderr, f"{command}: {ended}")
        run.check(hashlib.sha256(daemon.database.read_bytes()).hexdigest() == before, f"{command}: the file has changed")
    daemon.sql(f"PRAGMA user_version={newest};")
    run.control("its own schema: it starts", subprocess.run([*daemon.command(), "migrate"], capture_output=True, check=False).returncode == 0)
