#!/usr/bin/env python3
"""outboxd as a service of a real systemd, with everything in the unit in force. Takes root and namespaces.

OUTBOXD_UNIT is the configured unit; ctest sets it."""
import hashlib
import os
import pathlib
import re
import resource
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE.parent / "e2e"))
from harness import BIN, Daemon, Receiver, wait_until  # noqa: E402
from machine import ADDRESS_NOT_GLOBAL, CannotBoot, Machine  # noqa: E402

UNIT = pathlib.Path(os.environ.get("OUTBOXD_UNIT", ROOT / ".build/dev/systemd/outboxd.service"))
SYSTEMD = ROOT / "systemd"
CONFIGURATION = """
[policy]
allow_http = true
allow_networks = ["127.0.0.0/8", "10.99.0.0/16"]
ports = []
[retention]
free_disk = "1MiB"
[delivery]
retry_schedule = ["0s", "1s"]
timeout = "2s"
connect_timeout = "1s"
"""
KEY = "5a" * 32 + "\n"
TOKEN = "a-token-of-32-characters-or-more"


class Service(Daemon):
    """The harness's calls, on the socket of a service that systemd started."""

    def __init__(self, machine):
        self.admin = machine.root / "run/outboxd/admin.sock"
        self.ingest = machine.root / "run/outboxd/ingest.sock"


class Booted(unittest.TestCase):
    configuration = CONFIGURATION
    drop_ins = ()

    @classmethod
    def setUpClass(cls):
        files = {"etc/outboxd/outboxd.toml": cls.configuration, "etc/outboxd/secrets.key": KEY,
                 "etc/outboxd/tokens": f"admin {hashlib.sha256(TOKEN.encode()).hexdigest()} test\n",
                 "units/outboxd.service": re.sub(r"(?m)^ExecStart=\S+", "ExecStart=/usr/local/bin/outboxd", UNIT.read_text()),
                 "units/outboxd.service.d/test.conf": "[Service]\nStandardError=append:/run/test/log\n"}
        for socket in SYSTEMD.glob("*.socket"):
            files[f"units/{socket.name}"] = socket.read_text()
        for name in cls.drop_ins:
            files[f"units/outboxd.service.d/{name}"] = (SYSTEMD / "outboxd.service.d" / name).read_text()
        try:
            cls.machine = Machine(BIN.resolve(), SYSTEMD, files)
        except CannotBoot as reason:
            raise unittest.SkipTest(f"no systemd can be booted here: {reason}") from reason
        cls.addClassCleanup(cls.machine.shut_down)

    def setUp(self):
        self.start("outboxd.service")
        self.outboxd = Service(self.machine)
        self.addCleanup(self.machine.systemctl, "stop", "outboxd.service", "outboxd-ingest.socket", "outboxd-admin.socket")

    def start(self, unit):
        started = self.machine.systemctl("start", unit)
        self.assertEqual(0, started.returncode, f"{started.stderr}{self.log()}{self.machine.said()}")

    def log(self):
        file = self.machine.root / "run/test/log"
        return file.read_text() if file.exists() else ""

    def property(self, name):
        return self.machine.must("systemctl", "show", "--value", "-p", name, "outboxd.service").strip()

    def receiver(self, host="127.0.0.1"):
        with self.machine.network():
            receiver = Receiver(host=host)
        self.addCleanup(receiver.close)
        return receiver

    def delivers(self):
        receiver = self.receiver()
        self.outboxd.endpoint(receiver.url)
        event = self.outboxd.event()
        wait_until(lambda: event["id"] in receiver.ids(), "the event at the receiver: " + self.log())

    def new_secret(self):
        """Of an endpoint; what is behind its prefix."""
        return self.outboxd.endpoint("http://127.0.0.1:9/")["secret"].partition("_")[2]

    def stored(self):
        """All that is in the database's files."""
        return b"".join(file.read_bytes() for file in (self.machine.root / "var/lib/outboxd").glob("outbox.db*")).decode("latin-1")

    def inside(self, *command):
        """As root, among the service's mounts."""
        return self.machine.run("nsenter", "-t", self.property("MainPID"), "-m", *command)

    def process_status(self):
        pid = self.property("MainPID")
        return dict(line.split(":\t", 1) for line in self.machine.must("cat", f"/proc/{pid}/status").splitlines() if ":\t" in line)


