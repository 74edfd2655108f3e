"""What a hostile subscriber sends back: (name, status, headers, body). A terminal, a browser or a JSON reader that took it as it is would obey."""
import json

ESC = b"\x1b"
BEL = b"\x07"

BODIES = [
    ("a window's title", ESC + b"]0;owned" + BEL, "CVE-2003-0063 (xterm)"),
    ("OSC 52, the clipboard", ESC + b"]52;c;cm0gLXJmIH4K" + BEL, "xterm, ctlseqs: OSC 52"),
    ("OSC 8, a link", ESC + b"]8;;http://evil.example" + ESC + b"\\click" + ESC + b"]8;;" + ESC + b"\\", "OSC 8 hyperlinks"),
    ("OSC 1337, a file", ESC + b"]1337;File=name=YQ==;inline=1:AAAA" + BEL, "iTerm2"),
    ("a title that is answered", ESC + b"[21t", "CVE-2003-0063 (xterm)"),
    ("device attributes that are answered", ESC + b"[c" + ESC + b"[0c" + ESC + b"[6n", "answers become input"),
    ("DECRQSS", ESC + b"P$q\nid\n" + ESC + b"\\", "CVE-2008-2383 (xterm)"),
    ("a screen cleared", ESC + b"[2J" + ESC + b"[H" + ESC + b"c", "ECMA-48"),
    ("lines erased", b"\r" + ESC + b"[K" + ESC + b"[1A" + ESC + b"[2Kall good", "hides what was there"),
    ("colours", ESC + b"[30;40mhidden" + ESC + b"[0m", "ECMA-48"),
    ("carriage returns", b"200 OK\r404", "overwrites"),
    ("backspaces", b"500\b\b\b200", "overwrites"),
    ("C1 as UTF-8", "\u009b2J\u009d0;owned\u009c\u0090".encode(), "ECMA-48: 8-bit controls"),
    ("C1 as bytes", b"\x9b2J\x9d0;owned\x9c", "ECMA-48: 8-bit controls"),
    ("bidirectional overrides", "\u202edelreviled\u202c \u2066\u2067\u2068\u2069\u200f\u200e\u061c".encode(), "Trojan Source, 2021"),
    ("line separators", "a\u2028b\u2029c\u0085d".encode(), "Unicode 5.8"),
    ("NUL and its like", bytes(range(32)) + b"\x7f", "C strings"),
    ("no UTF-8", b"\xff\xfe\xc0\xaf\xed\xa0\x80\xf4\x90\x80\x80\x80", "RFC 3629"),
    ("UTF-8 cut at 4 KiB", b"a" * 4095 + "\u20ac".encode(), "what is stored ends within a character"),
    ("an escape cut at 4 KiB", b"a" * 4094 + ESC + b"]0;", "what is stored ends within a sequence"),
    ("HTML", b"<script>alert(1)</script><img src=x onerror=alert(1)>", "stored cross-site scripting"),
    ("JSON that closes a string", b'"}],"state":"delivered","x":"', "JSON injection"),
    ("a log line", b"\ntime=2026-01-01T00:00:00Z level=error msg=forged", "log injection: CWE-117"),
    ("format directives", b"%s%s%n%x %1$n", "CWE-134"),
    ("tags and variation selectors", "\U000e0041\U000e0042\ufe0f".encode(), "invisible text"),
    ("a megabyte", ESC * (1 << 20), "[limits]"),
]

HEADERS = [
    ("an escape", b"X-Evil: " + ESC + b"]0;owned" + BEL), ("C1", b"X-Evil: \x9b2J"), ("no UTF-8", b"X-\xff: \xfe"),
    ("a bare CR", b"X-Evil: a\rb"), ("an escape in the name", b"X" + ESC + b"[2J: a"),
    ("bidirectional overrides", "X-Evil: \u202e".encode()), ("60 KB", b"X-Evil: " + b"a" * 60_000),
    ("500 of them", b"\r\n".join(b"X-%d: a" % i for i in range(500))), ("HTML", b"X-Evil: <script>"), ("JSON", b'X-Evil: "}]'),
    ("the same ten times", b"\r\n".join([b"Set-Cookie: a=b"] * 10)), ("__proto__", b"__proto__: a"), ("no name", b": a"),
    ("no colon", b"X-Evil"), ("folded", b"X-Evil: a\r\n b"),
]

REASONS = [
    ("an escape", b"HTTP/1.1 500 " + ESC + b"]0;owned" + BEL), ("no UTF-8", b"HTTP/1.1 500 \xff\xfe"),
    ("a bare CR", b"HTTP/1.1 500 a\rb"), ("garbage", ESC + b"[2J\xff\x00 garbage"), ("60 KB", b"HTTP/1.1 500 " + b"a" * 60_000),
]


def answers():
    """(name, the bytes of a whole answer with status 500)"""
    for name, body, source in BODIES:
        yield f"body: {name} ({source})", b"HTTP/1.1 500 X\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body
    for name, lines in HEADERS:
        yield f"headers: {name}", b"HTTP/1.1 500 X\r\n" + lines + b"\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"
    for name, line in REASONS:
        yield f"status line: {name}", line + b"\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"


# What a daemon that is none answers outboxctl: (name, status, body).
EVIL = "\x1b]0;owned\x07\u009b2J\u202e\u2028\r\n\x00"
FIELDS = ("id type tenant state reason error url name endpoint event created_at finished_at due_at status version started_at"
          " disabled_reason hint secret kind public_key outcome request_line remote_address response_body content_type title detail pointer"
          " schema_version last_error").split()
ROW = {name: EVIL for name in FIELDS}
ATTEMPT = {**ROW, "number": EVIL, "timings": {"total_ms": EVIL}, "response_headers": {EVIL: EVIL}}
OBJECT = {**ROW, EVIL: EVIL, "metadata": {EVIL: [EVIL]}, "attempts": EVIL, "headers": {EVIL: EVIL}, "types": [EVIL], "store": ROW,
          "listeners": [EVIL], "attempt_list": [ATTEMPT], "attempt": ROW, "deliveries": [ROW], "worst_endpoints": [ROW],
          "endpoints": {EVIL: EVIL}, "errors": [{"pointer": EVIL, "detail": EVIL}], "next_cursor": None}
DAEMONS = [
    ("every text hostile", 200, json.dumps({**OBJECT, "data": [OBJECT, ROW]})),
    ("a hostile problem", 422, json.dumps({"title": EVIL, "detail": EVIL, "errors": [{"pointer": EVIL, "detail": EVIL}]})),
    ("a problem that is no JSON", 500, EVIL), ("no JSON", 200, EVIL), ("nothing", 200, ""), ("null", 200, "null"),
    ("a list", 200, "[]"), ("a huge number", 200, "1e999"),
    ("rows of other types", 200, '{"data":[1,null,"x",[],{}],"next_cursor":1}'),
    ("data of another type", 200, '{"data":{"a":1},"next_cursor":[1]}'),
    ("numbers out of range", 200,
     '{"store":{"database_bytes":-1,"wal_bytes":1e300},"deliveries":{"pending":-5,"dead":1180591620717411303424},"events":-1}'),
    ("100,000 levels", 200, '{"data":[' + '{"id":' * 100_000 + "1" + "}" * 100_000 + '],"next_cursor":null}'),
]
