"""Bodies and targets that are no JSON, too much of it, or not what they seem. (name, body, status, source)"""
from corpus.api_case import event

RFC = "RFC 8259"
UTF8 = "RFC 3629"
NST = 'Seriot, "Parsing JSON is a minefield", 2016'
GOOD = b'{"type":"corpus.json","payload":%s}'


def payload(text):
    return GOOD % text


NOT_JSON = [
    ("nothing", b"", 400, RFC), ("a space", b" ", 400, RFC), ("a NUL", b"\x00", 400, RFC), ("a brace", b"{", 400, RFC),
    ("two events", event("a") * 2, 400, RFC), ("an event and a brace", event("a") + b"}", 400, RFC),
    ("an event and a NUL", event("a") + b"\x00", 400, NST), ("an event cut", event("a")[:-1], 400, RFC),
    ("a byte order mark", b"\xef\xbb\xbf" + event("a"), 400, "RFC 8259 8.1"),
    ("UTF-16", event("a").decode().encode("utf-16"), 400, "RFC 8259 8.1"),
    ("UTF-32", event("a").decode().encode("utf-32"), 400, "RFC 8259 8.1"), ("UTF-7", b"+AHsAIg-", 400, "RFC 8259 8.1"),
    ("gzip", b"\x1f\x8b\x08\x00" + bytes(20), 400, RFC), ("a form feed for a space", b"\x0c" + event("a"), 400, "RFC 8259 2"),
    ("a no-break space", b"\xc2\xa0" + event("a"), 400, "RFC 8259 2"), ("a comment", b"/**/" + event("a"), 400, NST),
    ("a line comment", b"//\n" + event("a"), 400, NST), ("a hash", b"#\n" + event("a"), 400, NST),
    ("single quotes", b"{'type':'a','payload':1}", 400, NST), ("no quotes", b"{type:1}", 400, NST),
    ("a trailing comma", b'{"type":"a","payload":1,}', 400, NST), ("two commas", b'{"type":"a",,"payload":1}', 400, NST),
    ("no comma", b'{"type":"a" "payload":1}', 400, NST), ("two colons", b'{"type"::"a"}', 400, NST),
    ("a number for a name", b'{1:"a"}', 400, NST), ("YAML", b"type: a\npayload: 1\n", 400, "another format"),
    ("XML", b"<!DOCTYPE a><a/>", 400, RFC), ("an anti-hijacking prefix", b")]}',\n" + event("a"), 400, RFC),
    ("JSONP", b"f(" + event("a") + b")", 400, RFC),
]
NOT_JSON += [(f"payload {text.decode('latin-1')[:30]!r}", payload(text), 400, source) for text, source in [
    (b"NaN", NST), (b"Infinity", NST), (b"-Infinity", NST), (b"nan", NST), (b"undefined", NST), (b"True", NST), (b"nul", NST),
    (b"None", NST), (b"01", RFC), (b"-01", RFC), (b"+1", RFC), (b".5", RFC), (b"5.", RFC), (b"1e", RFC), (b"1e+", RFC), (b"-", RFC),
    (b"--1", RFC), (b"0x10", NST), (b"1_000", NST), (b"1.2.3", RFC), (b"1 000", RFC), ("１".encode(), RFC), (b"[1,]", NST),
    (b"[,1]", NST), (b"[1", RFC), (b"{\"a\"}", RFC), (b'{"a":}', RFC), (b"[1}", RFC), (b'"', RFC), (b'"\\"', RFC),
    (b'"\\x41"', RFC), (b'"\\a"', RFC), (b"\"\\'\"", RFC), (b'"\\u00"', RFC), (b'"\\u00zz"', RFC), (b'"\\U00000041"', RFC),
    (b'"\\u{41}"', RFC), (b'"\n"', "RFC 8259 7"), (b'"\t"', "RFC 8259 7"), (b'"\x00"', "RFC 8259 7"), (b'"\x1f"', "RFC 8259 7"),
    (b'"\x80"', UTF8), (b'"\xff"', UTF8), (b'"\xc0\xaf"', UTF8 + ": overlong"), (b'"\xe0\x80\xaf"', UTF8 + ": overlong"),
    (b'"\xf0\x80\x80\xaf"', UTF8 + ": overlong"), (b'"\xc0\x80"', UTF8 + ": Java's NUL"),
    (b'"\xed\xa0\x80"', UTF8 + ": a surrogate"), (b'"\xed\xa0\x81\xed\xb0\x80"', "CESU-8"),
    (b'"\xf4\x90\x80\x80"', UTF8 + ": beyond Unicode"), (b'"\xf8\x88\x80\x80\x80"', UTF8 + ": five bytes"),
    (b'"\xe2\x82"', UTF8 + ": cut"), (b'{"\xff":1}', UTF8), (b"[" * 129 + b"]" * 129, "129 levels"),
    (b"[" * 100_000, "100,000 levels; CVE-2020-36518 (Jackson)"), (b'{"a":' * 100_000, "100,000 levels"),
    (b"[" * 100_000 + b"]" * 100_000, "100,000 levels"), (b'[{"a":' * 50_000 + b"1" + b"}]" * 50_000, "100,000 levels"),
]]

