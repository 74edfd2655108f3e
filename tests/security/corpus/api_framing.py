"""Requests that two parsers may frame differently, or that are too much. Where the daemon takes one (`stored`, 2xx), every parser must.

A case's own request would store an event too, so that a lenient reading of it is seen, wherever the hidden one is looked for."""
from corpus.api_case import CHUNKED, EVENT, HIDDEN, Case, chunks, event, length, request

L = length(EVENT)
N = len(EVENT)
KETTLE_2019 = 'Kettle, "HTTP Desync Attacks", 2019'
KETTLE_2022 = 'Kettle, "Browser-Powered Desync Attacks", 2022'
KETTLE_2025 = 'Kettle, "HTTP/1.1 must die", 2025'
FUNKY = 'Weikop, "Funky chunks", 2025'
MIB = 1 << 20


def with_length(value, more=b""):
    return request(b"Content-Length:" + value + b"\r\n" + more, EVENT + HIDDEN)


def chunked(body, more=b""):
    return request(CHUNKED + more, body)


def carried(size_line, end=b"\r\n", last=b"0\r\n\r\n"):
    """A chunked body of the one event, its first framing line as given."""
    return chunked(size_line + EVENT + end + last + HIDDEN)


CONTENT_LENGTH = [
    Case("two that differ", request(L + b"Content-Length: 4\r\n", EVENT + HIDDEN), (400,), "RFC 9112 6.3; CVE-2020-10108 (Twisted)"),
    Case("two that agree", request(L + L, EVENT + HIDDEN), (400,), "RFC 9112 6.3"),
    Case("two, one in capitals", request(L + L.upper(), EVENT + HIDDEN), (400,), "RFC 9112 6.3"),
    Case("a list of equal ones", with_length(b" %d, %d" % (N, N)), (400,), "RFC 9110 8.6"),
    Case("a list of different ones", with_length(b" %d,4" % N), (400,), "RFC 9110 8.6"),
    Case("negative", with_length(b" -1"), (400,), "RFC 9110 8.6"),
    Case("with a plus", with_length(b" +%d" % N), (400,), "CVE-2022-24801 (Twisted)"),
    Case("hexadecimal", with_length(b" 0x%x" % N), (400,), "RFC 9110 8.6"),
    Case("hexadecimal without prefix", with_length(b" %xh" % N), (400,), "RFC 9110 8.6"),
    Case("octal, by its prefix", with_length(b" 0o%o" % N), (400,), "RFC 9110 8.6"),
    Case("a fraction", with_length(b" %d.0" % N), (400,), "RFC 9110 8.6"),
    Case("an exponent", with_length(b" 2e1"), (400,), "RFC 9110 8.6"),
    Case("an underscore between digits", with_length(b" 2_6"), (400,), "Python's int() takes it"),
    Case("a space between digits", with_length(b" 2 6"), (400,), "CVE-2018-7159 (Node.js)"),
    Case("followed by a word", with_length(b" %d bytes" % N), (400,), "RFC 9110 8.6"),
    Case("in quotes", with_length(b' "%d"' % N), (400,), "RFC 9110 8.6"),
    Case("empty", with_length(b""), (400,), "CVE-2023-40225 (HAProxy)"),
    Case("only a space", with_length(b" "), (400,), "CVE-2023-40225 (HAProxy)"),
    Case("2^64 and this body", with_length(b" %d" % (2**64 + N)), (413,), "integer overflow"),
    Case("2^63", with_length(b" %d" % 2**63), (413,), "integer overflow"),
    Case("2^32 and this body", with_length(b" %d" % (2**32 + N)), (413,), "integer overflow"),
    Case("4,000 zeros before it", with_length(b" " + b"0" * 4000 + b"%d" % N), (413,), "integer overflow"),
    Case("full-width digits", with_length(" １６".encode()), (400,), "RFC 9110 8.6"),
    Case("a vertical tab before it", with_length(b" \x0b%d" % N), (400,), KETTLE_2019),
    Case("a form feed behind it", with_length(b" %d\x0c" % N), (400,), KETTLE_2019),
    Case("a NUL behind it", with_length(b" %d\x00" % N), (400,), KETTLE_2019),
    Case("a space before the colon", request(b"Content-Length : %d\r\n" % N, EVENT + HIDDEN), (400,), "RFC 9112 5.1; CVE-2019-16276 (Go)"),
    Case("a tab before the colon", request(b"Content-Length\t: %d\r\n" % N, EVENT + HIDDEN), (400,), "RFC 9112 5.1"),
    Case("a NUL in its name", request(b"Content-\x00Length: %d\r\n" % N, EVENT + HIDDEN), (400,), "RFC 9110 5.1"),
    Case("a soft hyphen in its name", request("Content-Len\u00adgth: 5\r\n".encode(), EVENT + HIDDEN), (400,), "RFC 9110 5.1"),
    Case("no colon", request(b"Content-Length %d\r\n" % N, EVENT + HIDDEN), (400,), "CVE-2019-20444 (Netty)"),
    Case("larger than the limit", request(b"Content-Length: %d\r\n" % (16 * MIB + 1), HIDDEN), (413,), "[limits] request_bytes"),
    Case("longer than what comes", request(b"Content-Length: %d\r\n" % (N + 1), EVENT), (400,), "RFC 9112 8", ends=True),
    Case("an underscore in its name", request(L.replace(b"-", b"_"), EVENT), (400, 400), "no body then; CGI gateways take it"),
    Case("a name that only begins like it", request(b"Content-Length0" + b"a" * 260 + b":\r\n", EVENT), (400, 400),
         "CVE-2021-40346 (HAProxy)"),
]

