#!/usr/bin/env python3
"""The examples of scripts/examples/languages, each run as its reader would run it, where the language is installed.

Enqueue: over HTTP, over the Unix socket, and in a SQL transaction; the event arrives, signed, with the payload that the program
gave it. Verify: the delivery as it came is accepted, and nothing else."""
import base64
import concurrent.futures
import hashlib
import hmac
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

from harness import PATIENCE, EndToEndTest, wait_until

LANGUAGES = pathlib.Path(__file__).resolve().parents[2] / "scripts/examples/languages"
BUILT = pathlib.Path(tempfile.mkdtemp(prefix="outboxd-languages."))
# Debian's driver for Java (libxerial-sqlite-jdbc-java).
JDBC = "/usr/share/java/sqlite-jdbc.jar"
# A compiler on a busy machine, once.
BUILD_PATIENCE = 400


class Language:
    """How its programs are built and run: `source` and `program` are filled in, without and with the folder for what is built."""

    def __init__(self, needs, suffix, run, build=None, names=("enqueue", "verify"), sql=None):
        self.needs, self.suffix, self.run, self.build, self.names, self.sql = needs, suffix, run, build, names, sql
        self.failure = None

    def missing(self):
        return [tool for tool in self.needs if not shutil.which(tool)]

    def command(self, template, folder, task):
        name = dict(zip(("enqueue", "verify"), self.names))[task]
        return [word.format(source=LANGUAGES / folder / (name + self.suffix), program=BUILT / folder / name, folder=BUILT / folder, name=name)
                for word in template]

    def prepare(self, folder):
        if self.missing() or not self.build:
            return
        (BUILT / folder).mkdir()
        for task in ("enqueue", "verify"):
            done = subprocess.run(self.command(self.build, folder, task), capture_output=True, text=True, timeout=BUILD_PATIENCE,
                                  env={**os.environ, "CGO_ENABLED": "0"}, check=False)
            if done.returncode != 0 or done.stderr.strip():
                self.failure = done.stderr or f"status {done.returncode}"
                return


# sql: a command that succeeds where the language has what it needs for SQLite; None: its example has no SQL.
ALL = {
    "shell": Language(("bash", "curl", "sqlite3", "openssl"), ".sh", ["{source}"], sql=["sqlite3", "--version"]),
    "python": Language(("python3",), ".py", ["python3", "{source}"], sql=["python3", "-c", "import sqlite3"]),
    "node": Language(("node",), ".mjs", ["node", "{source}"], sql=["node", "-e", "require('node:sqlite')"]),
    "go": Language(("go",), ".go", ["{program}"], ["go", "build", "-o", "{program}", "{source}"]),
    "java": Language(("java", "javac"), ".java", ["java", "-XX:TieredStopAtLevel=1", "-cp", "{folder}:" + JDBC, "{name}"],
                     ["javac", "-d", "{folder}", "{source}"], ("Enqueue", "Verify"), sql=["test", "-e", JDBC]),
    "php": Language(("php",), ".php", ["php", "{source}"], sql=["php", "-r", "exit(extension_loaded('pdo_sqlite') ? 0 : 1);"]),
    "ruby": Language(("ruby",), ".rb", ["ruby", "{source}"], sql=["ruby", "-e", "require 'sqlite3'"]),
    "rust": Language(("rustc", "cc"), ".rs", ["{program}"], ["rustc", "--edition", "2021", "-D", "warnings", "-o", "{program}", "{source}"]),
    "cpp": Language(("g++",), ".cpp", ["{program}"],
                    ["g++", "-std=c++20", "-Wall", "-Wextra", "{source}", "-o", "{program}", "-lcurl", "-lsqlite3", "-lcrypto"],
                    sql=["true"]),
}


def setUpModule():
    with concurrent.futures.ThreadPoolExecutor(2) as builders:
        list(builders.map(lambda item: item[1].prepare(item[0]), ALL.items()))


def tearDownModule():
    shutil.rmtree(BUILT)


def run(folder, task, *arguments, stdin=b"", **environment):
    language = ALL[folder]
    return subprocess.run(language.command(language.run, folder, task) + [str(a) for a in arguments], input=stdin, capture_output=True,
                          timeout=PATIENCE * 3, env={**os.environ, "NODE_NO_WARNINGS": "1", **environment}, check=False)


def sign(secret, message, timestamp, body):
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{message}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


