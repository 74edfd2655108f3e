#!/usr/bin/env python3
"""Fails on an include that points up, on a library used outside its home, and on an entry at the top level nobody asked for.

The rules are those of daemon/README.md. A folder may include itself and what is listed for it, nothing else of ours."""
import pathlib
import re
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]

STORE = {"store", "telemetry", "common"}
MAY_INCLUDE = {
    "common": set(),
    "migrations": set(),
    "daemon/runtime": {"common"},
    "daemon/telemetry": {"common"},
    "daemon/store": {"telemetry", "common"},
    "daemon/store/sqlite": STORE | {"migrations"},
    "daemon/store/postgresql": STORE | {"migrations"},
    "daemon/outbound": {"runtime", "telemetry", "common"},
    "daemon/ingest": STORE,
    "daemon/maintenance": STORE,
    "daemon/delivery": STORE | {"outbound", "runtime"},
    "daemon/api": STORE | {"ingest", "runtime", "migrations"},
    "daemon/config": {"telemetry", "common"},
    "daemon/ctl": {"common", "config"},
    # The two places that see everything: the wiring and the mains.
    "daemon/app": None,
    "daemon": None,
}

# Header of a third-party library -> the folders that may include it.
HOMES = {
    r"sqlite3\.h": {"daemon/store/sqlite"},
    r"libpq|postgres_ext\.h": {"daemon/store/postgresql"},
    r"curl/": {"daemon/ctl"},
    r"ares\.h": {"daemon/outbound"},
    r"httplib\.h": {"daemon/ctl"},
    r"CLI/": {"daemon", "daemon/config", "daemon/ctl"},
    r"toml\+\+/": {"daemon/config"},
    r"spdlog/": {"daemon/telemetry"},
    r"prometheus/": {"daemon/telemetry"},
    r"systemd/": {"daemon/runtime", "daemon/telemetry"},
    r"libsmartcols": {"daemon/ctl"},
    r"openssl/": {"common", "daemon/outbound", "daemon/api"},
}

TOP_LEVEL = {"CMakeLists.txt", "daemon", "common", "migrations", "systemd", "tests", "scripts", "README.md",
             "LICENSE", "CHANGELOG.md", "CMakePresets.json"}

INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.M)
# What is generated into the include path.
GENERATED = {"version.h"}


def sources():
    for top in ("common", "daemon", "migrations"):
        for path in sorted((ROOT / top).rglob("*")):
            if path.suffix in (".h", ".cpp"):
                yield path, path.parent.relative_to(ROOT).as_posix()


def folder_of(include):
    """The rule's name of the folder an include of ours points to: "store", "common", "store/sqlite" ..."""
    return include.rsplit("/", 1)[0] if "/" in include else ""


def wrong_includes(folder, text):
    allowed = MAY_INCLUDE[folder]
    own = folder.removeprefix("daemon/")
    for quote, include in INCLUDE.findall(text):
        if quote == '"':
            target = folder_of(include)
            if include in GENERATED or allowed is None or target == own or target in allowed:
                continue
            yield f"may not include \"{include}\""
        else:
            for pattern, homes in HOMES.items():
                if re.match(pattern, include) and folder not in homes:
                    yield f"may not include <{include}>: its home is {', '.join(sorted(homes))}"


class IncludeRules(unittest.TestCase):
    def test_every_folder_has_a_rule(self):
        self.assertEqual([], sorted({folder for _, folder in sources() if folder not in MAY_INCLUDE}))

    def test_includes_point_down_only(self):
        wrong = [f"{path.relative_to(ROOT)}: {error}" for path, folder in sources()
                 for error in wrong_includes(folder, path.read_text())]
        self.assertEqual([], wrong, "\n" + "\n".join(wrong))

    def test_the_rule_would_notice_an_include_that_points_up(self):
        self.assertTrue(list(wrong_includes("common", '#include "store/store.h"\n')))
        self.assertTrue(list(wrong_includes("daemon/api", '#include "delivery/scheduler.h"\n')))
        self.assertTrue(list(wrong_includes("daemon/ingest", "#include <sqlite3.h>\n")))

    def test_threads_of_the_daemon_are_made_where_what_they_throw_is_caught(self):
        bare = re.compile(r"std::(thread|jthread|async)\s*[({]|std::thread\(|threads_?\.emplace_back\(")
        made = {path.relative_to(ROOT).as_posix() for path, folder in sources()
                if folder != "daemon/ctl" and bare.search(path.read_text())}
        self.assertEqual({"daemon/store/fail_stop.cpp"}, made, "use start_thread() of store/fail_stop.h")

    def test_the_daemon_writes_to_stderr_through_its_log_alone(self):
        direct = re.compile(r"std::(cerr|clog)|fprintf\(stderr|\bperror\(|fputs\([^;]*stderr")
        wrong = {path.relative_to(ROOT).as_posix() for path, folder in sources()
                 if folder not in ("daemon/ctl", "daemon") and direct.search(path.read_text())}
        self.assertEqual(set(), wrong, "a thread that serves must not wait for whoever reads stderr: use telemetry/log.h")

    def test_the_top_level_holds_only_what_the_user_asked_for(self):
        found = {p.name for p in ROOT.iterdir() if not p.name.startswith(".")}
        self.assertEqual(set(), found - TOP_LEVEL)


if __name__ == "__main__":
    sys.exit(unittest.main())