TE_SMUGGLE = chunks() + HIDDEN  # to whom goes by the coding, an empty body and a second request


def encoding(lines, lengths=None):
    """Both framings, the coding disguised: who misses it reads the length, who sees it the chunks."""
    return request(lines + (length(TE_SMUGGLE) if lengths is None else lengths), TE_SMUGGLE)


TRANSFER_ENCODING = [
    Case("CL.TE", request(length(TE_SMUGGLE) + CHUNKED, TE_SMUGGLE), (400,), "RFC 9112 6.1, 11.2; " + KETTLE_2019),
    Case("TE.CL", request(CHUNKED + b"Content-Length: 4\r\n", chunks(HIDDEN)), (400,), "RFC 9112 6.1, 11.2; " + KETTLE_2019),
    Case("CL.TE with length 0", request(b"Content-Length: 0\r\n" + CHUNKED, chunks(EVENT)), (400,), "RFC 9112 6.1"),
    Case("TE.TE: twice, the second unknown", encoding(CHUNKED + b"Transfer-Encoding: x\r\n"), (400,), KETTLE_2019),
    Case("TE.TE: twice, the first unknown", encoding(b"Transfer-Encoding: x\r\n" + CHUNKED), (400,), KETTLE_2019),
    Case("twice chunked", request(CHUNKED + CHUNKED, TE_SMUGGLE), (400,), "RFC 9112 6.1; CVE-2020-8287 (Node.js)"),
    Case("chunked, chunked", request(b"Transfer-Encoding: chunked, chunked\r\n", TE_SMUGGLE), (400,), "RFC 9112 6.1"),
    Case("chunked, identity", encoding(b"Transfer-Encoding: chunked, identity\r\n"), (400,), "RFC 9112 6.3"),
    Case("identity, chunked", encoding(b"Transfer-Encoding: identity, chunked\r\n"), (400,), "RFC 9112 7"),
    Case("identity", encoding(b"Transfer-Encoding: identity\r\n"), (400,), "RFC 9112 7: gone since RFC 7230"),
    Case("identity without a length", request(b"Transfer-Encoding: identity\r\n", EVENT), (400,), "RFC 9112 6.3"),
    Case("gzip, chunked", encoding(b"Transfer-Encoding: gzip, chunked\r\n"), (400,), "RFC 9112 6.1"),
    Case("chunked, then gzip", encoding(b"Transfer-Encoding: chunked, gzip\r\n"), (400,), "RFC 9112 6.3"),
    Case("xchunked", encoding(b"Transfer-Encoding: xchunked\r\n"), (400,), KETTLE_2019),
    Case("chunkedx", encoding(b"Transfer-Encoding: chunkedx\r\n"), (400,), KETTLE_2019),
    Case("chunk", encoding(b"Transfer-Encoding: chunk\r\n"), (400,), KETTLE_2019),
    Case("chunked and a comma", encoding(b"Transfer-Encoding: chunked,\r\n", b""), (400,), "CVE-2022-32213 (Node.js)"),
    Case("a comma and chunked", encoding(b"Transfer-Encoding: ,chunked\r\n", b""), (400,), "RFC 9110 5.6.1"),
    Case("chunked in quotes", encoding(b'Transfer-Encoding: "chunked"\r\n'), (400,), KETTLE_2019),
    Case("chunked in single quotes", encoding(b"Transfer-Encoding: 'chunked'\r\n"), (400,), KETTLE_2019),
    Case("chunked with a parameter", encoding(b"Transfer-Encoding: chunked;q=1\r\n"), (400,), "RFC 9112 7"),
    Case("empty, with a length", encoding(b"Transfer-Encoding:\r\n"), (400,), "RFC 9112 7"),
    Case("empty, without", request(b"Transfer-Encoding: \r\n", TE_SMUGGLE), (400,), "RFC 9112 7"),
    Case("a vertical tab before chunked", encoding(b"Transfer-Encoding:\x0bchunked\r\n"), (400,), "CVE-2019-18277 (HAProxy)"),
    Case("a vertical tab behind chunked", encoding(b"Transfer-Encoding: chunked\x0b\r\n"), (400,), KETTLE_2019),
    Case("a NUL behind chunked", encoding(b"Transfer-Encoding: chunked\x00\r\n"), (400,), KETTLE_2019),
    Case("a no-break space before chunked", encoding(b"Transfer-Encoding: \xa0chunked\r\n"), (400,), KETTLE_2019),
    Case("chunKed with a Kelvin sign", encoding("Transfer-Encoding: chun\u212aed\r\n".encode()), (400,), "Unicode case folding"),
    Case("a tab before chunked, and a length", encoding(b"Transfer-Encoding:\tchunked\r\n"), (400,), KETTLE_2019),
    Case("capitals, and a length", encoding(b"TRANSFER-ENCODING: CHUNKED\r\n"), (400,), KETTLE_2019),
    Case("a space before the name", encoding(b" Transfer-Encoding: chunked\r\n"), (400,), KETTLE_2019),
    Case("a space before the colon", encoding(b"Transfer-Encoding : chunked\r\n"), (400,), KETTLE_2019 + "; CVE-2019-16869 (Netty)"),
    Case("a line feed before the colon", encoding(b"Transfer-Encoding\n: chunked\r\n"), (400,), KETTLE_2019),
    Case("behind a bare line feed", encoding(b"X: y\nTransfer-Encoding: chunked\r\n"), (400,), KETTLE_2019 + "; CVE-2022-32214 (Node.js)"),
    Case("behind a bare carriage return", encoding(b"X: y\rTransfer-Encoding: chunked\r\n"), (400,), "CVE-2023-30589 (Node.js)"),
    Case("behind a fold", encoding(b"X: y\r\n Transfer-Encoding: chunked\r\n"), (400,), "RFC 9112 5.2; " + KETTLE_2019),
    Case("its value folded", encoding(b"Transfer-Encoding:\r\n chunked\r\n"), (400,), "RFC 9112 5.2; CVE-2022-32215 (Node.js)"),
    Case("its value folded with a tab", encoding(b"Transfer-Encoding:\r\n\tchunked\r\n"), (400,), "RFC 9112 5.2"),
    Case("in HTTP/1.0", request(CHUNKED, TE_SMUGGLE, version=b"HTTP/1.0"), (400,), "RFC 9112 6.1"),
    Case("in HTTP/1.0 with a length", request(CHUNKED + length(TE_SMUGGLE), TE_SMUGGLE, version=b"HTTP/1.0"), (400,), "RFC 9112 6.1"),
    Case("behind an encoded line break", encoding(b"X: a%0d%0aTransfer-Encoding: chunked\r\n"), (400,), "HAZARDS: cpp-httplib decodes values"),
]

