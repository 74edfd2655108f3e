"""What the API's security tests stand on: raw connections, and a witness that says whether anything was stored."""
import fcntl
import os
import pathlib
import pty
import re
import select
import socket
import sqlite3
import struct
import subprocess
import sys
import termios
import time
import unicodedata
from typing import NamedTuple

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))
from harness import BIN, PATIENCE, Daemon, EndToEndTest, Receiver, wait_until  # noqa: E402,F401

TABLES = ("event", "endpoint", "delivery", "attempt", "idempotency", "outbox", "fan_out", "batch")


class RawAnswer(NamedTuple):
    status: int
    headers: dict  # names in small letters
    body: bytes


def read_answers(stream):
    """All answers in a stream of bytes; whatever is no answer, or one too short, fails."""
    answers = []
    while stream:
        head, blank, rest = stream.partition(b"\r\n\r\n")
        if not blank:
            raise AssertionError(f"no answer: {stream[:200]!r}")
        first, *lines = head.split(b"\r\n")
        version, status, _ = first.split(b" ", 2)
        if version != b"HTTP/1.1":
            raise AssertionError(f"no answer: {first!r}")
        headers = {}
        for line in lines:
            name, colon, value = line.partition(b": ")
            if not colon or name.lower().decode() in headers:
                raise AssertionError(f"no header, or a second one: {line!r}")
            headers[name.lower().decode()] = value.decode()
        size = int(headers.get("content-length", 0))
        if len(rest) < size:
            raise AssertionError(f"{len(rest)} bytes of {size}")
        answers.append(RawAnswer(int(status), headers, rest[:size]))
        stream = rest[size:]
    return answers


def connect(address):
    """`address`: a port of 127.0.0.1, or the path of a Unix socket."""
    if isinstance(address, int):
        return socket.create_connection(("127.0.0.1", address), PATIENCE)
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(PATIENCE)
    sock.connect(str(address))
    return sock


def send_all(sock, data):
    """As much as the other side takes: it may have closed."""
    try:
        sock.sendall(data)
    except (BrokenPipeError, ConnectionResetError):
        pass


def read_to_end(sock):
    """Everything until the other side closes; a timeout is an error, for it should have."""
    data = b""
    while True:
        try:
            chunk = sock.recv(65536)
        except ConnectionResetError:
            return data
        if not chunk:
            return data
        data += chunk


def converse(address, sent, ends=False, then=b""):
    """Sends, reads all answers until the close, then tries the connection once more with `then`."""
    with connect(address) as sock:
        send_all(sock, sent)
        if ends:
            sock.shutdown(socket.SHUT_WR)
        answers = read_to_end(sock)
        if not ends:
            send_all(sock, then)
    return read_answers(answers)


class Witness:
    """Reads the daemon's database on the side: what is in it, row for row."""

    def __init__(self, database):
        self.connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)

    def rows(self):
        return {table: self.connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in TABLES}

    def count(self, table, where="1"):
        return self.connection.execute(f"SELECT count(*) FROM {table} WHERE {where}").fetchone()[0]

    def close(self):
        self.connection.close()


BIDI = {0x061c, 0x200e, 0x200f, *range(0x202a, 0x202f), *range(0x2066, 0x206a)}
OWN_COLOURS = re.compile(r"\x1b\[(?:0|2|31|32|33)m")


def what_a_terminal_obeys(output, terminal):
    """The characters in a program's output that do more than show; its own colours are allowed on a terminal."""
    text = output.decode()  # what is no UTF-8 may be C1 bytes
    if terminal:
        text = OWN_COLOURS.sub("", text).replace("\r\n", "\n")
    return [hex(ord(c)) for c in text if c != "\n" and (unicodedata.category(c) in ("Cc", "Zl", "Zp") or ord(c) in BIDI)]


def run_on_terminal(command, until=None, columns=200):
    """Runs it on a terminal of its own, so wide; what it wrote there. `until`: it never ends, so end it when this is in the output."""
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    with subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal, env={**os.environ, "TERM": "xterm-256color"}) as process:
        os.close(terminal)
        output = b""
        deadline = time.monotonic() + PATIENCE
        try:
            while select.select([controller], [], [], max(0, deadline - time.monotonic()))[0] and (chunk := os.read(controller, 65536)):
                output += chunk
                if until and until in output:
                    process.terminate()
            if time.monotonic() >= deadline:
                raise AssertionError(f"{' '.join(command)} has not ended after {PATIENCE} s; the last it showed: {output[-500:]}")
        except OSError:  # EIO: nobody has the other side open any more
            pass
        finally:
            os.close(controller)
            process.kill()
    return output
