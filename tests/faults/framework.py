"""What the fault suite stands on: each @fault is one row of the table promise -> cases -> failures -> control.

A fault function gets a Run, does its cases and tells them to it: run.passed() or run.failed("what, with what"). A control does the same
thing with the promise deliberately broken, and tells run.control("how it was broken", noticed): the suite fails when a control was not
noticed, for then its cases prove nothing."""
import os
import pathlib
import random
import shutil
import sys
import tempfile
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from harness import Daemon, Receiver, wait_until  # noqa: E402,F401

SQLITE, POSTGRESQL = "sqlite", "postgresql"
STORE = os.environ.get("OUTBOXD_STORE") or SQLITE
FAULTS = []


class Skip(Exception):
    """This machine cannot do it (no strace, no right to mount); the text says what is missing."""


def fault(promise, title, stores=(SQLITE,)):
    """Registers a row. `promise`: which one of README's; `title`: what is done to break it; `stores`: over which it can be done."""

    def register(function):
        if STORE in stores:
            FAULTS.append((promise, title, function))
        return function

    return register


class Run:
    """One row's run, with daemons and receivers that end with it."""

    def __init__(self, quick, seed):
        self.quick = quick
        self.random = random.Random(seed)
        self.cases = 0
        self.failures = []
        self.controls = []
        self.figures = ""  # a few words for the last column
        self.skipped = None
        self.seconds = 0.0
        self.folders = []
        self.processes = []
        self.closers = []

    def passed(self, count=1):
        self.cases += count

    def failed(self, what):
        self.cases += 1
        self.failures.append(what)

    def check(self, good, what):
        """One case: passed if `good`, else failed with `what`."""
        self.passed() if good else self.failed(what)
        return good

    def control(self, how, noticed):
        self.controls.append((how, bool(noticed)))

    def folder(self):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="outboxd-faults."))
        self.folders.append(folder)
        return folder

    def daemon(self, *settings, folder=None, store=None):
        """A daemon on a database of its own unless `store` is another URL, not started yet."""
        daemon = Daemon(folder or self.folder(), settings, store)
        self.closers.append(lambda: daemon.process and daemon.process.poll() is None and daemon.kill())
        return daemon

    def receiver(self, answer=lambda request: 200, **where):
        receiver = Receiver(answer, **where)
        self.closers.append(receiver.close)
        return receiver

    def cleanup(self):
        """Ends what the row has started; a long row calls it between its cases."""
        try:
            while self.closers:
                self.closers.pop()()
        finally:
            if self.closers:  # one has failed: the others all the same
                self.cleanup()
            for folder in self.folders:
                shutil.rmtree(folder, ignore_errors=True)
            self.folders = []

    def execute(self, function):
        begin = time.monotonic()
        try:
            function(self)
        except Skip as skip:
            self.skipped = str(skip)
        except Exception:  # a harness that gave up waiting is a failure of the promise until shown otherwise
            self.failed(traceback.format_exc())
        finally:
            self.cleanup()
            self.seconds = time.monotonic() - begin

    @property
    def good(self):
        return not self.failures and all(noticed for _, noticed in self.controls)