NO_EVENTS = [
    ("null", b"null", 422, RFC), ("a text", b'"event"', 422, RFC), ("a number", b"1", 422, RFC),
    ("an empty object", b"{}", 422, RFC), ("an empty list", b"[]", 422, RFC), ("a list of lists", b"[[]]", 422, RFC),
    ("a list of null", b"[null]", 422, RFC), ("a good one and null", b"[" + event("a") + b",null]", 422, "all or none"),
    ("a good one and one without a type", b"[" + event("a") + b',{"payload":1}]', 422, "all or none"),
    ("1,001 events", b"[" + b",".join([event("a")] * 1001) + b"]", 413, "at most 1,000"),
    ("100,000 small values", b"[" + b",".join([b"1"] * 100_000) + b"]", 413, "at most 1,000"),
    ("an event of 1 MiB", payload(b'"' + b"a" * (1 << 20) + b'"'), 413, "[limits] event_bytes"),
    ("the type twice", b'{"type":"a","type":"b","payload":1}', 422, "RFC 8259 4"),
    ("the type twice, once escaped", b'{"type":"a","\\u0074ype":"b","payload":1}', 422, "RFC 8259 4"),
    ("the payload twice", b'{"type":"a","payload":1,"payload":2}', 422, "RFC 8259 4"),
    ("a payload and its base64", b'{"type":"a","payload":1,"payload_base64":"MQ==","content_type":"a/b"}', 422, "one of two"),
    ("base64 of another alphabet", b'{"type":"a","payload_base64":"-_-_","content_type":"a/b"}', 422, "RFC 4648 4"),
    ("base64 with half its padding", b'{"type":"a","payload_base64":"MQ=","content_type":"a/b"}', 422, "RFC 4648 4"),
    ("base64 with a line break", b'{"type":"a","payload_base64":"MQ\\n==","content_type":"a/b"}', 422, "RFC 4648 3.1"),
    ("base64 with stray bits", b'{"type":"a","payload_base64":"MR==","content_type":"a/b"}', 422, "RFC 4648 3.5"),
    ("an unknown field of 1 MB", b'{"' + b"x" * 1_000_000 + b'":1}', 422, "an answer stays small"),
    ("10,000 unknown fields", b"{" + b",".join(b'"x%d":1' % i for i in range(10_000)) + b"}", 422, "an answer stays small"),
]

# As NDJSON.
NO_LINES = [
    ("1,001 lines", event("a") + b"\n" + (event("a") + b"\n") * 1000, 413, "at most 1,000"),
    ("blank lines only", b"\n" * 1000, 422, "no event"), ("a bad line behind a good one", event("a") + b"\n{", 400, "all or none"),
    ("two events on a line", event("a") * 2, 400, "NDJSON"),
    ("an event on two lines", event("a").replace(b",", b",\n"), 400, "NDJSON"), ("a list", b"[" + event("a") + b"]", 422, "NDJSON"),
    ("a NUL between", event("a") + b"\x00" + event("a"), 400, "NDJSON"),
    ("a record separator", b"\x1e" + event("a"), 400, "RFC 7464 is another format"),
]

