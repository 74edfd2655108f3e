"""The image and the quadlet of systemd/container, without podman: the last stage of the Containerfile is made of this machine's files,
its lines run as they stand, and run under what the quadlet asks for. Takes root; leaves nothing behind."""
import os
import pathlib
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CONTAINER = ROOT / "systemd/container"
sys.path.insert(0, str(HERE.parent / "e2e"))
from harness import BIN, PATIENCE, wait_until  # noqa: E402
from machine import CannotBoot  # noqa: E402

# Mounts and runs; process 1 of new namespaces. Arguments: the folder, what to run in the root to finish the image, "ro" or "rw", then
# volumes as FOLDER:PLACE, then -- and the command. The base image's files are this machine's /usr and Debian's first users.
BOOT = """
set -eu
folder=$1 finish=$2 mode=$3; shift 3
root=$folder/root
mount --make-rprivate /
mount -t tmpfs tmpfs "$root"
mkdir -p "$root"/usr "$root"/etc "$root"/proc "$root"/dev "$root"/var/lib "$root"/run/notify "$root"/tmp
mount -t tmpfs tmpfs "$folder/upper"
mkdir "$folder/upper/files" "$folder/upper/work"
mount -t overlay overlay -o "lowerdir=/usr,upperdir=$folder/upper/files,workdir=$folder/upper/work" "$root/usr"
for link in /bin /sbin /lib*; do cp -P "$link" "$root"; done
cp /usr/share/base-passwd/passwd.master "$root/etc/passwd"
cp /usr/share/base-passwd/group.master "$root/etc/group"
cp -a /etc/ld.so.cache /etc/login.defs /etc/ssl "$root/etc"
mount -t proc proc "$root/proc"
for device in null zero random urandom; do touch "$root/dev/$device"; mount --bind "/dev/$device" "$root/dev/$device"; done
touch "$folder/mounted"
sh -euc "$finish" finish "$root"
mount --bind "$folder/notify" "$root/run/notify"
while [ "$1" != -- ]; do
  volume=${1%%:*} place=$root${1#*:}
  # As podman does: a new volume begins with what the image has there.
  [ -d "$volume" ] || cp -a "$place" "$volume"
  mount --bind "$volume" "$place"
  shift
done
shift
mount -o "remount,$mode" "$root/usr"
mount -o "remount,$mode" "$root"
ip link set lo up
user=$(chroot "$root" id -u "$USER_ID") group=$(chroot "$root" id -g "$USER_ID") groups=$(chroot "$root" id -G "$USER_ID" | tr ' ' ,)
echo "$user $group $groups" > "$folder/ids"
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin NOTIFY_SOCKET=/run/notify/notify.sock chroot "$root" \\
  setpriv --reuid "$user" --regid "$group" --groups "$groups" "$@"
"""


class Containerfile:
    """Its instructions in order: (stage, name, what follows)."""

    def __init__(self, path=CONTAINER / "Containerfile"):
        text = "\n".join(line for line in path.read_text().splitlines() if not line.lstrip().startswith("#"))
        self.instructions, self.stages = [], []
        for line in text.replace("\\\n", " ").splitlines():
            name, _, rest = line.strip().partition(" ")
            if name == "FROM":
                self.stages.append(rest)
            if name:
                self.instructions.append((len(self.stages), name, " ".join(rest.split())))

    def all(self, name, stage=None):
        return [rest for at, kind, rest in self.instructions if kind == name and at == (stage or len(self.stages))]

    def value(self, name):
        return self.all(name)[-1]

    def packages(self):
        """What the last stage installs."""
        install = next(run for run in self.all("RUN") if "apt-get install" in run)
        return [word for word in re.search(r"apt-get install (.*?) &&", install)[1].split() if not word.startswith("-")]

    def finish(self):
        """Shell that does to the root $1 what the last stage does to its base, but for installing packages. What the build stage has made is
        taken from this build."""
        made = f"{self.all('WORKDIR', stage=1)[-1]}/.build/release/daemon"
        steps = []
        for at, kind, rest in self.instructions:
            if at == len(self.stages) and kind == "RUN" and "apt-get install" not in rest:
                steps.append(f'chroot "$1" /bin/sh -euc {shlex.quote(rest)}')
            elif at == len(self.stages) and kind == "COPY":
                *sources, target = [word for word in rest.split() if not word.startswith("--")]
                root = pathlib.Path("/") if "--from=build" in rest else ROOT
                files = [str(root / source).replace(made, str(BIN.resolve())) for source in sources]
                steps.append(f'mkdir -p "$1"{target} && cp {shlex.join(files)} "$1"{target}')
        return "\n".join(steps)


