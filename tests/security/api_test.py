"""The corpora of hostile requests against the real daemon: each gets its status, stores nothing, and leaves nothing behind on its connection."""
import base64
import collections
import hashlib
import json
import pathlib
import random
import re
import resource
import select
import socket
import socketserver
import sqlite3
import subprocess
import tempfile
import unittest

from api_support import (BIN, PATIENCE, EndToEndTest, Receiver, Witness, connect, converse, run_on_terminal, send_all,
                         wait_until, what_a_terminal_obeys)
from corpus import api_answers, api_callers, api_fields, api_framing, api_json, api_routes
from corpus.api_case import EVENT, HIDDEN, Case, length, request


ADMIN_TOKEN = "secret-admin-token-0123456789"
INGEST_TOKEN = "secret-ingest-token-0123456789"
CALLERS = {"admin": ADMIN_TOKEN, "ingest": INGEST_TOKEN, "view": "secret-view-token-0123456789",
           **{f"{scope}:acme": f"secret-acme-{scope}-token-0123456789" for scope in api_routes.SCOPES}}


class ApiTest(EndToEndTest):
    """One daemon, a witness of its store, and the count of what was tried."""

    def setUp(self):
        super().setUp()
        self.cases = 0
        self.addCleanup(lambda: print(f"{self.cases} cases"))

    def serve(self, *settings):
        self.outboxd = self.daemon(*settings).start()
        self.addresses = {"tcp": self.outboxd.tcp_port, "ingest": self.outboxd.ingest, "admin": self.outboxd.admin}
        self.witness = Witness(self.outboxd.database)
        self.addCleanup(self.witness.close)

    def serve_with_tokens(self, *settings):
        tokens = self.folder / "tokens"
        tokens.write_text("".join(f"{scope} {hashlib.sha256(token.encode()).hexdigest()} {scope}-caller\n"
                                  for scope, token in CALLERS.items()))
        self.serve(f"listen.tokens_file={tokens}", "log.level=debug", *settings)

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
        answers = converse(address, head + lines + (length(body) if body else b"") + b"\r\n" + body)
        self.assertEqual(len(answers), 1)
        return answers[0]


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
                answers = [self.ask(self.addresses["tcp"], "GET", "/readyz", host=host),
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
    """A browser that an operator has given his token: it sends it along, and must not lend it to other sites."""

    def setUp(self):
        super().setUp()
        self.serve_with_tokens()
        self.token = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
        self.endpoint = self.outboxd.endpoint("http://127.0.0.1:1/hook", types=["never"])["id"]
        self.event = self.outboxd.event("corpus.kept")["id"]
        self.batch = self.outboxd.post("/v1/batches", {"action": "retry", "filter": {"type": "never"}}).json["id"]
        wait_until(lambda: self.outboxd.get(f"/v1/batches/{self.batch}").json["state"] == "finished", "the batch is finished")

    def run_rows(self, rows):
        before = self.witness.rows()
        for name, headers, method, target, status, source in rows:
            with self.subTest(case=name, source=source):
                body = EVENT if target == "/v1/events" and method == "POST" else b""
                target = target.replace("$EP", self.endpoint).replace("$EVT", self.event).replace("$BAT", self.batch)
                answer = self.ask(self.addresses["tcp"], method, target, {**self.token, **headers}, body)
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
            self.assertEqual(self.ask(self.addresses["tcp"], "POST", "/v1/events", {**self.token, **headers}, EVENT).status, 202)
        self.assertEqual(self.ask(self.addresses["tcp"], "POST", f"/v1/endpoints/{self.endpoint}/pause", {**self.token, **own}, b"{}").status, 200)


class Tokens(ApiTest):
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

    def test_without_tokens_tcp_serves_producers_and_no_header_makes_one_an_operator(self):
        self.serve()
        endpoint = self.outboxd.endpoint("http://127.0.0.1:1/hook", types=["never"])["id"]
        before = self.witness.rows()
        for method, path, access in api_routes.ROUTES:
            for headers in ({}, {"Authorization": f"Bearer {ADMIN_TOKEN}"}, {"Authorization": "Basic YTpi"}):
                with self.subTest(method=method, path=path, headers=headers):
                    answer = self.ask(self.addresses["tcp"], method, api_routes.harmless(path),
                                      {**headers, "Content-Type": "application/json"}, self.body_of(method))
                    if not api_routes.granted(access, "ingest", False):
                        self.assertEqual(answer.status, 403)
                        for word in ("admin socket", "tokens_file", "/metrics"):
                            self.assertIn(word, json.loads(answer.body)["detail"])
                    else:
                        self.assertNotIn(answer.status, (401, 403))
                    self.cases += 1
        revealing = self.ask(self.addresses["tcp"], "GET", f"/v1/endpoints/{endpoint}/secrets?reveal=true")
        self.assertEqual(revealing.status, 403)
        self.assertNotIn(b"whsec_", revealing.body)
        self.assertEqual(self.witness.rows(), before)
        self.assertEqual(self.ask(self.addresses["tcp"], "POST", "/v1/events", {"Content-Type": "application/json"}, EVENT).status, 202)

    def test_two_authorization_headers_are_refused(self):
        self.serve_with_tokens()
        good, bad = ("Authorization", f"Bearer {ADMIN_TOKEN}"), ("Authorization", "Bearer another")
        for pairs in ([good, bad], [bad, good], [good, good], [good, ("authorization", "Basic YTpi")]):
            with self.subTest(pairs=pairs):
                self.assertIn(self.ask(self.addresses["tcp"], "GET", "/v1/status", pairs).status, (400, 401))
                self.cases += 1

    def assert_untold(self, *texts):
        for text in (*texts, self.outboxd.log()):
            for token in CALLERS.values():
                self.assertNotIn(token[:20], text)
                self.assertNotIn(hashlib.sha256(token.encode()).hexdigest()[:16], text)

    @staticmethod
    def body_of(method):
        """Broken, so that what is let in changes nothing."""
        return b"{" if method in ("POST", "PATCH") else b""

    def test_the_corpus_names_every_route_with_the_scopes_of_its_description(self):
        self.serve()
        document = json.loads(self.ask(self.addresses["tcp"], "GET", "/openapi.json").body)
        described = {(method.upper(), path): {scope for choice in operation.get("security", []) for scope in choice.get("token", [])}
                     for path, operations in document["paths"].items() for method, operation in operations.items()}
        known = {(method, path): set() if scopes is None else set(scopes or ("admin",)) for method, path, (scopes, _) in api_routes.ROUTES}
        self.assertEqual(described, known)

    def test_each_route_takes_the_scope_it_says_and_no_less(self):
        self.serve_with_tokens()
        before = self.witness.rows()
        callers = [(name.partition(":")[0], ":" in name, "tcp", {"Authorization": f"Bearer {token}"}) for name, token in CALLERS.items()]
        callers += [(None, False, "tcp", {}), ("ingest", False, "ingest", {}),
                    ("ingest", False, "ingest", {"Authorization": f"Bearer {ADMIN_TOKEN}"}),  # the socket's mode says who calls, no token adds to it
                    ("admin", False, "tcp", {"Authorization": f"bearer {ADMIN_TOKEN}"}), ("admin", False, "admin", {}),
                    ("admin", False, "admin", {"Authorization": f"Bearer {CALLERS['view:acme']}"})]
        for method, path, access in api_routes.ROUTES:
            for scope, of_tenant, listener, headers in callers:
                with self.subTest(method=method, path=path, scope=scope, of_tenant=of_tenant, listener=listener):
                    answer = self.ask(self.addresses[listener], method, api_routes.harmless(path),
                                      {**headers, "Content-Type": "application/json"}, self.body_of(method))
                    if api_routes.granted(access, scope, of_tenant):
                        self.assertNotIn(answer.status, (401, 403))
                    else:
                        self.assertEqual(answer.status, 401 if scope is None else 403)
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
        for text in ("", "# admin\n", f"root {digest}\n", f"Admin {digest}\n", "admin secret-in-the-clear\n",
                     f"admin {digest}00\n", f"admin {digest[1:]}\n", f"admin {digest} name more\n", f"admin {digest}\ningest {digest}\n", f"admin {digest} {'n' * 600}\n"):
            with self.subTest(file=text):
                tokens = self.folder / "tokens"
                tokens.write_text(text)
                daemon = self.daemon(f"listen.tokens_file={tokens}")
                run = subprocess.run(daemon.command(), capture_output=True, text=True, timeout=PATIENCE, check=False)
                self.assertIn(run.returncode, (1, 78))
                self.assertIn("tokens", run.stderr)
                self.assertNotIn("secret-in-the-clear", run.stderr + run.stdout)
                self.cases += 1


class Tenants(ApiTest):
    """Two tenants with the same things, and tokens of acme: nothing of the other's is shown or touched."""

    def setUp(self):
        super().setUp()
        self.serve_with_tokens()
        self.things = {tenant: self.things_of(tenant) for tenant in ("acme", "other")}

    def things_of(self, tenant):
        endpoint = self.outboxd.endpoint("http://127.0.0.1:1/hook", tenant=tenant, name=f"shop-{tenant}", retry_schedule=["0s"])["id"]
        event = self.outboxd.event("corpus.tenant", tenant=tenant)["id"]
        delivery, = wait_until(lambda: self.outboxd.deliveries(f"&state=dead&tenant={tenant}"), "its delivery is dead")
        batch = self.outboxd.post("/v1/batches", {"action": "discard", "filter": {"tenant": tenant, "type": "no.such"}})
        self.assertEqual(batch.status, 202, batch)
        wait_until(lambda: self.outboxd.get(f"/v1/batches/{batch.json['id']}").json["state"] == "finished", "the batch is finished")
        return {"/v1/endpoints/": endpoint, "/v1/events/": event, "/v1/deliveries/": delivery["id"], "/v1/batches/": batch.json["id"]}

    def ask_as(self, scope, method, target, body=b""):
        self.cases += 1
        return self.ask(self.addresses["tcp"], method, target,
                        {"Authorization": f"Bearer {CALLERS[scope + ':acme']}", "Content-Type": "application/json"}, body)

    def routes(self, *, one, methods=("GET", "POST", "PATCH", "DELETE")):
        for method, path, access in api_routes.ROUTES:
            for scope in api_routes.SCOPES:
                if access != api_routes.OPEN and api_routes.granted(access, scope, True) and ("{id}" in path) == one and method in methods:
                    yield scope, method, path

    def test_what_is_anothers_is_not_there(self):
        before = self.witness.rows()
        for scope, method, path in self.routes(one=True):
            foreign = next(id for start, id in self.things["other"].items() if path.startswith(start))
            body = {"POST": b"{}", "PATCH": b'{"name":"taken"}'}.get(method, b"")
            with self.subTest(scope=scope, method=method, path=path):
                self.assertEqual(self.ask_as(scope, method, path.replace("{id}", foreign), body).status, 404)
        self.assertEqual(self.witness.rows(), before)

    def check_shown(self, text):
        # What has no id of its own says whose it is.
        self.assertTrue(any(id in text for id in self.things["acme"].values()) or '"tenant":"acme"' in text, text)
        self.assertFalse(any(id in text for id in self.things["other"].values()) or '"tenant":"other"' in text, text)
        self.assertNotIn("shop-other", text)

    def test_a_list_shows_its_own_alone(self):
        for scope, method, path in self.routes(one=False, methods=("GET",)):
            with self.subTest(scope=scope, path=path):
                if path.endswith("/stream"):
                    self.check_shown(self.first_of_stream(scope, path + "?last=10"))
                    continue
                query = {"/v1/failures": "?by=endpoint", "/v1/series": "?name=dead&endpoint=shop-acme"}.get(path, "?")
                answer = self.ask_as(scope, method, path + query.rstrip("?"))
                self.assertEqual(answer.status, 200)
                self.check_shown(answer.body.decode())
                self.assertEqual(self.ask_as(scope, method, f"{path}{query}&tenant=other".replace("?&", "?")).status, 403)
                if path != "/v1/status":  # which is of its moment
                    self.assertEqual(self.ask_as(scope, method, f"{path}{query}&tenant=acme".replace("?&", "?")).body, answer.body)

    def first_of_stream(self, scope, target):
        """What a stream shows at its beginning, which comes in one piece and ends with the place in it."""
        with connect(self.addresses["tcp"]) as sock:
            sock.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {CALLERS[scope + ':acme']}\r\n\r\n".encode())
            got = b""
            while not (b"event: attempt" in got and re.search(rb"\n\nid: [^\n]+\n\n", got)):
                chunk = sock.recv(65536)
                self.assertTrue(chunk, got)
                got += chunk
        self.assertIn(b"text/event-stream", got)
        return got.decode()

    def test_nothing_is_made_for_another(self):
        before = self.witness.rows()
        for target, body in (("/v1/events", {"type": "a.b", "payload": 1, "tenant": "other"}),
                             ("/v1/events", [{"type": "a.b", "payload": 1}, {"type": "a.b", "payload": 1, "tenant": "other"}]),
                             ("/v1/endpoints", {**GOOD_ENDPOINT, "tenant": "other"}),
                             ("/v1/batches", {"action": "discard", "filter": {"tenant": "other"}}),
                             ("/v1/batches", {"action": "discard", "filter": {"tenant": "other"}, "dry_run": True})):
            with self.subTest(target=target, body=body):
                self.assertEqual(self.ask_as("admin", "POST", target, json.dumps(body).encode()).status, 403)
        self.assertEqual(self.witness.rows(), before)

    def test_a_batch_that_names_no_tenant_is_of_the_callers_own(self):
        counted = self.ask_as("admin", "POST", "/v1/batches", b'{"action":"discard","filter":{"state":"dead"},"dry_run":true}')
        self.assertEqual((counted.status, json.loads(counted.body)["matched"]), (200, 1))
        made = self.ask_as("admin", "POST", "/v1/batches", b'{"action":"discard","filter":{"state":"dead"}}')
        self.assertEqual(made.status, 202)
        batch = json.loads(made.body)["id"]
        wait_until(lambda: self.outboxd.get(f"/v1/batches/{batch}").json["state"] == "finished", "the batch is finished")
        states = {tenant: self.outboxd.get(f"/v1/deliveries/{things['/v1/deliveries/']}").json["state"] for tenant, things in self.things.items()}
        self.assertEqual(states, {"acme": "discarded", "other": "dead"})


GOOD_ENDPOINT = {"url": "http://127.0.0.1:1/hook"}


class Fields(ApiTest):
    """Over the admin socket, where everything may be asked."""

    def setUp(self):
        super().setUp()
        self.serve()

    def refused(self, method, path, body, headers=(), status=(400, 422)):
        answer = self.outboxd.call(method, path, body, dict(headers) if headers else None)
        self.assertIn(answer.status, status)
        self.assertEqual(answer.headers["content-type"], "application/problem+json")
        self.assertLess(len(answer.body), 64 << 10)
        self.assertNotIn("X-Smuggled", str(answer.headers))
        self.cases += 1

    def run_refused(self, rows):
        """rows: (name, path, body, headers, statuses)"""
        for name, path, body, headers, status in rows:
            with self.subTest(case=name):
                before = self.witness.rows()
                self.refused("POST", path, body, headers, status)
                self.assertEqual(self.witness.rows(), before)
        self.assertEqual(self.outboxd.get("/healthz").status, 200)

    @staticmethod
    def event_with(field, value):
        pairs = {"type": '"corpus.field"', "payload": "1"}
        pairs[field] = value
        return ("{" + ",".join(f'"{name}":{text}' for name, text in pairs.items()) + "}").encode()

    @staticmethod
    def endpoint_with(field, value):
        return f'{{"url":"http://127.0.0.1:1/hook","{field}":{value}}}'.encode()

    def header_objects(self):
        for name, value, source in api_fields.HEADERS:
            yield f"{name!r}: {value[:40]!r} ({source})", json.dumps({name: value})
        yield from api_fields.HEADER_OBJECTS

    def test_an_extra_header_never_breaks_out_of_its_line(self):
        self.run_refused([(name, path, make("headers", text), (), (400, 422)) for name, text in self.header_objects()
                          for path, make in (("/v1/events", self.event_with), ("/v1/endpoints", self.endpoint_with))])

    def test_an_endpoint_is_not_changed_to_such_a_header_either(self):
        endpoint = self.outboxd.endpoint(**GOOD_ENDPOINT)
        before = self.witness.rows()
        for name, text in self.header_objects():
            with self.subTest(case=name):
                self.refused("PATCH", f"/v1/endpoints/{endpoint['id']}", f'{{"headers":{text}}}'.encode())
        self.assertEqual(self.witness.rows(), before)

    def test_a_field_that_is_not_what_it_should_be_is_refused(self):
        self.run_refused([(f"{field}: {value[:40]} ({source})", path, make(field, value), (), status)
                          for path, make, rows, status in (("/v1/events", self.event_with, api_fields.EVENT_FIELDS, (422,)),
                                                           ("/v1/endpoints", self.endpoint_with, api_fields.ENDPOINT_FIELDS, (400, 422)))
                          for field, value, source in rows])

    def test_a_batch_that_is_not_what_it_should_be_is_refused_and_not_begun(self):
        good = {"action": '"discard"', "filter": '{"state":"dead"}'}
        fields = [(f"{field}: {value[:40]} ({source})", ("{" + ",".join(f'"{n}":{v}' for n, v in {**good, field: value}.items()) + "}").encode())
                  for field, value, source in api_fields.BATCH_FIELDS]
        whole = [(f"{name} ({source})", body) for name, body, source in api_json.NO_BATCHES]
        self.run_refused([(name, "/v1/batches", body, (), (400, 413, 422)) for name, body in fields + whole])
        self.assertEqual(self.outboxd.get("/v1/batches").json["data"], [])

    def test_an_idempotency_key_by_header_keeps_the_same_rules(self):
        before = self.witness.rows()
        for value in ("", "a" * 257, "a\tb", "ü" * 129):
            with self.subTest(value=value[:20]):
                answer = self.ask(self.addresses["tcp"], "POST", "/v1/events", {"Content-Type": "application/json", "Idempotency-Key": value}, EVENT)
                self.assertEqual(answer.status, 422)
                self.cases += 1
        self.assertEqual(self.witness.rows(), before)

    def test_a_trace_parent_that_is_none_is_not_passed_on(self):
        receiver = self.receiver()
        self.outboxd.endpoint(receiver.url)
        make = "{}-{}-1111111111111111-01".format
        for value in ("", make("00", "0" * 32), make("00", "A" * 32), make("ff", "1" * 32), "x" * 55,
                      make("00", "1" * 32) + ", " + make("00", "2" * 32)):
            answer = self.ask(self.addresses["tcp"], "POST", "/v1/events", {"Content-Type": "application/json", "traceparent": value}, EVENT)
            self.assertEqual(answer.status, 202)
            self.cases += 1
        for request in receiver.wait_for(6):
            self.assertNotIn("traceparent", request.headers)

    def test_what_is_no_json_or_no_event_is_refused(self):
        lines = {"Content-Type": "application/x-ndjson"}
        self.run_refused([(f"{name} ({source})", path, body, headers, (status,))
                          for path, headers, rows in (("/v1/events", (), api_json.NOT_JSON + api_json.NO_EVENTS),
                                                      ("/v1/events", lines, api_json.NO_LINES), ("/v1/endpoints", (), api_json.NO_ENDPOINTS))
                          for name, body, status, source in rows])

    def test_what_is_json_is_delivered_byte_for_byte(self):
        receiver = self.receiver()
        self.outboxd.endpoint(receiver.url, ordering="endpoint")
        for text in api_json.TAKEN_PAYLOADS:
            with self.subTest(payload=text[:40]):
                self.assertEqual(self.outboxd.post("/v1/events", api_json.payload(text)).status, 202)
                self.cases += 1
        got = [request.body for request in receiver.wait_for(len(api_json.TAKEN_PAYLOADS))]
        self.assertEqual(got, [text.strip() for text in api_json.TAKEN_PAYLOADS])

    def test_an_id_that_is_none_names_nothing(self):
        before = self.witness.rows()
        actions = {"events": "replay", "endpoints": "pause", "deliveries": "retry", "batches": "cancel"}
        for kind, text in api_json.IDS:
            erasure = [("DELETE", f"/v1/events/{text}/payload")] if kind == "events" else []
            for method, path in (("GET", f"/v1/{kind}/{text}"), ("POST", f"/v1/{kind}/{text}/{actions[kind]}"), *erasure):
                with self.subTest(method=method, path=path):
                    answer = self.ask(self.addresses["admin"], method, path)
                    self.assertIn(answer.status, (400, 404))
                    answer.body.decode()  # whatever was echoed is UTF-8
                    self.cases += 1
        self.assertEqual(self.witness.rows(), before)

    def test_a_query_that_is_not_understood_is_said_so(self):
        for target, status in api_json.QUERIES:
            with self.subTest(target=target[:120]):
                answer = self.ask(self.addresses["admin"], "GET", target)
                self.assertEqual(answer.status, status)
                self.assertEqual(json.loads(answer.body)["status"], status)
                self.cases += 1

    def test_a_cursor_that_was_tampered_with_never_breaks_a_list(self):
        self.outboxd.endpoint(**GOOD_ENDPOINT, types=["never"])
        self.outboxd.endpoint(**GOOD_ENDPOINT, types=["corpus.*"], state="paused")
        for _ in range(3):
            self.outboxd.event("corpus.cursor")
        chooser = random.Random(5)
        seen = set()
        for path in ("/v1/events?", "/v1/endpoints?", "/v1/deliveries?", "/v1/deliveries?state=pending&error=any&", "/v1/deliveries?state=dead&"):
            first = self.outboxd.get(f"{path}limit=1").json["next_cursor"] or "e1"
            for _ in range(80):
                cursor = list(first)
                for _ in range(chooser.randint(1, 3)):
                    letter = chooser.choice("0123456789abcdefghijklmnopqrstuvwxyz-_.~'")
                    cursor[chooser.randrange(len(cursor))] = letter * chooser.choice((0, 1, 1, 20))
                answer = self.ask(self.addresses["admin"], "GET", f"{path}cursor={''.join(cursor)}")
                seen.add(answer.status)
                self.assertIn(answer.status, (200, 422), cursor)
                self.cases += 1
        self.assertEqual(seen, {200, 422})


class SqlRows(ApiTest):
    def test_a_bad_row_is_refused_by_a_constraint_or_kept_with_its_reason_and_never_sent(self):
        self.serve()
        receiver = self.receiver()
        self.outboxd.endpoint(receiver.url)
        self.outboxd.endpoint(receiver.url, tenant="_ops")
        quoted = lambda text: "CAST(x'" + text.encode("utf-8", "surrogatepass").hex() + "' AS TEXT)"
        rows = [("headers", quoted(json.dumps({name: value}, ensure_ascii=False)), source) for name, value, source in api_fields.HEADERS]
        rows += [("headers", quoted(json.dumps({name: value})), source) for name, value, source in api_fields.HEADERS]
        rows += [("headers", quoted(text), name) for name, text in api_fields.HEADER_OBJECTS]
        rows += api_fields.SQL_FIELDS
        producer = sqlite3.connect(self.outboxd.database, timeout=PATIENCE, isolation_level=None)
        self.addCleanup(producer.close)
        kept = {}
        refused = 0
        for column, value, source in rows:
            columns = {"type": "'corpus.row'", "payload": "'1'", column: value}
            try:
                seq = producer.execute(f"INSERT INTO outbox({','.join(columns)}) VALUES ({','.join(columns.values())})").lastrowid
                kept[seq] = (column, value[:80], source)
            except sqlite3.Error:
                refused += 1
            self.cases += 1
        good = producer.execute("INSERT INTO outbox(type, payload, headers) VALUES ('corpus.good', '1', '{\"X-Good\":\"yes\"}')").lastrowid
        wait_until(lambda: self.witness.count("outbox", "rejected IS NULL") == 0, "every row is judged")
        left = dict(self.witness.connection.execute("SELECT seq, rejected FROM outbox"))
        for seq, row in kept.items():
            with self.subTest(row=row):
                self.assertIn(seq, left, "it became an event")
                self.assertTrue(left[seq])
        self.assertNotIn(good, left)
        sent = receiver.wait_for(1)
        self.assertEqual(self.witness.count("event"), 1)
        self.assertEqual([r.headers["x-good"] for r in sent], ["yes"])
        self.assertGreater(refused, 20)
        shown = self.outboxd.get("/v1/events?rejected=true&limit=250")
        json.loads(shown.body.decode())
        print(f"{refused} rows refused by a constraint, {len(kept)} kept with their reason")


class WireReceiver(Receiver):
    """Also keeps the bytes of each request's head as they came."""

    def __init__(self):
        super().__init__()
        self.heads = []
        receiver = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                head = b""
                while not head.endswith(b"\r\n\r\n") and (line := self.rfile.readline()):
                    head += line
                if not head:
                    return
                with receiver.lock:
                    receiver.heads.append(head)
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

        self.server.RequestHandlerClass = Handler


# Their secrets are apart from what the corpus edits.
SHAPE = {"auth": {"header": {"name": "X-Auth", "value": "a"}}, "signatures": [{"scheme": "hmac", "secret": "s", "header": "X-Signature"}]}


class Tampering(ApiTest):
    """Somebody edits the daemon's own rows while it is stopped. What is not a header of ours must not reach the wire."""

    def wire_of(self, head):
        names = [line.partition(b":")[0].strip().lower().decode("latin-1") for line in head.split(b"\n")[1:] if line.strip()]
        return {name: names.count(name) for name in names}

    def prepare(self, receiver, count):
        """An endpoint and a pending event in each of so many tenants; the ids of the events. The daemon is stopped then."""
        ids = []
        for i in range(count):
            endpoint = self.outboxd.endpoint(f"{receiver.url}?{i}", tenant=f"t{i}", retry_schedule=["0s"], state="paused", **SHAPE)
            self.assertEqual(endpoint["state"], "paused")
            ids.append(self.outboxd.event("corpus.tampered", tenant=f"t{i}")["id"])
        self.assertEqual(self.outboxd.stop(), 0)
        return ids

    def edit(self, receiver, rows):
        editor = sqlite3.connect(self.outboxd.database, isolation_level=None)
        # As rows from before there were checksums, which hold back what has changed.
        editor.executescript("UPDATE counter SET last_unchecked = event_seq; UPDATE event SET checksum = NULL;")
        for i, (table, column, value, _) in enumerate(rows):
            if table:
                editor.execute(f"UPDATE {table} SET {column} = ? WHERE tenant = ?", (value.replace("{url}", f"{receiver.url}?{i}"), f"t{i}"))
        editor.execute("UPDATE endpoint SET state = 'active'")
        editor.close()

    def undecided(self):
        """Deliveries that may be sent yet. To an endpoint whose URL is none they wait, and the log says so."""
        return self.witness.connection.execute(
            "SELECT count(*) FROM delivery JOIN endpoint ON endpoint.seq = delivery.endpoint WHERE delivery.state = 'pending'"
            " AND instr(endpoint.url, char(13)) + instr(endpoint.url, char(10)) + instr(endpoint.url, char(0)) = 0").fetchone()[0]

    def check_head(self, head, id):
        names = self.wire_of(head)
        self.assertEqual([name for name, count in names.items() if count > 1], [], head)
        self.assertNotIn("x-smuggled", names, head)
        self.assertNotIn("transfer-encoding", names, head)
        self.assertNotIn("expect", names, head)
        self.assertNotIn(b"forged", head)
        self.assertNotIn(b"evil.example", head)
        self.assertIn(b"\r\nwebhook-id: " + id.encode() + b"\r\n", head)

    def test_what_was_edited_by_hand_never_becomes_a_second_header(self):
        base, sent = self.folder, 0
        for place in sorted({row[:2] for row in api_fields.TAMPERED}):
            receiver = WireReceiver()
            self.addCleanup(receiver.close)
            self.folder = pathlib.Path(tempfile.mkdtemp(dir=base))
            self.serve()
            rows = [(None, None, None, "control"), *(row for row in api_fields.TAMPERED if row[:2] == place)]
            ids = self.prepare(receiver, len(rows))
            self.edit(receiver, rows)
            with self.subTest(place=place):
                self.outboxd.start()
                wait_until(lambda: self.undecided() == 0 or self.outboxd.process.poll() is not None, "every delivery is over")
                self.assertIsNone(self.outboxd.process.poll(), self.outboxd.log()[-500:])
                heads = {int(head.split(b" ")[1].partition(b"?")[2]): head for head in receiver.heads}
                self.assertIn(0, heads, "the control was not sent")
                self.check_head(heads[0], ids[0])
                sent += len(heads) - 1
                for i, (table, column, value, source) in enumerate(rows):
                    with self.subTest(table=table, column=column, value=value, source=source):
                        self.cases += 1
                        if i in heads:  # else not sent, which is as good
                            self.check_head(heads[i], ids[i])
            self.outboxd.kill()
        self.folder = base
        print(f"{sent} of {len(api_fields.TAMPERED)} edited rows were sent, the others refused before")


class ByteReceiver(Receiver):
    """Answers a request with the bytes given for its query, and closes."""

    def __init__(self, answers):
        super().__init__()

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                target = self.rfile.readline().split(b" ")[1]
                size = 0
                while (line := self.rfile.readline().strip()):
                    if line.lower().startswith(b"content-length:"):
                        size = int(line.split(b":")[1])
                self.rfile.read(size)
                try:
                    self.wfile.write(answers[target.partition(b"?")[2]])
                except OSError:
                    pass  # it was too much

        self.server.RequestHandlerClass = Handler


class Answers(ApiTest):
    """What subscribers send back is shown, never obeyed."""

    def setUp(self):
        super().setUp()
        self.serve()
        names, answers = zip(*api_answers.answers())
        receiver = ByteReceiver({str(i).encode(): answer for i, answer in enumerate(answers)})
        self.addCleanup(receiver.close)
        self.endpoints = [self.outboxd.endpoint(f"{receiver.url}?{i}", name=names[i][:60], retry_schedule=["0s"])["id"] for i in range(len(answers))]
        self.names = names
        self.event = self.outboxd.event("corpus.answer", payload='"\\u001b]0;owned\\u0007"')["id"]
        by_endpoint = {row["endpoint"]: row["id"] for row in self.outboxd.wait_for_state("dead", len(answers))}
        self.deliveries = [by_endpoint[endpoint] for endpoint in self.endpoints]

    def check_log(self):
        for line in self.outboxd.log_file.read_bytes().splitlines():
            self.assertTrue(line.startswith(b"time="), line)
            self.assertEqual(what_a_terminal_obeys(line, False), [])
        self.assertNotIn("msg=forged", self.outboxd.log())

    def ctl(self, *arguments):
        return [str(BIN / "outboxctl"), "--socket", str(self.outboxd.admin), *arguments]

    def check_shown(self, *arguments, until=None, holds=b"", status=0, piped=True):
        """On a terminal and through a pipe."""
        on_terminal = run_on_terminal(self.ctl(*arguments), until)
        self.assertEqual(what_a_terminal_obeys(on_terminal, True), [], on_terminal[:500])
        self.assertIn(holds, on_terminal)
        self.cases += 1
        if until or not piped:
            return
        run = subprocess.run(self.ctl(*arguments), capture_output=True, timeout=PATIENCE, check=False)
        self.assertEqual(run.returncode, status, run.stderr)
        self.assertEqual(what_a_terminal_obeys(run.stdout + run.stderr, False), [], run.stdout[:500])
        self.assertIn(holds, run.stdout)
        self.cases += 1

    def test_the_api_answers_json_whatever_came_back(self):
        for name, delivery in zip(self.names, self.deliveries):
            with self.subTest(answer=name):
                answer = self.outboxd.get(f"/v1/deliveries/{delivery}")
                self.assertEqual(answer.headers["content-type"], "application/json")
                self.assertEqual(answer.headers["x-content-type-options"], "nosniff")
                self.assertGreaterEqual(min(answer.body), 0x20)  # no control but escaped
                answer.body.decode()
                attempt, = answer.json["attempt_list"]
                self.assertLessEqual(len(answer.body), 128 << 10)
                self.assertLessEqual(len(attempt["response_body"].encode()), 3 * 4096)  # a replacement character takes three bytes
                self.cases += 1
        self.check_log()

    def test_outboxctl_shows_each_answer_without_a_byte_that_a_terminal_obeys(self):
        for i, (name, delivery) in enumerate(zip(self.names, self.deliveries)):
            with self.subTest(answer=name):
                self.check_shown("delivery", "show", delivery, holds=delivery.encode(), piped=i % 4 == 0)
        for format in ("json", "jsonl", "wide", "id"):
            for delivery in self.deliveries[::8]:
                with self.subTest(format=format, delivery=delivery):
                    self.check_shown("-o", format, "delivery", "show", delivery)

    def test_outboxctl_shows_lists_groups_and_tests_without_one_too(self):
        for arguments in (["failures"], ["failures", "--by", "endpoint"], ["delivery", "list"], ["-o", "json", "delivery", "list"],
                          ["endpoint", "list"], ["-o", "json", "endpoint", "list"], ["event", "list"], ["event", "show", self.event],
                          ["status"], ["-o", "json", "status"]):
            with self.subTest(arguments=arguments):
                self.check_shown(*arguments)
        latest = self.outboxd.get("/v1/attempts?limit=1").json["data"][0]["delivery"]
        for arguments in (["tail"], ["tail", "--failed"], ["-o", "jsonl", "tail"]):
            with self.subTest(arguments=arguments):
                self.check_shown(*arguments, until=latest.encode())
        for i, endpoint in enumerate(self.endpoints):
            with self.subTest(test=self.names[i]):
                if i % 4 == 0:
                    self.check_shown("delivery", "attempts", self.deliveries[i], holds=b"OUTCOME")
                output = run_on_terminal(self.ctl("endpoint", "test", endpoint))
                self.assertEqual(what_a_terminal_obeys(output, True), [], output[:500])
                self.cases += 1
        output = run_on_terminal(self.ctl("event", "payload", self.event))
        self.assertEqual(what_a_terminal_obeys(output, True), [])

    def test_outboxctl_shows_what_an_operator_wrote_without_one(self):
        hostile = "\x1b]0;owned\x07\u009b2J\u202e\r\nforged"
        made = self.outboxd.post("/v1/batches", {"action": "retry", "filter": {"type": "never"}, "reason": hostile})
        self.assertEqual(made.status, 202)
        batch = made.json["id"]
        wait_until(lambda: self.outboxd.get(f"/v1/batches/{batch}").json["state"] == "finished", "the batch is finished")
        for arguments in (["batch", "list"], ["batch", "show", batch]):
            for format in ("table", "wide", "json"):
                with self.subTest(arguments=arguments, format=format):
                    self.check_shown("-o", format, *arguments)
        self.check_log()

    def test_outboxctl_shows_rejected_rows_without_one(self):
        hostile = b"\x1b]0;owned\x07\xc2\x9b2J\xe2\x80\xae\xff"
        text = f"CAST(x'{hostile.hex()}' AS TEXT)"
        # The table's trigger refuses it: as a row of before there was one.
        row = self.outboxd.sql(f".dbconfig enable_trigger off\nINSERT INTO outbox(type, payload, tenant, ordering_key) VALUES ('a.b', '1', {text}, {text});")
        self.assertEqual(row.returncode, 0, row.stderr)
        wait_until(lambda: self.witness.count("outbox", "rejected IS NOT NULL") == 1, "the row is judged")
        for format in ("table", "wide", "json", "jsonl"):
            self.check_shown("-o", format, "event", "list", "--rejected", holds=b"owned")
        self.outboxd.endpoint("http://127.0.0.1:1/", metadata={"a": hostile.decode(errors="replace"), "\x1b[2J": 1}, types=["never"])
        for format in ("table", "wide", "json"):
            self.check_shown("-o", format, "endpoint", "list")


class FalseDaemon(ApiTest):
    """outboxctl asks whoever answers at --url or --socket."""

    COMMANDS = [["status"], ["failures"], ["event", "list"], ["event", "show", api_json.EVT], ["event", "send", "a.b", "--data", "1"],
                ["endpoint", "list"], ["endpoint", "show", api_json.EP], ["endpoint", "test", api_json.EP],
                ["delivery", "show", api_json.DLV], ["-o", "json", "delivery", "list"], ["db", "info"], ["batch", "list"],
                ["batch", "show", api_json.BAT], ["batch", "cancel", api_json.BAT], ["event", "erase", api_json.EVT, "--yes"],
                ["delivery", "retry", "--state", "dead", "--yes"], ["why", api_json.DLV]]

    def test_whatever_it_answers_outboxctl_ends_as_documented_and_shows_no_control(self):
        for name, status, text in api_answers.DAEMONS:
            body = text.encode()
            head = b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nConnection: close\r\n" % status
            answer = head + length(body) + b"\r\n" + body
            daemon = ByteReceiver(collections.defaultdict(lambda: answer))
            self.addCleanup(daemon.close)
            for arguments in self.COMMANDS:
                with self.subTest(answer=name, command=arguments):
                    command = [str(BIN / "outboxctl"), "--url", f"http://127.0.0.1:{daemon.port}", *arguments]
                    run = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False, stdin=subprocess.DEVNULL)
                    self.assertIn(run.returncode, (0, 1, 3, 4))
                    self.assertEqual(what_a_terminal_obeys(run.stdout + run.stderr, False), [])
                    self.cases += 1


