"""Who may call: values of Host, what browsers send along, and tokens. Each row ends with the status of a POST /v1/events or as named."""
REBINDING = "DNS rebinding"
RFC_HOST = "RFC 9112 3.2"

# (Host, status over TCP without allowed_hosts). 403: not ours; 400: no Host at all.
HOSTS = [
    ("localhost", 200, RFC_HOST), ("localhost:8877", 200, RFC_HOST), ("LOCALHOST", 200, RFC_HOST), ("LocalHost:80", 200, RFC_HOST),
    ("127.0.0.1", 200, RFC_HOST), ("127.0.0.1:8877", 200, RFC_HOST), ("127.8.9.10", 200, "127.0.0.0/8"), ("[::1]", 200, RFC_HOST),
    ("[::1]:8877", 200, RFC_HOST), ("[0:0:0:0:0:0:0:1]", 200, RFC_HOST), ("localhost:", 200, "RFC 3986 3.2.3"),
    ("", 200, "RFC 9112 3.2 allows it; no browser sends it"), ("evil.example", 403, REBINDING),
    ("evil.example:8877", 403, REBINDING), ("EVIL.EXAMPLE", 403, REBINDING), ("127.0.0.1.nip.io", 403, REBINDING),
    ("127-0-0-1.nip.io", 403, REBINDING), ("localtest.me", 403, REBINDING),
    ("7f000001.0a000001.rbndr.us", 403, REBINDING + ": rbndr.us"), ("localhost.evil.example", 403, REBINDING),
    ("127.0.0.1.evil.example", 403, REBINDING), ("evil.localhost", 403, "RFC 6761 6.3, but not every resolver knows"),
    ("evil-localhost", 403, REBINDING), ("localhostevil", 403, REBINDING), ("xlocalhost", 403, REBINDING),
    ("localhost.", 403, "a trailing dot is another name"), ("localhost.:8877", 403, "a trailing dot"),
    ("evil.example.", 403, "a trailing dot"), ("127.0.0.1.", 403, "a trailing dot"), ("localhost..", 403, "trailing dots"),
    (".localhost", 403, "a leading dot"), ("0.0.0.0", 403, "0.0.0.0-day, Oligo 2024"),
    ("0.0.0.0:8877", 403, "0.0.0.0-day, Oligo 2024"), ("0", 403, "0.0.0.0-day, Oligo 2024"),
    ("[::]", 403, "the unspecified address"), ("[::]:8877", 403, "the unspecified address"), ("::1", 403, "no brackets"),
    ("::", 403, "no brackets"), ("[::ffff:127.0.0.1]", 403, "mapped"), ("[::127.0.0.1]", 403, "compatible"),
    ("[64:ff9b::7f00:1]", 403, "NAT64"), ("[fe80::1%25lo]", 403, "a zone"), ("[::1%lo]", 403, "a zone"),
    ("[::1", 403, "no closing bracket"), ("::1]", 403, "no opening bracket"), ("[::1]evil.example", 403, "text behind the bracket"),
    ("[::1].evil.example", 403, "text behind the bracket"), ("[::1]:x", 403, "no port"), ("[]", 403, "nothing between brackets"),
    ("[v1.a]", 403, "RFC 3986: IPvFuture"), ("2130706433", 403, "127.0.0.1 as one number"), ("0x7f000001", 403, "hexadecimal"),
    ("0x7f.0.0.1", 403, "hexadecimal"), ("0177.0.0.1", 403, "octal"), ("017700000001", 403, "octal"), ("127.1", 403, "two parts"),
    ("127.0.1", 403, "three parts"), ("127.0.0.1.0", 403, "five parts"), ("127.0.0.256", 403, "no address"),
    ("127.000.000.001", 403, "leading zeros"), ("１２７.０.０.１", 403, "full-width digits"),
    ("ⓛocalhost", 403, "IDNA maps it to localhost"), ("localho\u017ft", 403, "IDNA maps the long s"),
    ("localhost@evil.example", 403, "user information"), ("evil.example@localhost", 403, "user information"),
    ("@localhost", 403, "user information"), ("a:b@localhost", 403, "user information"), ("localhost:80:80", 403, "two ports"),
    ("localhost:x", 403, "no port"), ("localhost:123456", 403, "no port"), ("localhost:-1", 403, "no port"),
    ("localhost:+80", 403, "no port"), ("localhost: 80", 403, "no port"), (":8877", 403, "no name"), (":", 403, "no name"),
    ("localhost/evil", 403, "a path"), ("evil.example/localhost", 403, "a path"), ("localhost/", 403, "a path"),
    ("localhost?x", 403, "a query"), ("localhost#x", 403, "a fragment"), ("localhost\\", 403, "a backslash"),
    ("localhost,evil.example", 403, "a list"), ("localhost, localhost", 403, "a list"), ("localhost evil.example", 403, "a space"),
    ("localhost\tevil.example", 403, "a tab"), ("localhost;evil", 403, "a semicolon"), ("*", 403, "a wildcard"),
    ("*.localhost", 403, "a wildcard"), ("null", 403, "a word"), ("http://localhost", 403, "a URL"),
    ("%6c%6f%63%61%6c%68%6f%73%74", 403, "percent-encoded"), ("localhost%00.evil.example", 400, "an encoded NUL"),
    ("localhost%0d%0aX:y", 400, "an encoded line break"), ("localhost\x00.evil.example", 400, "a NUL"),
    ("localhost\x7f", 400, "a DEL"), ("a" * 300 + ".example", 403, "longer than a name may be"),
    ("169.254.169.254", 403, "an address that is not loopback"), ("10.0.0.1", 403, "an address that is not loopback"),
    ("128.0.0.1", 403, "an address that is not loopback"), ("outbox.corp", 403, "allowed below, not here"), ("unix", 403, "a word"),
]

