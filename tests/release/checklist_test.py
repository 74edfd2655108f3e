#!/usr/bin/env python3
"""scripts/release finds what a release lacks: on a throw-away copy of this tree that is ready for one, one defect at a time. scripts/sbom tells
what this build is made of. In seconds: suites and packages are stand-ins."""
import datetime
import hashlib
import importlib.util
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE.parent / "e2e"))
from harness import BIN, needs_package  # noqa: E402

VERSION = "47.11.0"
WRITTEN = ["tree", "version", "places", "changelog", "schema", "freeze"]
AS_ANYBODY = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a",
              "GIT_COMMITTER_EMAIL": "a@b"}


def run(*command, cwd, check=True):
    """In this tree as who runs the tests, elsewhere as anybody."""
    done = subprocess.run([str(word) for word in command], cwd=cwd, env=os.environ if cwd == ROOT else AS_ANYBODY, capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        raise AssertionError(f"{command}: {done.stdout}{done.stderr}")
    return done


def is_repository():
    return run("git", "rev-parse", "HEAD", cwd=ROOT, check=False).returncode == 0


@unittest.skipUnless(is_repository(), "this tree is no clone, and scripts/release asks git")
class Release(unittest.TestCase):
    """self.tree: a copy of this tree as it stands, made ready for VERSION and committed; made once, and put back for each test."""
    tree = None

    @classmethod
    def setUpClass(cls):
        if Release.tree is None:
            Release.tree = pathlib.Path(tempfile.mkdtemp(prefix="outboxd-release."))
            unittest.addModuleCleanup(shutil.rmtree, Release.tree)
            listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT).stdout.split("\0")
            # Of the code nothing is looked at.
            for name in (name for name in listed if name and not name.endswith((".cpp", ".h")) and (ROOT / name).is_file()):
                (cls.tree / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, cls.tree / name)
            cls.make_ready(cls.tree)
            run("git", "init", "-q", cwd=cls.tree)
            run("git", "add", "-A", cwd=cls.tree)
            run("git", "commit", "-q", "-m", "ready", cwd=cls.tree)
            run("git", "branch", "-q", "ready", cwd=cls.tree)

    @staticmethod
    def make_ready(tree):
        cmake = tree / "CMakeLists.txt"
        old = re.search(r"project\(outboxd VERSION (\S+)", cmake.read_text())[1]
        cmake.write_text(cmake.read_text().replace(f"VERSION {old} ", f"VERSION {VERSION} ", 1))
        for file in [*(tree / "systemd/container").iterdir(), *(tree / "daemon/docs").glob("*.md")]:
            file.write_text(file.read_text().replace(f"localhost/outboxd:{old}", f"localhost/outboxd:{VERSION}"))
        (tree / "CHANGELOG.md").write_text(f"# Changelog\n\n## {VERSION} ({datetime.date(2026, 11, 1)})\n\nAll of it.\n")
        (tree / "systemd/debian").mkdir(exist_ok=True)
        (tree / "systemd/debian/changelog").write_text(
            f"outboxd ({VERSION}-1) unstable; urgency=medium\n\n  * All of it.\n\n -- a <a@b>  Sun, 01 Nov 2026 12:00:00 +0000\n")
        for script in ("soak", "fuzz"):
            (tree / "scripts" / script).write_text("#!/bin/sh\nexit 0\n")
        run("scripts/release", "--freeze", cwd=tree)

    def setUp(self):
        run("sh", "-euc", "git reset -q --hard ready; git clean -q -ffdx; git tag | xargs -r git tag -d > /dev/null", cwd=self.tree)

    def release(self, *arguments):
        return run("scripts/release", *arguments, cwd=self.tree, check=False)

    def edit(self, name, change):
        file = self.tree / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(change(file.read_text() if file.exists() else ""))

    def commit(self):
        run("sh", "-euc", "git add -A; git commit -q -m more", cwd=self.tree)

    def refused(self, name, words):
        """That check alone finds something (but for the edit, which is not committed), and says this."""
        done = self.release("--check", VERSION, "--only", ",".join(WRITTEN if name == "tree" else WRITTEN[1:]))
        self.assertEqual(1, done.returncode, done.stdout + done.stderr)
        self.assertEqual([name], re.findall(r"^  missing +(\w+)$", done.stdout, re.M), done.stdout)
        self.assertIn(words, done.stdout)