class Starvation(ApiTest):
    """Somebody on this machine without a token takes all he can, from as many loopback addresses as he likes. Others must not notice."""

    def setUp(self):
        super().setUp()
        self.serve_with_tokens()
        self.hostile = []
        self.addCleanup(lambda: [sock.close() for sock in self.hostile])

    def connect(self, i):
        sock = socket.socket()
        sock.settimeout(PATIENCE)
        sock.bind((f"127.0.{1 + i // 250}.{1 + i % 250}", 0))
        sock.connect(("127.0.0.1", self.addresses["tcp"]))
        self.hostile.append(sock)
        return sock

    @staticmethod
    def answered(socks):
        """Has the daemon said something on one of these, or closed it?"""
        poll = select.poll()
        for sock in socks:
            poll.register(sock, select.POLLIN)
        return bool(poll.poll(0))

    def check_others(self):
        for listener in ("ingest", "admin"):
            with self.subTest(listener=listener):
                answer = self.ask(self.addresses[listener], "POST", "/v1/events", {"Content-Type": "application/json"}, EVENT)
                self.assertEqual(answer.status, 202)
                self.cases += 1

    def test_bodies_of_callers_without_a_token_do_not_take_the_memory_of_others(self):
        size = 16 << 20
        head = request(b"Content-Length: %d\r\n" % size)
        for i in range(18):
            send_all(self.connect(i), head + b" " * (size - 1))  # and never the last byte
        wait_until(lambda: self.answered(self.hostile), "the daemon has had enough of one of them")
        self.check_others()

    def test_connections_of_callers_without_a_token_do_not_take_the_places_of_others(self):
        wanted = 4300
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard != resource.RLIM_INFINITY and hard < wanted + 100:
            self.skipTest(f"{wanted + 100} open files are needed, {hard} are allowed")
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted + 100), hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        for i in range(wanted):
            self.connect(i)
        wait_until(lambda: self.answered(self.hostile[-1:]), "the daemon has had enough of them")
        self.check_others()


