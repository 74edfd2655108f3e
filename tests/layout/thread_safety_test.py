#!/usr/bin/env python3
"""The step of scripts/check that holds our mutexes to their rules notices when one is broken."""
import importlib.machinery
import importlib.util
import pathlib
import shutil
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BEGIN = '#include "common/mutex.h"\nusing namespace outboxd;\n'
CLASS = """struct Counter {
  Mutex mutex;
  CondVar changed;
  int count OUTBOXD_GUARDED_BY(mutex) = 0;
"""


def load_script():
    loader = importlib.machinery.SourceFileLoader("thread_safety", str(ROOT / "scripts" / "thread-safety"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


CHECK = load_script()


@unittest.skipUnless(shutil.which("clang++"), "clang++ is missing: scripts/setup --check installs it")
class ThreadSafety(unittest.TestCase):
    def findings(self, body):
        with tempfile.TemporaryDirectory() as folder:
            source = pathlib.Path(folder) / "source.cpp"
            source.write_text(BEGIN + CLASS + body + "};\n")
            command = f"g++ -I{ROOT} -std=c++20 -Wall -Werror -o source.o -c {source}"
            return CHECK.analyse({"command": command, "file": str(source), "directory": folder})

    def test_code_that_keeps_the_rules_passes(self):
        self.assertEqual("", self.findings("""  int wait() {
    MutexLock lock(mutex);
    while (count == 0) changed.wait(mutex);
    lock.unlock();
    lock.lock();
    return count;
  }
"""))

    def test_an_unguarded_access_is_noticed(self):
        self.assertIn("requires holding mutex", self.findings("  int read() { return count; }\n"))

    def test_an_access_after_unlock_is_noticed(self):
        self.assertIn("requires holding mutex",
                      self.findings("  int read() { MutexLock lock(mutex); lock.unlock(); return count; }\n"))

    def test_a_wait_without_the_mutex_is_noticed(self):
        self.assertIn("requires holding mutex", self.findings("  void wait() { changed.wait(mutex); }\n"))


class Users(unittest.TestCase):
    def test_a_source_that_includes_it_through_a_header_is_analysed(self):
        users = CHECK.users_of_mutex()
        self.assertIn("daemon/runtime/event_loop.h", users)
        self.assertIn("daemon/outbound/connection.cpp", users)


if __name__ == "__main__":
    sys.exit(unittest.main())
