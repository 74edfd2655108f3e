#!/usr/bin/env python3
"""What documents name exists: commands and options, keys, metrics, fields of the API, files, log messages, exit statuses.

Documents are those for users. Names are what stands in code: `so`, or in a block. OUTBOXD_BIN is the folder of the programs."""
import os
import pathlib
import re
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("OUTBOXD_BIN", ROOT / ".build/dev/daemon"))
DOCS = [ROOT / "README.md", *sorted((ROOT / "daemon/docs").glob("*.md")), *sorted((ROOT / "scripts/examples").glob("**/*.md"))]
BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.M | re.S)
SPAN = re.compile(r"`([^`]+)`")
LITERAL = re.compile(r'"((?:[^"\\\n]|\\.)*)"')
# Of other programs, whose names are in spans beside ours.
FOREIGN = {
    "max_connections", "max_locks_per_transaction", "max_user_instances", "pdo_sqlite", "pg_basebackup", "search_path", "shared_buffers",
    "synchronous_commit", "synchronous_standby_names", "wal_autocheckpoint", "--build-arg",
}


def text_of(*names, without=""):
    return "\n".join((ROOT / name).read_text() for name in names if name != without)


def tree(*patterns):
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns], cwd=ROOT, capture_output=True,
                            text=True, check=True).stdout.split()
    return [name for name in listed if (ROOT / name).exists()]


def spans(text):
    return [" ".join(span.split()) for span in SPAN.findall(BLOCK.sub("", text))]


def blocks_and_spans(text):
    """Pieces of code: lines of blocks, their continuations joined, and spans."""
    blocks = [line for _, block in BLOCK.findall(text) for line in block.replace("\\\n", " ").splitlines()]
    return blocks + spans(text)


def manual(page):
    return subprocess.run([BIN / "outboxctl", "man", page], capture_output=True, text=True, check=True).stdout.replace("\\-", "-")


class Commands:
    """What `outboxctl man outboxctl` knows: each command with its options, and those that may stand anywhere."""

    def __init__(self, page):
        head, *sections = re.split(r"^\.SS outboxctl ", page, flags=re.M)
        self.anywhere = set(re.findall(r"--?[a-z][a-z-]*", head)) | {"--help"}
        self.options = {}
        for section in sections:
            name, _, body = section.partition("\n")
            listed = re.findall(r"^\.TP\n\\fB(.*?)\\fR$", body, re.M)
            self.options[name] = {option for item in listed for option in re.findall(r"(?:^|, )(--?[a-z][a-z-]*)", item)}

    def find(self, words):
        for length in (3, 2, 1):
            if " ".join(words[:length]) in self.options:
                return " ".join(words[:length])
        return None

    def is_group(self, word):
        return any(name.startswith(word + " ") for name in self.options)

    def complaint(self, call):
        """About "endpoint set NAME --filter …", what stands behind "outboxctl"; None if there is nothing to complain of."""
        words = re.sub(r"'[^']*'|\"[^\"]*\"", "X", call).split()
        while words and words[0].startswith("-"):  # options before the command, with what they take
            if words[0] not in self.anywhere:
                return f"{words[0]} is no option of outboxctl"
            words = words[1 if words[0] in ("-q", "--version", "--help") else 2:]
        if not words or not re.fullmatch(r"[a-z]+", words[0]):
            return None
        alternatives = words[1].split("|") if len(words) > 1 and re.fullmatch(r"[a-z]+(\|[a-z]+)+", words[1]) else None
        for call_words in [[words[0], one, *words[2:]] for one in alternatives] if alternatives else [words]:
            name = self.find(call_words)
            if name is None:
                return None if self.is_group(words[0]) and len(words) == 1 else f"there is no command {' '.join(call_words[:2])}"
            for word in call_words:
                option = re.match(r"--?[a-z][a-z-]*", word)
                if option and option[0] not in self.options[name] | self.anywhere:
                    return f"{name} has no option {option[0]}"
        return None


def calls(text):
    """What stands behind each `outboxctl` in code, up to where the shell begins another command."""
    for piece in blocks_and_spans(text):
        piece = re.split(r"  #|\s#\s", piece)[0]
        for part in re.split(r"&&|;|\|(?= )|\$\(", piece):
            found = re.search(r"(?:^|\s|/)outboxctl(?: (.*))?$", part.strip())
            if found and found[1]:
                yield re.split(r" [<>&]| 2>|\)", found[1])[0].rstrip("…:.,")


