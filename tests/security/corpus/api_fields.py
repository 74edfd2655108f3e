"""Fields that would break out of where they belong: a header's line, a JSON document, an SQL list. All are refused by the API; a row of the
SQL outbox that holds one is refused by a constraint or kept with its reason."""

CRLF = "RFC 9110 5.5: CR, LF and NUL"
HOP = "RFC 9110 7.6.1: hop-by-hop"
OWN = "set by outboxd alone"
FRAMING = "RFC 9112 6"

# (name, value, source) of an extra header, of an event or of an endpoint.
HEADERS = [
    ("X-Evil", "a\r\nwebhook-id: forged", CRLF), ("X-Evil", "a\nwebhook-id: forged", CRLF), ("X-Evil", "a\rwebhook-id: forged", CRLF),
    ("X-Evil", "\r\n\r\nGET / HTTP/1.1\r\n", CRLF), ("X-Evil", "a\r\n folded", CRLF), ("X-Evil", "a\n", CRLF), ("X-Evil", "\na", CRLF),
    ("X-Evil", "a\x00b", CRLF), ("X-Evil", "\x00", CRLF), ("X-Evil", "a\x0bb", "a vertical tab"), ("X-Evil", "a\x1b[31mb", "an escape"),
    ("X-Evil", "a\x7fb", "a DEL"), ("X-Evil", "a\u0085b", "NEL, a line break in Latin-1"), ("X-Evil", "a\u2028b", "a line separator"),
    ("X-Evil", "a\u560d\u560ab", "truncated to CR LF by who keeps one byte of each: CVE-2016-2216 (Node.js)"),
    ("X-Evil", "a\u010d\u010ab", "truncated to CR LF: CVE-2018-12116 (Node.js)"), ("X-Evil", "\u00fc", "not ASCII"), ("X-Evil", "\U0001f4a9", "not ASCII"),
    ("X-Evil", " a", "leading space"), ("X-Evil", "a ", "trailing space"), ("X-Evil", "\ta", "leading tab"), ("X-Evil", "", "empty: libcurl would drop it"),
    ("X-Evil", " ", "only a space"), ("X-Evil", "v" * 4097, "too long"), ("X" * 129, "a", "too long"),
    ("X-Evil\r\nwebhook-id", "forged", CRLF), ("X-Evil: a\r\nwebhook-id", "forged", CRLF), ("X-Evil\n", "a", CRLF), ("X-Evil\x00", "a", CRLF),
    ("X-Evil:", "a", "a colon"), ("webhook-id:", "forged", "a colon"), ("X-Evil;", "a", "a semicolon: libcurl's mark of an empty header"),
    ("X Evil", "a", "a space"), (" X-Evil", "a", "a space"), ("X-Evil ", "a", "a space"), ("webhook-id ", "forged", "a space"),
    ("X-Evil\t", "a", "a tab"), ("", "a", "no name"), ("X-\u00dcvil", "a", "not ASCII"), ("\u212aeep-alive", "a", "a Kelvin sign"),
    ("@/etc/passwd", "a", "libcurl's command reads files so"), ("(X)", "a", "no token"), ("X/Y", "a", "no token"), ('"X"', "a", "no token"),
    ("Host", "evil.example", FRAMING), ("HOST", "evil.example", FRAMING), ("host", "evil.example", FRAMING),
    ("Content-Length", "0", FRAMING), ("content-length", "9999", FRAMING), ("Transfer-Encoding", "chunked", FRAMING), ("TE", "trailers", HOP),
    ("Trailer", "X-Evil", HOP), ("Connection", "close", HOP), ("Connection", "webhook-id", HOP), ("Keep-Alive", "timeout=9", HOP),
    ("Upgrade", "h2c", HOP), ("HTTP2-Settings", "AAMAAABk", HOP), ("Proxy-Connection", "close", HOP), ("Proxy-Authorization", "Basic YTpi", HOP),
    ("Proxy-Authenticate", "Basic", HOP), ("Proxy-Anything", "a", HOP), ("Expect", "100-continue", "RFC 9110 10.1.1"),
    ("Content-Type", "text/html", OWN), ("Content-Encoding", "gzip", "it would change what the body means"), ("Accept-Encoding", "gzip", OWN),
    ("User-Agent", "evil", OWN), ("traceparent", "00-" + "1" * 32 + "-" + "2" * 16 + "-01", OWN), ("tracestate", "a=b", OWN),
    ("webhook-id", "forged", OWN), ("Webhook-Id", "forged", OWN), ("WEBHOOK-ID", "forged", OWN), ("webhook-timestamp", "0", OWN),
    ("webhook-signature", "v1,forged", OWN), ("webhook-anything", "a", OWN), ("outboxd-attempt", "1", OWN), ("outboxd-event-type", "forged", OWN),
    ("Outboxd-Anything", "a", OWN),
]

