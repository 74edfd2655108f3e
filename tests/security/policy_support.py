"""What the tests of the address policy stand on: the corpus, a name server, listeners that see whatever is sent, a daemon whose policy changes."""
import collections
import ipaddress
import json
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import sys
import threading

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[0] / "e2e"))
from harness import Daemon, EndToEndTest, Receiver, wait_until  # noqa: E402,F401

ALLOW_ALL = {"allow_http": True, "allow_networks": ["0.0.0.0/0", "::/0"], "ports": []}
ALLOW_LOOPBACK = {"allow_http": True, "allow_networks": ["127.0.0.1/32"], "ports": []}
DEFAULT = {}
DEFAULT_WITH_HTTP = {"allow_http": True}
PUBLIC = "93.184.216.34"

IN_NAMESPACE = os.environ.get("OUTBOXD_ANYIP") == "yes"


def enter_namespace():
    """Starts this program again in a network namespace where every address is the machine's own: no packet leaves it, and a listener there
    sees every connection, wherever it was meant to go. Where the machine has no such thing, returns."""
    if IN_NAMESPACE or os.environ.get("OUTBOXD_ANYIP") == "no":
        return
    every_address = "ip link set lo up && ip route add local 0.0.0.0/0 dev lo && ip -6 route add local ::/0 dev lo"
    unshare = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-rn"]
    try:
        if subprocess.run([*unshare, "sh", "-c", every_address], capture_output=True, check=False).returncode != 0:
            return
    except OSError:
        return
    os.environ["OUTBOXD_ANYIP"] = "yes"
    os.execvp("unshare", [*unshare, "sh", "-c", every_address + ' && exec "$0" "$@"', sys.executable, *sys.argv])


class Row:
    def __init__(self, line):
        self.kind, text, self.verdict, self.source = line.split("\t")
        self.input = json.loads(f'"{text}"')

    def __repr__(self):
        return f"{self.kind} {self.input!r} ({self.verdict}: {self.source})"

    @property
    def url(self):
        """Of a row of addresses.tsv."""
        return f"https://[{self.input}]/" if ":" in self.input else f"https://{self.input}/"

    @property
    def answer(self):
        """Of a row of dns.tsv: the name, its aliases, and its addresses or a word."""
        name, *aliases, found = self.input.split(" > ")
        return name, aliases, found.split(" ")


def corpus(name):
    lines = (HERE / "corpus" / name).read_text().splitlines()
    return [Row(line) for line in lines if line and not line.startswith("#")]


def corpus_urls():
    """(URL, row) of urls.tsv and addresses.tsv."""
    return [(row.input, row) for row in corpus("urls.tsv")] + [(row.url, row) for row in corpus("addresses.tsv")]


class NameServer:
    """Answers A and AAAA over UDP from a table that may change at any time, with a TTL of zero: addresses, or none, nxdomain, servfail, silent.
    `default`: the addresses of every other name."""

    TYPES = {1: socket.AF_INET, 28: socket.AF_INET6}
    CODES = {"none": 0, "servfail": 2, "nxdomain": 3}

    def __init__(self, default=None):
        self.default = default
        self.table = {}
        self.queries = collections.Counter()
        self.stopping = False
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.servers = f"127.0.0.1:{self.socket.getsockname()[1]}"
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def set(self, name, *addresses, aliases=()):
        self.table[name] = (list(aliases), list(addresses))

    def close(self):
        self.stopping = True
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", self.socket.getsockname())
        self.thread.join()
        self.socket.close()

    def serve(self):
        while True:
            query, peer = self.socket.recvfrom(4096)
            if self.stopping:
                return
            if reply := self.answer(query):
                self.socket.sendto(reply, peer)

    @staticmethod
    def wire(name):
        return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"

    def answer(self, query):
        at, labels = 12, []
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode().lower())
            at += 1 + query[at]
        name, end = ".".join(labels), at + 5
        kind, = struct.unpack("!H", query[at + 1:at + 3])
        self.queries[name] += 1
        aliases, found = self.table.get(name, ([], self.default or ["nxdomain"]))
        if found == ["silent"]:
            return None
        code = self.CODES.get(found[0], 0)
        records, owner = [], name
        for alias in aliases:
            records.append((owner, 5, self.wire(alias)))
            owner = alias
        for address in () if found[0] in self.CODES else found:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            if self.TYPES.get(kind) == family:
                records.append((owner, kind, socket.inet_pton(family, address)))
        question = b"\xc0\x0c"  # compressed: a long name would not fit an answer of 512 bytes twice
        body = b"".join((question if o == name else self.wire(o)) + struct.pack("!HHIH", k, 1, 0, len(data)) + data for o, k, data in records)
        return query[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(records), 0, 0) + query[12:end] + body


