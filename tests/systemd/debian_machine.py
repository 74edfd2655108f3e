"""A Debian of its own, as small as debootstrap makes one that systemd boots, in namespaces; in this machine's network, for apt. Takes root;
leaves nothing behind but the files of the bare system, which the next one begins with."""
import pathlib
import shutil
import subprocess

from machine import CannotBoot, System

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Process 1 until it becomes systemd. Arguments: a folder of its own, the bare system, which stays as it is.
BOOT = """
set -eu
mount --make-rprivate /
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=$2,upperdir=$1/upper,workdir=$1/work" "$1/root"
cd "$1/root"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs tmpfs dev -o mode=755
for node in null zero full random urandom tty; do
  touch dev/$node
  mount --bind /dev/$node dev/$node
done
mkdir dev/pts dev/shm
mount -t devpts devpts dev/pts -o newinstance,ptmxmode=0666,mode=620,gid=5
ln -s pts/ptmx dev/ptmx
mount -t tmpfs tmpfs dev/shm -o mode=1777
mount -t tmpfs tmpfs run -o mode=755
mkdir run/outside
pivot_root . run/outside
umount -l /run/outside
mount --make-rshared /
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=other \\
  /lib/systemd/systemd --system --log-target=console --show-status=no
"""


def bare_debian(suite="bookworm"):
    """Its folder; made at the first call."""
    folder = ROOT / ".build/package" / f"bare-{suite}"
    if not folder.exists():
        print(f"debootstrap {suite} in {folder}", flush=True)
        making = folder.with_suffix(".making")
        shutil.rmtree(making, ignore_errors=True)
        subprocess.run(["debootstrap", "--variant=minbase", "--include=systemd-sysv", suite, making], check=True, stdout=subprocess.DEVNULL)
        making.rename(folder)
    return folder


class DebianMachine(System):
    namespaces = ("mount", "pid", "cgroup", "uts", "ipc")
    target = "multi-user.target"

    def __init__(self, suite="bookworm"):
        super().__init__(BOOT, bare_debian(suite))

    def put(self, files, folder):
        """Copies files there."""
        target = self.root / folder.lstrip("/")
        target.mkdir(parents=True, exist_ok=True)
        for file in files:
            shutil.copy(file, target)

    def shell(self, script, log):
        """Its status; what it says goes to log."""
        return subprocess.run(self.enter("sh", "-euxc", script), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, check=False).returncode

    def copy(self, folder, to, *options):
        """A folder with all that is in it, less what tar's options exclude."""
        target = self.root / to.lstrip("/")
        target.mkdir(parents=True)
        subprocess.run(f"tar -C {folder} -c {' '.join(options)} . | tar -C {target} -x", shell=True, check=True)