# The whole value of "headers", as JSON.
HEADER_OBJECTS = [
    ("33 of them", "{" + ",".join(f'"X-{i}":"a"' for i in range(33)) + "}"), ("8,193 bytes in all", "{" + ",".join(f'"X-{i}":"{"a" * 4000}"' for i in range(3)) + "}"),
    ("the same name twice", '{"X-A":"1","X-A":"2"}'), ("the same name in capitals", '{"X-A":"1","x-a":"2"}'),
    ("the same name by an escape", '{"X-A":"1","\\u0058-A":"2"}'), ("a number", '{"X-A":1}'), ("null", '{"X-A":null}'), ("a list", '{"X-A":["1","2"]}'),
    ("an object", '{"X-A":{"b":"c"}}'), ("true", '{"X-A":true}'), ("a lone surrogate", '{"X-A":"\\ud800"}'), ("a lone surrogate as name", '{"\\udc00":"a"}'),
    ("an escaped line break", '{"X-A":"a\\u000d\\u000awebhook-id: forged"}'), ("an escaped NUL", '{"X-A":"a\\u0000"}'),
    ("a list of pairs", '[["X-A","1"]]'), ("a text", '"X-A: 1"'), ("a number for all", "1"),
]

# (field, JSON of its value, source) of an event.
EVENT_FIELDS = [
    ("type", '"a\\r\\nX-Evil: 1"', CRLF), ("type", '"a\\u0000"', CRLF), ("type", '"a\\n"', CRLF), ("type", '""', "empty"), ("type", '"a b"', "a space"),
    ("type", '"."', "no segment"), ("type", '"a..b"', "an empty segment"), ("type", '".a"', "an empty segment"), ("type", '"a."', "an empty segment"),
    ("type", '"../a"', "a slash"), ("type", '"\\u00fc"', "not ASCII"), ("type", '"' + "a" * 129 + '"', "too long"), ("type", "1", "no text"),
    ("type", "null", "no text"), ("type", '["a"]', "no text"), ("type", '"\\ud800"', "a lone surrogate"), ("type", '"a*"', "a pattern"),
    ("content_type", '"text/plain\\r\\nX-Evil: 1"', CRLF), ("content_type", '"text/plain\\n"', CRLF), ("content_type", '"text/plain\\u0000"', CRLF),
    ("content_type", '"text"', "no media type"), ("content_type", '"text/"', "no media type"), ("content_type", '"text/plain; a"', "no media type"),
    ("content_type", '"text/plain, text/html"', "a list"), ("content_type", '"text/pl\\u00fcin"', "not ASCII"), ("content_type", '""', "empty"),
    ("content_type", '"' + "a" * 300 + '/b"', "too long"), ("content_type", '"text/plain; a=\\"\\n\\""', CRLF), ("content_type", "1", "no text"),
    ("tenant", '"a\\r\\nb"', CRLF), ("tenant", '"a b"', "a space"), ("tenant", '"a\\u0000"', CRLF), ("tenant", '"_ops"', "outboxd's own"),
    ("tenant", '"' + "a" * 129 + '"', "too long"), ("tenant", '"\\u00fc"', "not ASCII"), ("tenant", '"a/b"', "a slash"), ("tenant", "{}", "no text"),
    ("ordering_key", '"a\\nb"', CRLF), ("ordering_key", '""', "empty"), ("ordering_key", '"a\\u0000b"', CRLF), ("ordering_key", '"a\\u0085b"', "C1"),
    ("ordering_key", '"' + "a" * 257 + '"', "too long"), ("ordering_key", '"\\udfff"', "a lone surrogate"), ("ordering_key", "7", "no text"),
    ("idempotency_key", '"a\\r\\nb"', CRLF), ("idempotency_key", '""', "empty"), ("idempotency_key", '"' + "\\u00fc" * 129 + '"', "too long"),
    ("idempotency_key", '"a\\u001b[2Jb"', "an escape"), ("idempotency_key", "[]", "no text"),
    ("priority", "10", "0 to 9"), ("priority", "-1", "0 to 9"), ("priority", "5.0", "no whole number"), ("priority", "1e0", "no whole number"),
    ("priority", '"5"', "no number"), ("priority", "99999999999999999999", "overflow"), ("priority", "-0", "a sign"), ("priority", "true", "no number"),
    ("deliver_at", '"yesterday"', "no time"), ("deliver_at", '"2026-02-30T00:00:00Z"', "no such day"), ("deliver_at", '"99999-01-01T00:00:00Z"', "five digits"),
    ("deliver_at", "0", "no text"), ("deliver_at", '"2026-01-01T00:00:00Z\\u0000"', CRLF), ("delay", '"-1s"', "negative"), ("delay", '"366d"', "too long"),
    ("delay", '"99999999999999999999d"', "overflow"), ("delay", '"1e3s"', "no duration"), ("ttl", '"0s"', "nothing"), ("expires_at", '"1"', "no time"),
    ("payload_base64", '"e30="', "with a payload"), ("id", '"evt_1"', "no field"), ("created_at", '"2026-01-01T00:00:00Z"', "no field"),
    ("__proto__", '{"tenant":"_ops"}', "no field"), ("constructor", "{}", "no field"), ("seq", "1", "no field"), ("", "1", "no field"),
    ("type\\u0000", '"a"', "no field"), ("TYPE", '"a"', "no field: case-sensitive"), ("traceparent", '"00-1"', "a header, no field"),
]