class Pages(ApiTest):
    def test_a_payload_is_never_a_page_of_ours(self):
        self.serve()
        types = ["text/html", "image/svg+xml", "application/xhtml+xml", "text/xml", "text/javascript", "text/css", "application/pdf",
                 "multipart/x-mixed-replace; boundary=x", "text/html; charset=utf-7", "application/x-shockwave-flash", "text/cache-manifest", "application/wasm"]
        body = b"<script>alert(document.domain)</script>"
        for type in types:
            with self.subTest(content_type=type):
                event = {"type": "corpus.page", "payload_base64": base64.b64encode(body).decode(), "content_type": type}
                id = self.outboxd.post("/v1/events", event).json["id"]
                answer = self.ask(self.addresses["tcp"], "GET", f"/v1/events/{id}/payload", {"Range": "bytes=0-3", "Accept": "text/html"})
                self.assertEqual((answer.status, answer.body), (200, body))
                self.assertEqual(answer.headers["content-type"], type)
                self.assertEqual(answer.headers["x-content-type-options"], "nosniff")
                self.assertTrue(answer.headers["content-disposition"].startswith("attachment"))
                self.assertIn("sandbox", answer.headers["content-security-policy"])
                self.assertIn("default-src 'none'", answer.headers["content-security-policy"])
                self.cases += 1

    def test_nothing_else_is_of_a_type_that_a_browser_runs(self):
        self.serve_with_tokens()
        token = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
        evil = "/%3Cscript%3Ealert(1)%3C/script%3E"
        for target in (evil, "/v1/events/" + evil[1:16], "/v1/events?" + evil[1:] + "=1", "/metrics", "/openapi.json", "/healthz",
                       "/v1/status", "/v1/events", "/v1/endpoints", "/v1/deliveries"):
            with self.subTest(target=target):
                answer = self.ask(self.addresses["tcp"], "GET", target, {**token, "Accept": "text/html", "Referer": "http://evil.example/"})
                self.assertIn(answer.headers["content-type"].partition(";")[0], ("application/json", "application/problem+json", "text/plain"))
                self.assertEqual(answer.headers["x-content-type-options"], "nosniff")
                self.assertEqual(answer.headers["cache-control"], "no-store")
                self.assertIn("default-src 'none'", answer.headers["content-security-policy"])
                self.cases += 1


if __name__ == "__main__":
    unittest.main(verbosity=2)
