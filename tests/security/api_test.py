"""The corpora of hostile requests against the real daemon: each gets its status, stores nothing, and leaves nothing behind on its connection."""
import base64
import hashlib
import json
import subprocess
import unittest
import urllib.parse

from api_support import PATIENCE, EndToEndTest, Receiver, Witness, converse, wait_until
from corpus import api_callers, api_framing
from corpus.api_case import EVENT, HIDDEN, Case, length, request


class ApiTest(EndToEndTest):
    """One daemon, a witness of its store, and the count of what was tried."""

    def setUp(self):
        super().setUp()
        self.cases = 0

    def serve(self, *settings):
        self.outboxd = self.daemon(*settings).start()
        self.addresses = {"tcp": self.outboxd.tcp_port, "ingest": self.outboxd.ingest, "admin": self.outboxd.admin}
        self.witness = Witness(self.outboxd.database)
        self.addCleanup(self.witness.close)
        self.addCleanup(lambda: print(f"{self.id().split('.')[-1]}: {self.cases} cases"))

    def check_answers(self, case, answers):
        self.assertEqual(tuple(a.status for a in answers), case.answers)
        for answer in answers:
            self.assertEqual(answer.headers["x-content-type-options"], "nosniff")
            if answer.status >= 400:
                self.assertEqual(answer.headers["content-type"], "application/problem+json")
                self.assertEqual(json.loads(answer.body)["status"], answer.status)
        if answers and not case.ends:
            self.assertEqual(answers[-1].headers["connection"], "close")

    def try_case(self, case, address):
        """All that is promised of a case; fails with what is not kept."""
        before = self.witness.rows()
        answers = converse(address, case.sent, case.ends, then=HIDDEN)
        self.check_answers(case, answers)
        health, = converse(address, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        self.assertEqual(health.status, 200)
        after = self.witness.rows()
        self.assertEqual(len(after["event"]) - len(before["event"]), case.stored)
        if not case.stored:
            self.assertEqual(after, before)
        self.cases += 1

    def ask(self, address, method, target, headers=(), body=b"", host="localhost"):
        """One request on a connection of its own; `headers`: a dict, or pairs. The answer."""
        pairs = headers.items() if isinstance(headers, dict) else headers
        lines = "".join(f"{name}: {value}\r\n" for name, value in pairs).encode()
        head = f"{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n".encode()
        answer, = converse(address, head + lines + (length(body) if body else b"") + b"\r\n" + body)
        return answer


class Framing(ApiTest):
    def setUp(self):
        super().setUp()
        self.serve()

    def run_cases(self, cases):
        for case in cases:
            for name, address in self.addresses.items():
                with self.subTest(case=case.name, listener=name, source=case.source):
                    self.try_case(case, address)

    def test_what_can_be_framed_in_two_ways_is_refused_and_stores_nothing(self):
        for kind, cases in api_framing.REFUSED.items():
            with self.subTest(kind=kind):
                self.run_cases(cases)
        self.assertEqual(self.witness.count("event"), 0)
        self.assertNotIn("level=error", self.outboxd.log())

    def test_what_every_parser_frames_alike_is_taken(self):
        self.run_cases(api_framing.TAKEN)

    def test_a_case_that_were_taken_would_be_noticed(self):
        good = request(length(EVENT), EVENT)
        for broken in (Case("a good request", good, (400,), "control"),
                       Case("a request behind it", good + HIDDEN, (202,), "control", stored=1, ends=True),
                       Case("a connection left open", good, (202,), "control", stored=1, ends=True)._replace(stored=0)):
            with self.subTest(control=broken.name), self.assertRaises(AssertionError):
                self.try_case(broken._replace(ends=True), self.addresses["tcp"])


class Hosts(ApiTest):
    """DNS rebinding: a page's own name leads to 127.0.0.1, but the browser sends that name as Host."""

    def run_hosts(self, hosts):
        for host, status, source in hosts:
            with self.subTest(host=host, source=source):
                before = self.witness.count("event")
                answers = [self.ask(self.addresses["tcp"], "GET", "/v1/status", host=host),
                           self.ask(self.addresses["tcp"], "GET", "/no/such/path", host=host),
                           self.ask(self.addresses["tcp"], "POST", "/v1/events", {"Content-Type": "application/json"}, EVENT, host=host)]
                allowed = status == 200
                self.assertEqual([a.status for a in answers], [200, 404, 202] if allowed else [status] * 3)
                self.assertEqual(self.witness.count("event") - before, 1 if allowed else 0)
                self.cases += 1

    def test_only_a_host_that_names_loopback_is_served(self):
        self.serve()
        self.run_hosts(api_callers.HOSTS)

    def test_an_allowed_host_is_served_and_nothing_like_it(self):
        self.serve("listen.allowed_hosts=" + api_callers.ALLOWED_HOSTS)
        self.run_hosts(api_callers.WITH_ALLOWED)

    def test_a_unix_socket_asks_for_no_host(self):
        self.serve()
        for listener in ("ingest", "admin"):  # no browser speaks to it, and HTTP clients send what they like
            self.assertEqual(self.ask(self.addresses[listener], "GET", "/healthz", host="evil.example").status, 200)


class Browsers(ApiTest):
    def setUp(self):
        super().setUp()
        self.serve()
        self.endpoint = self.outboxd.endpoint("http://127.0.0.1:1/hook", types=["never"])["id"]

    def run_rows(self, rows):
        before = self.witness.rows()
        for name, headers, method, target, status, source in rows:
            with self.subTest(case=name, source=source):
                body = EVENT if target == "/v1/events" and method == "POST" else b""
                answer = self.ask(self.addresses["tcp"], method, target.replace("$EP", self.endpoint), headers, body)
                self.assertEqual(answer.status, status)
                self.assertEqual([h for h in answer.headers if h.startswith("access-control-")], [])
                self.assertEqual(answer.headers["x-content-type-options"], "nosniff")
                self.assertEqual(self.witness.rows(), before)
                self.cases += 1

    def test_another_site_can_write_nothing_through_a_browser(self):
        self.run_rows(api_callers.BROWSERS)

    def test_a_write_that_says_it_comes_from_another_site_is_refused(self):
        self.run_rows(api_callers.FETCHES)

    def test_the_same_writes_from_the_site_itself_take_effect(self):
        own = {"Content-Type": "application/json", "Origin": "http://localhost:8877", "Sec-Fetch-Site": "same-origin"}
        for headers in (own, {"Content-Type": "application/json", "Sec-Fetch-Site": "none"}, {"Content-Type": "application/json"}):
            self.assertEqual(self.ask(self.addresses["tcp"], "POST", "/v1/events", headers, EVENT).status, 202)
        self.assertEqual(self.ask(self.addresses["tcp"], "POST", f"/v1/endpoints/{self.endpoint}/pause", own, b"{}").status, 200)


ADMIN_TOKEN = "secret-admin-token-0123456789"
INGEST_TOKEN = "secret-ingest-token-0123456789"


class Tokens(ApiTest):
    def serve_with_tokens(self, *settings):
        tokens = self.folder / "tokens"
        tokens.write_text("".join(f"{scope} {hashlib.sha256(token.encode()).hexdigest()} {scope}-caller\n"
                                  for scope, token in (("admin", ADMIN_TOKEN), ("ingest", INGEST_TOKEN))))
        self.serve(f"listen.tokens_file={tokens}", "log.level=debug", *settings)

    def test_what_is_not_exactly_the_token_is_refused(self):
        self.serve_with_tokens()
        before = self.witness.rows()
        forms = {"t": ADMIN_TOKEN, "cut": ADMIN_TOKEN[:-1], "upper": ADMIN_TOKEN.upper(), "percent": "%73" + ADMIN_TOKEN[1:],
                 "sha256": hashlib.sha256(ADMIN_TOKEN.encode()).hexdigest(), "base64": base64.b64encode(ADMIN_TOKEN.encode()).decode(),
                 "basic": base64.b64encode(f"{ADMIN_TOKEN}:".encode()).decode()}
        fill = lambda text: text.format(**forms)
        said = []
        for name, headers, status, source, *query in api_callers.TOKENS:
            with self.subTest(token=name, source=source):
                pairs = [(header, fill(value)) for header, value in headers.items()]
                target = fill(query[0]) if query else ""
                for method, path, body in (("GET", "/v1/status", b""), ("POST", "/v1/events", EVENT)):
                    more = [("Content-Type", "application/json")] if body else []
                    answer = self.ask(self.addresses["tcp"], method, path + target, pairs + more, body)
                    self.assertEqual(answer.status, status)
                    if status == 401:
                        self.assertEqual(answer.headers["www-authenticate"], "Bearer")
                    said.append(answer.body.decode())
                    self.cases += 1
        self.assertEqual(self.witness.rows(), before)
        self.assert_untold("\n".join(said))

    def test_two_authorization_headers_are_refused(self):
        self.serve_with_tokens()
        good, bad = ("Authorization", f"Bearer {ADMIN_TOKEN}"), ("Authorization", "Bearer another")
        for pairs in ([good, bad], [bad, good], [good, good], [good, ("authorization", "Basic YTpi")]):
            with self.subTest(pairs=pairs):
                self.assertIn(self.ask(self.addresses["tcp"], "GET", "/v1/status", pairs).status, (400, 401))
                self.cases += 1

    def assert_untold(self, *texts):
        for text in (*texts, self.outboxd.log()):
            for token in (ADMIN_TOKEN, INGEST_TOKEN):
                self.assertNotIn(token[:16], text)
                self.assertNotIn(hashlib.sha256(token.encode()).hexdigest()[:16], text)

    def routes(self):
        """Every method and path of /openapi.json, with the scopes that its description asks for."""
        document = json.loads(self.ask(self.addresses["tcp"], "GET", "/openapi.json").body)
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                scopes = [scope for choice in operation.get("security", []) for scope in choice.get("token", [])]
                kind = {"events": "evt", "endpoints": "ep", "deliveries": "dlv"}.get((path.split("/") + ["", ""])[2], "")
                yield method.upper(), path.replace("{id}", f"{kind}_{'0' * 12}7{'0' * 3}8{'0' * 15}"), scopes[0] if scopes else "none"

    def test_each_route_takes_the_scope_it_says_and_no_less(self):
        self.serve_with_tokens()
        routes = list(self.routes())
        self.assertGreater(len(routes), 20)
        self.assertEqual({scope for *_, scope in routes}, {"none", "ingest", "admin"})
        before = self.witness.rows()
        order = ["none", "ingest", "admin"]
        callers = [("none", "tcp", {}), ("ingest", "tcp", {"Authorization": f"Bearer {INGEST_TOKEN}"}), ("ingest", "ingest", {}),
                   ("ingest", "ingest", {"Authorization": f"Bearer {ADMIN_TOKEN}"}),  # the socket's mode says who calls, no token adds to it
                   ("admin", "tcp", {"Authorization": f"bearer {ADMIN_TOKEN}"}), ("admin", "admin", {})]
        for method, path, needed in routes:
            for scope, listener, headers in callers:
                with self.subTest(method=method, path=path, scope=scope, listener=listener):
                    # Broken bodies, so that what is let in changes nothing.
                    body = b"{" if method in ("POST", "PATCH") else b""
                    answer = self.ask(self.addresses[listener], method, path, {**headers, "Content-Type": "application/json"}, body)
                    if order.index(scope) >= order.index(needed):
                        self.assertNotIn(answer.status, (401, 403))
                    else:
                        self.assertEqual(answer.status, 401 if scope == "none" else 403)
                    self.cases += 1
        self.assertEqual(self.witness.rows(), before)
        self.assert_untold()

    def test_without_tokens_an_address_that_is_not_loopback_is_refused_at_the_start(self):
        for address in ("0.0.0.0:0", "[::]:0", "192.0.2.1:0", "0.0.0.0:8877"):
            with self.subTest(address=address):
                daemon = self.daemon(f"listen.tcp={address}")
                run = subprocess.run(daemon.command(), capture_output=True, text=True, timeout=PATIENCE, check=False)
                self.assertIn(run.returncode, (1, 78))
                self.assertIn("tokens_file", run.stderr)
                self.assertFalse(daemon.database.exists())
                self.cases += 1

    def test_a_tokens_file_that_grants_nothing_or_too_much_is_refused_at_the_start(self):
        digest = hashlib.sha256(b"x").hexdigest()
        for text in ("", "# admin\n", f"root {digest}\n", f"Admin {digest}\n", "admin secret-in-the-clear\n", f"admin {digest}00\n", f"admin {digest[1:]}\n",
                     f"admin {digest} name more\n", f"admin {digest}\ningest {digest}\n", f"admin {digest} {'n' * 600}\n"):
            with self.subTest(file=text):
                tokens = self.folder / "tokens"
                tokens.write_text(text)
                daemon = self.daemon(f"listen.tokens_file={tokens}")
                run = subprocess.run(daemon.command(), capture_output=True, text=True, timeout=PATIENCE, check=False)
                self.assertIn(run.returncode, (1, 78))
                self.assertIn("tokens", run.stderr)
                self.assertNotIn("secret-in-the-clear", run.stderr + run.stdout)
                self.cases += 1


if __name__ == "__main__":
    unittest.main(verbosity=2)