# (field, JSON of its value, source) of an endpoint.
ENDPOINT_FIELDS = [
    ("name", '"a\\nb"', CRLF), ("name", '"a\\u001b]0;title\\u0007"', "an escape"), ("name", '"a\\u202eb"', "bidirectional override: Trojan Source, 2021"),
    ("name", '"a\\u0000"', CRLF), ("name", '"a\\u009bb"', "C1"), ("name", '"' + "a" * 129 + '"', "too long"), ("name", "1", "no text"),
    ("name", '"\\ud800"', "a lone surrogate"), ("tenant", '"a\\r\\nb"', CRLF), ("tenant", '"a b"', "a space"),
    ("types", '["a\\nb"]', CRLF), ("types", "[]", "none"), ("types", '["a*b"]', "no pattern"), ("types", '"a"', "no list"), ("types", '[["a"]]', "no text"),
    ("types", '["***"]', "no pattern"), ("types", "[" + ",".join(['"a"'] * 65) + "]", "too many"), ("types", '["*.a"]', "no pattern"),
    ("secret", '"whsec_"', "empty"), ("secret", '"whsec_AAAA"', "too short"), ("secret", '"a"', "no secret"), ("secret", '"whsec_' + "A" * 90 + '"', "too long"),
    ("secret", '"whsec_\\r\\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"', CRLF), ("secret", "null", "no text"),
    ("format", '"xml"', "no format"), ("format", '"raw\\u0000"', CRLF), ("timeout", '"0s"', "too short"), ("timeout", '"6m"', "too long"), ("timeout", "20", "no text"),
    ("retry_schedule", '["-1s"]', "negative"), ("retry_schedule", "[" + ",".join(['"0s"'] * 65) + "]", "too many"), ("retry_schedule", "[]", "none"),
    ("retry_schedule", '["31d"]', "too long"), ("retry_schedule", "{}", "no list"), ("max_in_flight", "0", "none"), ("max_in_flight", "-1", "negative"),
    ("max_in_flight", "1001", "too many"), ("max_in_flight", "1.5", "no whole number"), ("max_in_flight", "1e308", "no whole number"),
    ("max_in_flight", "9223372036854775808", "overflow"), ("max_in_flight", "18446744073709551617", "overflow"), ("max_in_flight", '"1"', "no number"),
    ("rate_limit", '"0/s"', "none"), ("rate_limit", '"-1/s"', "negative"), ("rate_limit", '"1e9/s"', "no number"), ("rate_limit", '"1/y"', "no unit"),
    ("ordering", '"all"', "no ordering"), ("on_failure_in_order", '"panic"', "no such"), ("state", '"removed"', "no state"), ("state", "0", "no text"),
    ("metadata", "[]", "no object"), ("metadata", "1", "no object"), ("metadata", '{"a":' * 40 + "1" + "}" * 40, "too deep"),
    ("metadata", '{"a":"' + "a" * 4096 + '"}', "too large"), ("id", '"ep_1"', "no field"), ("disabled_reason", '"gone"', "no field to set"),
    ("secrets", "[]", "no field"), ("__proto__", "{}", "no field"), ("filter", "{}", "not in this version"), ("tls", "{}", "not in this version"),
]