CHUNK = b"%x\r\n" % N
CHUNKS = [
    Case("size negative", carried(b"-1\r\n"), (400,), "RFC 9112 7.1"),
    Case("size with a plus", carried(b"+" + CHUNK), (400,), "CVE-2022-24801 (Twisted)"),
    Case("size with 0x", carried(b"0x" + CHUNK), (400,), "CVE-2022-24801 (Twisted)"),
    Case("size with an underscore", carried(b"1_9\r\n"), (400,), "Python's int() takes it"),
    Case("size empty", carried(b"\r\n"), (400,), "RFC 9112 7.1"),
    Case("size no number", carried(b"size\r\n"), (400,), "RFC 9112 7.1"),
    Case("size behind a space", carried(b" " + CHUNK), (400,), "RFC 9112 7.1"),
    Case("size before a space", carried(b"%x \r\n" % N), (400,), "RFC 9112 7.1"),
    Case("size before a space and an extension", carried(b"%x ;a\r\n" % N), (400,), "RFC 9112 7.1.1: bad whitespace"),
    Case("size before a NUL", carried(b"%x\x00\r\n" % N), (400,), "RFC 9112 7.1"),
    Case("size of 2^64 and the event", carried(b"%x\r\n" % (2**64 + N)), (400,), "CVE-2002-0392 (Apache), CVE-2013-2028 (nginx)"),
    Case("size of 2^63", carried(b"%x\r\n" % 2**63), (400,), "CVE-2013-2028 (nginx)"),
    Case("size of 2^60 - 1", carried(b"f" * 15 + b"\r\n"), (413,), "[limits] request_bytes"),
    Case("size of 2^32 and the event", carried(b"%x\r\n" % (2**32 + N)), (413,), "integer overflow"),
    Case("size behind 100 zeros", carried(b"0" * 100 + CHUNK), (400,), "RFC 9112 7.1: overflow"),
    Case("size line of 2 KB", carried(b"0" * 2000 + CHUNK), (400,), "CVE-2023-39326 (Go)"),
    Case("size in full-width digits", carried("１９\r\n".encode()), (400,), "RFC 9112 7.1"),
    Case("size line ends with a bare LF", carried(b"%x\n" % N), (400,), "CVE-2025-22871 (Go)"),
    Case("size line ends with a bare CR", carried(b"%x\r" % N), (400,), FUNKY),
    Case("size line ends with CR CR LF", carried(b"%x\r\r\n" % N), (400,), FUNKY),
    Case("size line ends with LF CR LF", carried(b"%x\n\r\n" % N), (400,), FUNKY),
    Case("chunk ends with a bare LF", carried(CHUNK, end=b"\n"), (400,), FUNKY),
    Case("chunk ends with a bare CR", carried(CHUNK, end=b"\r"), (400,), FUNKY),
    Case("chunk without its line break", carried(CHUNK, end=b""), (400,), FUNKY + ": TERM.SPILL"),
    Case("chunk ends with two other bytes", carried(CHUNK, end=b"XX"), (400,), FUNKY + ": TERM.SPILL"),
    Case("chunk longer than its size", carried(b"4\r\n"), (400,), "RFC 9112 7.1"),
    Case("extension with a bare LF", carried(b"%x;a\nb\r\n" % N), (400,), FUNKY + ": EXT.TERM"),
    Case("extension that is a bare LF", carried(b"%x;\n" % N), (400,), FUNKY + ": EXT.TERM"),
    Case("extension with a bare CR", carried(b"%x;a\rb\r\n" % N), (400,), FUNKY),
    Case("extension with a NUL", carried(b"%x;a\x00\r\n" % N), (400,), "RFC 9112 7.1.1"),
    Case("extension of 1 KB", carried(b"%x;" % N + b"a" * 1024 + b"\r\n"), (400,), "CVE-2023-39326 (Go), CVE-2021-22960 (Node.js)"),
    Case("extensions of 16 KB in all", chunked(b"1;%s\r\n \r\n" % (b"a" * 800) * 20 + chunks(EVENT)), (400,), "CVE-2023-39326 (Go)"),
    Case("last chunk without its empty line", carried(CHUNK, last=b"0\r\n"), (400,), KETTLE_2019),
    Case("last chunk's line ends with a bare LF", carried(CHUNK, last=b"0\n\r\n"), (400,), FUNKY),
    Case("last line ends with a bare LF", carried(CHUNK, last=b"0\r\n\n"), (400,), FUNKY),
    Case("last line ends with a bare CR", carried(CHUNK, last=b"0\r\n\r"), (400,), FUNKY),
    Case("no last chunk", chunked(CHUNK + EVENT + b"\r\n"), (400,), "RFC 9112 8", ends=True),
    Case("a trailer that is a request line", carried(CHUNK, last=b"0\r\nGET /v1/status HTTP/1.1\r\n\r\n"), (400,), "CVE-2023-46589 (Tomcat)"),
    Case("a trailer with an absolute target", carried(CHUNK, last=b"0\r\nGET http://a/ HTTP/1.1\r\n\r\n"), (400,), "CVE-2023-46589 (Tomcat)"),
    Case("a trailer with a space before the colon", carried(CHUNK, last=b"0\r\nX : y\r\n\r\n"), (400,), "RFC 9112 5.1"),
    Case("a trailer with a NUL", carried(CHUNK, last=b"0\r\nX: \x00\r\n\r\n"), (400,), "RFC 9110 5.5"),
    Case("a trailer that is folded", carried(CHUNK, last=b"0\r\nX: y\r\n z\r\n\r\n"), (400,), "RFC 9112 5.2"),
    Case("a trailer that ends with a bare LF", carried(CHUNK, last=b"0\r\nX: y\n\r\n"), (400,), FUNKY),
    Case("a trailer of 2 KB", carried(CHUNK, last=b"0\r\nX: " + b"y" * 2000 + b"\r\n\r\n"), (400,), "CVE-2023-46589 (Tomcat)"),
    Case("trailers of 16 KB", carried(CHUNK, last=b"0\r\n" + (b"X: " + b"y" * 900 + b"\r\n") * 18 + b"\r\n"), (431,), "RFC 9112 7.1.2"),
    Case("17 MiB, no length said", chunked((b"100000\r\n" + b" " * MIB + b"\r\n") * 17 + chunks(EVENT)), (413,), "[limits] request_bytes"),
]

