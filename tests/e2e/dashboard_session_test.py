"""A browser at the daemon's own door: the dashboard's files, signing in with a token, and what the cookie lets it do."""
import hashlib
import hmac
import http.client
import json
import signal
import socket
import ssl
import unittest

from harness import PATIENCE, Answer, EndToEndTest, wait_until
from secrets_test import make_certificate

ADMIN, VIEW, INGEST = "the-admin's-token", "acme-view-token", "shop-token"
COOKIE = "outboxd_token"


def line(scope, token, name):
    return f"{scope} {hashlib.sha256(token.encode()).hexdigest()} {name}\n"


LINES = {ADMIN: line("admin", ADMIN, "deploy"), VIEW: line("view:acme", VIEW, "acme-view"), INGEST: line("ingest", INGEST, "shop")}


class Browser:
    """Sends what a browser sends from a page of the daemon: the cookie it was given, and whence the request comes."""

    def __init__(self, port, tls=None):
        self.port, self.tls, self.cookie = port, tls, None

    def call(self, method, path, body=None, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.cookie is not None:
            headers.setdefault("Cookie", f"theme=dark; {COOKIE}={self.cookie}")
        if method not in ("GET", "HEAD"):
            headers.setdefault("Content-Type", "application/json")
            headers.setdefault("Origin", f"http://127.0.0.1:{self.port}")
        headers.setdefault("Sec-Fetch-Site", "same-origin")
        if self.tls:
            connection = http.client.HTTPSConnection("localhost", self.port, timeout=PATIENCE, context=self.tls)
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = Answer(connection.getresponse())
        finally:
            connection.close()
        for cookie in answer.headers.get_all("set-cookie", []):
            name, _, value = cookie.split(";")[0].partition("=")
            assert name == COOKIE, cookie
            self.cookie = value or None
        return answer

    def sign_in(self, token):
        return self.call("POST", "/v1/session", {"token": token})

    def session(self):
        return self.call("GET", "/v1/session").json


def attributes(answer):
    return [part.strip() for part in answer.headers["set-cookie"].split(";")[1:]]


class DashboardSessionTest(EndToEndTest):
    def serve(self, *settings, tokens=(ADMIN, VIEW, INGEST)):
        self.tokens = self.folder / "tokens"
        self.know(*tokens)
        self.outboxd = self.daemon(f"listen.tokens_file={self.tokens}", *settings).start()
        self.browser = Browser(self.outboxd.tcp_port)
        return self.browser

    def know(self, *tokens):
        self.tokens.write_text("".join(LINES[token] for token in tokens))

    def test_who_has_not_signed_in_is_told_so_and_gets_nothing(self):
        browser = self.serve()
        session = browser.session()
        self.assertEqual(("none", None, None, True, True),
                         tuple(session[key] for key in ("scope", "tenant", "csrf", "payloads", "tokens")))
        self.assertTrue(session["who"].startswith("127.0.0.1:"))
        self.assertEqual(401, browser.call("GET", "/v1/endpoints").status)
        self.assertEqual(401, browser.call("POST", "/v1/endpoints", {"url": "http://127.0.0.1/"}).status)
        with_header = browser.call("GET", "/v1/session", Authorization=f"Bearer {INGEST}").json
        self.assertEqual(("ingest", "token shop", None), (with_header["scope"], with_header["who"], with_header["csrf"]))

    def test_a_token_signs_in_and_the_cookie_reads(self):
        browser = self.serve()
        answer = browser.sign_in(ADMIN)
        self.assertEqual(200, answer.status, answer)
        self.assertEqual({"Path=/", "HttpOnly", "SameSite=Strict"}, set(attributes(answer)))
        self.assertEqual(ADMIN, browser.cookie)
        self.assertEqual({"scope": "admin", "tenant": None, "who": "token deploy", "payloads": True, "tokens": True,
                          "csrf": hmac.new(ADMIN.encode(), b"outboxd csrf", hashlib.sha256).hexdigest()}, answer.json)
        self.assertEqual(answer.json, browser.session())
        for path in ("/v1/endpoints", "/v1/status", "/v1/secrets"):
            self.assertEqual(200, browser.call("GET", path).status, path)
        wait_until(lambda: "signed in to the dashboard" in self.outboxd.log(), "it is logged")
        self.assertNotIn(ADMIN, self.outboxd.log())

    def test_wrong_tokens_are_refused_and_logged_and_set_no_cookie(self):
        browser = self.serve()
        wrong = browser.sign_in("a-guess")
        self.assertEqual((401, "Bearer"), (wrong.status, wrong.headers["www-authenticate"]))
        ingest = browser.sign_in(INGEST)
        self.assertEqual(403, ingest.status)
        self.assertIn("scope view or admin", ingest.json["detail"])
        self.assertEqual(422, browser.sign_in("a;b").status)
        self.assertEqual(422, browser.call("POST", "/v1/session", {"token": ADMIN, "more": 1}).status)
        # Refused at its head, or, when all of it comes at once, for the field.
        self.assertIn(browser.sign_in("x" * 2000).status, (413, 422))
        self.assertIsNone(browser.cookie)
        wait_until(lambda: "caller refused" in self.outboxd.log(), "the refusals are logged")
        self.assertNotIn("a-guess", self.outboxd.log())

    def test_a_change_needs_the_proof(self):
        browser = self.serve()
        proof = browser.sign_in(ADMIN).json["csrf"]
        endpoint = {"url": self.receiver().url, "name": "shop"}
        for headers in ({}, {"outboxd_csrf": ""}, {"outboxd_csrf": "0" * 64}, {"outboxd_csrf": proof[:-1]}):
            refused = browser.call("POST", "/v1/endpoints", endpoint, **headers)
            self.assertEqual(403, refused.status, headers)
            self.assertIn("outboxd-csrf", refused.json["detail"])
        self.assertEqual([], self.outboxd.get("/v1/endpoints").json["data"])
        self.assertEqual(201, browser.call("POST", "/v1/endpoints", endpoint, outboxd_csrf=proof).status)
        self.assertEqual(403, browser.call("DELETE", "/v1/endpoints/shop").status)
        self.assertEqual(204, browser.call("DELETE", "/v1/endpoints/shop", outboxd_csrf=proof).status)
        wait_until(lambda: "token=deploy" in self.outboxd.log(), "the log says whose token changed something")

    def test_pages_of_other_origins_change_nothing_with_the_cookie_and_the_proof(self):
        browser = self.serve()
        proof = browser.sign_in(ADMIN).json["csrf"]
        endpoint = {"url": self.receiver().url}
        for site in ("cross-site", "same-site"):
            for method, path, body in (("POST", "/v1/endpoints", endpoint), ("POST", "/v1/session", {"token": ADMIN}), ("DELETE", "/v1/session", None)):
                answer = browser.call(method, path, body, outboxd_csrf=proof, Sec_Fetch_Site=site)
                self.assertEqual(403, answer.status, (site, method, path))
                self.assertNotIn("set-cookie", answer.headers)
        form = browser.call("POST", "/v1/endpoints", endpoint, outboxd_csrf=proof, Content_Type="text/plain")
        self.assertEqual(415, form.status)
        self.assertEqual(403, browser.call("GET", "/v1/session", Host="evil.example").status)
        preflight = browser.call("OPTIONS", "/v1/endpoints", Origin="http://evil.example", Access_Control_Request_Method="POST")
        self.assertEqual(405, preflight.status)
        self.assertNotIn("access-control-allow-origin", preflight.headers)
        self.assertEqual([], self.outboxd.get("/v1/endpoints").json["data"])

    def test_a_token_of_one_tenant_sees_that_tenant(self):
        browser = self.serve()
        for tenant in ("acme", "other"):
            self.outboxd.endpoint(self.receiver().url, name=f"of-{tenant}", tenant=tenant)
        session = browser.sign_in(VIEW).json
        self.assertEqual(("view", "acme", "token acme-view"), (session["scope"], session["tenant"], session["who"]))
        self.assertEqual(["of-acme"], [row["name"] for row in browser.call("GET", "/v1/endpoints").json["data"]])
        self.assertEqual(404, browser.call("GET", "/v1/endpoints/of-other").status)
        self.assertEqual("acme", browser.call("GET", "/v1/status").json["tenant"])
        self.assertEqual(403, browser.call("GET", "/v1/setup?hosts=false").status)
        self.assertEqual(403, browser.call("DELETE", "/v1/endpoints/of-acme", outboxd_csrf=session["csrf"]).status)

    def test_a_revoked_token_lets_nobody_in_any_more_and_its_cookie_is_cleared(self):
        browser = self.serve()
        browser.sign_in(ADMIN)
        self.know(VIEW, INGEST)
        self.outboxd.process.send_signal(signal.SIGHUP)
        wait_until(lambda: browser.call("GET", "/v1/endpoints").status == 401, "the cookie lets nobody in")
        self.assertIn("sign in again", browser.call("GET", "/v1/endpoints").json["detail"])
        self.assertEqual(401, browser.call("POST", "/v1/endpoints", {"url": "http://127.0.0.1/"}).status)
        answer = browser.call("GET", "/v1/session")
        self.assertEqual((200, "none"), (answer.status, answer.json["scope"]))
        self.assertIn("Max-Age=0", attributes(answer))
        self.assertIsNone(browser.cookie)
        self.assertEqual(200, browser.sign_in(VIEW).status)

    def test_signing_out_clears_the_cookie(self):
        browser = self.serve()
        proof = browser.sign_in(ADMIN).json["csrf"]
        self.assertEqual(403, browser.call("DELETE", "/v1/session").status)
        answer = browser.call("DELETE", "/v1/session", outboxd_csrf=proof)
        self.assertEqual((204, b""), (answer.status, answer.body))
        self.assertIsNone(browser.cookie)
        self.assertEqual("none", browser.session()["scope"])

    def test_the_authorization_header_takes_precedence_over_the_cookie(self):
        browser = self.serve()
        browser.sign_in(ADMIN)
        self.assertEqual(403, browser.call("GET", "/v1/endpoints", Authorization=f"Bearer {INGEST}").status)
        self.assertEqual(401, browser.call("GET", "/v1/endpoints", Authorization="Bearer wrong").status)
        endpoint = {"url": self.receiver().url}
        self.assertEqual(201, browser.call("POST", "/v1/endpoints", endpoint, Authorization=f"Bearer {ADMIN}").status)

    def test_over_tls_the_cookie_is_for_tls_alone(self):
        cert, key = make_certificate(self.folder, "daemon", "localhost")
        self.serve(f"listen.tls_cert={cert}", f"listen.tls_key={key}")
        context = ssl.create_default_context(cafile=cert)
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # a test's certificate has not all that newer Pythons ask for
        browser = Browser(self.outboxd.tcp_port, tls=context)
        answer = browser.sign_in(ADMIN)
        self.assertEqual(200, answer.status, answer)
        self.assertIn("Secure", attributes(answer))
        self.assertEqual(200, browser.call("GET", "/v1/endpoints").status)

    def test_behind_a_proxy_with_tls_the_cookie_is_for_tls_alone(self):
        browser = self.serve()
        answer = browser.call("POST", "/v1/session", {"token": ADMIN}, Origin="https://outboxd.example")
        self.assertEqual(200, answer.status, answer)
        self.assertIn("Secure", attributes(answer))
        self.assertNotIn("Secure", attributes(browser.sign_in(ADMIN)))

    def test_a_page_of_another_port_does_not_make_a_browser_reveal(self):
        browser = self.serve()
        self.outboxd.endpoint(self.receiver().url, name="shop")
        browser.sign_in(ADMIN)
        before = self.outboxd.get("/v1/audit").json["data"]
        for path in ("/v1/endpoints/shop/secrets?reveal=true", "/v1/setup", "/v1/status", "/v1/attempts/stream"):
            refused = browser.call("GET", path, Sec_Fetch_Site="same-site")
            self.assertEqual(403, refused.status, path)
            self.assertIn("another origin", refused.json["detail"])
        self.assertEqual(before, self.outboxd.get("/v1/audit").json["data"])
        for path in ("/", "/dashboard/main.js", "/v1/session"):
            self.assertEqual(200, browser.call("GET", path, Sec_Fetch_Site="cross-site").status, path)

    def test_nobody_is_signed_in_as_somebody_else_without_noticing(self):
        browser = self.serve()
        for first, second in ((VIEW, ADMIN), (ADMIN, VIEW)):
            two = f"{COOKIE}={first}; {COOKIE}={second}"
            for method, path in (("GET", "/v1/session"), ("GET", "/v1/endpoints")):
                refused = browser.call(method, path, Cookie=two)
                self.assertEqual(400, refused.status, refused)
                self.assertIn("two different cookies", refused.json["detail"])
            # At its head, or when all of it has come.
            self.assertIn(browser.call("POST", "/v1/endpoints", {"url": "http://127.0.0.1/"}, Cookie=two).status, (400, 401))
        self.assertEqual("admin", browser.call("GET", "/v1/session", Cookie=f"{COOKIE}={ADMIN}; {COOKIE}={ADMIN}").json["scope"])

    def test_tcp_without_tokens_says_how_to_get_in(self):
        self.outboxd = self.daemon().start()
        browser = Browser(self.outboxd.tcp_port)
        session = browser.session()
        self.assertEqual(("ingest", False), (session["scope"], session["tokens"]))
        refused = browser.sign_in(ADMIN)
        self.assertEqual(403, refused.status)
        self.assertIn("tokens_file", refused.json["detail"])
        self.assertIsNone(browser.cookie)

    def test_over_a_unix_socket_the_caller_is_known(self):
        self.serve()
        session = self.outboxd.get("/v1/session").json
        self.assertEqual(("admin", None, True), (session["scope"], session["csrf"], session["who"].startswith("uid ")))
        for answer in (self.outboxd.post("/v1/session", {"token": "any"}), self.outboxd.post("/v1/session"),
                       self.outboxd.call("GET", "/v1/session", headers={"Cookie": f"{COOKIE}=unknown"})):
            self.assertEqual((200, "admin"), (answer.status, answer.json["scope"]))
            self.assertNotIn("set-cookie", answer.headers)
        by_producer = self.outboxd.call("GET", "/v1/session", socket_path=self.outboxd.ingest).json
        self.assertEqual("ingest", by_producer["scope"])

    def test_where_payloads_are_not_to_be_shown_a_browser_gets_none(self):
        browser = self.serve("dashboard.payloads=false")
        echo = self.receiver(lambda request: (200, {}, request.body))
        endpoint = self.outboxd.endpoint(echo.url)["id"]
        event = self.outboxd.event(payload='{"card":"4111"}')["id"]
        delivery = self.outboxd.wait_for_state("delivered", 1)[0]["id"]
        self.assertFalse(browser.sign_in(ADMIN).json["payloads"])
        self.assertFalse(self.outboxd.get("/v1/session").json["payloads"])
        for path in (f"/v1/events/{event}/payload", f"/v1/deliveries/{delivery}/request", "/v1/outbox/1"):
            refused = browser.call("GET", path)
            self.assertEqual(403, refused.status, path)
            self.assertIn("[dashboard] payloads", refused.json["detail"])
        self.assertEqual(403, browser.call("HEAD", f"/v1/events/{event}/payload").status)
        for path in (f"/v1/events/{event}", f"/v1/deliveries/{delivery}", f"/v1/endpoints/{endpoint}", "/v1/attempts"):
            answer = browser.call("GET", path)
            self.assertEqual(200, answer.status, path)
            self.assertNotIn(b"4111", answer.body)
        token = {"Authorization": f"Bearer {ADMIN}"}
        self.assertEqual(b'{"card":"4111"}', Browser(browser.port).call("GET", f"/v1/events/{event}/payload", **token).body)
        self.assertEqual(200, self.outboxd.get(f"/v1/deliveries/{delivery}/request").status)
        self.assertIn(b"4111", self.outboxd.get(f"/v1/deliveries/{delivery}").body)


class AssetsTest(EndToEndTest):
    def setUp(self):
        super().setUp()
        self.outboxd = self.daemon().start()
        self.browser = Browser(self.outboxd.tcp_port)

    def test_the_page_comes_to_anybody_with_a_strict_policy(self):
        for answer in (self.browser.call("GET", "/"), self.outboxd.get("/")):
            self.assertEqual((200, "text/html; charset=utf-8"), (answer.status, answer.headers["content-type"]))
            self.assertEqual(["default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
                              "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"],
                             answer.headers.get_all("content-security-policy"))
            for name, value in {"x-frame-options": "DENY", "referrer-policy": "no-referrer", "cross-origin-opener-policy": "same-origin",
                                "x-content-type-options": "nosniff", "cache-control": "no-cache"}.items():
                self.assertEqual([value], answer.headers.get_all(name), name)
            self.assertNotIn("set-cookie", answer.headers)
        self.assertEqual(403, self.browser.call("GET", "/", Host="evil.example").status)

    def test_a_file_is_sent_again_only_when_it_has_changed(self):
        for path, type in (("/", "text/html; charset=utf-8"), ("/dashboard/main.js", "text/javascript"), ("/dashboard/style.css", "text/css")):
            with self.subTest(path):
                got = self.browser.call("GET", path)
                self.assertEqual((200, type), (got.status, got.headers["content-type"]))
                self.assertNotIn(b"sourceMappingURL", got.body)
                head = self.browser.call("HEAD", path)
                self.assertEqual((200, b"", str(len(got.body))), (head.status, head.body, head.headers["content-length"]))
                tag = got.headers["etag"]
                self.assertEqual(tag, head.headers["etag"])
                for known in (tag, f'"x", {tag}', "*"):
                    same = self.browser.call("GET", path, If_None_Match=known)
                    self.assertEqual((304, b"", tag), (same.status, same.body, same.headers["etag"]))
                self.assertEqual(200, self.browser.call("GET", path, If_None_Match='"x"').status)
        self.assertEqual(200, self.outboxd.get("/dashboard/main.js").status)

    def test_what_is_no_file_is_a_404_and_no_file_can_be_written(self):
        escaped = ("/dashboard/..%2findex.html", 400)  # no path of ours has an escaped slash
        for path, status in (escaped, *((path, 404) for path in ("/dashboard/", "/dashboard/x.js", "/dashboard/a/b", "/dashboard"))):
            answer = self.browser.call("GET", path)
            self.assertEqual((status, "application/problem+json"), (answer.status, answer.headers["content-type"]), path)
        self.assertEqual((405, "GET, HEAD"), (lambda a: (a.status, a.headers["allow"]))(self.browser.call("POST", "/", {})))

    def test_a_slow_sign_in_holds_nobody_up(self):
        silent = []
        for _ in range(50):
            sock = socket.create_connection(("127.0.0.1", self.outboxd.tcp_port), PATIENCE)
            self.addCleanup(sock.close)
            sock.sendall(b"POST /v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{")
            silent.append(sock)
        self.assertEqual(200, self.browser.call("GET", "/").status)


if __name__ == "__main__":
    unittest.main()