class WhatIsWritten(Release):
    def test_a_tree_that_is_ready_lacks_nothing(self):
        done = self.release("--check", "--only", ",".join(WRITTEN))
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)

    def test_a_change_that_is_not_committed(self):
        self.edit("README.md", lambda text: text + "more\n")
        self.refused("tree", "README.md")

    def test_a_file_that_git_does_not_know(self):
        self.edit("common/new.cpp", lambda text: "int a;\n")
        self.refused("tree", "common/new.cpp")

    def test_a_tag_on_another_commit(self):
        run("git", "tag", f"v{VERSION}", cwd=self.tree)
        self.edit("README.md", lambda text: text + "more\n")
        self.commit()
        self.refused("tree", f"v{VERSION} is on another commit")

    def test_a_later_version_that_is_out(self):
        run("git", "tag", "v48.0.0", cwd=self.tree)
        self.refused("version", "v48.0.0 is released already")

    def test_a_version_that_is_not_semantic(self):
        self.edit("CMakeLists.txt", lambda text: text.replace(f"VERSION {VERSION}", "VERSION 47.11"))
        done = self.release("--check", "47.11", "--only", "version")
        self.assertIn("MAJOR.MINOR.PATCH", done.stdout)

    def test_another_version_in_cmake(self):
        self.edit("CMakeLists.txt", lambda text: text.replace(f"VERSION {VERSION}", "VERSION 47.10.9"))
        self.refused("version", "CMakeLists.txt says project(outboxd VERSION 47.10.9)")

    def test_another_version_of_the_package(self):
        self.edit("systemd/debian/changelog", lambda text: text.replace(VERSION, "47.10.9"))
        self.refused("places", "systemd/debian/changelog begins with 47.10.9")

    def test_a_package_that_is_called_unreleased(self):
        self.edit("systemd/debian/changelog", lambda text: text.replace("unstable", "UNRELEASED"))
        self.refused("places", "UNRELEASED")

    def test_an_image_of_another_version(self):
        self.edit("systemd/container/outboxd.container", lambda text: text.replace(VERSION, "47.10.9"))
        self.refused("places", "systemd/container/outboxd.container:")

    def test_a_description_of_the_api_of_another_version(self):
        self.edit("daemon/api/openapi.json", lambda text: text.replace('"version": "1"', '"version": "2"', 1))
        self.refused("places", "info.version 2")

    def test_a_changelog_without_the_version(self):
        self.edit("CHANGELOG.md", lambda text: text.replace(VERSION, "47.10.9"))
        self.refused("changelog", "begins with the section ## 47.10.9")

    def test_a_changelog_without_the_date(self):
        self.edit("CHANGELOG.md", lambda text: text.replace("2026-11-01", "unreleased"))
        self.refused("changelog", "has no date")

    def test_a_frozen_migration_that_was_changed(self):
        for dialect, name in (("sqlite", "0003_clock_and_retention.sql"), ("postgresql", "0001_outbox.sql")):
            with self.subTest(dialect):
                self.edit(f"migrations/{dialect}/{name}", lambda text: text + "-- more\n")
                self.refused("schema", f"migrations/{dialect}/{name} is frozen and was changed")
                self.setUp()

    def test_a_frozen_migration_that_is_gone(self):
        last = sorted((self.tree / "migrations/sqlite").iterdir())[-1]
        last.unlink()
        self.refused("schema", f"{last.name} is frozen and gone")

    def test_a_number_that_two_migrations_have(self):
        self.edit("migrations/sqlite/0003_other.sql", lambda text: "SELECT 1;\n")
        done = self.release("--check", "--only", "schema")
        self.assertIn("without a repeat", done.stdout)

    def test_a_migration_that_may_still_change(self):
        number = len(list((self.tree / "migrations/sqlite").iterdir())) + 1
        self.edit(f"migrations/sqlite/{number:04}_new.sql", lambda text: "SELECT 1;\n")
        self.refused("freeze", f"sqlite/{number:04}_new.sql")

    def test_freezing_refuses_when_a_frozen_one_was_changed(self):
        self.edit("migrations/sqlite/0001_outbox.sql", lambda text: text + "-- more\n")
        before = (self.tree / "migrations/frozen.sha256").read_text()
        done = self.release("--freeze")
        self.assertEqual((1, before), (done.returncode, (self.tree / "migrations/frozen.sha256").read_text()))
        self.assertIn("0001_outbox.sql is frozen and was changed", done.stderr)

    def test_the_migrations_of_this_tree_that_are_frozen_have_not_changed(self):
        done = run("scripts/release", "--check", "--only", "schema", cwd=ROOT, check=False)
        self.assertEqual(0, done.returncode, done.stdout)