LINES = [
    Case("a head in bare LF", request(L, EVENT).replace(b"\r\n", b"\n"), (400,), "RFC 9112 2.2"),
    Case("a request line that ends with LF", request(L, EVENT).replace(b"HTTP/1.1\r\n", b"HTTP/1.1\n"), (400,), "RFC 9112 2.2"),
    Case("a field that ends with LF", request(b"X: y\n" + L, EVENT), (400,), "RFC 9112 2.2"),
    Case("an empty line that is LF", request(L)[:-2] + b"\n" + EVENT, (400,), "RFC 9112 2.2"),
    Case("a bare CR in a value", request(b"X: a\rb\r\n" + L, EVENT), (400,), "RFC 9112 2.2"),
    Case("a bare CR in a name", request(b"X\r: a\r\n" + L, EVENT), (400,), "RFC 9112 2.2"),
    Case("CR CR LF behind a field", request(b"X: a\r\r\n" + L, EVENT), (400,), "RFC 9112 2.2"),
    Case("a NUL in a value", request(b"X: a\x00b\r\n" + L, EVENT), (400,), "RFC 9110 5.5"),
    Case("a NUL in a name", request(b"X\x00: a\r\n" + L, EVENT), (400,), "RFC 9110 5.1"),
    Case("an escape in a value", request(b"X: \x1b[31m\r\n" + L, EVENT), (400,), "RFC 9110 5.5"),
    Case("a DEL in a value", request(b"X: \x7f\r\n" + L, EVENT), (400,), "RFC 9110 5.5"),
    Case("an encoded CR LF in a value", request(b"X: a%0D%0aY: b\r\n" + L, EVENT), (400,), "HAZARDS: cpp-httplib decodes values"),
    Case("an encoded LF in a value", request(b"X: a%0AY: b\r\n" + L, EVENT), (400,), "HAZARDS: cpp-httplib decodes values"),
    Case("an encoded NUL in a value", request(b"X: a%00\r\n" + L, EVENT), (400,), "HAZARDS: cpp-httplib decodes values"),
    Case("a fold with a space", request(b"X: a\r\n b\r\n" + L, EVENT), (400,), "RFC 9112 5.2"),
    Case("a fold with a tab", request(b"X: a\r\n\tb\r\n" + L, EVENT), (400,), "RFC 9112 5.2"),
    Case("a fold before the first field", request(L, EVENT, host=b" Host: localhost\r\n"), (400,), "RFC 9112 2.2"),
    Case("a field without a colon", request(b"X\r\n" + L, EVENT), (400,), "CVE-2019-20444 (Netty)"),
    Case("a field without a name", request(b": x\r\n" + L, EVENT), (400,), "CVE-2023-25725 (HAProxy)"),
    Case("a name with a space", request(b"X Y: z\r\n" + L, EVENT), (400,), "RFC 9110 5.1"),
    Case("a name with a slash", request(b"X/Y: z\r\n" + L, EVENT), (400,), "RFC 9110 5.1"),
    Case("a name that is not ASCII", request("Ünicode: z\r\n".encode() + L, EVENT), (400,), "RFC 9110 5.1"),
    Case("an empty line first", b"\r\n" + request(L, EVENT), (400,), "RFC 9112 2.2 lets a server be lenient; it need not"),
    Case("a space first", b" " + request(L, EVENT), (400,), "RFC 9112 2.2"),
    Case("a byte order mark first", b"\xef\xbb\xbf" + request(L, EVENT), (400,), "RFC 9112 3"),
    Case("no Host", request(L, EVENT, host=b""), (400,), "RFC 9112 3.2"),
    Case("two Hosts that differ", request(b"Host: evil.example\r\n" + L, EVENT), (400,), "RFC 9112 3.2"),
    Case("two Hosts that agree", request(b"Host: localhost\r\n" + L, EVENT), (400,), "RFC 9112 3.2"),
    Case("two Hosts, one in capitals", request(b"HOST: evil.example\r\n" + L, EVENT), (400,), "RFC 9112 3.2"),
    Case("a Host with a space before the colon", request(L, EVENT, host=b"Host : localhost\r\n"), (400,), "RFC 9112 5.1"),
    Case("101 headers", request(b"X: y\r\n" * 99 + L, EVENT), (431,), "RFC 6585 5"),
    Case("20,000 headers", request(b"X: y\r\n" * 20_000 + L, EVENT), (431,), "CVE-2018-12121 (Node.js)"),
    Case("a header of 17 KB", request(b"X: " + b"y" * 17_000 + b"\r\n" + L, EVENT), (431,), "RFC 6585 5"),
    Case("a header of 1 MiB", request(b"X: " + b"y" * MIB + b"\r\n" + L, EVENT), (431,), "RFC 6585 5"),
    Case("a head that does not end", request()[:-2] + b"X: y\r\n" * 4000, (431,), "RFC 6585 5"),
]


