#!/usr/bin/env python3
"""Documents are read in terminals too, and README by somebody who has a minute: they stay narrow, and it stays short.

A link from one document to another leads to a file that is there."""
import pathlib
import re
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
COLUMNS = 100
README_LINES = 150
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)")


def documents():
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"], cwd=ROOT,
                            capture_output=True, text=True, check=True).stdout.split()
    return [ROOT / name for name in listed]


def wide_lines(text):
    return [number for number, line in enumerate(text.splitlines(), 1) if len(line) > COLUMNS]


class Documents(unittest.TestCase):
    def test_no_line_is_wider_than_a_terminal(self):
        wide = [f"{path.relative_to(ROOT)}:{number}" for path in documents() for number in wide_lines(path.read_text())]
        self.assertEqual([], wide)

    def test_the_check_notices_a_wide_line(self):
        self.assertEqual([2], wide_lines("short\n" + "x" * (COLUMNS + 1) + "\n"))

    def test_readme_is_short(self):
        self.assertLessEqual(len((ROOT / "README.md").read_text().splitlines()), README_LINES)

    def test_links_between_documents_lead_somewhere(self):
        for path in documents():
            for target in LINK.findall(path.read_text()):
                with self.subTest(document=path.relative_to(ROOT), target=target):
                    self.assertTrue((path.parent / target).exists())


if __name__ == "__main__":
    sys.exit(unittest.main())
