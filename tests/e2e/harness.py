"""The real outboxd, real sockets, a real receiver: what the end-to-end tests are built on.

The binaries are found through OUTBOXD_BIN, the folder of outboxd and outboxctl; ctest sets it."""
import base64
import hashlib
import hmac
import http.client
import importlib.util
import json
import os
import pathlib
import shutil
import signal
import socket
import socketserver
import subprocess
import tempfile
import threading
import time
import unittest

from stores import SqliteFile, new_store

BIN = pathlib.Path(os.environ.get("OUTBOXD_BIN", pathlib.Path(__file__).resolve().parents[2] / ".build/dev/daemon"))
# A sanitized daemon is slower; nothing waits longer than it must.
PATIENCE = float(os.environ.get("OUTBOXD_PATIENCE", "20"))
# By which sanitizer, "" if none: it keeps what was freed, so that memory says nothing.
SANITIZED = os.environ.get("OUTBOXD_SANITIZED", "")


def wait_until(condition, what, patience=PATIENCE):
    """Returns the condition's first true value; fails the test when there is none in time."""
    deadline = time.monotonic() + patience
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {patience:g} s in vain: {what}")
        time.sleep(0.005)


def needs_package(name):
    """For tests that use a package which Debian does not have. scripts/test installs it where it can; where it cannot, it
    counts the uses of this."""
    return unittest.skipUnless(importlib.util.find_spec(name), f"the Python package {name} is not installed: scripts/test does it")


# Where scripts/test puts packages of npm.
NODE_PACKAGES = pathlib.Path(__file__).resolve().parents[2] / ".build/node"


def needs_node_packages(*names):
    """As needs_package(), of npm."""
    missing = [name for name in names if not (NODE_PACKAGES / "node_modules" / name).is_dir()]
    return unittest.skipIf(missing or not shutil.which("node"), "Node or its packages are not installed: scripts/test does it: " + ", ".join(names))


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout=PATIENCE):
        super().__init__("localhost", timeout=timeout)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.body[:500]!r}"


class Request:
    """One request as a receiver received it."""

    def __init__(self, path, headers, body):
        self.path = path
        self.headers = {name.lower(): value for name, value in headers}
        self.body = body
        self.at = time.time()

    @property
    def id(self):
        return self.headers["webhook-id"]

    def signed_with(self, secret):
        """Does it carry a v1 signature by this secret? Computed here, independently of outboxd's code."""
        key = base64.b64decode(secret.removeprefix("whsec_"))
        content = b".".join([self.id.encode(), self.headers["webhook-timestamp"].encode(), self.body])
        expected = "v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
        return expected in self.headers["webhook-signature"].split(" ")


