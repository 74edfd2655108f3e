"""What a case of the API's corpora is, and the requests that they are made of."""
from typing import NamedTuple


class Case(NamedTuple):
    """Bytes on one connection, and all that may come back on it."""
    name: str
    sent: bytes
    answers: tuple  # the statuses, in order; then the connection is closed
    source: str
    stored: int = 0  # events
    ends: bool = False  # does the client end its sending? If not, it has to be the daemon that closes.


def event(type):
    return b'{"type":"%s","payload":1}' % type.encode()


def request(lines=b"", body=b"", method=b"POST", target=b"/v1/events", version=b"HTTP/1.1", host=b"Host: localhost\r\n"):
    return method + b" " + target + b" " + version + b"\r\n" + host + b"Content-Type: application/json\r\n" + lines + b"\r\n" + body


def length(body):
    return b"Content-Length: %d\r\n" % len(body)


def chunks(*bodies):
    return b"".join(b"%x\r\n%s\r\n" % (len(body), body) for body in bodies) + b"0\r\n\r\n"


CHUNKED = b"Transfer-Encoding: chunked\r\n"
EVENT = event("corpus.carrier")  # what a case's own request holds: seen in the store if the daemon took it after all
SMUGGLED = event("corpus.smuggled")
HIDDEN = request(length(SMUGGLED), SMUGGLED)  # well-formed: takes effect wherever a parser begins to read at its first byte
