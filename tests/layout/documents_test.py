#!/usr/bin/env python3
"""Documents are read in terminals too, and README by somebody who has a minute: they stay narrow, and it stays short.

A link from one document to another leads to a file that is there, and what a document shows of a file is the file:

    documents_test.py --write     brings the documents up to date"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
COLUMNS = 100
README_LINES = 150
# A block that is a file: the comment before it names that.
SHOWN = re.compile(r"^<!-- file: (\S+) -->\n```(\w+)\n.*?^```$", re.M | re.S)
EXAMPLES = "scripts/examples/languages/*/*"
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)")
ANCHOR = re.compile(r"\]\((?!https?://)([^)#]*)#([^)]+)\)")
CODE = re.compile(r"^ *```.*?^ *```$", re.M | re.S)
GUIDES = ROOT / "daemon/docs"
GUIDE_LINES = 240
PICTURE_BYTES = 150_000
# A figure that somebody has measured, and what must stand beside it: when, and with what.
MEASURED = re.compile(r"\d (?:µs|events/s|acknowledgements/s|rows/s)\b|\bp50\b.{0,12}\d|\bp99\b.{0,12}\d")
DATE = re.compile(r"20\d\d-\d\d-\d\d")
COMMAND = re.compile(r"`(?:scripts|tests)/[\w/.-]+[^`]*`|`--only [^`]*`")
MACHINE = re.compile(r"\bcores\b")
MEASUREMENTS = re.compile(r"\]\((?:daemon/docs/)?(?:performance|proofs)\.md")  # where all three are said
OWN_WORDS = "crate"  # that codespell takes for mistakes


def documents():
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"], cwd=ROOT,
                            capture_output=True, text=True, check=True).stdout.split()
    return [ROOT / name for name in listed]


def wide_lines(text):
    return [number for number, line in enumerate(text.splitlines(), 1) if len(line) > COLUMNS]


def sections(text):
    """Each with its title; what stands before the first is the document's own."""
    parts = re.split(r"^##+ (.*)$", CODE.sub("", text), flags=re.M)
    return [("", parts[0]), *zip(parts[1::2], parts[2::2])]


def anchors(text):
    """As GitHub makes them of headings."""
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^#+ (.*)$", CODE.sub("", text), re.M)}


def missing_of_figures(section, document):
    """What a section with figures does not say; its document may say it for all in its beginning."""
    if MEASUREMENTS.search(section):
        return []
    said = section + sections(document)[0][1]
    wanted = {"a date": DATE, "a command": COMMAND, "a machine": MACHINE}
    return [name for name, pattern in wanted.items() if not pattern.search(said)]


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

    def test_pictures_are_small(self):
        self.assertEqual([], [path.name for path in GUIDES.glob("*.png") if path.stat().st_size > PICTURE_BYTES])

    def test_links_between_documents_lead_somewhere(self):
        for path in documents():
            for target in LINK.findall(path.read_text()):
                with self.subTest(document=path.relative_to(ROOT), target=target):
                    self.assertTrue((path.parent / target).exists())

    def test_links_lead_to_sections_that_are_there(self):
        for path in documents():
            for target, anchor in ANCHOR.findall(CODE.sub("", path.read_text())):
                with self.subTest(document=path.relative_to(ROOT), target=target, anchor=anchor):
                    self.assertIn(anchor, anchors((path.parent / target if target else path).read_text()))

    def test_guides_are_for_a_task(self):
        long = [path.name for path in GUIDES.glob("*.md")
                if path.name != "performance.md" and len(path.read_text().splitlines()) > GUIDE_LINES]
        self.assertEqual([], long, "a page or two: what nobody needs for the task belongs into the reference")

    def test_figures_say_when_and_by_which_command_they_were_measured(self):
        without = [f"{path.relative_to(ROOT)}: {title}: {what}" for path in documents() if path.name != "CHANGELOG.md"
                   for title, section in sections(path.read_text()) if MEASURED.search(section)
                   for what in missing_of_figures(section, path.read_text())]
        self.assertEqual([], without)

    def test_the_check_of_figures_notices(self):
        self.assertEqual(["a date", "a command", "a machine"], missing_of_figures("it does 7 events/s", ""))

    def test_spelling(self):
        if not shutil.which("codespell"):
            self.skipTest("codespell is not installed: scripts/setup does it")
        found = subprocess.run(["codespell", f"--ignore-words-list={OWN_WORDS}", *documents(), ROOT / "systemd/outboxd.toml"],
                               capture_output=True, text=True, check=False)
        self.assertEqual("", found.stdout)

    def test_guides_become_manual_pages(self):
        if not shutil.which("lowdown"):
            self.skipTest("lowdown is not installed: scripts/setup does it")
        with tempfile.TemporaryDirectory() as folder:
            for path in GUIDES.glob("*.md"):
                page = pathlib.Path(folder, f"outboxd-{path.stem}.7")
                subprocess.run(["cmake", f"-DGUIDE={path}", f"-DOUTPUT={page}", "-DVERSION=1.2.3", "-DDOCDIR=/usr/share/doc/outboxd",
                                "-DLOWDOWN=lowdown", "-P", ROOT / "systemd/guide.cmake"], check=True)
                text = page.read_text()
                with self.subTest(page=page.name):
                    self.assertRegex(text, rf"\.SH\s+NAME\n(\.\w+\n)*{page.stem} - \S+ ")
                    self.assertEqual([], re.findall(r".*<\\fI(?!https?://).*", text), "links that lead nowhere in a manual page")

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