# (column, SQL of its value, source) of a row in the outbox besides type 'corpus.row' and payload '1'.
SQL_FIELDS = [
    ("type", "'a' || char(13,10) || 'X-Evil: 1'", CRLF), ("type", "'a' || char(0) || 'b'", CRLF), ("type", "char(0)", CRLF), ("type", "'a' || char(10)", CRLF),
    ("type", "''", "empty"), ("type", "'a..b'", "an empty segment"), ("type", "'ü'", "not ASCII"), ("type", "printf('%129s', 'a')", "too long"), ("type", "NULL", "none"),
    ("type", "x'61'", "a blob"), ("type", "CAST(x'61FF' AS TEXT)", "no UTF-8"), ("type", "'a\",\"tenant\":\"_ops'", "JSON injection"),
    ("content_type", "'text/plain' || char(13,10) || 'X-Evil: 1'", CRLF), ("content_type", "'text/plain' || char(0)", CRLF), ("content_type", "''", "empty"),
    ("content_type", "'text/plain' || char(10)", CRLF), ("content_type", "'nonsense'", "no media type"), ("content_type", "CAST(x'746578742FFF' AS TEXT)", "no UTF-8"),
    ("content_type", "'text/plain\",\"tenant\":\"_ops'", "JSON injection"), ("content_type", "printf('%300s', 'a')", "too long"),
    ("tenant", "'_ops'", "outboxd's own"), ("tenant", "'a' || char(10)", CRLF), ("tenant", "'a\",\"headers\":{\"x\":\"y\"},\"ttl\":\"1s'", "JSON injection"),
    ("tenant", "CAST(x'FF' AS TEXT)", "no UTF-8"), ("tenant", "printf('%129s', 'a')", "too long"), ("tenant", "char(27) || '[31m'", "an escape"),
    ("ordering_key", "'a' || char(10)", CRLF), ("ordering_key", "''", "empty"), ("ordering_key", "char(0)", CRLF), ("ordering_key", "CAST(x'80' AS TEXT)", "no UTF-8"),
    ("idempotency_key", "'a' || char(13)", CRLF), ("idempotency_key", "''", "empty"), ("idempotency_key", "CAST(x'C0AF' AS TEXT)", "overlong"),
    ("idempotency_key", "char(155) || '2J'", "C1"), ("priority", "10", "0 to 9"), ("priority", "-1", "0 to 9"), ("priority", "'x'", "no number"),
    ("deliver_at", "0", "seconds, not milliseconds"), ("deliver_at", "'soon'", "no time"), ("deliver_at", "1e20", "no integer"), ("deliver_at", "9223372036854775807", "overflow"),
    ("deliver_at", "'2026-01-01T00:00:00\",\"tenant\":\"_ops'", "JSON injection"), ("deliver_at", "'2026-13-01T00:00:00Z'", "no such month"),
    ("expires_at", "x'00'", "a blob"), ("expires_at", "'2026-01-01T00:00:00Z' || char(0)", CRLF),
    ("payload", "NULL", "none"), ("payload", "1", "a number"), ("payload", "'{'", "no JSON"), ("payload", "'1,\"tenant\":\"_ops\"'", "JSON injection"),
    ("payload", "'1}{'", "JSON injection"), ("payload", "'1' || char(0) || ',\"tenant\":\"_ops\"'", "SQLite's JSON ends at a NUL"), ("payload", "'1 2'", "two values"),
    ("payload", "x'22FF22'", "no UTF-8"), ("payload", "''", "no JSON"), ("payload", "zeroblob(2000000)", "no JSON, too large"),
    ("payload", "printf('\"%2000000s\"', 'a')", "larger than [limits] event_bytes"),
    ("payload", "printf('%s1%s', replace(hex(zeroblob(200)), '00', '['), replace(hex(zeroblob(200)), '00', ']'))", "200 levels"),
    ("headers", "''", "no JSON"), ("headers", "'[]'", "no object"), ("headers", "'{\"X\":\"y\"},\"tenant\":\"_ops\"'", "JSON injection"),
    ("headers", "'{\"X\":\"y\"}' || char(0) || ',\"tenant\":\"_ops\"'", "SQLite's JSON ends at a NUL"), ("headers", "'{X:\"y\"}'", "JSON5"),
    ("headers", "CAST(x'7B2258223A22FF227D' AS TEXT)", "no UTF-8"), ("headers", "x'7B7D'", "a blob"), ("headers", "printf('{\"X\":\"%17000s\"}', 'a')", "too long"),
    ("traceparent", "printf('%257s', 'a')", "too long"),
]