# Bodies for POST /v1/endpoints; a good one has a "url".
URL = b'"url":"http://127.0.0.1:1/"'
NO_ENDPOINTS = [
    ("nothing", b"", 400, RFC), ("a list", b"[]", 400, RFC), ("null", b"null", 400, RFC),
    ("the URL twice", b"{" + URL + b"," + URL + b"}", 400, "RFC 8259 4"),
    ("the URL twice, once escaped", b"{" + URL + b',"\\u0075rl":"http://127.0.0.1:2/"}', 400, "RFC 8259 4"),
    ("a lone surrogate", b"{" + URL + b',"name":"\\ud800"}', 400, RFC),
    ("a number beyond a double", b"{" + URL + b',"max_in_flight":1e999}', 400, RFC),
    ("a number of 10,000 digits", b"{" + URL + b',"max_in_flight":' + b"9" * 10_000 + b"}", 400, RFC),
    ("NaN", b"{" + URL + b',"max_in_flight":NaN}', 400, NST),
    ("129 levels", b"{" + URL + b',"metadata":' + b"[" * 129 + b"]" * 129 + b"}", 400, "at most 128"),
    ("40,000 levels", b"{" + URL + b',"metadata":' + b'{"a":' * 40_000 + b"1" + b"}" * 40_000 + b"}", 400, "at most 128"),
    ("no UTF-8", b"{" + URL + b',"name":"\xff"}', 400, UTF8),
    ("a byte order mark", b"\xef\xbb\xbf{" + URL + b"}", 400, "RFC 8259 8.1"),
    ("10,000 unknown fields", b"{" + URL + b"," + b",".join(b'"x%d":1' % i for i in range(10_000)) + b"}", 422,
     "an answer stays small"),
    ("a list of 10,000 types", b"{" + URL + b',"types":[' + b",".join([b'"a"'] * 10_000) + b"]}", 422, "at most 64"),
    ("8 MB of brackets", b"{" + URL + b',"metadata":[' + b"[]," * 2_600_000 + b"[]]}", 413, "parsing takes many times its size"),
]

# Still JSON, whatever it looks like: delivered byte for byte. The corpus' control.
TAKEN_PAYLOADS = [
    b"1.10", b"12345678901234567890", b"1e999", b"-0", b"0E+0", b'{"a":1,"a":2}', b'"\\ud800"', b'"\\u0000"', b'"\\u2028"',
    b"[" * 126 + b"]" * 126, b'{"__proto__":1}', '"\u202e\u2066\U0001f4a9"'.encode(), b'"</script><script>alert(1)</script>"',
    b'"' + b"a" * 500_000 + b'"', b" 1 ", b"9" * 5000,
]

UUID = "0" * 12 + "7" + "0" * 3 + "8" + "0" * 15
EVT, EP, DLV, BAT = f"evt_{UUID}", f"ep_{UUID}", f"dlv_{UUID}", f"bat_{UUID}"
IDS = [(kind, text) for kind, own in (("events", EVT), ("endpoints", EP), ("deliveries", DLV), ("batches", BAT)) for text in [
    own, *({EVT, EP, DLV, BAT} - {own}), UUID, own.upper(), own[:-1], own + "0", own.replace("_", "-"), own.replace("7", "4", 1),
    own + "%20", "%20" + own, own + "'--", "'%20OR%201=1--", "1", "-1", "0", "*", "%25", "_", "null", "undefined", "NaN", "true",
    "__proto__", "%f0%9f%92%a9", "%ff", "%c0%af", own + ".json", own + "%3fa=b", own + "%26", "%5b%5d", "{id}", "$(id)",
    "%24%7bjndi:x%7d", "a" * 500, "(((((((((((((((((((a+)+)+)+)", "evt_" + "g" * 32, own[:4] + "%30" * 3 + own[7:] + "x",
]]

