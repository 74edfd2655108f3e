#!/usr/bin/env python3
"""What a newcomer does on a bare Debian 12 with a systemd of its own: install the packages, as daemon/docs/operations.md says, until the first
event arrives; and README's two commands. Then autopkgtest of the packages. Minutes, of which the mirror takes many.

scripts/package --test runs it. What was typed and said is in .build/package/*.log."""
import datetime
import json
import os
import pathlib
import re
import subprocess
import sys
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE.parent / "e2e"))
os.environ.setdefault("OUTBOXD_PATIENCE", "120")
from debian_machine import DebianMachine  # noqa: E402
from harness import wait_until  # noqa: E402

PACKAGES = ROOT / ".build/package"
OPERATIONS = ROOT / "daemon/docs/operations.md"
MOST_COMMANDS, MOST_SECONDS = 5, 60


def installation():
    """The commands of the first block below "Installation"."""
    block = re.search(r"^## Installation\n.*?^```\n(.*?)^```$", OPERATIONS.read_text(), re.S | re.M)[1]
    return block.replace("\\\n", " ").splitlines()


class OnBareDebian(unittest.TestCase):
    def setUp(self):
        self.machine = DebianMachine()
        self.addCleanup(self.machine.shut_down)
        self.log = open(PACKAGES / f"{self.id().rsplit('.', 1)[1]}.log", "w+", encoding="utf-8")  # pylint: disable=consider-using-with
        self.addCleanup(self.log.close)
        # Nobody is there to say yes.
        (self.machine.root / "etc/apt/apt.conf.d/90yes").write_text('APT::Get::Assume-Yes "true";\n')
        self.run_there("apt-get update -q")

    def said(self):
        self.log.flush()
        return pathlib.Path(self.log.name).read_text()

    def run_there(self, command):
        self.assertEqual(0, self.machine.shell(command, self.log), self.said()[-4000:])

    def test_the_first_delivery_takes_five_commands_and_a_minute(self):
        self.machine.put(PACKAGES.glob("outbox*_*.deb"), "/root")
        commands = installation()
        self.assertLessEqual(len(commands), MOST_COMMANDS)
        received = self.machine.root / "root/received"
        began = time.monotonic()
        *before, listen, send = commands
        for command in before:
            self.run_there(f"cd /root; {command}")
        self.run_there(f"cd /root; exec >received 2>&1; {listen}")
        wait_until(lambda: "http://127.0.0.1:" in received.read_text(), "the receiver listens")
        self.run_there(f"cd /root; {send} >sent")
        event = re.search(r"evt_[0-9a-f]{32}", (self.machine.root / "root/sent").read_text())[0]
        wait_until(lambda: event in received.read_text(), "the event is received")
        seconds = time.monotonic() - began
        print(f"\n{datetime.date.today()}: {len(commands)} commands, {seconds:.1f} s from apt to the first delivery on {os.cpu_count()} cores")
        self.assertLess(seconds, MOST_SECONDS)

    def test_autopkgtest(self):
        self.machine.put(PACKAGES.glob("outbox*_*.deb"), "/root/packages")
        self.machine.copy(ROOT / "systemd/debian", "/root/outboxd/debian")
        self.run_there("apt-get install -q --no-install-recommends autopkgtest")
        # The namespaces are the container that the tests ask for; to autopkgtest this is a machine like any other.
        self.run_there("autopkgtest --timeout-factor=10 --ignore-restrictions=isolation-container /root/packages/*.deb /root/outboxd -- null")
        print("\n" + "\n".join(re.findall(r"^(?:[\w-]+ +(?:PASS|FAIL|SKIP).*|== .*)$", self.said(), re.M)))

    def test_readmes_commands(self):
        if os.environ.get("OUTBOXD_QUICK"):
            self.skipTest("--quick: it compiles everything, twice")
        self.machine.copy(ROOT, "/root/outboxd", "--exclude=./.build")
        for command, shows in (("scripts/run --seconds 20", "delivered"), ("scripts/test", "100% tests passed")):
            began = time.monotonic()
            self.run_there(f"cd /root/outboxd; {command}")
            print(f"\n{datetime.date.today()}: {command} took {time.monotonic() - began:.0f} s on {os.cpu_count()} cores", flush=True)
            self.assertIn(shows, self.said())


if __name__ == "__main__":
    unittest.main(verbosity=2)
