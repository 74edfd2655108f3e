#!/usr/bin/env python3
"""The recipes of scripts/examples, each by the one command that its page names: it ends well, it shows what the page says, and it
leaves no process and no file behind, also after Ctrl-C."""
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import unittest

from harness import BIN, PATIENCE, wait_until

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "scripts/examples"
# A recipe starts a dozen programs one after the other.
PATIENCE = PATIENCE * 6


def processes_of(session):
    """Those that were started by a recipe, also by one that has ended."""
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, of = stat.read_text().rpartition(")")[2].split()[:4]
        except (OSError, ValueError):  # it has ended meanwhile
            continue
        if int(of) == session and state != "Z":
            found.append((stat.parent / "cmdline").read_bytes().replace(b"\0", b" "))
    return found


class Recipe:
    def __init__(self, name, folder, *arguments):
        self.output = pathlib.Path(folder) / "output"
        self.temporary = pathlib.Path(folder) / "t"
        self.temporary.mkdir()
        with self.output.open("wb") as output:
            self.process = subprocess.Popen([EXAMPLES / name / "run", *arguments], stdin=subprocess.DEVNULL, stdout=output,
                                            stderr=subprocess.STDOUT, start_new_session=True, cwd="/",
                                            env={**os.environ, "OUTBOXD_BIN": str(BIN), "TMPDIR": str(self.temporary)})

    def text(self):
        return self.output.read_text()

    def left_behind(self):
        return processes_of(self.process.pid) + list(self.temporary.iterdir())

    def kill(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


class Recipes(unittest.TestCase):
    maxDiff = None

    def start(self, name, *arguments):
        folder = tempfile.TemporaryDirectory(prefix="obx")
        self.addCleanup(folder.cleanup)
        recipe = Recipe(name, folder.name, *arguments)
        self.addCleanup(recipe.kill)
        return recipe

    def watched(self, name):
        recipe = self.start(name, "--once")
        self.assertEqual(0, recipe.process.wait(PATIENCE), recipe.text())
        wait_until(lambda: not recipe.left_behind(), f"nothing is left of {name}: {recipe.left_behind()}")
        return recipe.text()

    def test_notification(self):
        shown = self.watched("notification")
        self.assertEqual({"Order 1041: 129.90 EUR from Ada Lovelace", 'Order 1042: 15.00 EUR from Grace "Amazing" Hopper',
                          "Order 1043: 1250.50 EUR from Žofie Nováková"}, set(re.findall("^chat, #orders: (.*)$", shown, re.M)))
        self.assertEqual(3, shown.count("chat, #orders:"))
        self.assertEqual(1, shown.count("mailer: not sent"))
        self.assertIn("To: ada@example.com\nSubject: Your order 1041 is paid\n", shown)

    def test_data_synchronisation(self):
        shown = self.watched("data-synchronisation")
        self.assertEqual([3, 3], [shown.count(f"{what} killed (") for what in ("consumer", "outboxd")])
        self.assertRegex(shown, "both tables have the same [1-9][0-9]* customers")
        self.assertNotIn("Traceback", shown)

    def test_workflow_automation(self):
        shown = self.watched("workflow-automation")
        self.assertEqual(["502 is assigned to noor", "504 is assigned to bela"], sorted(re.findall("tracker: ticket (.*)", shown)))
        self.assertEqual(1, shown.count("fails before it can answer"))
        self.assertEqual(1, shown.count("(said before: no second event)"))
        self.assertNotRegex(shown, "assigner: ticket 50[13]")

    def test_control_c_ends_each_and_leaves_nothing(self):
        for name in ("notification", "data-synchronisation", "workflow-automation"):
            with self.subTest(recipe=name):
                recipe = self.start(name)
                wait_until(lambda: "Ctrl-C ends it" in recipe.text() or recipe.process.poll() is not None, "it waits", PATIENCE)
                self.assertTrue(processes_of(recipe.process.pid), recipe.text())
                self.interrupt(recipe)

    def test_control_c_ends_one_that_has_only_begun(self):
        recipe = self.start("data-synchronisation")
        wait_until(lambda: "while outboxd and the consumer are killed" in recipe.text(), "it has begun", PATIENCE)
        self.interrupt(recipe)

    def interrupt(self, recipe):
        os.killpg(recipe.process.pid, signal.SIGINT)  # as a terminal does: to all of them
        self.assertEqual(0, recipe.process.wait(PATIENCE), recipe.text())
        wait_until(lambda: not recipe.left_behind(), f"nothing is left: {recipe.left_behind()}")
        self.assertNotIn("Traceback", recipe.text())

    def test_each_has_a_page_that_names_its_command(self):
        recipes = {run.parent.name for run in EXAMPLES.glob("*/run")}
        self.assertEqual({"notification", "data-synchronisation", "workflow-automation"}, recipes)
        for name in recipes:
            with self.subTest(recipe=name):
                page = (EXAMPLES / name / "README.md").read_text()
                self.assertIn(f"scripts/examples/{name}/run ", page)
                self.assertLessEqual(len(page.splitlines()), 80)

    def test_a_folder_without_outboxd_and_an_unknown_option_are_told(self):
        run = EXAMPLES / "notification/run"
        wrong = subprocess.run([run, "--once"], env={**os.environ, "OUTBOXD_BIN": "/"}, capture_output=True, text=True, check=False)
        self.assertEqual((1, True), (wrong.returncode, "no outboxd" in wrong.stderr), wrong)
        usage = subprocess.run([run, "--twice"], capture_output=True, text=True, check=False)
        self.assertEqual((2, True), (usage.returncode, "usage:" in usage.stderr), usage)


if __name__ == "__main__":
    sys.exit(unittest.main())
