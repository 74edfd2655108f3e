#!/usr/bin/env python3
"""The commands that README tells newcomers to paste work as they are: every block of it is run here, and those of the guides that
send an event. Two are not run again: the suite is `scripts/test`, and it runs what the same cmake has built."""
import json
import os
import pathlib
import re
import socket
import sqlite3
import subprocess
import sys
import tempfile
import unittest

from harness import BIN, wait_until

ROOT = pathlib.Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.S | re.M)


def blocks_of(section, text=README):
    return BLOCK.findall(text.split(f"\n## {section}\n", 1)[1].split("\n## ", 1)[0])


def shell_blocks_of(section, text=README):
    return [block for language, block in blocks_of(section, text) if language == "sh"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Readme(unittest.TestCase):
    def test_there_are_no_commands_but_those_that_are_run_here(self):
        sections = ["Try it", "A first event, to a receiver of your own", "An event exactly if your transaction commits"]
        run = [block for section in sections for block in blocks_of(section)]
        self.assertEqual(run, [block for block in BLOCK.findall(README) if block[0] != "text"])

    def test_the_demo_shows_events(self):
        demo, suite = shell_blocks_of("Try it")[0].splitlines()
        self.assertEqual(["scripts/run", "scripts/test"], [demo.split()[0], suite.split()[0]])
        done = subprocess.run([ROOT / demo.split()[0], "--seconds", "3"], capture_output=True, text=True, check=False, timeout=120,
                              env={**os.environ, "OUTBOXD_BIN": str(BIN)})
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertIn("order.paid", done.stdout)

    def test_it_builds_what_the_demo_builds(self):
        setup, build, _ = shell_blocks_of("A first event, to a receiver of your own")[0].splitlines()
        how_the_demo_builds = (ROOT / "scripts/examples/demo.sh").read_text()
        self.assertIn(setup.removeprefix("scripts/").replace(" ", '" '), how_the_demo_builds)
        self.assertIn(build.split(" && ")[0].removeprefix("cmake "), how_the_demo_builds)

    def test_the_transaction_makes_an_event(self):
        (_, transaction), = blocks_of("An event exactly if your transaction commits")
        ddl = subprocess.run([BIN / "outboxctl", "source", "ddl"], capture_output=True, text=True, check=True).stdout
        db = sqlite3.connect(":memory:", isolation_level=None)
        db.executescript(ddl + "CREATE TABLE account(id, balance); INSERT INTO account VALUES (7, 1000);" + transaction)
        self.assertEqual([(890, "order.paid")], db.execute("SELECT balance, type FROM account, outbox").fetchall())
        db.close()


class FirstEvent(unittest.TestCase):
    def test_the_commands_work_as_pasted(self):
        _, *pasted = shell_blocks_of("A first event, to a receiver of your own")
        guide = (ROOT / "daemon/docs/producers.md").read_text()
        pasted += shell_blocks_of("HTTP", guide) + shell_blocks_of("CloudEvents", guide)
        with tempfile.TemporaryDirectory(prefix="obx") as folder:
            script = "".join(pasted).replace("/tmp/outboxd-first", folder).replace("/run/outboxd", folder).replace("9911", str(free_port()))
            # The shell stays, with its jobs, until its input ends, like a terminal that the commands were pasted into.
            shell = subprocess.Popen(["bash", "-euc", "trap 'kill %1 %2; wait' EXIT\n" + script + "\nread -r _ || true"], text=True, cwd=folder,
                                     env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}, stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            try:
                wait_until(lambda: shell.poll() is not None or self.delivered(folder) == 5, "all five events are delivered")
            finally:
                output, _ = shell.communicate(timeout=60)  # ends the shell's input
            self.assertIn("whsec_", output)
            self.assertEqual(0, shell.returncode, output)

    def delivered(self, folder):
        listed = subprocess.run([f"{BIN}/outboxctl", "--socket", f"{folder}/admin.sock", "-o", "json", "delivery", "list"],
                                capture_output=True, text=True, check=False)
        if listed.returncode != 0:
            return 0
        return sum(row["state"] == "delivered" for row in json.loads(listed.stdout)["data"])


if __name__ == "__main__":
    sys.exit(unittest.main())