class Receiver:
    """An HTTP/1.1 receiver with keep-alive. `answer(request)` returns a status, (status, headers) or (status, headers, body)."""

    def __init__(self, answer=lambda request: 200, host="127.0.0.1"):
        self.answer = answer
        self.requests = []
        self.lock = threading.Lock()
        receiver = self

        class Handler(socketserver.StreamRequestHandler):
            disable_nagle_algorithm = True
            wbufsize = -1

            def handle(self):
                while self.serve_one():
                    pass

            def serve_one(self):
                try:
                    line = self.rfile.readline()
                    if not line:
                        return False
                    headers = []
                    while (field := self.rfile.readline().rstrip(b"\r\n")):
                        name, _, value = field.decode("latin-1").partition(":")
                        headers.append((name, value.strip()))
                    length = int(dict((n.lower(), v) for n, v in headers).get("content-length", 0))
                    request = Request(line.split()[1].decode(), headers, self.rfile.read(length))
                    with receiver.lock:
                        receiver.requests.append(request)
                    answer = receiver.answer(request)
                    status, extra, body = (answer if isinstance(answer, tuple) else (answer,)) + ({}, b"")[
                        0 if not isinstance(answer, tuple) else len(answer) - 1:]
                    head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n"
                    head += "".join(f"{n}: {v}\r\n" for n, v in extra.items())
                    self.wfile.write(head.encode() + b"\r\n" + body)
                    self.wfile.flush()
                    return True
                except OSError:
                    return False

            def finish(self):
                try:
                    super().finish()
                except OSError:
                    pass  # who asked has enough of a long answer

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True
            request_queue_size = 512

        self.server = Server((host, 0), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://{host}:{self.port}/hook"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def ids(self):
        with self.lock:
            return [r.id for r in self.requests]

    def wait_for(self, count, patience=PATIENCE):
        wait_until(lambda: len(self.requests) >= count, f"{count} requests at the receiver, {len(self.requests)} came", patience)
        with self.lock:
            return list(self.requests)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Daemon:
    """outboxd on a database of its own, which stays while the daemon is stopped and started at will."""

    def __init__(self, folder, settings=(), store=None):
        """`store`: another one's URL, instead of a store of its own."""
        self.folder = pathlib.Path(folder)
        self.ingest = self.folder / "ingest.sock"
        self.admin = self.folder / "admin.sock"
        self.log_file = self.folder / "outboxd.log"
        self.config = self.folder / "outboxd.toml"
        self.settings = list(settings)
        self.store = None if store else new_store(self.folder, BIN / "outboxd")
        self.config.write_text(f"""
[store]
url = "{store or self.store.url}"
[listen]
ingest_socket = "{self.ingest}"
ingest_group = ""
admin_socket = "{self.admin}"
admin_group = ""
tcp = "127.0.0.1:0"
[policy]
allow_http = true
allow_networks = ["127.0.0.0/8"]
ports = []
[retention]
free_disk = "1MiB"
[log]
level = "info"
format = "logfmt"
""")
        self.process = None

    def command(self):
        return [str(BIN / "outboxd"), "--config", str(self.config)] + [f"--set={s}" for s in self.settings]

    def start_early(self):
        """Without waiting for it, because it may have to wait itself."""
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(self.command(), stderr=log, stdout=log)

    def start(self):
        self.start_early()
        wait_until(self.ready_or_dead, "outboxd answers")
        if self.process.poll() is not None:
            raise AssertionError(f"outboxd ended with {self.process.returncode}: {self.log()}")
        return self

    def ready_or_dead(self):
        if self.process.poll() is not None:
            return True
        try:
            return self.get("/readyz").status == 200
        except OSError:
            return False

    @property
    def tcp_port(self):
        """The TCP port since the last start, taken from the listeners in the status."""
        tcp = [name for name in self.get("/v1/status").json["listeners"] if name.startswith("127.0.0.1:")]
        return int(tcp[0].rsplit(":", 1)[1])

    def log(self):
        return self.log_file.read_text(errors="replace")

    def wait_for_log(self, text):
        """A running daemon's log is written by a thread of its own: a line may come after the answer that it belongs to."""
        wait_until(lambda: text in self.log(), f"the log says {text!r}")

    def call(self, method, path, body=None, headers=None, socket_path=None, timeout=PATIENCE):
        connection = UnixConnection(socket_path or self.admin, timeout)
        headers = dict(headers or {})
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
            body = body.encode() if isinstance(body, str) else body
        try:
            connection.request(method, path, body, headers)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def get(self, path):
        return self.call("GET", path)

    def post(self, path, body=None, headers=None):
        return self.call("POST", path, body, headers)

    def endpoint(self, url, **fields):
        answer = self.post("/v1/endpoints", {"url": url, **fields})
        assert answer.status == 201, answer
        return answer.json

    def event(self, type="order.paid", payload="{}", **fields):
        """Posts one event with exactly this text as its payload; returns the answer's JSON."""
        extra = "".join(f", {json.dumps(k)}: {json.dumps(v)}" for k, v in fields.items())
        answer = self.post("/v1/events", f'{{"type": {json.dumps(type)}, "payload": {payload}{extra}}}')
        assert answer.status in (200, 202), answer
        return answer.json

    def deliveries(self, query=""):
        rows, cursor = [], ""
        while True:
            page = self.get(f"/v1/deliveries?limit=250{query}{cursor}").json
            rows += page["data"]
            if page["next_cursor"] is None:
                return rows
            cursor = "&cursor=" + page["next_cursor"]

    def wait_for_state(self, state, count, patience=PATIENCE):
        return wait_until(lambda: (rows := self.deliveries(f"&state={state}")) and len(rows) >= count and rows,
                          f"{count} deliveries in state {state}", patience)

    def ctl(self, *arguments, stdin=None):
        return subprocess.run([str(BIN / "outboxctl"), "--socket", str(self.admin), *arguments], input=stdin,
                              capture_output=True, timeout=PATIENCE * 3, check=False)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self, patience=PATIENCE):
        """Sends SIGTERM, waits, and returns the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(patience)

    @property
    def database(self):
        """The file, for what only the store over SQLite has."""
        assert isinstance(self.store, SqliteFile), "this store is no file"
        return self.store.path

    def integrity(self):
        return self.store.integrity()

    def sql(self, script):
        return self.store.sql(script)


class EndToEndTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="outboxd-e2e."))
        self.daemons = []
        self.addCleanup(shutil.rmtree, self.folder)
        self.addCleanup(self.end_daemons)

    def end_daemons(self):
        for daemon in self.daemons:
            if daemon.process and daemon.process.poll() is None:
                daemon.kill()
            log = daemon.log() if daemon.log_file.exists() else ""
            # A sanitizer's report would otherwise go unseen: the daemon is a process of its own.
            self.assertNotIn("Sanitizer", log, log)
            self.assertNotIn("runtime error:", log, log)

    def daemon(self, *settings, name=None, store=None):
        """Of several daemons each has a name, and a folder of its own by it."""
        folder = self.folder / name if name else self.folder
        folder.mkdir(exist_ok=True)
        daemon = Daemon(folder, settings, store)
        self.daemons.append(daemon)
        return daemon

    def receiver(self, answer=lambda request: 200):
        receiver = Receiver(answer)
        self.addCleanup(receiver.close)
        return receiver
