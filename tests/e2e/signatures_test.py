"""Signatures that receivers' own libraries verify, and credentials: sent in every request, and shown to nobody."""
import base64
import hashlib
import hmac
import itertools
import json
import pathlib
import subprocess
import unittest

from harness import NODE_PACKAGES, PATIENCE, needs_node_packages, needs_package
from shapes_test import ShapesTest

PAYLOADS = ['{"id": 1, "who": "Zürich 😀", "n": 1.10}', '{ "id" : 2,\n "text": "\\u00e9\\"\\\\" }', '"just a text"', "[]", "12345678901234567890"]
SECRETS = {"bearer": "hush-bearer-token", "password": "hush-password", "header": "hush-header-value", "github": "hush-github-secret",
           "stripe": "hush-stripe-secret", "hmac": "hush-hmac-secret"}
SIGNATURES = [{"scheme": "github", "secret": SECRETS["github"]}, {"scheme": "stripe", "secret": SECRETS["stripe"]},
              {"scheme": "hmac", "secret": SECRETS["hmac"], "header": "X-Shop-Hmac", "over": "timestamp.body"}]
AUTHS = {"bearer": {"bearer": SECRETS["bearer"]}, "basic": {"basic": {"user": "shop", "password": SECRETS["password"]}},
         "header": {"header": {"name": "X-Api-Key", "value": SECRETS["header"]}}}
HIDDEN_AUTHS = {"bearer": {"bearer": None}, "basic": {"basic": {"user": "shop", "password": None}},
                "header": {"header": {"name": "X-Api-Key", "value": None}}}
BASIC = base64.b64encode(f"shop:{SECRETS['password']}".encode()).decode()


def without_secrets(signatures):
    return [{**one, "secret": None} for one in signatures]


