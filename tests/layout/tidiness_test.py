#!/usr/bin/env python3
"""Limits that only tighten: the length of product files and functions, and files named in text.

Where the tree is over a limit today its size stands here, and may only shrink: lower the number when it does."""
import pathlib
import re
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
FILE_LINES = 400
FUNCTION_LINES = 70
LONGER_FILES = {
}
# Where a lock is still the standard library's, which clang cannot check; LogSink's is what spdlog asks for.
BARE_LOCKS = {"common/id.h", "common/mutex.h", "daemon/telemetry/log_sink.h", "daemon/api/dispatcher.h",
              "daemon/api/setup.cpp", "daemon/api/tls_server.h", "daemon/ctl/listen_command.cpp"}
# What a text may name though it is not in the repository: what a build makes, headers of the system, a package of Java.
NOT_OURS = {"version.h", "linux/magic.h", "linux/sched.h", "java.sql"}


def listed(*patterns):
    output = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns], cwd=ROOT,
                            capture_output=True, text=True, check=True).stdout.split()
    return [name for name in output if (ROOT / name).exists()]


def product():
    return {name: (ROOT / name).read_text() for name in listed("common/*.h", "common/*.cpp", "daemon/*.h", "daemon/*.cpp")}


FUNCTION_BEGINS = re.compile(r"^(\s*)(?![\s#/})]|(?:class|struct|enum|namespace|union|extern)\b)[^;=]*\)[^;=]*\{\s*(//.*)?$")


def functions(text):
    """(line, length) of each function, as clang-format lays them out: from its line with the brace to the brace below its start."""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        begins = FUNCTION_BEGINS.match(line)
        if not begins or re.match(r"\s*(if|for|while|switch|do|else|try|catch|return|case)\b", line):
            continue
        end = next((i for i in range(number + 1, len(lines)) if re.match(re.escape(begins[1]) + r"\}", lines[i])), number)
        yield number + 1, end - number + 1


COMMENT = {".h": r"//(.*)$", ".cpp": r"//(.*)$", ".sql": r"--(.*)$", ".py": r"#(.*)$", ".md": r"(.*)$"}
REFERENCE = re.compile(r"(?<![\w/.~<:-])((?:[\w-]+/)*[\w-]+\.(?:h|cpp|md|py|sql|cmake))\b(?![/(])")


def references(name, text):
    comment = re.compile(COMMENT[pathlib.PurePosixPath(name).suffix], re.M)
    for spoken in comment.finditer(text):
        if "http://" in spoken[1] or "https://" in spoken[1]:
            continue
        for found in REFERENCE.finditer(spoken[1]):
            yield text.count("\n", 0, spoken.start()) + 1, found[1]


def dangling(texts, files):
    """References to what is no file: a name is that of a file, or the end of its path."""
    ends = {"/".join(parts[i:]) for parts in (file.split("/") for file in files) for i in range(len(parts))}
    return [f"{name}:{line}: {reference}" for name, text in texts.items() for line, reference in references(name, text)
            if reference not in ends | NOT_OURS]


class Tidiness(unittest.TestCase):
    def test_files_are_of_one_concept_and_none_of_the_long_ones_grows(self):
        for name, text in product().items():
            with self.subTest(file=name):
                self.assertLessEqual(len(text.splitlines()), LONGER_FILES.get(name, FILE_LINES))

    def test_a_file_that_has_become_short_leaves_the_list_of_long_ones(self):
        texts = product()
        lengths = {name: len(texts[name].splitlines()) if name in texts else 0 for name in LONGER_FILES}
        self.assertEqual([], [name for name, length in lengths.items() if length <= FILE_LINES])

    def test_functions_fit_a_screen(self):
        long = [f"{name}:{line}: {length} lines" for name, text in product().items()
                for line, length in functions(text) if length > FUNCTION_LINES]
        self.assertEqual([], long)

    def test_the_check_notices_a_long_function(self):
        body = "  call();\n" * FUNCTION_LINES
        self.assertEqual([(1, FUNCTION_LINES + 2)], list(functions("void f(int a) {\n" + body + "}\n")))
        self.assertEqual([(2, FUNCTION_LINES + 2)],
                         list(functions("class A {\n  int f() const {\n" + body + "  }\n};\n")))

    def test_a_new_lock_is_one_that_clang_checks(self):
        bare = re.compile(r"std::(\w+_)?mutex\b|std::condition_variable")
        self.assertEqual(set(), {name for name, text in product().items() if bare.search(text)} - BARE_LOCKS,
                         "use common/mutex.h")

    def test_no_comment_or_document_names_a_file_that_is_not_there(self):
        files = listed()
        texts = {name: (ROOT / name).read_text() for name in files if pathlib.PurePosixPath(name).suffix in COMMENT}
        self.assertEqual([], dangling(texts, files))

    def test_the_check_notices_a_name_that_leads_nowhere(self):
        texts = {"a.cpp": "int a;  // see b.md and store/store.h\n", "c.md": "As d/e.py says.\n"}
        self.assertEqual(["a.cpp:1: b.md", "c.md:1: d/e.py"], dangling(texts, ["a.cpp", "c.md", "daemon/store/store.h"]))


if __name__ == "__main__":
    sys.exit(unittest.main())