class TheService(Booted):
    def test_it_delivers(self):
        self.delivers()

    def test_it_has_no_privileges_and_all_filters(self):
        status = self.process_status()
        for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            self.assertEqual(0, int(status[kind], 16), kind)
        self.assertEqual(("1", "2"), (status["NoNewPrivs"].strip(), status["Seccomp"].strip()))
        self.assertNotIn("0", status["Uid"].split())

    def test_it_opens_as_many_files_as_the_unit_says_and_dumps_no_core(self):
        limits = self.machine.must("cat", f"/proc/{self.property('MainPID')}/limits")
        files = min(131072, resource.getrlimit(resource.RLIMIT_NOFILE)[1])  # a root without CAP_SYS_RESOURCE cannot raise it
        self.assertRegex(limits, rf"Max open files +{files} +{files}")
        self.assertRegex(limits, r"Max core file size +0 +0")

    def test_it_can_write_to_its_own_folders_alone(self):
        for folder in ("/var/lib/outboxd", "/run/outboxd", "/tmp"):
            self.assertEqual("", self.inside("touch", f"{folder}/file").stderr)
            self.inside("rm", f"{folder}/file")
        for folder in ("/", "/etc/outboxd", "/usr/bin", "/var/lib", "/run", "/run/lock", "/sys/fs/cgroup"):
            self.assertIn("Read-only file system", self.inside("touch", f"{folder}/file").stderr, folder)

    def test_it_cannot_execute_what_it_has_written(self):
        for folder in ("/var/lib/outboxd", "/run/outboxd", "/tmp", "/var/tmp"):
            program = f"{folder}/program"
            self.assertEqual(0, self.inside("cp", "/bin/true", program).returncode)
            self.assertIn("Permission denied", self.inside("sh", "-c", program).stderr, folder)
            self.inside("rm", program)
        self.assertNotEqual(0, self.inside("touch", "/dev/shm/file").returncode)

    def test_it_does_not_see_what_others_have(self):
        self.machine.must("touch", "/tmp/others")
        self.assertEqual("", self.inside("ls", "/tmp").stdout)
        self.assertEqual("", self.inside("ls", "-A", "/root", "/home").stdout.replace("/root:", "").replace("/home:", "").strip())
        self.assertNotEqual(0, self.inside("stat", "/dev/kmsg").returncode)

    def test_the_modes_and_groups_of_its_files_and_sockets(self):
        def access(path):
            return self.machine.must("stat", "-c", "%a %U %G", path).strip()

        self.assertEqual("2770 outboxd outboxd-ingest", access("/var/lib/outboxd"))
        self.assertEqual("660 outboxd outboxd-ingest", access("/var/lib/outboxd/outbox.db"))
        self.assertEqual("660 outboxd outboxd-ingest", access("/run/outboxd/ingest.sock"))
        self.assertEqual("660 outboxd outboxd-admin", access("/run/outboxd/admin.sock"))

    def test_it_is_reloaded_and_stopped(self):
        self.machine.must("systemctl", "reload", "outboxd.service")
        self.assertEqual("active", self.property("ActiveState"))
        self.machine.must("systemctl", "stop", "outboxd.service")
        self.assertEqual(("inactive", "success", "0"), (self.property("ActiveState"), self.property("Result"), self.property("ExecMainStatus")))

    def test_it_is_started_again_after_a_kill(self):
        first = self.property("MainPID")
        self.machine.must("systemctl", "kill", "--signal=KILL", "outboxd.service")
        wait_until(lambda: self.property("MainPID") not in ("0", first) and self.property("ActiveState") == "active", "a new process serves")
        self.delivers()

    def test_it_is_not_started_again_when_the_configuration_is_wrong(self):
        self.machine.must("systemctl", "stop", "outboxd.service")
        file = self.machine.root / "etc/outboxd/outboxd.toml"
        file.write_text("[nonsense]\n")
        self.addCleanup(file.write_text, CONFIGURATION)
        self.addCleanup(self.machine.systemctl, "reset-failed", "outboxd.service")
        self.assertNotEqual(0, self.machine.systemctl("start", "outboxd.service").returncode)
        self.assertEqual(("failed", "78"), (self.property("ActiveState"), self.property("ExecMainStatus")))

    def test_its_sockets_can_be_systemds(self):
        self.machine.must("systemctl", "stop", "outboxd.service")
        self.machine.must("systemctl", "start", "outboxd-ingest.socket", "outboxd-admin.socket")
        self.test_the_modes_and_groups_of_its_files_and_sockets()
        self.delivers()  # the first call starts it
        self.assertEqual("active", self.property("ActiveState"))

    def test_secrets_are_plain_without_a_key(self):
        """The control of TheCredentials."""
        self.assertIn(self.new_secret(), self.stored())

    def test_an_address_that_the_policy_allows_is_reached(self):
        """The control of TheAddressFilter."""
        receiver = self.receiver(ADDRESS_NOT_GLOBAL)
        self.outboxd.endpoint(receiver.url)
        self.outboxd.event()
        receiver.wait_for(1)


class TheAddressFilter(Booted):
    drop_ins = ["address-filter.conf"]

    def test_loopback_is_reached(self):
        self.delivers()

    def test_an_address_that_is_not_global_is_not_reached_though_the_policy_allows_it(self):
        receiver = self.receiver(ADDRESS_NOT_GLOBAL)
        self.outboxd.endpoint(receiver.url)
        self.outboxd.event()
        dead = self.outboxd.wait_for_state("dead", 1)
        self.assertEqual([], receiver.ids())
        self.assertEqual("timeout", dead[0]["error"])


class TheCredentials(Booted):
    drop_ins = ["credentials.conf"]
    configuration = CONFIGURATION + """
[store]
secrets_key_file = "credential:secrets.key"
[listen]
tokens_file = "credential:tokens"
"""

    def test_they_are_there_for_the_service_alone(self):
        key = "/run/credentials/outboxd.service/secrets.key"
        self.assertEqual(KEY, self.inside("cat", key).stdout)
        self.assertIn("Permission denied", self.machine.run("setpriv", "--reuid=65534", "--clear-groups", "cat", key).stderr)

    def test_secrets_are_encrypted_with_the_key(self):
        self.assertNotIn(self.new_secret(), self.stored())
        self.delivers()

    def test_callers_over_tcp_are_known_by_the_tokens(self):
        (self.machine.root / "run/test/token").write_text(TOKEN)
        call = ["/usr/local/bin/outboxctl", "--url", "http://127.0.0.1:8877"]
        self.assertEqual(4, self.machine.run(*call, "endpoint", "list").returncode)
        self.machine.must(*call, "--token-file", "/run/test/token", "endpoint", "list")


if __name__ == "__main__":
    unittest.main()