class Names(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.commands = Commands(manual("outboxctl"))
        cls.sources = text_of(*tree("daemon/*.cpp", "daemon/*.h", "common/*.cpp", "common/*.h"), without="daemon/telemetry/log.h")
        cls.configuration = (ROOT / "daemon/config/README.md").read_text()
        cls.keys = {}
        for section in re.split(r"^## ", cls.configuration, flags=re.M)[1:]:
            cls.keys[section.split("\n", 1)[0]] = set(re.findall(r"^- `(\w+)`", section, re.M))

    def all_exist(self, wrong):
        self.assertEqual([], sorted(set(wrong)))

    def each(self):
        for path in DOCS:
            yield path.relative_to(ROOT), path.read_text()

    def test_commands_and_their_options(self):
        self.all_exist(f"{path}: outboxctl {call}: {why}" for path, text in self.each() for call in calls(text)
                       if (why := self.commands.complaint(call)))

    def test_commands_in_short(self):
        """`endpoint set NAME`, without outboxctl before it; and options alone, `--reveal`, which some command has."""
        options = set().union(self.commands.anywhere, *self.commands.options.values(), re.findall(r"--[a-z-]+", manual("outboxd")),
                              re.findall(r"--[a-z-]+", text_of(*tree("scripts/*", "tests/*.py", "tests/*.cpp"))))
        wrong = []
        for path, text in self.each():
            for span in spans(text.split("\n## By log message\n")[0]):
                if re.match(r"[a-z]+ [a-z]", span) and self.commands.is_group(span.split()[0]):
                    if why := self.commands.complaint(span):
                        wrong.append(f"{path}: {span}: {why}")
                elif span.startswith("--"):
                    wrong += [f"{path}: {option}" for option in re.findall(r"(?:^| )(--[a-z-]+)", span) if option not in options | FOREIGN]
        self.all_exist(wrong)

    def test_the_check_of_commands_notices(self):
        self.assertIn("no command", self.commands.complaint("endpoint mend shop"))
        self.assertIn("no option --reveals", self.commands.complaint("endpoint export --reveals"))
        self.assertIsNone(self.commands.complaint("--socket /x -o json delivery list --state dead"))
        self.assertEqual(["db check"], list(calls("`sudo -u outboxd outboxctl db check && reboot`")))

    def test_keys_of_the_configuration(self):
        wrong = []
        for path, text in self.each():
            for piece in blocks_and_spans(text):
                for section, key in re.findall(r"\[([a-z]+)\] ([a-z_]+)", piece):
                    if key not in self.keys.get(section, ()):
                        wrong.append(f"{path}: [{section}] {key}")
                for section in re.findall(r"^\[\[?([a-z]+)\]\]?$", piece):
                    if section not in self.keys:
                        wrong.append(f"{path}: [{section}]")
            for language, block in BLOCK.findall(text):
                section = None
                for line in block.splitlines() if language in ("", "toml") or "<<'TOML'" in block else []:
                    if header := re.fullmatch(r"\[\[?([a-z]+)\]\]?", line):
                        section = header[1]
                    elif section and (key := re.match(r"([a-z_]+) = ", line)) and key[1] not in self.keys.get(section, ()):
                        wrong.append(f"{path}: [{section}] {key[1]}")
        self.all_exist(wrong)

    def test_metrics(self):
        known = {word for literal in LITERAL.findall(self.sources) for word in re.findall(r"outbox_[a-z_]+", literal)}
        known |= set(re.findall(r"\boutbox_[a-z_]+", text_of(*tree("migrations/*.sql", "daemon/store/*.sql"))))
        self.all_exist(f"{path}: {name}" for path, text in self.each() for piece in blocks_and_spans(text)
                       for name in re.findall(r"\boutbox_[a-z_]+", piece) if name not in known)

    def test_fields_and_other_names(self):
        """A word_with_underscores in code is a field of the API, a key, a column, a metric, or a name of another program."""
        known = set(re.findall(r"\w+", text_of("daemon/api/openapi.json", *tree("migrations/*.sql", "systemd/*")) + self.configuration +
                               manual("outboxctl") + self.sources)) | FOREIGN
        examples = set(re.findall(r"\w+", text_of("tests/CMakeLists.txt", *tree("scripts/*", "tests/bench/*"))))
        examples |= {pathlib.Path(name).stem for name in tree()}
        self.all_exist(f"{path}: {word}" for path, text in self.each() for span in spans(text)
                       for word in re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", span) if word not in known | examples)

    def test_operational_events(self):
        known = set(re.findall(r'"(outboxd\.\w+\.\w+)"', (ROOT / "daemon/ingest/operational_events.cpp").read_text()))
        section = (ROOT / "daemon/docs/reference.md").read_text().split("## Operational events\n")[1].split("\n## ")[0]
        self.assertEqual(known, set(re.findall(r"^- `(outboxd\.\w+\.\w+)`", section, re.M)))
        self.all_exist(f"{path}: {name}" for path, text in self.each() for piece in blocks_and_spans(text)
                       for name in re.findall(r"\boutboxd\.(?:delivery|endpoint|batch|backlog)\.\w+", piece) if name not in known)

    def test_paths_of_the_api(self):
        described = (ROOT / "daemon/api/openapi.json").read_text()
        paths = [re.sub(r"\{\w+\}", "{}", path) for path in re.findall(r'^ *"(/[^"]*)": \{', described, re.M)]
        wrong = []
        for path, text in self.each():
            for piece in blocks_and_spans(text):
                for named in re.findall(r"(?:^|[ \"]|GET |POST |localhost)(/v1/[a-z/{}._-]+)", piece):
                    named = re.sub(r"\{\w+\}", "{}", named).rstrip(".")
                    if named not in paths:
                        wrong.append(f"{path}: {named}")
        self.all_exist(wrong)

    def test_headers_of_requests(self):
        others = {"outboxd-ingest", "outboxd-admin"} | {f"outboxd-{path.stem}" for path in DOCS}  # groups, manual pages
        self.all_exist(f"{path}: {name}" for path, text in self.each() for span in spans(text)
                       for name in re.findall(r"^(?:outboxd|webhook)-[a-z-]+$", span) if name not in others and f'"{name}"' not in self.sources)

    def test_files_of_the_tree(self):
        self.all_exist(f"{path}: {name}" for path, text in self.each() for piece in blocks_and_spans(text)
                       for name in re.findall(r"(?:^|[ (])((?:scripts|tests|systemd|daemon|migrations)/[\w./-]*\w)", piece)
                       if not any((ROOT / (name + end)).exists() for end in ("", ".py", "_test.py", ".cpp")) and not name.endswith("_bench"))

    def test_messages_of_the_log(self):
        literals = ["".join(LITERAL.findall(found)) for found in re.findall(r'"(?:[^"\\\n]|\\.)*"(?:\s*"(?:[^"\\\n]|\\.)*")*', self.sources)]
        told = re.findall(r"^\| `([^`]+)` \|", (ROOT / "daemon/docs/runbook.md").read_text().split("## By log message")[1], re.M)
        self.all_exist(f"no such message: {message}" for message in told if not any(one.startswith(message) for one in literals))
        logged = re.findall(r'(?:log::(?:warn|error)|last_words|stop_at_once)\(\s*((?:"(?:[^"\\\n]|\\.)*"\s*)+)', self.sources)
        messages = ["".join(LITERAL.findall(found)) for found in logged]
        self.assertGreater(len(messages), 50)
        self.all_exist(f"not in the runbook: {message}" for message in messages if not any(message.startswith(one) for one in told))

    def test_exit_statuses(self):
        told = re.search(r"Exit status: (.*?78 configuration)", (ROOT / "daemon/docs/reference.md").read_text(), re.S)[1]
        known = re.findall(r"kExit\w+ = (\d+);", (ROOT / "daemon/ctl/failure.h").read_text())
        self.assertEqual(set(known), set(re.findall(r"(?:^|, )(\d+) ", " ".join(told.split()))))
        section = (ROOT / "daemon/docs/operations.md").read_text().split("## Exit status of the daemon\n")[1]
        known = re.search(r"\.SH EXIT STATUS\n(.*?)\n\.SH", manual("outboxd"), re.S)[1]
        self.assertEqual(set(re.findall(r"(?:^|[ ,])(\d+) [a-z]", " ".join(known.split()))),
                         set(re.findall(r"(?:^|, )(\d+) [a-z]", " ".join(section.split("\nsystemd")[0].split()))))

    def test_what_programs_say_of_documents(self):
        """An error that says "docs/operations.md, \\"Backup and restore\\"" names a section that is there."""
        wrong = []
        for name in tree("daemon/*.cpp", "daemon/*.h", "systemd/*"):
            for document, section in re.findall(r'docs/([a-z-]+\.md)(?:, \\?"([^"\\]+)\\?")?', (ROOT / name).read_text()):
                path = ROOT / "daemon/docs" / document
                if not path.exists() or section and f"\n## {section}\n" not in path.read_text():
                    wrong.append(f"{name}: {document} {section}")
        self.all_exist(wrong)


if __name__ == "__main__":
    sys.exit(unittest.main())
