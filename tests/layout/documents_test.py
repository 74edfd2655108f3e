#!/usr/bin/env python3
"""Documents are read in terminals too, and README by somebody who has a minute: they stay narrow, and it stays short.

A link from one document to another leads to a file that is there, and what a document shows of a file is the file:

    documents_test.py --write     brings the documents up to date"""
import pathlib
import re
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
COLUMNS = 100
README_LINES = 150
# A block that is a file: the comment before it names that.
SHOWN = re.compile(r"^<!-- file: (\S+) -->\n```(\w+)\n.*?^```$", re.M | re.S)
EXAMPLES = "scripts/examples/languages/*/*"
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)")


def documents():
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"], cwd=ROOT,
                            capture_output=True, text=True, check=True).stdout.split()
    return [ROOT / name for name in listed]


def wide_lines(text):
    return [number for number, line in enumerate(text.splitlines(), 1) if len(line) > COLUMNS]


def with_files_as_they_are(text, read=lambda name: (ROOT / name).read_text()):
    return SHOWN.sub(lambda block: f"<!-- file: {block[1]} -->\n```{block[2]}\n{read(block[1])}```", text)


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

    def test_files_are_shown_as_they_are(self):
        for path in documents():
            with self.subTest(document=path.relative_to(ROOT)):
                text = path.read_text()
                self.assertEqual(with_files_as_they_are(text), text, "tests/layout/documents_test.py --write mends this")

    def test_every_example_in_a_language_is_told_of(self):
        told = {(path.parent / target).resolve() for path in documents() for target in LINK.findall(path.read_text())}
        self.assertEqual([], [path for path in ROOT.glob(EXAMPLES) if path not in told])

    def test_the_check_notices_another_text(self):
        block = "before\n<!-- file: a.py -->\n```python\n{}```\nafter\n"
        self.assertEqual(block.format("new\n"), with_files_as_they_are(block.format("old\nlines\n"), lambda name: "new\n"))


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        for document in documents():
            document.write_text(with_files_as_they_are(document.read_text()))
    else:
        sys.exit(unittest.main())