class Catcher:
    """Accepts every connection to a port of this machine, notes the address that it was meant for, and hangs up."""

    def __init__(self, *ports):
        self.caught = []
        self.sockets = [self.listen(port) for port in ports or (0,)]
        self.port = self.sockets[0].getsockname()[1]
        for listener in self.sockets:
            threading.Thread(target=self.serve, args=(listener,), daemon=True).start()

    @staticmethod
    def listen(port):
        both = socket.has_dualstack_ipv6()
        return socket.create_server(("", port), family=socket.AF_INET6 if both else socket.AF_INET, backlog=1024, dualstack_ipv6=both)

    def serve(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            address = ipaddress.ip_address(connection.getsockname()[0].split("%")[0])
            self.caught.append(str(getattr(address, "ipv4_mapped", None) or address))
            connection.close()

    def close(self):
        for listener in self.sockets:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()


class Proxy:
    """An egress proxy that notes whom it is asked for and refuses."""

    def __init__(self):
        self.asked = []
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                head = b""
                while b"\r\n\r\n" not in head and (part := connection.recv(4096)):
                    head += part
                if head:
                    self.asked.append(head.split()[1].decode())
                    connection.sendall(b"HTTP/1.1 502 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class Subscriber(Receiver):
    """A receiver that knows its connections. `tls`: a server's context for them."""

    def __init__(self, answer=lambda request: 200, tls=None):
        super().__init__(answer)
        self.connections = 0
        self.open = 0
        accept, end = self.server.get_request, self.server.shutdown_request

        def get_request():
            connection, peer = accept()
            self.connections += 1
            self.open += 1
            # Shakes hands at its first byte, in the connection's own thread.
            return (tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False) if tls else connection), peer

        def shutdown_request(request):
            self.open -= 1
            end(request)

        self.server.get_request, self.server.shutdown_request = get_request, shutdown_request
        self.server.handle_error = lambda *_: None  # who speaks TLS where none is spoken is no error of ours


class PolicyDaemon(Daemon):
    """A daemon with one attempt for each delivery. `environment`: what is added to its environment."""

    def __init__(self, folder, policy, settings=(), environment=None):
        super().__init__(folder, ["delivery.retry_schedule=0s", *settings])
        self.environment = environment or {}
        self.policy(policy)

    def command(self):
        return ["env", *(f"{name}={value}" for name, value in self.environment.items()), *super().command()]

    def policy(self, keys):
        """Writes this [policy] to the configuration file: it holds from the next start or reload."""
        section = "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())
        text = re.sub(r"\[policy\].*?(?=\n\[)", lambda _: "[policy]\n" + section, self.config.read_text(), flags=re.S)
        self.config.write_text(text)

    def reload(self, keys):
        self.policy(keys)
        before = self.log().count('"reloaded')
        self.process.send_signal(signal.SIGHUP)
        wait_until(lambda: self.log().count('"reloaded') > before, "the configuration is reloaded")

    def restart(self, keys):
        assert self.stop() == 0
        self.policy(keys)
        self.start()

    def attempts(self, delivery):
        return self.get(f"/v1/deliveries/{delivery['id']}").json["attempt_list"]

    def ended(self, event, count=1):
        """The event's deliveries, once all `count` have ended."""
        def look():
            rows = self.deliveries(f"&event={event['id']}")
            return len(rows) == count and all(row["state"] in ("dead", "delivered") for row in rows) and rows
        return wait_until(look, f"{count} deliveries of {event['id']} have ended")