class Signatures(ShapesTest):
    def verified(self, *checks):
        """checks: (library, secret, request, body). What each library says of it: True, or why not."""
        lines = [json.dumps({"library": library, "secret": secret, "headers": request.headers, "body": body.decode()})
                 for library, secret, request, body in checks]
        script = (pathlib.Path(__file__).parent / "receiver_libraries.mjs").read_text()
        ran = subprocess.run(["node", "--input-type=module", "--eval", script], cwd=NODE_PACKAGES, input="\n".join(lines) + "\n",
                             capture_output=True, text=True, timeout=PATIENCE * 3, check=False)
        self.assertEqual(0, ran.returncode, ran.stderr)
        answers = [json.loads(line) for line in ran.stdout.splitlines()]
        self.assertEqual(len(checks), len(answers), ran.stderr)
        return answers

    @needs_node_packages("stripe", "@octokit/webhooks-methods", "standardwebhooks")
    def test_the_libraries_of_receivers_verify_every_attempt_and_nothing_else(self):
        refused = set()

        def refuse_once(request):
            first = request.id not in refused
            refused.add(request.id)
            return 503 if first else 200

        daemon, receiver = self.daemon().start(), self.receiver(refuse_once)
        made = daemon.endpoint(receiver.url, signatures=SIGNATURES, retry_schedule=["0s", "0s", "0s"])
        templated = self.receiver()
        daemon.endpoint(templated.url, signatures=SIGNATURES, secret=made["secret"], body_template='{"t": "{{/who}}", "all": {{}}}')
        for payload in PAYLOADS:
            daemon.event(payload=payload)
        requests = receiver.wait_for(2 * len(PAYLOADS)) + templated.wait_for(len(PAYLOADS))
        self.assertEqual({"1", "2"}, {request.headers["outboxd-attempt"] for request in requests})
        secrets = {"@octokit/webhooks-methods": SECRETS["github"], "stripe": SECRETS["stripe"], "standardwebhooks": made["secret"]}
        other = {"@octokit/webhooks-methods": "x", "stripe": "x", "standardwebhooks": "whsec_" + base64.b64encode(b"x" * 24).decode()}
        good, bad = [], []
        for request in requests:
            for library, secret in secrets.items():
                good.append((library, secret, request, request.body))
                bad.append((library, secret, request, request.body + b" "))
                bad.append((library, other[library], request, request.body))
        self.assertEqual([True] * len(good), self.verified(*good))
        self.assertNotIn(True, self.verified(*bad))

    @needs_package("standardwebhooks")
    def test_an_envelope_of_standard_webhooks_is_verified_by_their_package(self):
        from standardwebhooks.webhooks import Webhook
        daemon, receiver = self.daemon().start(), self.receiver()
        endpoint = daemon.endpoint(receiver.url, format="standard", content_type="application/vnd.shop+json", signatures=SIGNATURES[:1])
        for payload in PAYLOADS:
            event = daemon.event("invoice.paid", payload)
            request = self.arrived(receiver, event["id"])
            envelope = Webhook(endpoint["secret"]).verify(request.body, request.headers)
            self.assertEqual(["type", "timestamp", "data"], list(envelope))
            self.assertEqual(("invoice.paid", event["created_at"], json.loads(payload)),
                             (envelope["type"], envelope["timestamp"], envelope["data"]))
            self.assertIn(payload.encode(), request.body)
            self.assertEqual("application/vnd.shop+json", request.headers["content-type"])

    def test_an_hmac_is_made_as_it_is_described(self):
        daemon, receiver = self.daemon().start(), self.receiver()
        # Each choice in each way, also left out: (what is given, what holds then).
        choices = itertools.product([("sha1", "sha1"), ("sha256", "sha256"), ("sha512", "sha512"), (None, "sha256")],
                                    [("hex", "hex"), ("base64", "base64"), (None, "hex")],
                                    [("body", "body"), ("timestamp.body", "timestamp.body"), ("id.timestamp.body", "id.timestamp.body"), (None, "body")])
        cases = []
        for number, (algorithm, encoding, over) in enumerate(choices):
            prefix = (None, "v0=", "sha-x ")[number % 3]
            given = {"algorithm": algorithm[0], "encoding": encoding[0], "over": over[0], "prefix": prefix}
            signature = {"scheme": "hmac", "secret": "~secret!" * (number % 32 + 1), "header": f"X-Signature-{number}",
                         **{name: value for name, value in given.items() if value}}
            cases.append((signature, algorithm[1], encoding[1], over[1], prefix or ""))
        for at in range(0, len(cases), 4):
            daemon.endpoint(f"{receiver.url}/{at}", signatures=[case[0] for case in cases[at:at + 4]])
        event = daemon.event(payload=PAYLOADS[0])
        requests = {int(request.path.rsplit("/", 1)[1]): request for request in receiver.wait_for(len(cases) // 4)}
        for number, (signature, algorithm, encoding, over, prefix) in enumerate(cases):
            request = requests[number // 4 * 4]
            timestamp = request.headers["webhook-timestamp"]
            before = {"body": "", "timestamp.body": f"{timestamp}.", "id.timestamp.body": f"{event['id']}.{timestamp}."}[over]
            mac = hmac.new(signature["secret"].encode(), before.encode() + request.body, getattr(hashlib, algorithm))
            text = mac.hexdigest() if encoding == "hex" else base64.b64encode(mac.digest()).decode()
            with self.subTest(signature=signature):
                self.assertEqual(prefix + text, request.headers[signature["header"].lower()])

    def test_what_is_no_signature_is_refused_with_its_field_and_stores_nothing(self):
        daemon, receiver = self.daemon().start(), self.receiver()
        for pointer, signatures in (("/signatures", [SIGNATURES[0]] * 5), ("/signatures/0/secret", [{"scheme": "github"}]),
                                    ("/signatures/0/secret", [{"scheme": "github", "secret": None}]),
                                    ("/signatures/0/scheme", [{"scheme": "gitlab", "secret": "x"}]),
                                    ("/signatures/0/header", [{"scheme": "hmac", "secret": "x"}]),
                                    ("/signatures/1/header", [SIGNATURES[0], {"scheme": "hmac", "secret": "x", "header": "Host"}]),
                                    ("/signatures/0/algorithm", [{**SIGNATURES[2], "algorithm": "md5"}])):
            detail = self.check_refused(daemon, pointer, url=receiver.url, signatures=signatures)
            self.assertNotIn("hush", detail)
        self.assertEqual([], daemon.get("/v1/endpoints").json["data"])


class Credentials(ShapesTest):
    EXPECTED = {"bearer": ("authorization", "Bearer " + SECRETS["bearer"]), "basic": ("authorization", "Basic " + BASIC),
                "header": ("x-api-key", SECRETS["header"])}

    def check_requests(self, daemon, receivers, headers=None):
        """Each receiver gets one more request, with the credentials it was promised."""
        before = {scheme: len(receiver.requests) for scheme, receiver in receivers.items()}
        daemon.event(**({"headers": headers} if headers else {}))
        for scheme, receiver in receivers.items():
            request = receiver.wait_for(before[scheme] + 1)[-1]
            name, value = self.EXPECTED[scheme]
            self.assertEqual(value, request.headers.get(name), scheme)

    def test_credentials_of_each_kind_arrive_in_every_request_whatever_an_event_brings(self):
        daemon = self.daemon().start()
        receivers = {scheme: self.receiver() for scheme in AUTHS}
        for scheme, receiver in receivers.items():
            daemon.endpoint(receiver.url, name=scheme, auth=AUTHS[scheme])
        self.check_requests(daemon, receivers)
        self.check_requests(daemon, receivers, {"Authorization": "Bearer of-the-producer", "X-Api-Key": "of-the-producer"})
        for scheme, receiver in receivers.items():
            self.assertEqual(200, daemon.post(f"/v1/endpoints/{scheme}/test").json["attempt"]["status"])
            name, value = self.EXPECTED[scheme]
            self.assertEqual(value, receiver.requests[-1].headers[name])
            self.assertEqual("outboxd.test", receiver.requests[-1].headers["outboxd-event-type"])

    def test_a_change_with_null_keeps_what_is_stored_and_a_new_endpoint_with_null_is_refused(self):
        daemon = self.daemon().start()
        receivers = {scheme: self.receiver() for scheme in AUTHS}
        for scheme, receiver in receivers.items():
            made = daemon.endpoint(receiver.url, name=scheme, auth=AUTHS[scheme], signatures=SIGNATURES)
            self.assertEqual(HIDDEN_AUTHS[scheme], made["auth"])
            shown = daemon.get(f"/v1/endpoints/{scheme}").json
            change = {"auth": shown["auth"], "signatures": shown["signatures"], "metadata": {"changed": True}}
            answer = daemon.call("PATCH", f"/v1/endpoints/{scheme}", change)
            self.assertEqual(200, answer.status, answer)
            self.assertEqual({"changed": True}, answer.json["metadata"])
            secret = {"bearer": "/auth/bearer", "basic": "/auth/basic/password", "header": "/auth/header/value"}[scheme]
            self.assertIn("is required", self.check_refused(daemon, secret, url=receiver.url, auth=shown["auth"]))
        self.check_requests(daemon, receivers)
        for receiver in receivers.values():
            request = receiver.requests[-1]
            for secret, header, prefix, content in (
                    (SECRETS["github"], "x-hub-signature-256", "sha256=", request.body),
                    (SECRETS["hmac"], "x-shop-hmac", "", request.headers["webhook-timestamp"].encode() + b"." + request.body)):
                self.assertEqual(prefix + hmac.new(secret.encode(), content, hashlib.sha256).hexdigest(), request.headers[header])
        # Kept for the same user and header alone: a password is not sent as somebody else's.
        self.check_refused(daemon, "/auth/basic/password", "PATCH", "/v1/endpoints/basic", auth={"basic": {"user": "other", "password": None}})
        self.check_refused(daemon, "/auth/bearer", "PATCH", "/v1/endpoints/basic", auth={"bearer": None})
        self.check_requests(daemon, receivers)
        # And null for all of it takes it away.
        self.assertEqual(200, daemon.call("PATCH", "/v1/endpoints/basic", {"auth": None, "signatures": []}).status)
        daemon.event()
        request = receivers["basic"].wait_for(3)[-1]
        self.assertNotIn("authorization", request.headers)
        self.assertNotIn("x-hub-signature-256", request.headers)

    def secrets_in(self, text):
        return [secret for secret in [*SECRETS.values(), BASIC] if secret.encode() in text]

    def test_no_secret_of_a_shape_is_in_an_answer_an_export_a_log_or_the_database(self):
        key = self.folder / "secrets.key"
        key.write_text("11" * 32 + "\n")
        daemon = self.daemon(f"store.secrets_key_file={key}", "log.level=debug").start()
        receivers = {scheme: self.receiver() for scheme in AUTHS}
        shown = []
        for scheme, receiver in receivers.items():
            made = daemon.endpoint(receiver.url, name=scheme, auth=AUTHS[scheme], signatures=SIGNATURES, retry_schedule=["0s"])
            self.assertEqual(without_secrets(SIGNATURES), [{name: one[name] for name in one if name in ("scheme", "secret")
                                                           or one["scheme"] == "hmac" and name in ("header", "over")} for one in made["signatures"]])
            path = f"/v1/endpoints/{scheme}"
            shown += [json.dumps(made).encode(), daemon.get(path).body, daemon.get(path + "/secrets").body, daemon.get(path + "/stats").body,
                      daemon.call("PATCH", path, {"metadata": {"n": 1}}).body, daemon.post(path + "/test").body,
                      daemon.post(path + "/secrets/rotate", {"overlap": "1h"}).body,
                      daemon.call("PATCH", path, {"auth": AUTHS[scheme], "signatures": [{**SIGNATURES[0], "secret": SECRETS["github"] + "\n"}]}).body]
            for output in ((), ("-o", "json"), ("-o", "wide")):
                told = daemon.ctl(*output, "endpoint", "show", scheme)
                self.assertEqual(0, told.returncode, told.stderr)
                shown.append(told.stdout + told.stderr)
        self.check_requests(daemon, receivers)
        self.wait_until_all_is_delivered(daemon)
        for delivery in daemon.deliveries():
            shown += [daemon.get(f"/v1/deliveries/{delivery['id']}").body, daemon.ctl("delivery", "curl", delivery["id"]).stdout,
                      daemon.ctl("delivery", "show", delivery["id"]).stdout]
        exported = daemon.ctl("endpoint", "export")
        self.assertEqual(0, exported.returncode, exported.stderr)
        shown += [exported.stdout, daemon.get("/v1/endpoints").body, daemon.get("/v1/status").body, daemon.get("/metrics").body,
                  daemon.get("/v1/secrets").body, daemon.ctl("endpoint", "list", "-o", "wide").stdout, daemon.log().encode()]
        for text in shown:
            self.assertEqual([], self.secrets_in(text), text)
        # A control: who asks for them gets them.
        for scheme in AUTHS:
            revealed = daemon.get(f"/v1/endpoints/{scheme}/secrets?reveal=true").json
            self.assertEqual(AUTHS[scheme], revealed["auth"])
            self.assertEqual([one["secret"] for one in SIGNATURES], [one["secret"] for one in revealed["signatures"]])
        daemon.kill()
        on_disk = b"".join(path.read_bytes() for path in self.folder.glob("outbox.db*"))
        self.assertIn(b"x-shop-hmac", on_disk.lower())
        self.assertEqual([], self.secrets_in(on_disk))
        daemon.start()
        self.check_requests(daemon, receivers)

    def test_secrets_of_shapes_that_were_stored_in_plain_are_encrypted_by_command(self):
        daemon = self.daemon().start()
        receivers = {scheme: self.receiver() for scheme in AUTHS}
        for scheme, receiver in receivers.items():
            daemon.endpoint(receiver.url, name=scheme, auth=AUTHS[scheme], signatures=SIGNATURES)
        daemon.stop()
        self.assertEqual(set(SECRETS.values()), {secret for secret in self.secrets_in(daemon.database.read_bytes()) if secret != BASIC})
        key = self.folder / "secrets.key"
        key.write_text("22" * 32 + "\n")
        daemon = self.daemon(f"store.secrets_key_file={key}").start()
        self.assertGreater(daemon.get("/v1/secrets").json["plain"], 0)
        self.assertEqual(0, daemon.ctl("db", "encrypt").returncode)
        self.assertEqual(0, daemon.get("/v1/secrets").json["plain"])
        self.check_requests(daemon, receivers)
        daemon.stop()
        daemon.sql("PRAGMA wal_checkpoint(TRUNCATE)")
        self.assertEqual([], self.secrets_in(daemon.database.read_bytes()))
        daemon.start()
        self.check_requests(daemon, receivers)

    def export(self, daemon, *options):
        """The endpoints' file, and what is in it."""
        file = self.folder / "endpoints.json"
        told = daemon.ctl("endpoint", "export", *options, str(file))
        self.assertEqual(0, told.returncode, told.stderr)
        return file, json.loads(file.read_text())

    def apply(self, daemon, file):
        told = daemon.ctl("-o", "json", "endpoint", "apply", str(file), "--yes")
        self.assertEqual(0, told.returncode, told.stderr)
        return json.loads(told.stdout)

    def test_an_export_is_put_back_with_what_is_secret_or_without_touching_it(self):
        daemon = self.daemon().start()
        receivers = {scheme: self.receiver() for scheme in AUTHS}
        shape = {"body_template": '{"all": {{}}}', "content_type": "text/json", "disable_after": "never"}
        for scheme, receiver in receivers.items():
            daemon.endpoint(receiver.url, name=scheme, auth=AUTHS[scheme], signatures=SIGNATURES, **shape)
        file, document = self.export(daemon)
        self.assertEqual([], self.secrets_in(file.read_bytes()))
        self.assertEqual([], self.apply(daemon, file)["change"])
        for endpoint in document["endpoints"]:
            self.assertEqual(shape, {name: endpoint[name] for name in shape})
            endpoint["metadata"] = {"team": "shop"}
        file.write_text(json.dumps(document))
        self.assertEqual([["metadata"]] * 3, [list(one["fields"]) for one in self.apply(daemon, file)["change"]])
        self.assertEqual({"team": "shop"}, daemon.get("/v1/endpoints/basic").json["metadata"])
        self.check_requests(daemon, receivers)
        self.assertEqual([b'{"all": {}}'] * 3, [receiver.requests[-1].body for receiver in receivers.values()])

        # All of it, for another machine.
        file, _ = self.export(daemon, "--reveal")
        self.assertEqual(0o600, file.stat().st_mode & 0o777)
        for scheme in AUTHS:
            self.assertEqual(204, daemon.call("DELETE", f"/v1/endpoints/{scheme}").status)
        self.assertEqual(3, len(self.apply(daemon, file)["create"]))
        self.check_requests(daemon, receivers)
        for scheme in AUTHS:
            revealed = daemon.get(f"/v1/endpoints/{scheme}/secrets?reveal=true").json
            self.assertEqual([one["secret"] for one in SIGNATURES], [one["secret"] for one in revealed["signatures"]])


if __name__ == "__main__":
    unittest.main()
