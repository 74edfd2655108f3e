#!/usr/bin/env python3
"""The image and the quadlet of systemd/container: what they say of each other and of the tree, and outboxd in that image under what the
quadlet asks for: its root read-only, its user by number, no capabilities. podman is not needed (image.py); what the facts are is read from
the two files. Takes root and namespaces."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE.parent / "e2e"))
from harness import BIN, Daemon, Receiver, wait_until  # noqa: E402
from image import CONTAINER, Container, Containerfile, Quadlet  # noqa: E402
from machine import CannotBoot, network_of  # noqa: E402

# What podman 4.4 knows of a container; newer ones know these too.
KEYS_OF_4_4 = {"AddCapability", "AddDevice", "Annotation", "ContainerName", "DropCapability", "Environment", "EnvironmentFile",
               "EnvironmentHost", "Exec", "ExposeHostPort", "Group", "Image", "Label", "Network", "NoNewPrivileges", "Notify", "PodmanArgs",
               "PublishPort", "ReadOnly", "RemapGid", "RemapUid", "RemapUidSize", "RemapUsers", "RunInit", "SeccompProfile", "Timezone", "User",
               "VolatileTmp", "Volume"}
GENERATOR = pathlib.Path("/usr/libexec/podman/quadlet")  # not in Debian 12, whose podman is 4.3
IN_EVERY_DEBIAN = {"libc6", "libgcc-s1", "libstdc++6"}  # apt itself is linked with them
SETTINGS = """
[policy]
allow_http = true
allow_networks = ["127.0.0.0/8"]
ports = []
[retention]
free_disk = "1MiB"
[delivery]
retry_schedule = ["0s", "1s", "1s", "1s", "1s", "1s", "1s", "1s", "1s"]
"""


def seconds(text):
    number, unit = re.fullmatch(r"(\d+)(s|min|m)?", text).groups()
    return int(number) * (60 if unit in ("m", "min") else 1)


def needed_libraries(program):
    """{name of the library: the Debian package that it is of}."""
    listing = subprocess.run(["objdump", "-p", program], capture_output=True, text=True, check=True).stdout
    paths = dict(re.findall(r"(\S+) => (/\S+)", subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout))
    packages = {}
    for name in re.findall(r"NEEDED +(\S+)", listing):
        file = pathlib.Path(paths[name])
        # A package lists its file below /usr or beside it, by how old it is.
        names = [str(file), f"/usr{file}", str(file.resolve())]
        found = subprocess.run(["dpkg", "-S", *names], capture_output=True, text=True, check=False).stdout
        packages[name] = found.partition(":")[0] or f"no package has {file}"
    return packages


class WhatTheFilesSay(unittest.TestCase):
    containerfile, quadlet = Containerfile(), Quadlet()

    def test_the_build_stage_gets_all_that_cmake_reads_and_nothing_else_of_the_tree(self):
        copied = {source for line in self.containerfile.all("COPY", stage=1) for source in line.split()[:-1]}
        folders = set(re.findall(r"^\s*add_subdirectory\((\w+)\)", (ROOT / "CMakeLists.txt").read_text(), re.M)) - {"tests"}
        self.assertEqual(folders | {"CMakeLists.txt", "CMakePresets.json", "scripts/setup"}, copied)
        self.assertEqual([], [name for name in copied if not (ROOT / name).exists()])
        # And what its folders read or make of others.
        files = [file for folder in folders for file in [*(ROOT / folder).rglob("CMakeLists.txt"), *(ROOT / folder).rglob("*.cmake")]]
        for file in files:
            lines = [line for line in file.read_text().splitlines() if not line.startswith("install(")]  # nothing is installed there
            for path in re.findall(r"\$\{PROJECT_SOURCE_DIR\}/([\w./-]+)", "\n".join(lines)):
                self.assertIn(path.split("/")[0], copied, file.relative_to(ROOT))

    @unittest.skipUnless('VERSION_ID="12"' in pathlib.Path("/etc/os-release").read_text(), "the image is Debian 12, this machine is not")
    def test_the_image_has_the_libraries_that_the_programs_are_linked_with_and_no_others(self):
        needed = {package for program in ("outboxd", "outboxctl") for package in needed_libraries(BIN / program).values()}
        self.assertEqual(needed - IN_EVERY_DEBIAN, set(self.containerfile.packages()) - {"ca-certificates"})

    def test_they_agree_on_the_user_and_the_volumes(self):
        self.assertRegex(self.containerfile.value("USER"), r"^[1-9]\d+$")
        self.assertEqual(self.containerfile.value("USER"), self.quadlet.value("User"))
        self.assertEqual(set(self.containerfile.value("VOLUME").split()), set(self.quadlet.volumes().values()))
        for name in self.quadlet.volumes():
            self.assertTrue((CONTAINER / name).exists(), name)

    def test_the_image_is_of_this_version(self):
        version = re.search(r"project\(outboxd VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text())[1]
        self.assertEqual(f"localhost/outboxd:{version}", self.quadlet.value("Image"))
        self.assertIn(f"-t localhost/outboxd:{version} .", (CONTAINER / "Containerfile").read_text())

    def test_each_stop_timeout_leaves_time_to_the_one_inside(self):
        inside = re.search(r'^#stop_timeout = "(\w+)"', (ROOT / "systemd/outboxd.toml").read_text(), re.M)[1]
        podman = self.quadlet.podman_options()["--stop-timeout"]
        systemd = self.quadlet.value("TimeoutStopSec", "Service")
        self.assertLess(seconds(inside) + 10, seconds(podman))
        self.assertLess(seconds(podman), seconds(systemd))

    def test_the_service_restarts_when_that_of_a_machine_does(self):
        unit = (ROOT / "systemd/outboxd.service.in").read_text()
        for name in ("Restart", "RestartSec", "RestartPreventExitStatus", "TimeoutStartSec"):
            self.assertEqual([self.quadlet.value(name, "Service")], re.findall(rf"^{name}=(.*)$", unit, re.M), name)

    def test_podman_4_4_knows_every_key(self):
        self.assertLessEqual({key for key, _ in self.quadlet.sections["Container"]}, KEYS_OF_4_4)

    @unittest.skipUnless(GENERATOR.exists(), f"{GENERATOR} is not installed: podman 4.4 or newer has it")
    def test_podman_makes_services_of_them(self):
        run = subprocess.run([GENERATOR, "--dryrun"], env={**os.environ, "QUADLET_UNIT_DIRS": str(CONTAINER)}, capture_output=True,
                             text=True, check=False)
        self.assertEqual(0, run.returncode, run.stderr)
        self.assertIn("--sdnotify=container", run.stdout)


class Service(Daemon):
    """The harness's calls, on the sockets in the shared volume."""

    def __init__(self, sockets):
        self.admin, self.ingest = sockets / "admin.sock", sockets / "ingest.sock"