# The same with these allowed_hosts.
ALLOWED_HOSTS = "outbox.corp,192.0.2.7"
WITH_ALLOWED = [
    ("outbox.corp", 200, RFC_HOST), ("outbox.corp:8877", 200, RFC_HOST), ("OUTBOX.corp", 200, RFC_HOST),
    ("192.0.2.7", 200, RFC_HOST), ("localhost", 200, RFC_HOST), ("evil.example", 403, REBINDING),
    ("outbox.corp.evil.example", 403, REBINDING), ("evil.outbox.corp", 403, "a name below it is another name"),
    ("outbox.corp.", 403, "a trailing dot"), ("outbox.cor", 403, "a prefix"), ("utbox.corp", 403, "a suffix"),
    ("outbox-corp", 403, "the dot is no wildcard"), ("192.0.2.70", 403, "a longer address"),
    ("outbox.corp@evil.example", 403, "user information"), ("[192.0.2.7", 403, "half a bracket"),
    ("0.0.0.0", 403, "0.0.0.0-day, Oligo 2024"),
]

# What a page of another site can make a browser send: (name, headers, method, target, status, source). `$EP` is the id of an endpoint.
EVENTS, PAUSE, ONE = "/v1/events", "/v1/endpoints/$EP/pause", "/v1/endpoints/$EP"
BATCHES, CANCEL, ERASE = "/v1/batches", "/v1/batches/$BAT/cancel", "/v1/events/$EVT/payload"
FORM = "HTML: a form's enctype"
FETCH = "Fetch: a CORS-safelisted request"
EVIL = {"Origin": "https://evil.example"}


def form(type, origin="https://evil.example"):
    return {"Origin": origin, "Content-Type": type}