class Suites(Release):
    def passed(self, suite):
        return f"--full {suite}\n" not in self.release("--check", "--only", "suites").stdout

    def test_a_suite_counts_when_it_has_passed_on_this_very_tree(self):
        self.assertFalse(self.passed("soak"))
        self.release("--full", "soak", "fuzz", "--only", "tree")
        self.assertTrue(self.passed("soak") and self.passed("fuzz"))
        self.assertFalse(self.passed("faults"))
        self.edit("README.md", lambda text: text + "more\n")
        self.commit()
        self.assertFalse(self.passed("soak"))

    def test_a_suite_that_fails_does_not_count(self):
        self.edit("scripts/soak", lambda text: "#!/bin/sh\necho an event was lost\nexit 1\n")
        self.commit()
        done = self.release("--full", "soak", "--only", "tree")
        self.assertEqual(1, done.returncode)
        self.assertFalse(self.passed("soak"))
        self.assertIn("an event was lost", (self.tree / ".build/release-soak.log").read_text())

    def test_no_suite_is_run_on_a_tree_with_changes(self):
        self.edit("README.md", lambda text: text + "more\n")
        done = self.release("--full", "soak", "--only", "tree")
        self.assertEqual(1, done.returncode)
        self.assertFalse(self.passed("soak"))


@unittest.skipUnless(shutil.which("ssh-keygen"), "ssh-keygen is missing: install openssh-client")
class Signatures(Release):
    def setUp(self):
        super().setUp()
        self.folder = self.tree / ".build/artefacts"
        self.folder.mkdir(parents=True)
        for name in ("outboxd.deb", "outboxd.tar.gz"):
            (self.folder / name).write_text(name)
        self.sums = self.folder / "SHA256SUMS"
        self.sums.write_text("".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in sorted(self.folder.iterdir())))
        self.key = self.new_key("manager")
        public = self.key.with_suffix(".pub").read_text()
        (self.tree / "scripts/release.signers").write_text(f'release@outboxd namespaces="outboxd-release" {public}')

    def new_key(self, name):
        key = self.tree / ".build" / name
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", key, cwd=self.tree)
        return key

    def verified(self):
        done = self.release("--verify")
        return done.returncode == 0, done.stdout

    def test_what_the_manager_signed_is_verified(self):
        self.assertEqual(0, self.release("--sign", self.key).returncode)
        self.assertTrue(self.verified()[0], self.verified())

    def test_users_verify_it_with_ssh_keygen_and_sha256sum(self):
        self.release("--sign", self.key)
        done = run("sh", "-euc", "ssh-keygen -Y verify -f ../../scripts/release.signers -I release@outboxd -n outboxd-release"
                   " -s SHA256SUMS.sig < SHA256SUMS && sha256sum -c SHA256SUMS", cwd=self.folder)
        self.assertIn("outboxd.deb: OK", done.stdout)

    def test_what_is_wrong_with_them_is_named(self):
        def change(name, text):
            return lambda: (self.folder / name).write_text(text)

        for what, damage, words in (("another file", change("outboxd.deb", "evil"), "outboxd.deb is not the file that was signed"),
                                    ("one more", change("evil.deb", "evil"), "evil.deb is not signed"),
                                    ("one less", lambda: (self.folder / "outboxd.deb").unlink(), "outboxd.deb is missing"),
                                    ("other sums", lambda: self.sums.write_text(self.sums.read_text().replace("a", "b")), "is not of a key in"),
                                    ("no signature", lambda: (self.folder / "SHA256SUMS.sig").unlink(), "no SHA256SUMS.sig")):
            with self.subTest(what):
                self.setUp()
                self.release("--sign", self.key)
                damage()
                good, told = self.verified()
                self.assertFalse(good)
                self.assertIn(words, told)

    def test_a_key_that_may_not_sign_is_refused(self):
        done = self.release("--sign", self.new_key("stranger"))
        self.assertEqual(1, done.returncode)
        self.assertIn("is not of a key in scripts/release.signers", done.stdout)

    def test_without_a_list_of_keys_nobody_may(self):
        (self.tree / "scripts/release.signers").unlink()
        self.release("--sign", self.key)
        self.assertIn("nobody may sign", self.verified()[1])