class InTheImage(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="outboxd-volumes."))
        self.folder.chmod(0o755)
        self.addCleanup(shutil.rmtree, self.folder)
        self.container = self.start()

    def start(self, **changes):
        try:
            container = Container(self.folder, {"/etc/outboxd/conf.d/test.toml": SETTINGS}, **changes)
        except CannotBoot as reason:
            self.skipTest(f"no container can be made here: {reason}")
        self.addCleanup(container.close)
        self.outboxd = Service(container.volumes["/run/outboxd"])
        return container

    def receiver(self):
        with network_of(self.container.pid):
            receiver = Receiver()
        self.addCleanup(receiver.close)
        return receiver

    def test_it_says_ready_and_delivers_what_comes_through_the_shared_socket(self):
        receiver = self.receiver()
        self.outboxd.endpoint(receiver.url)
        answer = self.outboxd.call("POST", "/v1/events", {"type": "order.paid", "payload": {}}, socket_path=self.outboxd.ingest)
        self.assertEqual(202, answer.status, answer)
        wait_until(lambda: answer.json["id"] in receiver.ids(), "the event at the receiver")

    def test_it_has_a_user_of_its_own_and_no_privileges(self):
        lines = pathlib.Path(f"/proc/{self.container.pid}/status").read_text().splitlines()
        status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
        for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            self.assertEqual(0, int(status[kind], 16), kind)
        self.assertEqual("1", status["NoNewPrivs"].strip())
        self.assertEqual([self.container.quadlet.value("User")] * 4, status["Uid"].split())

    def test_nothing_can_be_written_but_the_volumes(self):
        for place in self.container.volumes:
            self.assertEqual("", self.container.run(f"touch {place}/file && rm {place}/file").stderr)
        for place in ("/", "/etc/outboxd", "/usr/bin", "/var/lib", "/run", "/tmp"):
            self.assertIn("Read-only file system", self.container.run(f"touch {place}/file", as_root=True).stderr, place)

    def test_a_root_that_is_not_read_only_would_be_noticed(self):
        quadlet = Quadlet()
        quadlet.sections["Container"].append(("ReadOnly", "false"))
        self.container.stop(20)
        writable = self.start(quadlet=quadlet)
        self.assertEqual("", writable.run("touch /etc/outboxd/file", as_root=True).stderr)

    def test_files_and_sockets_are_for_the_groups_of_producers_and_operators(self):
        def access(path):
            return self.container.run(f"stat -c '%a %u %G' {path}").stdout.strip()

        user = self.container.quadlet.value("User")
        self.assertEqual(f"2770 {user} outboxd-ingest", access("/var/lib/outboxd"))
        self.assertEqual(f"660 {user} outboxd-ingest", access("/var/lib/outboxd/outbox.db"))
        self.assertEqual(f"660 {user} outboxd-ingest", access("/run/outboxd/ingest.sock"))
        self.assertEqual(f"660 {user} outboxd-admin", access("/run/outboxd/admin.sock"))

    def test_the_health_command_tells_healthy_from_not(self):
        command = self.container.quadlet.podman_options()["--health-cmd"]
        well = self.container.run(command)
        self.assertEqual((0, ""), (well.returncode, well.stderr))
        self.outboxd.endpoint("http://127.0.0.1:9/", name="gone")
        self.container.run("outboxctl endpoint disable gone")
        self.assertEqual(1, self.container.run(command).returncode)

    def test_the_stop_signal_ends_it_in_time_and_the_volume_keeps_what_is_under_way(self):
        patience = seconds(self.container.quadlet.podman_options()["--stop-timeout"])
        receiver = self.receiver()
        receiver.answer = lambda request: 503
        self.outboxd.endpoint(receiver.url)
        event = self.outboxd.event()
        receiver.wait_for(1)
        self.assertEqual(0, self.container.stop(patience), self.container.output())
        self.container = self.start()
        self.assertEqual(1, len(self.outboxd.deliveries("&state=pending")))
        endpoint = self.outboxd.get("/v1/endpoints").json["data"][0]["id"]
        self.outboxd.call("PATCH", f"/v1/endpoints/{endpoint}", {"url": self.receiver().url})  # its network is another
        delivered = self.outboxd.wait_for_state("delivered", 1)
        self.assertEqual(event["id"], delivered[0]["event"])


if __name__ == "__main__":
    unittest.main()