BROWSERS = [
    ("a form, text/plain", form("text/plain"), "POST", EVENTS, 415, FORM),
    ("a form, text/plain with a charset", form("text/plain;charset=UTF-8"), "POST", EVENTS, 415, FORM),
    ("a form, urlencoded", form("application/x-www-form-urlencoded"), "POST", EVENTS, 415, FORM),
    ("a form, multipart", form("multipart/form-data; boundary=x"), "POST", EVENTS, 415, FORM),
    ("a form to an action, text/plain", form("text/plain"), "POST", PAUSE, 415, FORM),
    ("a form to an action, urlencoded", form("application/x-www-form-urlencoded"), "POST", PAUSE, 415, FORM),
    ("a form to an action, multipart", form("multipart/form-data; boundary=x"), "POST", PAUSE, 415, FORM),
    ("a form to a batch, text/plain", form("text/plain"), "POST", BATCHES, 415, FORM),
    ("a form to a batch, urlencoded", form("application/x-www-form-urlencoded"), "POST", BATCHES, 415, FORM),
    ("a form that cancels a batch", form("text/plain"), "POST", CANCEL, 415, FORM),
    ("an erasure", dict(EVIL), "DELETE", ERASE, 415, "a preflight comes first"),
    ("a preflight for an erasure", {**EVIL, "Access-Control-Request-Method": "DELETE"}, "OPTIONS", ERASE, 405, "Fetch: CORS-preflight"),
    ("a form in a sandbox", form("text/plain", "null"), "POST", EVENTS, 415, "Fetch: an opaque origin"),
    ("a form from a file", form("application/x-www-form-urlencoded", "null"), "POST", EVENTS, 415, "Fetch: an opaque origin"),
    ("a form from an extension", form("text/plain", "chrome-extension://abcdef"), "POST", EVENTS, 415, FORM),
    ("a page on another port", form("text/plain", "http://localhost:1"), "POST", EVENTS, 415, "another origin"),
    ("an empty origin", form("text/plain", ""), "POST", EVENTS, 415, FETCH),
    ("fetch() without a content type", dict(EVIL), "POST", EVENTS, 415, FETCH + ": a Blob without a type"),
    ("fetch() to an action without body", dict(EVIL), "POST", PAUSE, 415, FETCH),
    ("fetch() to an action, opaque", {"Origin": "null"}, "POST", PAUSE, 415, FETCH),
    ("fetch() with an empty content type", form(""), "POST", EVENTS, 415, FETCH),
    ("sendBeacon()", form("text/plain;charset=UTF-8"), "POST", EVENTS, 415, "Beacon"),
    ("a ping", {**form("text/ping"), "Ping-From": "https://evil.example"}, "POST", EVENTS, 415, "HTML: hyperlink auditing"),
    ("a content security policy's report", form("application/csp-report"), "POST", EVENTS, 415, "CSP 2: sent without a preflight"),
    ("a report", form("application/reports+json"), "POST", EVENTS, 415, "Reporting API"),
    ("a report of network errors", form("application/reports+json"), "POST", "/v1/endpoints", 415, "Reporting API"),
    ("JSON in a parameter", form("text/plain; application/json"), "POST", EVENTS, 415, "Content-Type confusion"),
    ("JSON behind a comma", form("text/plain, application/json"), "POST", EVENTS, 415, "Content-Type confusion"),
    ("JSON before a comma", form("application/json, text/plain"), "POST", EVENTS, 415, "Content-Type confusion"),
    ("JSON as a prefix", form("application/jsonx"), "POST", EVENTS, 415, "Content-Type confusion"),
    ("JSON as a subtype of text", form("text/json"), "POST", EVENTS, 415, "Content-Type confusion"),
    ("JSON behind a slash", form("text/plain/application/json"), "POST", EVENTS, 415, "Content-Type confusion"),
    ("JSON in a boundary", form('multipart/form-data; boundary="application/json"'), "POST", EVENTS, 415, "Content-Type confusion"),
    ("only a suffix", form("application/+json"), "POST", EVENTS, 415, "Content-Type confusion"),
    ("CloudEvents", form("application/cloudevents+json"), "POST", EVENTS, 422, "a preflight comes first; the body is none"),
    ("a CloudEvent in headers", {**form("text/plain"), "ce-specversion": "1.0", "ce-id": "1", "ce-source": "/", "ce-type": "a"}, "POST",
     EVENTS, 415, "a preflight comes first"),
    ("PUT", form("text/plain"), "PUT", ONE, 405, "a preflight comes first; and no route"),
    ("PATCH", form("text/plain"), "PATCH", ONE, 415, "a preflight comes first"),
    ("PATCH without a content type", dict(EVIL), "PATCH", ONE, 415, "a preflight comes first"),
    ("DELETE", dict(EVIL), "DELETE", ONE, 415, "a preflight comes first"),
    ("a preflight for an event",
     {**EVIL, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}, "OPTIONS", EVENTS, 405,
     "Fetch: CORS-preflight"),
    ("a preflight for DELETE", {**EVIL, "Access-Control-Request-Method": "DELETE"}, "OPTIONS", ONE, 405, "Fetch: CORS-preflight"),
    ("a preflight for a private network",
     {**EVIL, "Access-Control-Request-Method": "POST", "Access-Control-Request-Private-Network": "true"}, "OPTIONS", EVENTS, 405,
     "Private Network Access"),
    ("a preflight to nothing", {**EVIL, "Access-Control-Request-Method": "POST"}, "OPTIONS", "/no/such/path", 404,
     "Fetch: CORS-preflight"),
    ("a script's GET", dict(EVIL), "GET", "/v1/status", 200, "answered, but no Access-Control-Allow-Origin: unreadable"),
    ("an opaque GET", {"Origin": "null"}, "GET", "/v1/status", 200, "answered, but no Access-Control-Allow-Origin: unreadable"),
]

# With the fetch metadata of newer browsers a write from elsewhere is refused whatever its type: it says so itself.
FETCH_METADATA = "W3C Fetch Metadata; Sec-Fetch-Site"
JSON = {"Content-Type": "application/json"}
FETCHES = [
    (f"{site}, {method} {target}", {**JSON, "Sec-Fetch-Site": site}, method, target, 403, FETCH_METADATA)
    for site in ("cross-site", "same-site", "nonsense") for method, target in (("POST", EVENTS), ("POST", PAUSE), ("PATCH", ONE), ("DELETE", ONE), ("POST", BATCHES), ("POST", CANCEL), ("DELETE", ERASE))
]