class WhatItIsMadeOf(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.text = run("scripts/sbom", "--build", BIN.resolve().parent, cwd=ROOT).stdout
        cls.packages = {package["name"]: package for package in json.loads(cls.text)["packages"]}

    def related(self, kind):
        names = {package["SPDXID"]: name for name, package in self.packages.items()}
        return {names.get(r["relatedSpdxElement"]) for r in json.loads(self.text)["relationships"] if r["relationshipType"] == kind}

    def test_libraries_that_are_linked_and_those_that_are_compiled_in_are_told_apart(self):
        self.assertEqual({"libcli11-dev", "libexpected-dev", "nlohmann-json3-dev"}, self.related("STATIC_LINK"))
        linked = " ".join(sorted(self.related("DYNAMIC_LINK")))
        for library in ("libc6", "libcpp-httplib", "libcurl4", "libpq5", "libspdlog", "libsqlite3-0", "libssl3", "libtomlplusplus"):
            self.assertIn(library, linked)

    def test_what_outboxd_itself_uses_has_a_licence_and_a_version(self):
        listing = run("objdump", "-p", BIN / "outboxd", BIN / "outboxctl", cwd=ROOT).stdout
        needed = {re.sub(r"\.so.*", "", name) for name in re.findall(r"NEEDED +(\S+)", listing)}
        self.assertGreater(len(needed), 10)
        for name in self.related("STATIC_LINK") | {name for name in self.related("DYNAMIC_LINK") if name.startswith(("libc6", "libssl", "libsystemd",
                                                   "libsqlite", "libpq", "libcurl4", "libc-ares", "libspdlog", "libsmartcols", "libstdc++", "libgcc"))}:
            self.assertNotEqual("NOASSERTION", self.packages[name]["licenseDeclared"], name)
            self.assertTrue(self.packages[name]["versionInfo"])

    def test_the_same_build_gives_the_same_bytes(self):
        self.assertEqual(self.text, run("scripts/sbom", "--build", BIN.resolve().parent, cwd=ROOT).stdout)

    def test_a_build_that_is_not_there_is_named(self):
        done = run("scripts/sbom", "--build", "/nowhere", cwd=ROOT, check=False)
        self.assertEqual(1, done.returncode)
        self.assertIn("/nowhere/daemon/outboxd is not there: build it first", done.stderr)

    @needs_package("spdx_tools")
    def test_a_validator_of_spdx_finds_nothing(self):
        from spdx_tools.spdx.parser.parse_anything import parse_file
        from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

        with tempfile.NamedTemporaryFile("w", suffix=".spdx.json") as file:
            file.write(self.text)
            file.flush()
            self.assertEqual([], validate_full_spdx_document(parse_file(file.name)))


if __name__ == "__main__":
    unittest.main()