def line(text, body=EVENT):
    return text + b"\r\nHost: localhost\r\nContent-Type: application/json\r\n" + length(body) + b"\r\n" + body


def target(text):
    return line(b"POST " + text + b" HTTP/1.1")


REQUEST_LINES = [
    Case("HTTP/0.9", b"GET /v1/status\r\n\r\n", (400,), "RFC 1945"),
    Case("HTTP/0.9 by name", line(b"POST /v1/events HTTP/0.9"), (400,), "RFC 9112 2.3"),
    Case("HTTP/1.2", line(b"POST /v1/events HTTP/1.2"), (400,), "RFC 9112 2.3"),
    Case("HTTP/2.0", line(b"POST /v1/events HTTP/2.0"), (400,), "RFC 9110 15.6.6"),
    Case("HTTP/1.10", line(b"POST /v1/events HTTP/1.10"), (400,), "RFC 9112 2.3"),
    Case("HTTP/1", line(b"POST /v1/events HTTP/1"), (400,), "RFC 9112 2.3"),
    Case("HTTP/+1.1", line(b"POST /v1/events HTTP/+1.1"), (400,), "RFC 9112 2.3"),
    Case("http/1.1", line(b"POST /v1/events http/1.1"), (400,), "RFC 9112 2.3"),
    Case("another protocol's name", line(b"POST /v1/events RTSP/1.0"), (400,), "RFC 9112 2.3"),
    Case("no version", line(b"POST /v1/events"), (400,), "RFC 9112 3"),
    Case("a space behind the version", line(b"POST /v1/events HTTP/1.1 "), (400,), "RFC 9112 3"),
    Case("two versions", line(b"POST /v1/events HTTP/1.1 HTTP/1.1"), (400,), "RFC 9112 3"),
    Case("two spaces", line(b"POST  /v1/events HTTP/1.1"), (400,), "RFC 9112 3"),
    Case("tabs for spaces", line(b"POST\t/v1/events\tHTTP/1.1"), (400,), "RFC 9112 3"),
    Case("a vertical tab for a space", line(b"POST\x0b/v1/events HTTP/1.1"), (400,), "RFC 9112 3"),
    Case("a space within the target", line(b"POST /v1/events x HTTP/1.1"), (400,), "RFC 9112 3.2"),
    Case("a method with a NUL", line(b"PO\x00ST /v1/events HTTP/1.1"), (400,), "RFC 9110 9.1"),
    Case("a method with a colon", line(b"POST: /v1/events HTTP/1.1"), (400,), "RFC 9110 9.1"),
    Case("an absolute target with user information", target(b"http://localhost@evil.example/v1/events"), (400,), "RFC 9110 4.2.4"),
    Case("an absolute target without a host", target(b"http:///v1/events"), (400,), "RFC 9110 4.2.1"),
    Case("an absolute target of another scheme", target(b"file://localhost/v1/events"), (400,), "RFC 9112 3.2.2"),
    Case("an authority as target", line(b"CONNECT localhost:443 HTTP/1.1"), (400,), "RFC 9112 3.2.3"),
    Case("an asterisk as target", line(b"OPTIONS * HTTP/1.1"), (400,), "RFC 9112 3.2.4"),
    Case("an asterisk as a POST's target", target(b"*"), (400,), "RFC 9112 3.2.4"),
    Case("a target without its slash", target(b"v1/events"), (400,), "RFC 9112 3.2.1"),
    Case("a target in backslashes", target(b"\\v1\\events"), (400,), "RFC 9112 3.2.1"),
    Case("a fragment", target(b"/v1/events#x"), (400,), "CVE-2023-45539 (HAProxy)"),
    Case("an encoded slash", target(b"/v1%2fevents"), (400,), "path confusion"),
    Case("an encoded NUL", target(b"/v1/events%00"), (400,), "path confusion"),
    Case("an encoded line break", target(b"/v1/events%0d%0aX:%20y"), (400,), "CVE-2016-5699 and its like"),
    Case("an encoded DEL", target(b"/v1/events%7f"), (400,), "path confusion"),
    Case("a broken escape", target(b"/v1/events%4"), (400,), "RFC 3986 2.1"),
    Case("an escape that is no hexadecimal", target(b"/v1/events%zz"), (400,), "RFC 3986 2.1"),
    Case("a byte above ASCII", target(b"/v1/events\xff"), (400,), "RFC 3986 2"),
    Case("a control byte in the query", target(b"/v1/events?a=\x01"), (400,), "RFC 3986 3.4"),
    Case("a broken escape in the query", target(b"/v1/events?a=%"), (400,), "RFC 3986 2.1"),
    Case("a target of 9 KB", target(b"/v1/events?a=" + b"b" * 9000), (414,), "RFC 9110 15.5.15"),
    Case("a path of 4 KB", target(b"/v1/" + b"e" * 4096), (414,), "RFC 9110 15.5.15"),
    Case("a target of 1 MiB", target(b"/" + b"e" * MIB), (431,), "[limits] of the head come first"),
    Case("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", (400,), "RFC 9113 3.4"),
    Case("a TLS ClientHello", b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03" + bytes(196), (400,), "RFC 8446 4.1.2"),
    Case("an SSL 2 ClientHello", b"\x80\x2e\x01\x03\x01" + bytes(43), (400,), "RFC 5246 E.2"),
    Case("PROXY protocol 1", b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n" + request(L, EVENT), (400,), "haproxy.org, proxy-protocol.txt"),
    Case("PROXY protocol 2", b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + bytes(12) + request(L, EVENT), (400,), "haproxy.org, proxy-protocol.txt"),
    Case("an SSH client", b"SSH-2.0-OpenSSH_9.2\r\n", (400,), "cross-protocol", ends=True),
    Case("an SMTP client", b"EHLO evil.example\r\nMAIL FROM:<a@evil.example>\r\n\r\n", (400,), "cross-protocol"),
    Case("a Redis client", b"*1\r\n$4\r\nPING\r\n\r\n", (400,), "cross-protocol"),
    Case("a SOCKS 5 client", b"\x05\x01\x00", (400,), "RFC 1928"),
    Case("nothing at all", b"", (), "RFC 9112 9.5", ends=True),
    Case("half a request line", b"POST /v1/ev", (400,), "RFC 9112 8", ends=True),
]


def swallowed(method, path):
    """CL.0: a handler that does not want the body must not leave it to be read as a request."""
    return request(length(HIDDEN), HIDDEN, method=method, target=path)


CONNECTIONS = [
    Case("CL.0: a POST that no route takes", swallowed(b"POST", b"/healthz"), (405,), KETTLE_2022, ends=True),
    Case("CL.0: a POST to a static answer", swallowed(b"POST", b"/openapi.json"), (405,), KETTLE_2022, ends=True),
    Case("CL.0: a POST to nothing", swallowed(b"POST", b"/no/such/path"), (404,), KETTLE_2022, ends=True),
    Case("CL.0: a PUT", swallowed(b"PUT", b"/v1/events"), (405,), KETTLE_2022, ends=True),
    Case("CL.0: an OPTIONS", swallowed(b"OPTIONS", b"/v1/events"), (405,), KETTLE_2022, ends=True),
    Case("CL.0: a TRACE", swallowed(b"TRACE", b"/v1/events"), (405,), KETTLE_2022, ends=True),
    Case("CL.0: a method nobody has", swallowed(b"FROBNICATE", b"/v1/events"), (405,), KETTLE_2022, ends=True),
    Case("CL.0: a method in small letters", swallowed(b"post", b"/v1/events"), (405,), "RFC 9110 9.1: case-sensitive", ends=True),
    Case("CL.0: a method of 8 KB", swallowed(b"M" * 8192, b"/v1/events"), (405,), "RFC 9110 9.1", ends=True),
    Case("CL.0: a type that is not taken", swallowed(b"POST", b"/v1/events").replace(b"application/json", b"text/plain", 1), (415,),
         KETTLE_2022, ends=True),
    Case("CL.0: an event that is none", swallowed(b"POST", b"/v1/events"), (400,), KETTLE_2022, ends=True),
    Case("CL.0: chunked, to no route", request(CHUNKED, chunks(HIDDEN), target=b"/healthz"), (405,), KETTLE_2022, ends=True),
    Case("a GET with a body", swallowed(b"GET", b"/healthz"), (400,), "HAZARDS: cpp-httplib reads it as the next request"),
    Case("a HEAD with a body", swallowed(b"HEAD", b"/healthz"), (400,), "RFC 9110 9.3.2"),
    Case("a DELETE with a body", swallowed(b"DELETE", b"/v1/events"), (400,), "RFC 9110 9.3.5"),
    Case("a GET with a chunked body", request(CHUNKED, chunks(HIDDEN), method=b"GET", target=b"/healthz"), (400,), "RFC 9110 9.3.1"),
    Case("a GET with an empty chunked body", request(CHUNKED, TE_SMUGGLE, method=b"GET", target=b"/healthz"), (400,), "RFC 9110 9.3.1"),
    Case("an expectation nobody has", request(b"Expect: magic\r\n" + L, EVENT), (417,), "RFC 9110 10.1.1"),
    Case("an expectation with a word before it", request(b"Expect: y 100-continue\r\n" + L, EVENT), (417,), KETTLE_2025),
    Case("a list of expectations", request(b"Expect: 100-continue, magic\r\n" + L, EVENT), (417,), "RFC 9110 10.1.1"),
    Case("an empty expectation", request(b"Expect:\r\n" + L, EVENT), (417,), "RFC 9110 10.1.1"),
    Case("an expected body that is too large", request(b"Expect: 100-continue\r\nContent-Length: 99999999\r\n", HIDDEN), (413,), "RFC 9110 10.1.1"),
    Case("an expectation of a GET with a body", request(b"Expect: 100-continue\r\n" + length(HIDDEN), HIDDEN, method=b"GET"), (400,), KETTLE_2025),
    Case("good ones, then a bad one, then a good one",
         request(method=b"GET", target=b"/healthz") * 2 + request(L + L, EVENT) + HIDDEN, (200, 200, 400), "RFC 9112 9.3.2"),
    Case("what follows Connection: close", request(b"Connection: close\r\n", method=b"GET", target=b"/healthz") + HIDDEN, (200,), "RFC 9112 9.6"),
    Case("what follows HTTP/1.0", request(method=b"GET", target=b"/healthz", version=b"HTTP/1.0") + HIDDEN, (200,), "RFC 9112 9.3"),
    Case("Connection: close in a list and capitals",
         request(b"Connection: x, CLOSE ,y\r\n", method=b"GET", target=b"/healthz") + HIDDEN, (200,), "RFC 9112 9.6"),
    Case("an upgrade to h2c", request(b"Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n",
         method=b"GET", target=b"/healthz") + HIDDEN, (200,), 'Bishop Fox, "h2c smuggling", 2020'),
    Case("an upgrade to WebSocket", request(b"Connection: Upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
         b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", method=b"GET", target=b"/healthz") + HIDDEN, (200,), "WebSocket smuggling"),
    Case("Content-Length named hop-by-hop", request(b"Connection: close, content-length\r\n" + length(HIDDEN), HIDDEN), (400,),
         "hop-by-hop abuse: the body stays a body", ends=True),
    Case("another method by header", request(b"X-HTTP-Method-Override: POST\r\nX-HTTP-Method: POST\r\nX-Method-Override: POST\r\nConnection: close\r\n",
         method=b"GET", target=b"/healthz"), (200,), "method override"),
    Case("another path by header", request(b"X-Original-URL: /v1/events\r\nX-Rewrite-URL: /v1/events\r\nConnection: close\r\n" + L, EVENT,
         target=b"/no/such/path"), (404,), 'Kettle, "Practical Web Cache Poisoning", 2018'),
    Case("dots in the path", swallowed(b"POST", b"/healthz/../v1/events"), (404,), "RFC 3986 6.2.2.3: not resolved", ends=True),
    Case("encoded dots in the path", swallowed(b"POST", b"/healthz/%2e%2e/v1/events"), (404,), "path confusion", ends=True),
    Case("two slashes", swallowed(b"POST", b"//v1/events"), (404,), "path confusion", ends=True),
    Case("a parameter in the path", swallowed(b"POST", b"/v1/events;x=y"), (404,), "path confusion", ends=True),
    Case("a slash behind the path", swallowed(b"POST", b"/v1/events/"), (404,), "path confusion", ends=True),
    Case("the path in capitals", swallowed(b"POST", b"/V1/EVENTS"), (404,), "path confusion", ends=True),
]


def taken(name, sent, source, answers=(202,), stored=1):
    return Case(name, sent, answers, source, stored, ends=True)


TAKEN = [
    taken("a length", request(L, EVENT), "RFC 9112 6.2"),
    taken("a length with zeros before it", with_length(b" 00%d" % N)[:-len(HIDDEN)], "RFC 9110 8.6: 1*DIGIT"),
    taken("a length without a space", with_length(b"%d" % N)[:-len(HIDDEN)], "RFC 9112 5"),
    taken("a length in spaces and tabs", with_length(b" \t %d \t" % N)[:-len(HIDDEN)], "RFC 9112 5: optional whitespace"),
    taken("names in small letters", request(L.lower(), EVENT), "RFC 9110 5.1"),
    taken("chunked", chunked(chunks(EVENT)), "RFC 9112 7.1"),
    taken("chunked, a byte a chunk", chunked(chunks(*[EVENT[i:i + 1] for i in range(N)])), "RFC 9112 7.1"),
    taken("Chunked", request(b"Transfer-Encoding: Chunked\r\n", chunks(EVENT)), "RFC 9112 7: case-insensitive"),
    taken("chunked, tabs around it", request(b"Transfer-Encoding:\tchunked \r\n", chunks(EVENT)), "RFC 9112 5: optional whitespace"),
    taken("a chunk's size in capitals", chunked((b"%X\r\n" % N) + EVENT + b"\r\n0\r\n\r\n"), "RFC 9112 7.1"),
    taken("a chunk's size behind zeros", chunked((b"000%x\r\n" % N) + EVENT + b"\r\n000\r\n\r\n"), "RFC 9112 7.1"),
    taken("chunk extensions", chunked((b'%x;a=b;c="d e"\r\n' % N) + EVENT + b"\r\n0;z\r\n\r\n"), "RFC 9112 7.1.1"),
    taken("trailers, dropped", chunked(chunks(EVENT)[:-2] + b"Content-Length: 5\r\nIdempotency-Key: trailing\r\nHost: evil.example\r\n\r\n"),
          "RFC 9110 6.5.1"),
    taken("an expectation", request(b"Expect: 100-continue\r\n" + L, EVENT), "RFC 9110 10.1.1: the body came, no 100 is due"),
    taken("text above ASCII in a value", request("X: ü\r\n".encode() + L, EVENT), "RFC 9110 5.5"),
    taken("an absolute target", target(b"http://localhost/v1/events"), "RFC 9112 3.2.2"),
    taken("an absolute target and another Host", target(b"HTTP://LOCALHOST:8877/v1/events").replace(b"Host: localhost", b"Host: evil.example"),
          "RFC 9112 3.2.2: the target's host counts"),
    taken("three in a row", request(L, EVENT) * 3, "RFC 9112 9.3.2", (202,) * 3, 3),
    taken("chunked, and one behind it", chunked(chunks(EVENT)) + HIDDEN, "RFC 9112 9.3.2", (202, 202), 2),
    taken("HTTP/1.0", request(L, EVENT, version=b"HTTP/1.0"), "RFC 9112 9.3"),
    taken("HTTP/1.0 without a Host", request(L, EVENT, version=b"HTTP/1.0", host=b""), "RFC 9112 3.2"),
    taken("a body that is a request", request(length(event("corpus.x")), event("corpus.x")), "RFC 9112 6"),
]

REFUSED = {"Content-Length": CONTENT_LENGTH, "Transfer-Encoding": TRANSFER_ENCODING, "chunk": CHUNKS, "line": LINES,
           "request line": REQUEST_LINES, "connection": CONNECTIONS}