# (target, status): what is not understood is said so, with 422; never a list of everything, never 500.
QUERIES = [(f"/v1/{kind}?{query}", 422) for kind in ("events", "endpoints", "deliveries", "types") for query in [
    "limit=0", "limit=-1", "limit=251", "limit=99999999999999999999", "limit=1e2", "limit=0x10", "limit=%2b5", "limit=5%20",
    "limit=%EF%BC%95", "limit=", "limit=5.0", "limit=5&limit=6", "limit[]=5", "limit=5;x", "limit=null", "cursor=x", "cursor=%ff",
    "cursor=1", "cursor=-1", "cursor=z17", "cursor=e", "cursor=d17-", "cursor=d-17-4", "cursor=p-1", "cursor=e99999999999999999999",
    "cursor=d99999999999999999999-1", "cursor=p99999999999999999999", "cursor=e17-4", "cursor=d17", "cursor=p1-1", "cursor=w",
    "cursor=w-", "cursor=wzz-1", "cursor=w6-x", "cursor=e1%27%20OR%201=1--", "cursor=" + "a" * 2000, "cursor=e1&cursor=e2",
    "cursor=%F0%9F%92%A9", "unknown=1", "LIMIT=5", "%6cimit=0", "a" * 500 + "=1", "&".join(f"x{i}=1" for i in range(500)), "=1",
    "tenant=%ff", "tenant=%c0%80", "tenant=" + "a" * 5000, "tenant=a&tenant=b", "order=desc", "fields=*", "callback=alert",
    "_method=DELETE", "access_token=x",
]]
QUERIES += [("/v1/deliveries?" + query, 422) for query in [
    "state=foo", "state=", "state=DEAD", "state=dead&state=pending", "state=dead,pending", f"endpoint={EVT}", "endpoint=1",
    "endpoint=", f"event={EP}", "event=*", f"event={DLV}", "error=foo", "error=", "error=any&error=timeout", "since=now", "since=",
    "since=-1h", "since=99999999999999999999d", "since=2026-02-30T00:00:00Z", "since=1e5", "until=9999999999999999", "until=2026",
    "since=2026-01-01", "until=x", "state=dead%20OR%201=1", "state[]=dead", "state[$ne]=dead",
]]
QUERIES += [("/v1/events?" + query, 422) for query in [
    "rejected=yes", "rejected=1", "rejected=", "rejected=true&rejected=false", "rejected=true&tenant=a", "rejected=true&cursor=e1",
    "rejected=TRUE", "since=x", "state=dead", "unmatched=yes", "unmatched=", "unmatched=true&unmatched=false", "rejected=true&unmatched=true",
]]
QUERIES += [("/v1/types?" + query, 422) for query in [
    "cursor=t", "cursor=t~", "cursor=ta~b~c", "cursor=t~a..b", "cursor=t%ff~a", "cursor=t~a%00", "type=a", "since=1h", "unmatched=yes", "unmatched=",
    "unmatched=true&unmatched=false",
]]
QUERIES += [("/v1/endpoints?" + query, 422) for query in [
    "search=" + "a" * 101, "search=a&search=b", "state=pending", "state=", "health=well", "health=", "sort=name", "sort=",
    "sort=backlog&cursor=e1", "search=a&cursor=e1", "state=active&cursor=m", "state=active&cursor=m1x", "search=%ff",
]]
QUERIES += [("/v1/audit?" + query, 422) for query in ["limit=0", "limit=1001", "limit=x", "cursor=a", "since=1h"]]
QUERIES += [("/v1/setup?" + query, 422) for query in ["hosts=no", "hosts=", "hosts=false&hosts=true"]]
QUERIES += [(f"/v1/endpoints/{EP}/secrets?{query}", 422) for query in [
    "reveal=yes", "reveal=1", "reveal=", "reveal=true&reveal=false", "Reveal=true",
]]
QUERIES += [(f"/v1/endpoints/{EP}/stats?{query}", 422) for query in ["since=x", "since=", "until=1h", "limit=5"]]
QUERIES += [(f"{path}?x=1", 422) for path in ("/healthz", "/readyz", "/metrics", "/openapi.json", "/v1/status", f"/v1/events/{EVT}",
                                              f"/v1/events/{EVT}/payload", f"/v1/deliveries/{DLV}")]
