"""A systemd of one's own: process 1 of new namespaces, with a network of its own and no units but those it is given. Takes root; leaves
nothing behind."""
import contextlib
import ctypes
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))
from harness import wait_until  # noqa: E402

CLONE_NEWNET = 0x40000000
ADDRESS_NOT_GLOBAL = "10.99.0.1"

# Process 1 until it becomes systemd. What it mounts goes with its namespace. Arguments: our files, the programs, ../../systemd.
BOOT = f"""
set -eu
mount --make-rprivate /
replace() {{
  umount -R -l "$3" 2>/dev/null || true
  mount -t "$@"
}}
replace proc proc /proc
replace cgroup2 cgroup2 /sys/fs/cgroup
replace tmpfs tmpfs /var/lib -o mode=755
replace tmpfs tmpfs /run -o mode=755
replace tmpfs tmpfs /usr/local/bin -o mode=755
mkdir -p /run/test/work
cp -r "$1/etc" "$1/units" /run/test
cp "$2/outboxd" "$2/outboxctl" /usr/local/bin
mount -t overlay overlay -o lowerdir=/etc,upperdir=/run/test/etc,workdir=/run/test/work /etc
systemd-sysusers "$3/outboxd.sysusers"
systemd-tmpfiles --create "$3/outboxd.tmpfiles"
replace tmpfs tmpfs /tmp -o mode=1777
replace tmpfs tmpfs /var/tmp -o mode=1777
ip link set lo up
ip address add {ADDRESS_NOT_GLOBAL}/32 dev lo
mount --make-rshared /  # as systemd expects of a container: credentials are mounted elsewhere and have to arrive here
exec env -i PATH="$PATH" SYSTEMD_UNIT_PATH=/run/test/units container=other \\
  /lib/systemd/systemd --system --unit=test.target --log-target=console --show-status=no
"""
# What units refer to by default, with nothing in it.
TARGETS = ["test", "sysinit", "basic", "shutdown", "network", "sockets", "multi-user", "nss-lookup"]


class CannotBoot(Exception):
    """This machine does not allow it; the text is what was said."""


def new_cgroup():
    """systemd takes over the cgroup it finds itself in: one of its own, then."""
    root = next((line.split()[1] for line in pathlib.Path("/proc/mounts").read_text().splitlines() if line.split()[2] == "cgroup2"), None)
    if root is None:
        raise CannotBoot("cgroup v2 is not mounted")
    own = pathlib.Path("/proc/self/cgroup").read_text().split("0::/", 1)[1].splitlines()[0]
    try:
        return pathlib.Path(tempfile.mkdtemp(prefix="outboxd-test.", dir=pathlib.Path(root) / own))
    except OSError as error:
        raise CannotBoot(str(error)) from error


@contextlib.contextmanager
def network_of(pid):
    """Sockets made within are in that process's network, and stay there."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/thread-self/ns/net", "rb") as ours, open(f"/proc/{pid}/ns/net", "rb") as theirs:
        if libc.setns(theirs.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")
        try:
            yield
        finally:
            libc.setns(ours.fileno(), CLONE_NEWNET)


class System:
    """Booted by script, process 1 until it becomes systemd, with arguments behind the folder that this makes for it and removes."""
    namespaces = ("mount", "pid", "cgroup", "net", "uts", "ipc")
    target = "test.target"

    def __init__(self, script, *arguments, files=None):
        """files: {path in the folder: text}."""
        if os.geteuid() != 0:
            raise CannotBoot("not root")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="outboxd-machine."))
        self.cgroup, self.process = None, None
        try:
            for name, text in (files or {}).items():
                file = self.folder / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text)
            self.boot(script, *arguments)
        except BaseException:
            self.shut_down()
            raise

    def boot(self, script, *arguments):
        self.cgroup = new_cgroup()
        self.console = self.folder / "console"
        with open(self.console, "wb") as console:
            self.process = subprocess.Popen(
                ["sh", "-c", f'echo $$ > {self.cgroup}/cgroup.procs && exec "$@"', "sh",
                 "unshare", "--fork", "--kill-child", *(f"--{name}" for name in self.namespaces),
                 "sh", "-c", script, "boot", self.folder, *arguments],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console)
        wait_until(lambda: self.process.poll() is not None or self.is_up(), "systemd is up")
        if self.process.poll() is not None:
            raise CannotBoot(self.said() or f"status {self.process.returncode}")

    def is_up(self):
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        if not children:
            return False
        self.init = children[0]
        return self.root.joinpath("run/systemd/private").exists() and self.systemctl("is-active", self.target).returncode == 0

    def said(self):
        return " ".join(self.console.read_text(errors="replace").split())

    @property
    def root(self):
        """Its files, as seen from here."""
        return pathlib.Path(f"/proc/{self.init}/root")

    def enter(self, *command):
        return ["nsenter", "-t", self.init, *(f"--{name}" for name in self.namespaces), *command]

    def run(self, *command):
        return subprocess.run(self.enter(*command), capture_output=True, text=True, check=False)

    def systemctl(self, *arguments):
        return self.run("systemctl", *arguments)

    def must(self, *command):
        done = self.run(*command)
        if done.returncode != 0:
            raise AssertionError(f"{command}: {done.stdout}{done.stderr}{self.said()}")
        return done.stdout

    def network(self):
        return network_of(self.init)

    def shut_down(self):
        if self.process:
            self.process.send_signal(signal.SIGKILL)  # process 1 goes with it, and all of its own
            self.process.wait()
        if self.cgroup:
            wait_until(self.remove_cgroups, "the cgroups are empty")
        shutil.rmtree(self.folder)

    def remove_cgroups(self):
        for folder, _, _ in os.walk(self.cgroup, topdown=False):
            try:
                os.rmdir(folder)
            except OSError:
                return False
        return True


class Machine(System):
    """Of this machine's own files, with those of the repository's systemd folder, and with files: {path: text}, below "units" and "etc"."""

    def __init__(self, programs, systemd_folder, files):
        targets = {f"units/{name}.target": "[Unit]\nDefaultDependencies=no\n" for name in TARGETS}
        super().__init__(BOOT, programs, systemd_folder, files={**targets, **files})