# What stands for the token in a request; the token is "secret-admin-token-0123456789". {t}: the token.
TOKENS = [
    ("none", {}, 401, "RFC 6750 3"), ("another", {"Authorization": "Bearer another"}, 401, "RFC 6750 3.1"),
    ("cut", {"Authorization": "Bearer {cut}"}, 401, "a prefix is not enough"),
    ("its first byte", {"Authorization": "Bearer s"}, 401, "a prefix is not enough"),
    ("longer", {"Authorization": "Bearer {t}0"}, 401, "not a prefix of it"),
    ("behind another byte", {"Authorization": "Bearer x{t}"}, 401, "not a suffix of it"),
    ("twice", {"Authorization": "Bearer {t}{t}"}, 401, "as one word"),
    ("in capitals", {"Authorization": "Bearer {upper}"}, 401, "case-sensitive"),
    ("in quotes", {"Authorization": 'Bearer "{t}"'}, 401, "RFC 6750 2.1"),
    ("its SHA-256", {"Authorization": "Bearer {sha256}"}, 401, "who has read tokens_file must not be able to call"),
    ("percent-encoded", {"Authorization": "Bearer {percent}"}, 401, "HAZARDS: cpp-httplib decodes values"),
    ("base64", {"Authorization": "Bearer {base64}"}, 401, "RFC 6750 2.1"),
    ("empty", {"Authorization": "Bearer "}, 401, "RFC 6750 2.1"),
    ("empty, no space", {"Authorization": "Bearer"}, 401, "RFC 6750 2.1"),
    ("an empty header", {"Authorization": ""}, 401, "RFC 9110 11.6.2"),
    ("without a scheme", {"Authorization": "{t}"}, 401, "RFC 9110 11.4"),
    ("by Basic, as name", {"Authorization": "Basic {basic}"}, 401, "RFC 7617"),
    ("by Basic, as it is", {"Authorization": "Basic {t}"}, 401, "RFC 7617"),
    ("by Digest", {"Authorization": 'Digest username="{t}"'}, 401, "RFC 7616"),
    ("by a scheme that begins alike", {"Authorization": "Bearerx {t}"}, 401, "RFC 9110 11.1"),
    ("by Token", {"Authorization": "Token {t}"}, 401, "RFC 9110 11.1"),
    ("behind two spaces", {"Authorization": "Bearer  {t}"}, 401, "RFC 9110 11.4: one or more; one is meant here"),
    ("behind a tab", {"Authorization": "Bearer\t{t}"}, 401, "RFC 9110 11.4"),
    ("behind a comma", {"Authorization": "Bearer x, Bearer {t}"}, 401, "no list"),
    ("before a comma", {"Authorization": "Bearer {t}, Bearer x"}, 401, "no list"),
    ("in the query", {}, 401, "RFC 6750 2.3", "?access_token={t}"),
    ("in the query as token", {}, 401, "RFC 6750 2.3", "?token={t}"),
    ("in a cookie", {"Cookie": "Authorization=Bearer {t}; token={t}"}, 401, "RFC 6265"),
    ("for a proxy", {"Proxy-Authorization": "Bearer {t}"}, 401, "RFC 9110 11.7.1"),
    ("in X-Api-Key", {"X-Api-Key": "{t}"}, 401, "another header"),
    ("in X-Forwarded-Authorization", {"X-Forwarded-Authorization": "Bearer {t}"}, 401, "another header"),
    ("with an address that is forged",
     {"X-Forwarded-For": "127.0.0.1", "X-Real-IP": "127.0.0.1", "Forwarded": "for=127.0.0.1", "REMOTE_ADDR": "127.0.0.1", "LOCAL_ADDR": "127.0.0.1"},
     401, "HAZARDS: cpp-httplib believes REMOTE_ADDR"),
    ("with a NUL", {"Authorization": "Bearer {t}\x00"}, 400, "RFC 9110 5.5"),
    ("with an encoded NUL", {"Authorization": "Bearer {t}%00"}, 400, "HAZARDS: cpp-httplib decodes values"),
    ("with a line break", {"Authorization": "Bearer {cut}\r\n 9"}, 400, "RFC 9112 5.2"),
    ("of 12 KB", {"Authorization": "Bearer " + "a" * 12_000}, 401, "long, but not too long"),
    ("of 20 KB", {"Authorization": "Bearer " + "a" * 20_000}, 431, "RFC 6585 5"),
    ("in bytes above ASCII", {"Authorization": "Bearer \u00fc"}, 401, "RFC 9110 11.4"),
]
