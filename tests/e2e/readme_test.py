#!/usr/bin/env python3
"""The commands that README tells newcomers to paste work as they are: a first event by each way in, to a receiver of their own."""
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import unittest

from harness import BIN, wait_until

README = pathlib.Path(__file__).resolve().parents[2] / "README.md"


def blocks_of(section, language=""):
    text = README.read_text().split(f"\n## {section}\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.S | re.M)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class FirstEvent(unittest.TestCase):
    def test_the_commands_work_as_pasted(self):
        build, *rest = blocks_of("A first event, to a receiver of your own")
        self.assertIn("cmake --build", build)  # skipped: the suite has built it already
        rest += blocks_of("What a producer says", "sh")  # a CloudEvent
        with tempfile.TemporaryDirectory(prefix="obx") as folder:
            script = "".join(rest).replace("/tmp/outboxd-first", folder).replace("9911", str(free_port()))
            self.assertNotIn("/tmp/outboxd-first", script)
            # The shell stays, with its jobs, until its input ends, like a terminal that the commands were pasted into.
            shell = subprocess.Popen(["bash", "-euc", "trap 'kill %1 %2; wait' EXIT\n" + script + "\nread -r _ || true"], text=True, cwd=folder,
                                     env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}, stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            try:
                wait_until(lambda: shell.poll() is not None or self.delivered(folder) == 4, "all four events are delivered")
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
