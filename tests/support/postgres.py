"""A PostgreSQL server of a test's own: in a folder of its own, on a Unix socket, without TCP, as an unprivileged user.

The programs are those of Debian's package postgresql, the newest version that is installed, or those in the folder that
OUTBOXD_POSTGRESQL_BIN names."""
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

# Servers refuse to run as root. Debian's package makes this user.
USER = "postgres"
PATIENCE = 30
# Of every session that a test opens itself: the owner of the tables, as whom the daemons come too.
ROLE = "outboxd"


def programs():
    """The folder of initdb and postgres, or None."""
    given = os.environ.get("OUTBOXD_POSTGRESQL_BIN")
    found = [pathlib.Path(given)] if given else sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"),
                                                       key=lambda path: int(path.parent.name), reverse=True)
    return next((path for path in found if (path / "initdb").exists()), None)


def needs_postgresql(test):
    """For tests over a server. scripts/setup installs one."""
    return unittest.skipUnless(programs(), "PostgreSQL is not installed: scripts/setup does it")(test)


def unprivileged():
    """How subprocess starts a process as somebody who is not root."""
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam(USER)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def read_stat(path):
    """(pid, parent's pid), or None of a process that has ended meanwhile."""
    try:
        pid, _, rest = path.read_text().partition(" (")
        return int(pid), int(rest.rpartition(") ")[2].split()[1])
    except OSError:
        return None


class Server:
    """start(), then as often as wanted stop(), crash() and start() again; remove() at the end."""

    def __init__(self, durable=False, **settings):
        """Without `durable` a crash of the machine would lose data; that of the server does not. `settings`: as in
        postgresql.conf, texts."""
        self.bin = programs()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="outboxd-pg."))
        self.folder.chmod(0o700)
        if os.geteuid() == 0:
            shutil.chown(self.folder, USER)
        self.data = self.folder / "data"
        self.log_file = self.folder / "log"
        self.process = None
        self.settings = {"listen_addresses": "", "unix_socket_directories": str(self.folder), "max_connections": "100",
                         "shared_buffers": "64MB", "fsync": "on" if durable else "off", "full_page_writes": "on" if durable else "off",
                         "log_line_prefix": "%m %p %a ", "lc_messages": "C", **settings}

    def create(self):
        """A new cluster. (A standby is made by copy_of() instead.)"""
        self.run("initdb", "-D", self.data, "-U", ROLE, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        return self.configure()

    def configure(self):
        with open(self.data / "postgresql.auto.conf", "a", encoding="utf-8") as conf:
            for name, value in self.settings.items():
                quoted = value.replace("'", "''")
                conf.write(f"{name} = '{quoted}'\n")
        return self

    def copy_of(self, primary):
        """Makes this a standby of a running server. What was in its folder is gone."""
        shutil.rmtree(self.data, ignore_errors=True)
        self.run("pg_basebackup", "-D", self.data, "-d", primary.url("postgres") + f"&application_name={self.name}", "-R",
                 "-X", "stream", "-c", "fast", "--no-sync")
        return self.configure()

    @property
    def name(self):
        """By which a primary knows it as a standby."""
        return self.folder.name.replace(".", "_").replace("-", "_")

    def run(self, program, *arguments):
        done = subprocess.run([str(self.bin / program), *map(str, arguments)], cwd=self.folder, capture_output=True, text=True,
                              check=False, **unprivileged())
        if done.returncode != 0:
            raise AssertionError(f"{program}: {done.stdout}{done.stderr}")
        return done.stdout

    def start(self):
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen([str(self.bin / "postgres"), "-D", str(self.data)], cwd=self.folder, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, start_new_session=True, **unprivileged())
        deadline = time.monotonic() + PATIENCE
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the server does not start: {self.log()}")
            time.sleep(0.02)
        return self

    def answers(self):
        ready = subprocess.run([str(self.bin / "pg_isready"), "-q", "-h", str(self.folder), "-U", ROLE, "-d", "postgres"], check=False)
        return ready.returncode == 0

    def log(self):
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def end(self, how):
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(PATIENCE)

    def stop(self):
        self.end(signal.SIGINT)  # "fast": sessions are ended, and everything is written

    def crash(self):
        self.end(signal.SIGQUIT)  # "immediate": all processes end as they are

    def processes(self):
        """The postmaster and its children: each of these is the leader of a session of its own."""
        stats = [read_stat(path) for path in pathlib.Path("/proc").glob("[0-9]*/stat")]
        found = [pid for pid, parent in filter(None, stats) if self.process.pid in (pid, parent)]
        return sorted(found, key=lambda pid: pid != self.process.pid)

    def signal_all(self, how):
        """SIGKILL: what a machine's loss of power is to everybody else. SIGSTOP: one that hangs, and answers nothing."""
        for pid in self.processes():
            try:
                os.kill(pid, how)
            except ProcessLookupError:
                pass

    def kill(self):
        """Nothing of it runs any more, and nobody was told."""
        self.signal_all(signal.SIGKILL)
        self.process.wait(PATIENCE)

    def set(self, **settings):
        """Of a server that runs, or not yet: in force from now on, or from its start."""
        self.settings.update(settings)
        self.configure()
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGHUP)

    def promote(self):
        self.run("pg_ctl", "promote", "-D", self.data, "-w")

    def remove(self):
        self.crash()
        shutil.rmtree(self.folder, ignore_errors=True)

    def trust(self, network):
        """Who comes by TCP from there may be anybody."""
        with open(self.data / "pg_hba.conf", "a", encoding="utf-8") as hba:
            hba.write(f"host all all {network} trust\n")

    def url(self, database, *others, host=None):
        """As libpq reads it. `others`: servers that are tried too, in turn. `host`: one that it listens on, instead of its socket."""
        hosts = ",".join([host or str(self.folder), *(str(server.folder) for server in others)])
        return f"postgresql:///{database}?host={hosts}&user={ROLE}"

    def sql(self, script, database):
        """The rows of the result, fields separated by |."""
        done = subprocess.run([str(self.bin / "psql"), "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", self.url(database)], input=script,
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise AssertionError(f"psql: {done.stderr}")
        return done.stdout.strip()

    def new_database(self, name):
        self.sql(f"CREATE DATABASE {name}", "postgres")
        return name