QUERIES += [("/v1/batches?" + query, 422) for query in [
    "limit=0", "limit=251", "limit=", "limit=5&limit=6", "cursor=x", "cursor=%ff", "cursor=-1", "cursor=99999999999999999999", "cursor=1%27--",
    "cursor=" + "a" * 2000, "tenant=%ff", "tenant=a&tenant=b", "state=running", "unknown=1",
]]
QUERIES += [("/v1/failures?" + query, 422) for query in [
    "by=", "by=tenant", "by=ERROR", "by=error,type", "by=error&by=type", "by=error;drop", "since=", "since=now", "since=-1h", "since=99999999999999999999d",
    "until=x", "since=1h&until=2001-01-01T00:00:00Z", "endpoint=", "endpoint=1", f"endpoint={EVT}", "limit=0", "limit=251", "cursor=e1", "tenant=%ff",
]]
QUERIES += [("/v1/series" + query, 422) for query in [
    "", "?name=", "?name=secrets", "?name=dead&name=failed", "?name=dead%00", "?name=dead&step=", "?name=dead&step=0s", "?name=dead&step=1s",
    "?name=dead&step=-1m", "?name=dead&step=2d", "?name=dead&step=90s", "?name=dead&step=1e3m", "?name=dead&step=99999999999999999999m",
    "?name=dead&since=400d&step=1m", "?name=dead&since=x", "?name=dead&endpoint=1", f"?name=dead&endpoint={DLV}", "?name=dead&tenant=a",
]]
QUERIES += [(f"/v1/{path}?{query}", 422) for path in ("attempts", "attempts/stream") for query in [
    "failed=yes", "failed=1", "failed=", "failed=true&failed=false", "type=", "type=a*b", "type=***", "type=%0a", "type=" + "a" * 500, "endpoint=",
    "endpoint=1", f"endpoint={EVT}", "cursor=x", "cursor=", "cursor=-1", "cursor=1", "cursor=1-1-1", "cursor=99999999999999999999-1", "cursor=%ff",
    "cursor=" + "a" * 2000, "tenant=%ff", "unknown=1",
]]
QUERIES += [("/v1/attempts/stream?" + query, 422) for query in [
    "last=-1", "last=x", "last=", "last=99999999999999999999", "last=1e2", "last=1&last=2", "limit=5",
]]
QUERIES += [(f"{path}?x=1", 422) for path in (f"/v1/batches/{BAT}", "/v1/setup", "/v1/sources", "/v1/secrets", "/v1/outbox/1", f"/v1/deliveries/{DLV}/request")]

# Bodies for POST /v1/batches; a good one has an action and a filter.
ACTION = b'"action":"discard"'
NO_BATCHES = [
    ("nothing", b"", RFC), ("a list", b"[]", RFC), ("null", b"null", RFC), ("a text", b'"retry"', RFC), ("a brace", b"{", RFC),
    ("an empty object", b"{}", "no action"), ("no filter", b"{" + ACTION + b"}", "everything, by an oversight"),
    ("an empty filter", b"{" + ACTION + b',"filter":{}}', "everything, by an oversight"),
    ("no action", b'{"filter":{"state":"dead"}}', "no action"),
    ("the action twice", b"{" + ACTION + b"," + ACTION + b',"filter":{"state":"dead"}}', "RFC 8259 4"),
    ("the action twice, once escaped", b"{" + ACTION + b',"\\u0061ction":"retry","filter":{"state":"dead"}}', "RFC 8259 4"),
    ("the filter twice", b"{" + ACTION + b',"filter":{"state":"dead"},"filter":{"state":"pending"}}', "RFC 8259 4"),
    ("a filter's field twice", b"{" + ACTION + b',"filter":{"state":"dead","state":"pending"}}', "RFC 8259 4"),
    ("a field of its own", b"{" + ACTION + b',"filter":{"state":"dead"},"number":1}', "no field"),
    ("a state of its own", b"{" + ACTION + b',"filter":{"state":"dead"},"state":"finished"}', "no field"),
    ("who", b"{" + ACTION + b',"filter":{"state":"dead"},"who":"root"}', "no field: who calls is known"),
    ("129 levels", b"{" + ACTION + b',"filter":{"state":' + b"[" * 129 + b"]" * 129 + b"}}", "at most 128"),
    ("10,000 unknown filters", b"{" + ACTION + b',"filter":{' + b",".join(b'"x%d":"1"' % i for i in range(10_000)) + b"}}", "an answer stays small"),
]
