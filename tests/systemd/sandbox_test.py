#!/usr/bin/env python3
"""outboxd does its work under the unit's system call filters: the end-to-end tests again, with every refused call fatal.

OUTBOXD_UNIT is the configured unit; ctest sets it. outboxctl is not a service and runs without filters."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
END_TO_END = HERE.parent / "e2e"
sys.path.insert(0, str(END_TO_END))
from harness import BIN  # noqa: E402

SANDBOX = HERE / "sandbox.py"
UNIT = pathlib.Path(os.environ.get("OUTBOXD_UNIT", HERE.parents[1] / ".build/dev/systemd/outboxd.service"))


class Sandboxed(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="outboxd-sandbox."))
        self.addCleanup(shutil.rmtree, self.folder)
        tried = self.run_in(UNIT, "/bin/true")
        if tried.returncode != 0:
            reason = (tried.stderr.strip().splitlines() or [f"status {tried.returncode}"])[-1]
            self.skipTest(f"the unit's filters cannot be installed here ({reason}); they take python3-seccomp and systemd")

    def run_in(self, unit, *command, mode=("--trap",)):
        return subprocess.run([SANDBOX, *mode, unit, *command], capture_output=True, text=True, check=False)

    def unit_with(self, line):
        unit = self.folder / "outboxd.service"
        unit.write_text(UNIT.read_text().replace("[Install]", f"{line}\n[Install]"))
        return unit

    def end_to_end(self, test, unit=UNIT, mode="--trap", prefix="", only=()):
        """Runs tests/e2e/<test>_test.py with an outboxd under the filters."""
        programs = pathlib.Path(tempfile.mkdtemp(dir=self.folder))
        (programs / "outboxctl").symlink_to(BIN.resolve() / "outboxctl")
        outboxd = programs / "outboxd"
        outboxd.write_text(f'#!/bin/sh\nexec {prefix} {SANDBOX} {mode} {unit} {BIN.resolve()}/outboxd "$@"\n')
        outboxd.chmod(0o755)
        return subprocess.run([sys.executable, END_TO_END / f"{test}_test.py", *only], text=True, check=False, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, env={**os.environ, "OUTBOXD_BIN": str(programs)})

    def refused_calls(self, test, unit=UNIT, only=()):
        """The same under strace, which names what the filters refuse."""
        if not shutil.which("strace"):
            return "strace is not installed"
        trace = self.folder / "strace"
        self.end_to_end(test, unit, prefix=f"strace -D -f -q -A -o {trace} -e trace=none -e signal=SIGSYS", only=only)
        return sorted(set(re.findall(r"si_syscall=__NR_(\w+)", trace.read_text())))


class EndToEndUnderTheFilters(Sandboxed):
    def check(self, test, mode="--trap"):
        run = self.end_to_end(test, mode=mode)
        if run.returncode != 0:
            self.fail(f"{test}_test.py failed; calls that the filters refused: {self.refused_calls(test)}\n{run.stdout}")

    def test_the_api_works(self):
        self.check("api")

    def test_the_api_works_when_refused_calls_fail_as_under_systemd(self):
        self.check("api", mode="")

    def test_events_are_delivered(self):
        self.check("delivery")

    def test_operators_commands_work(self):
        self.check("operations")

    def test_nothing_is_lost_by_kills_and_stops(self):
        self.check("durability")


class WhatTheFiltersRefuse(Sandboxed):
    """Controls: the launcher does refuse, and the tests above notice a filter that is too narrow."""

    BRIEFLY = ["BadInput.test_bad_parameters_and_paths_are_named"]

    def refuses(self, code, expected):
        run = self.run_in(UNIT, sys.executable, "-c", f"import ctypes, mmap, os, socket\nlibc = ctypes.CDLL(None, use_errno=True)\n{code}",
                          mode=())
        self.assertIn(expected, run.stderr, run)
        self.assertNotEqual(0, run.returncode)

    def test_a_system_call_that_is_not_listed(self):
        self.refuses("os.chroot('/')", "PermissionError")
        self.refuses("os.sched_setaffinity(0, {0})", "PermissionError")

    def test_an_address_family_that_is_not_listed(self):
        self.refuses("socket.socket(socket.AF_NETLINK)", "Address family not supported")
        self.refuses("socket.socket(socket.AF_PACKET)", "Address family not supported")
        self.refuses("socket.socket(socket.AF_VSOCK)", "Address family not supported")

    def test_memory_to_write_and_execute(self):
        self.refuses("mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC)", "PermissionError")

    def test_a_new_namespace(self):
        self.refuses("assert libc.unshare(0x10000000) == 0, os.strerror(ctypes.get_errno())", "Operation not permitted")

    def test_a_set_user_id_file(self):
        self.refuses(f"os.close(os.open('{self.folder}/file', os.O_CREAT)); os.chmod('{self.folder}/file', 0o4755)", "PermissionError")

    def test_a_refused_call_ends_the_process_when_trapped(self):
        self.assertEqual(-31, self.run_in(UNIT, "/bin/nice", "-n", "5", "/bin/true").returncode)

    def test_too_narrow_a_filter_is_noticed_and_the_call_is_named(self):
        for call in ("fdatasync", "sendto", "epoll_create1"):
            with self.subTest(call):
                unit = self.unit_with(f"SystemCallFilter=~{call}")
                self.assertNotEqual(0, self.end_to_end("api", unit, only=self.BRIEFLY).returncode)
                if shutil.which("strace"):
                    self.assertIn(call, self.refused_calls("api", unit, self.BRIEFLY))

    def test_a_filter_without_the_network_is_noticed_also_when_calls_merely_fail(self):
        narrow = self.unit_with("SystemCallFilter=~@network-io")
        self.assertNotEqual(0, self.end_to_end("api", narrow, mode="", only=self.BRIEFLY).returncode)


if __name__ == "__main__":
    unittest.main()
