#!/usr/bin/env python3
"""The Debian packaging is true to the tree, without a package being built: what is installed is in exactly one package, under the version and
with the build dependencies that the tree has. scripts/package builds them.

OUTBOXD_BUILD is a build of everything; ctest sets it."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEBIAN = ROOT / "systemd/debian"
BUILD = pathlib.Path(os.environ.get("OUTBOXD_BUILD", ROOT / ".build/dev"))
# What a build needs and setup names, but Debian's build environment has (build-essential).
ESSENTIAL = {"g++"}
PACKAGING_ONLY = {"debhelper-compat", "dh-sequence-installsysusers", "po-debconf"}


def fields(file, name):
    """The words of a field of a control file, without versions."""
    text = re.search(rf"^{name}:((?:.*\n(?:[ \t].*\n)*))", (DEBIAN / file).read_text() + "\n", re.M)[1]
    return [re.sub(r"\s*\(.*\)", "", word).strip() for word in text.replace("\n", " ").split(",") if word.strip()]


def install_lines():
    """(package, path of what CMake installs or of a file in the tree)"""
    for file in sorted(DEBIAN.glob("*.install")):
        for line in file.read_text().splitlines():
            yield file.stem, line.split()[0]


class WhatIsInstalled(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="outboxd-install."))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        subprocess.run(["cmake", "--install", BUILD, "--prefix", "/usr"], env={**os.environ, "DESTDIR": str(cls.folder)}, check=True,
                       capture_output=True)
        cls.files = [str(path.relative_to(cls.folder)) for path in cls.folder.rglob("*") if path.is_file()]

    def test_each_file_is_in_exactly_one_package(self):
        lines = list(install_lines())
        for file in self.files:
            with self.subTest(file=file):
                self.assertEqual(1, sum(file == path or file.startswith(path + "/") for _, path in lines),
                                 "name it in one of systemd/debian/*.install")

    def test_each_line_of_a_package_finds_something(self):
        for package, path in install_lines():
            with self.subTest(package=package, path=path):
                self.assertTrue((self.folder / path).exists() or (ROOT / path).exists())

    def test_the_command_line_is_apart_from_the_daemon(self):
        daemon, command = ({path for package, path in install_lines() if package == name} for name in ("outboxd", "outboxctl"))
        self.assertIn("usr/bin/outboxd", daemon)
        self.assertIn("usr/bin/outboxctl", command)
        self.assertEqual([], [path for path in command if "outboxctl" not in path])

    def test_what_an_operator_edits_is_below_etc_where_dpkg_keeps_it(self):
        self.assertEqual(["etc/outboxd/outboxd.toml"], [file for file in self.files if file.startswith("etc/")])
        self.assertEqual("etc/outboxd/conf.d\n", (DEBIAN / "outboxd.dirs").read_text())


class TheSourcePackage(unittest.TestCase):
    def test_its_version_is_the_projects(self):
        version = re.search(r"^project\(outboxd VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text(), re.M)[1]
        self.assertRegex((DEBIAN / "changelog").read_text().splitlines()[0], rf"^outboxd \({re.escape(version)}-\d+\) ")
        self.assertRegex((ROOT / "CHANGELOG.md").read_text(), rf"(?m)^## {re.escape(version)}\b")

    def test_it_is_built_with_what_setup_installs(self):
        listed = re.search(r"^build=\((.*?)\)", (ROOT / "scripts/setup").read_text(), re.M | re.S)[1].split()
        self.assertEqual(set(listed) - ESSENTIAL, set(fields("control", "Build-Depends")) - PACKAGING_ONLY)

    def test_every_example_is_in_it(self):
        named = set((DEBIAN / "outboxd.examples").read_text().split()) | {"scripts/examples/languages"}  # which CMake installs
        there = {path.name for path in (ROOT / "scripts/examples").iterdir() if not path.name.startswith((".", "__"))}
        self.assertEqual({f"scripts/examples/{name}" for name in there}, named)

    def test_every_unit_is_installed_by_debhelper(self):
        rules = (DEBIAN / "rules").read_text()
        for unit in [*ROOT.glob("systemd/*.socket"), ROOT / "systemd/outboxd.service"]:
            self.assertRegex(rules, rf"(?m)^\tdh_installsystemd .*\b{unit.name}\b")

    def test_every_override_of_lintian_says_why(self):
        for file in DEBIAN.glob("*.lintian-overrides"):
            self.assertTrue(file.read_text().startswith("# "), file.name)

    def test_every_test_of_autopkgtest_is_there(self):
        for name in fields("tests/control", "Tests"):
            self.assertTrue(os.access(DEBIAN / "tests" / name, os.X_OK), name)


@unittest.skipUnless(shutil.which("dash"), "dash, which is Debian's sh, is missing")
class MaintainerScripts(unittest.TestCase):
    def test_sh_can_read_them(self):
        for script in [*DEBIAN.glob("outboxd.p*"), DEBIAN / "outboxd.config", *(DEBIAN / "tests").iterdir()]:
            if script.name != "control":
                with self.subTest(script=script.name):
                    self.assertEqual("", subprocess.run(["dash", "-n", script], capture_output=True, text=True, check=False).stderr)

    def preinst(self, schema):
        """Its status, and what it says, where the database has that schema and it knows 16."""
        with tempfile.TemporaryDirectory(prefix="outboxd-preinst.") as folder:
            database = pathlib.Path(folder) / "outbox.db"
            database.write_bytes(b"SQLite format 3\0" + bytes(44) + schema.to_bytes(4, "big") + bytes(36))
            script = (DEBIAN / "outboxd.preinst").read_text().replace("/var/lib/outboxd/outbox.db", str(database))
            script = script.replace("#SCHEMA#", "16").replace("#VERSION#", "1.0")
            ended = subprocess.run(["dash", "-c", script, "preinst", "upgrade", "2.0"], capture_output=True, text=True, check=False)
            return ended.returncode, ended.stderr

    def test_a_database_of_this_schema_or_an_older_one_is_taken(self):
        self.assertEqual((0, ""), self.preinst(16))
        self.assertEqual((0, ""), self.preinst(0))

    def test_a_database_of_a_newer_schema_is_refused_with_the_reason(self):
        status, said = self.preinst(17)
        self.assertEqual(1, status)
        self.assertRegex(said, r"has schema 17, .* newer outboxd")
        self.assertIn("version 1.0 knows schemas up to 16", said)


if __name__ == "__main__":
    sys.exit(unittest.main())