# (table, column, value, source): what somebody with the file's rights may write into a row. {url} is the receiver's.
TAMPERED = [
    ("endpoint", "headers", '[["webhook-id","forged"]]', OWN), ("endpoint", "headers", '[["Webhook-Signature","v1,forged"]]', OWN),
    ("endpoint", "headers", '[["X-Evil","a\\r\\nwebhook-id: forged"]]', CRLF), ("endpoint", "headers", '[["X-Evil","a\\nX-Smuggled: 1"]]', CRLF),
    ("endpoint", "headers", '[["X-Evil: a\\r\\nX-Smuggled","1"]]', CRLF), ("endpoint", "headers", '[["X-Evil","a\\u0000b"]]', CRLF),
    ("endpoint", "headers", '[["Host","evil.example"]]', FRAMING), ("endpoint", "headers", '[["Content-Length","0"]]', FRAMING),
    ("endpoint", "headers", '[["Transfer-Encoding","chunked"]]', FRAMING), ("endpoint", "headers", '[["Connection","close"]]', HOP),
    ("endpoint", "headers", '[["X-Evil;",""]]', "libcurl's mark of an empty header"), ("endpoint", "headers", '[["X Evil","a"]]', "no token"),
    ("endpoint", "headers", '[["Content-Type","text/html"]]', OWN), ("endpoint", "headers", '[["Expect","100-continue"]]', "RFC 9110 10.1.1"),
    ("endpoint", "url", "{url}\r\nX-Smuggled: 1", CRLF), ("endpoint", "url", "{url} HTTP/1.1\r\nX-Smuggled: 1\r\nX:", CRLF), ("endpoint", "url", "{url}\x00", CRLF),
    ("event", "headers", '[["webhook-timestamp","0"]]', OWN), ("event", "headers", '[["outboxd-attempt","7"]]', OWN),
    ("event", "headers", '[["X-Evil","a\\r\\nwebhook-id: forged"]]', CRLF), ("event", "headers", '[["X-Evil\\r\\nX-Smuggled","1"]]', CRLF),
    ("event", "headers", '[["host","evil.example"]]', FRAMING), ("event", "headers", '[["content-length","1"]]', FRAMING), ("event", "headers", '[["",""]]', "no name"),
    ("event", "content_type", "text/plain\r\nX-Smuggled: 1", CRLF), ("event", "content_type", "text/plain\nwebhook-id: forged", CRLF),
    ("event", "type", "a\r\nX-Smuggled: 1", CRLF), ("event", "type", "a\nwebhook-id: forged", CRLF), ("event", "traceparent", "00\r\nX-Smuggled: 1", CRLF),
    ("event", "traceparent", "00-" + "1" * 32 + "-" + "2" * 16 + "-01\r\nX-Smuggled: 1", CRLF),
]