class Quadlet:
    """A .container file: its [Container] and [Service], lists in order."""

    def __init__(self, path=CONTAINER / "outboxd.container"):
        self.sections, section = {}, None
        for line in path.read_text().splitlines():
            if line.startswith("["):
                section = self.sections.setdefault(line.strip("[]"), [])
            elif line and line[0] not in "#;":
                name, _, value = line.partition("=")
                section.append((name, value))

    def values(self, name, section="Container"):
        return [value for key, value in self.sections[section] if key == name]

    def value(self, name, section="Container"):
        return (self.values(name, section) or [""])[-1]

    def is_on(self, name):
        return self.value(name) in ("yes", "true", "on", "1")

    def podman_options(self):
        """Of PodmanArgs=: {"--stop-timeout": "50"}."""
        words = [word for value in self.values("PodmanArgs") for word in shlex.split(value)]
        return dict(word.split("=", 1) for word in words)

    def volumes(self):
        """{name of the .volume file: where it is in the container}."""
        return dict(value.split(":")[:2] for value in self.values("Volume"))


class Container:
    """Runs the image as the quadlet says. `files`: {path in the container: text}, as mounted there by an operator."""

    def __init__(self, folder, files, quadlet=None):
        if os.geteuid() != 0:
            raise CannotBoot("not root")
        self.quadlet, self.containerfile = quadlet or Quadlet(), Containerfile()
        self.volumes = {place: folder / name.removesuffix(".volume") for name, place in self.quadlet.volumes().items()}
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="outboxd-container."))
        for name in ("root", "upper", "notify"):
            (self.folder / name).mkdir()
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(str(self.folder / "notify/notify.sock"))
        (self.folder / "notify/notify.sock").chmod(0o777)
        self.process, self.said = None, self.folder / "console"
        try:
            self.start(files)
        except BaseException:
            self.close()
            raise

    def privileges(self):
        options = []
        if self.quadlet.value("DropCapability") == "all":
            options += ["--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all"]
        if self.quadlet.is_on("NoNewPrivileges"):
            options += ["--no-new-privs"]
        return options

    def start(self, files):
        finish = self.containerfile.finish()
        for place, text in files.items():
            finish += f'\nmkdir -p "$1"{os.path.dirname(place)} && printf %s {shlex.quote(text)} > "$1"{place}'
        entry = re.findall(r'"([^"]*)"', self.containerfile.value("ENTRYPOINT"))
        mode = "ro" if self.quadlet.is_on("ReadOnly") else "rw"
        with open(self.said, "wb") as console:
            self.process = subprocess.Popen(
                ["unshare", "--fork", "--kill-child", "--mount", "--pid", "--net", "--uts", "--ipc", "sh", "-c", BOOT, "boot",
                 self.folder, finish, mode, *[f"{folder}:{place}" for place, folder in self.volumes.items()], "--",
                 *self.privileges(), *entry],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console,
                env={**os.environ, "USER_ID": self.quadlet.value("User")})
        self.notify.settimeout(0.05)
        wait_until(lambda: self.process.poll() is not None or self.is_ready(), f"READY=1 from the container: {self.output()}")
        if self.process.poll() is not None:
            reason = self.output() or f"status {self.process.returncode}"
            raise AssertionError(reason) if (self.folder / "mounted").exists() else CannotBoot(reason)
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        self.pid = int(children[0])

    def is_ready(self):
        try:
            return "READY=1" in self.notify.recv(4096).decode().splitlines()
        except TimeoutError:
            return False

    def output(self):
        return self.said.read_text(errors="replace") if self.said.exists() else ""

    def run(self, command, as_root=False):
        """Shell among its mounts and in its network, as `podman exec` runs it."""
        user, group, groups = (self.folder / "ids").read_text().split()
        ids = [] if as_root else ["setpriv", f"--reuid={user}", f"--regid={group}", f"--groups={groups}", *self.privileges()]
        return subprocess.run(["nsenter", "-t", str(self.pid), "-m", "-p", "-n", "-u", "-i", "-r", "-w", *ids, "/bin/sh", "-c", command],
                              capture_output=True, text=True, check=False)

    def stop(self, patience):
        """The stop signal to process 1; its exit status."""
        os.kill(self.pid, signal.Signals[self.containerfile.value("STOPSIGNAL")])
        return self.process.wait(patience)

    def close(self):
        if self.process:
            self.process.kill()
            self.process.wait(PATIENCE)
        self.notify.close()
        shutil.rmtree(self.folder)
