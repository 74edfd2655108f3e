"""A PgBouncer of a test's own before a private server, on a Unix socket."""
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

from postgres import PATIENCE, ROLE, USER, unprivileged

PORT = 6432  # the name of its socket
FETCHED = pathlib.Path(__file__).resolve().parents[2] / ".build/pgbouncer/usr/sbin"  # by scripts/test
# Debian's package puts it into /usr/sbin, which is not in every user's PATH.
PROGRAM = shutil.which("pgbouncer") or shutil.which("pgbouncer", path=f"/usr/sbin:{FETCHED}")


def needs_pgbouncer(test):
    return unittest.skipUnless(PROGRAM, "PgBouncer is not there: scripts/test fetches it")(test)


class Pooler:
    def __init__(self, server, pool_mode):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="outboxd-pool."))
        program, users, settings = self.folder / "pgbouncer", self.folder / "users", self.folder / "pgbouncer.ini"
        shutil.copy(PROGRAM, program)  # where another user may execute it
        users.write_text(f'"{ROLE}" ""\n')
        settings.write_text(f"""
[databases]
* = host={server.folder}
[pgbouncer]
listen_addr =
listen_port = {PORT}
unix_socket_dir = {self.folder}
auth_type = trust
auth_file = {users}
pool_mode = {pool_mode}
""")
        if unprivileged():
            for path in (self.folder, program, users, settings):
                shutil.chown(path, USER)
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen([str(program), str(settings)], cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            **unprivileged())
        deadline = time.monotonic() + PATIENCE
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.close()
                raise AssertionError("PgBouncer does not start")
            time.sleep(0.02)

    def answers(self):
        with socket.socket(socket.AF_UNIX) as client:
            return client.connect_ex(str(self.folder / f".s.PGSQL.{PORT}")) == 0

    def url(self, database):
        return f"postgresql:///{database}?host={self.folder}&port={PORT}&user={ROLE}"

    def close(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