class Examples(EndToEndTest):
    """One test for each language and task is added below."""

    def language(self, folder):
        language = ALL[folder]
        if language.missing():
            self.skipTest(f"{', '.join(language.missing())} is not installed: the {folder} examples were not run")
        self.assertIsNone(language.failure)
        return language

    def check_enqueue(self, folder):
        language = self.language(folder)
        application = self.application()
        daemon = self.daemon()
        with daemon.config.open("a") as config:
            config.write(f'[[source]]\nname = "shop"\nurl = "sqlite://{application}"\n')
        daemon.start()
        receiver = self.receiver()
        secret = daemon.endpoint(receiver.url, types=["order.*"])["secret"]
        where = {"http": f"http://127.0.0.1:{daemon.tcp_port}", "unix": daemon.ingest, "sql": application}
        ways = ["http", "unix"] + ["sql"] * bool(language.sql and self.has(language.sql))
        for number, way in enumerate(ways, 42):
            with self.subTest(way=way):
                for _ in range(2 if way != "sql" else 1):  # sent again, it is the same event
                    done = run(folder, "enqueue", way, where[way], number)
                    self.assertEqual((0, b""), (done.returncode, done.stderr))
                    self.assertEqual(way != "sql", b"evt_" in done.stdout)
        requests = receiver.wait_for(len(ways))
        self.assertEqual([{"order": n, "cents": 1250} for n, _ in enumerate(ways, 42)],
                         sorted((json.loads(r.body) for r in requests), key=lambda payload: payload["order"]))
        self.assertTrue(all(r.signed_with(secret) for r in requests))
        self.assertEqual(len(ways), len(daemon.get("/v1/events").json["data"]))
        if "sql" in ways:
            self.assertEqual("paid", self.state_of_order(application, 44))
        refused = run(folder, "enqueue", "unix", daemon.admin.with_name("nobody.sock"), 42)
        self.assertNotEqual(0, refused.returncode)
        self.assertNotEqual(b"", refused.stderr)
        self.check_a_refusal_is_told(folder, daemon)

    def check_a_refusal_is_told(self, folder, daemon):
        """The key of an event that was accepted with another payload: 422."""
        daemon.event(payload='{"order": 1, "cents": 1}', idempotency_key="order-7-paid")
        for way, where in (("http", f"http://127.0.0.1:{daemon.tcp_port}"), ("unix", daemon.ingest)):
            with self.subTest(refused=way):
                done = run(folder, "enqueue", way, where, 7)
                self.assertNotEqual(0, done.returncode)
                self.assertIn(b"422", done.stderr)

    def application(self):
        """The application's own database: its table, and the one that outboxd relays."""
        path = self.folder / "app.db"
        ddl = self.daemon().ctl("source", "ddl")
        self.assertEqual(0, ddl.returncode, ddl.stderr)
        subprocess.run(["sqlite3", "-bail", str(path)], check=True, input=ddl.stdout + b"""
            CREATE TABLE orders(id INTEGER PRIMARY KEY, state TEXT NOT NULL);
            INSERT INTO orders VALUES (42, 'open'), (43, 'open'), (44, 'open');""")
        return path

    def state_of_order(self, application, number):
        return subprocess.run(["sqlite3", str(application), f"SELECT state FROM orders WHERE id = {number}"], capture_output=True,
                              text=True, check=True).stdout.strip()

    def has(self, command):
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def check_verify(self, folder):
        self.language(folder)
        daemon = self.daemon().start()
        receiver = self.receiver()
        secret = daemon.endpoint(receiver.url)["secret"]
        daemon.event(payload='{"text": "Z\u00fcrich \\u0000 100 %", "amount": 1.10}')
        delivery = receiver.wait_for(1)[0]
        message, timestamp, body = delivery.id, delivery.headers["webhook-timestamp"], delivery.body
        signature = delivery.headers["webhook-signature"]
        other = "whsec_" + base64.b64encode(b"another secret of 32 characters.").decode()
        long_ago, ahead = (str(int(time.time()) + seconds) for seconds in (-400, 400))
        recent = str(int(time.time()) - 200)
        empty, binary = b"", bytes(range(256)) + b"\n\n"

        def signed(**change):
            case = {"secret": secret, "message": message, "timestamp": timestamp, "body": body, **change}
            return {**case, "signature": sign(**case)}

        came = {"secret": secret, "message": message, "timestamp": timestamp, "body": body, "signature": signature}
        self.assertEqual(signed(), came)
        right = {
            "as it came": came,
            "among others, as after a rotation": {**came, "signature": f"{sign(other, message, timestamp, body)} v1a,AAAA {signature}"},
            "three minutes old": signed(timestamp=recent),
            "without a body": signed(body=empty),
            "with any bytes in it": signed(body=binary),
        }
        wrong = {
            "another body": {**came, "body": body + b" "},
            "another id": {**came, "message": message + "1"},
            "another time": {**came, "timestamp": str(int(timestamp) + 1)},
            "another secret": {**came, "secret": other},
            "no signature": {**came, "signature": ""},
            "an unknown version": {**came, "signature": signature.replace("v1,", "v2,")},
            "half a signature": {**came, "signature": signature[:20]},
            "old": signed(timestamp=long_ago),
            "of the future": signed(timestamp=ahead),
            "a time that is none": signed(timestamp="soon"),
            "the empty secret": signed(secret="whsec_"),
        }
        cases = right | wrong
        with concurrent.futures.ThreadPoolExecutor(4) as runners:
            ends = runners.map(lambda case: run(folder, "verify", case["message"], case["timestamp"], case["signature"],
                                                stdin=case["body"], WEBHOOK_SECRET=case["secret"]), cases.values())
        for name, done in zip(cases, ends):
            with self.subTest(delivery=name):
                self.assertEqual(name in right, done.returncode == 0, done.stderr)
                self.assertEqual(name in right, b"verified" in done.stdout)
                self.assertEqual(name in wrong, b"refused" in done.stderr, done.stderr)

    def test_every_folder_is_tested(self):
        self.assertEqual(set(ALL), {path.name for path in LANGUAGES.iterdir() if path.is_dir()})


for each in ALL:
    setattr(Examples, f"test_{each}_enqueues", lambda self, each=each: self.check_enqueue(each))
    setattr(Examples, f"test_{each}_verifies", lambda self, each=each: self.check_verify(each))


if __name__ == "__main__":
    sys.exit(unittest.main())
