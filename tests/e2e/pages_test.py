"""The manual pages as they are installed: written from the programs, and without anything that man(1) would warn of."""
import re
import shutil
import subprocess
import unittest

from harness import BIN

PAGES = ("outboxctl", "outboxd", "outboxd.toml")


def page(name):
    return subprocess.run([BIN / "outboxctl", "man", name], capture_output=True, text=True, check=True).stdout


class Pages(unittest.TestCase):
    @unittest.skipUnless(shutil.which("groff"), "groff is not installed")
    def test_groff_has_nothing_to_warn_of(self):
        for name in PAGES:
            with self.subTest(page=name):
                ended = subprocess.run(["groff", "-man", "-ww", "-Tutf8", "-P-cbou"], input=page(name), capture_output=True, text=True, check=True)
                self.assertEqual("", ended.stderr)
                self.assertIn("SEE ALSO", re.findall("SEE ALSO", ended.stdout))

    def test_the_page_of_the_daemon_has_all_that_its_help_has(self):
        shown = page("outboxd").replace("\\-", "-")
        told = subprocess.run([BIN / "outboxd", "--help"], capture_output=True, text=True, check=True).stdout
        options = set(re.findall(r"(?<![^\s,])--?[a-z][a-z-]*", told)) - {"-h", "--help"}
        self.assertTrue({"--config", "--set", "--check-config", "--version"} <= options, options)
        self.assertEqual(set(), {option for option in options if option not in shown})
        for status in re.findall(r"\b\d{1,2}\b", told[told.index("Exit status:"):]):
            self.assertRegex(shown[shown.index(".SH EXIT STATUS"):], rf"\b{status}\b")
        for command in ("serve", "migrate"):
            self.assertIn(f"\\fB{command}\\fR", shown)


if __name__ == "__main__":
    unittest.main()
