"""Secrets and credentials, from their files to the wire: encrypted on disk, shown to nobody, and separate for each endpoint."""
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import unittest

from harness import BIN, PATIENCE, EndToEndTest, Receiver, wait_until

KEY, OTHER_KEY = "11" * 32, "22" * 32


def make_certificate(folder, name, host, days=2):
    """A self-signed certificate and its key, by openssl(1)."""
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", str(days), "-subj",
                    f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}", "-keyout", str(key), "-out", str(cert)],
                   check=True, capture_output=True)
    return str(cert), str(key)


class TlsReceiver(Receiver):
    """A Receiver that speaks TLS, and remembers whose certificate came with each connection."""

    def __init__(self, certificate, client_ca=None):
        super().__init__()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        if client_ca:
            context.load_verify_locations(client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        self.clients = []
        plain_accept = self.server.get_request

        def accept():
            sock, address = plain_accept()
            sock.settimeout(10)
            raw = socket.socket(fileno=os.dup(sock.fileno()))
            try:
                tls = context.wrap_socket(sock, server_side=True)
            except ssl.SSLError:  # reads what still comes, as servers do: a reset would overtake the alert
                raw.settimeout(10)
                raw.shutdown(socket.SHUT_WR)
                while raw.recv(4096):
                    pass
                raise
            finally:
                raw.close()
            self.clients.append(dict(x[0] for x in tls.getpeercert()["subject"]) if client_ca else None)
            return tls, address

        self.server.get_request = accept
        self.server.handle_error = lambda *_: None
        self.url = f"https://localhost:{self.port}/hook"


class SecretsTest(EndToEndTest):
    def key_file(self, *keys):
        path = self.folder / "secrets.key"
        path.write_text("".join(key + "\n" for key in keys))
        return path

    def with_key(self):
        return self.daemon(f"store.secrets_key_file={self.folder / 'secrets.key'}")

    def on_disk(self):
        return b"".join(path.read_bytes() for path in self.folder.glob("outbox.db*"))

    def test_with_a_key_no_secret_is_on_disk_and_signatures_are_good_after_a_restart(self):
        self.key_file(KEY)
        daemon, receiver = self.with_key().start(), self.receiver()
        secret = daemon.endpoint(receiver.url)["secret"]
        daemon.event()
        self.assertTrue(receiver.wait_for(1)[0].signed_with(secret))
        daemon.kill()
        self.assertNotIn(secret.encode(), self.on_disk())
        self.assertNotIn(secret.removeprefix("whsec_").encode(), self.on_disk())
        daemon.start()
        daemon.event()
        self.assertTrue(receiver.wait_for(2)[1].signed_with(secret))
        self.assertEqual(daemon.get("/v1/secrets").json["plain"], 0)

    def test_secrets_in_plain_are_said_to_be_and_are_encrypted_by_command(self):
        daemon, receiver = self.daemon().start(), self.receiver()
        endpoint = daemon.endpoint(receiver.url)
        self.assertEqual(daemon.get("/v1/secrets").json, {"key": None, "plain": 1, "encrypted": []})
        self.assertEqual(daemon.ctl("db", "encrypt").returncode, 4)
        doctor = daemon.ctl("doctor", "--config", str(daemon.config)).stdout.decode()
        self.assertIn("1 signing secrets are stored in plain", doctor)
        daemon.stop()
        self.assertIn(endpoint["secret"].encode(), self.on_disk())

        self.key_file(KEY)
        daemon = self.with_key().start()
        self.assertEqual(daemon.ctl("db", "encrypt").returncode, 0)
        shown = daemon.get("/v1/secrets").json
        self.assertEqual((shown["plain"], shown["encrypted"]), (0, [{"id": shown["key"], "secrets": 1}]))
        daemon.event()
        self.assertTrue(receiver.wait_for(1)[0].signed_with(endpoint["secret"]))
        daemon.stop()
        daemon.sql("PRAGMA wal_checkpoint(TRUNCATE)")
        self.assertNotIn(endpoint["secret"].encode(), self.on_disk())

        self.key_file(OTHER_KEY, KEY)  # a new key in front; the old one is needed until everything is encrypted anew
        daemon.start()
        self.assertIn(b"1", daemon.ctl("db", "encrypt").stdout)
        daemon.stop()
        self.key_file(OTHER_KEY)
        daemon.start()
        revealed = daemon.ctl("endpoint", "secret", "reveal", endpoint["id"]).stdout.decode()
        self.assertIn(endpoint["secret"], revealed)

    def test_without_the_right_key_the_daemon_does_not_start_and_says_which_one_is_missing(self):
        self.key_file(KEY)
        daemon = self.with_key().start()
        daemon.endpoint(self.receiver().url)
        key_id = daemon.get("/v1/secrets").json["key"]
        daemon.kill()
        for keys, status in (((OTHER_KEY,), 78), (("nonsense",), 1), ((), 1)):
            self.key_file(*keys)
            with self.assertRaises(AssertionError):
                daemon.start()
            self.assertEqual(daemon.process.returncode, status)
        log = daemon.log()
        self.assertIn(key_id, log)
        self.assertIn("secrets.key:1: a key is 64 hex digits", log)
        self.assertNotIn("nonsense", log)
        self.key_file(KEY)
        daemon.start()

    def test_no_secret_and_no_key_is_in_logs_answers_or_errors(self):
        self.key_file(KEY)
        daemon, receiver = self.with_key(), self.receiver(lambda request: 500)
        daemon.settings.append("log.level=debug")
        daemon.start()
        endpoint = daemon.endpoint(receiver.url, retry_schedule=["0s"], headers={"Authorization": "Bearer hush"})
        secret, path = endpoint["secret"], f"/v1/endpoints/{endpoint['id']}"
        rotated = daemon.post(path + "/secrets/rotate", {"overlap": "1h"}).json["secret"]
        daemon.post(path + "/secrets/rotate", {"secret": rotated[:-3]})
        daemon.event()
        delivery = daemon.wait_for_state("dead", 1)[0]["id"]
        shown = [daemon.get(path).body, daemon.get("/v1/endpoints").body, daemon.get(path + "/secrets").body, daemon.get("/v1/status").body,
                 daemon.get(f"/v1/deliveries/{delivery}").body, daemon.get("/metrics").body, daemon.post(path + "/test").body,
                 daemon.ctl("endpoint", "show", endpoint["id"], "-o", "json").stdout, daemon.ctl("delivery", "curl", delivery).stdout,
                 daemon.log().encode()]
        for text in shown:
            for hidden in (secret, rotated, rotated[:-3], KEY):
                self.assertNotIn(hidden.encode(), text)
        self.assertIn(secret.encode(), daemon.get(path + "/secrets?reveal=true").body)

    def test_what_subscribers_answer_is_kept_or_not_as_configured(self):
        receiver = self.receiver(lambda request: (503, {"X-Private": "1", "Retry-After": "1"}, b"somebody's data"))
        for keep in (True, False):
            daemon = self.daemon("delivery.store_responses=" + str(keep).lower()).start()
            endpoint = daemon.endpoint(receiver.url, retry_schedule=["0s"])["id"]
            daemon.event()
            row = wait_until(lambda: daemon.deliveries(f"&endpoint={endpoint}&state=dead"), "a dead letter")[0]
            attempt = daemon.get(f"/v1/deliveries/{row['id']}").json["attempt_list"][0]
            self.assertEqual(attempt["status"], 503)
            self.assertEqual(attempt["response_body"], "somebody's data" if keep else "")
            self.assertEqual("X-Private" in str(attempt["response_headers"]), keep)
            daemon.post(f"/v1/endpoints/{endpoint}/pause")
            daemon.stop()

    def test_a_crash_leaves_no_memory_behind(self):
        daemon = self.daemon().start()
        proc = pathlib.Path(f"/proc/{daemon.process.pid}")
        self.assertEqual(int((proc / "coredump_filter").read_text(), 16), 0)
        core = [line for line in (proc / "limits").read_text().splitlines() if line.startswith("Max core file size")]
        self.assertEqual(core[0].split()[4:6], ["0", "0"])


class EndpointTlsTest(EndToEndTest):
    def tls_receiver(self, certificate, client_ca=None):
        receiver = TlsReceiver(certificate, client_ca)
        self.addCleanup(receiver.close)
        return receiver

    def test_each_endpoint_has_its_own_authorities_and_its_own_certificate(self):
        server = make_certificate(self.folder, "server", "localhost")
        alice, bob = (make_certificate(self.folder, name, name) for name in ("alice", "bob"))
        both = self.folder / "clients.pem"
        both.write_text(pathlib.Path(alice[0]).read_text() + pathlib.Path(bob[0]).read_text())
        receiver = self.tls_receiver(server, str(both))
        daemon = self.daemon().start()
        for client in (alice, bob):
            made = daemon.endpoint(receiver.url, retry_schedule=["0s"],
                                   tls={"ca_file": server[0], "client_cert": client[0], "client_key": client[1]})
            self.assertEqual(made["tls"], {"ca_file": server[0], "client_cert": client[0], "client_key": client[1]})
        for _ in range(3):
            daemon.event()
        receiver.wait_for(6)
        daemon.wait_for_state("delivered", 6)
        self.assertEqual({c["commonName"] for c in receiver.clients}, {"alice", "bob"})
        stranger = daemon.endpoint(receiver.url, types=["for.stranger"], retry_schedule=["0s"], tls={"ca_file": server[0]})
        doubter = daemon.endpoint(receiver.url, types=["for.doubter"], retry_schedule=["0s"])
        for name, endpoint, why in (("for.stranger", stranger, "the other side ended TLS"), ("for.doubter", doubter, "self-signed certificate")):
            daemon.event(name)
            row = wait_until(lambda: daemon.deliveries(f"&endpoint={endpoint['id']}&state=dead"), "a dead letter")[0]
            self.assertIn(why, str(daemon.get(f"/v1/deliveries/{row['id']}").json))

    def test_files_that_cannot_be_used_are_refused_at_registration(self):
        server = make_certificate(self.folder, "server", "localhost")
        other = make_certificate(self.folder, "other", "other")
        daemon = self.daemon().start()
        for tls, why in (({"ca_file": "/nowhere.pem"}, "No such file"), ({"ca_file": server[1]}, "no certificate"),
                         ({"client_cert": server[0], "client_key": other[1]}, "does not belong")):
            answer = daemon.post("/v1/endpoints", {"url": "https://localhost/", "tls": tls})
            self.assertEqual(answer.status, 422, answer)
            self.assertIn(why, answer.json["detail"])
        self.assertEqual(daemon.get("/v1/endpoints").json["data"], [])

    def test_a_renewed_client_certificate_is_taken_up_without_a_restart(self):
        server = make_certificate(self.folder, "server", "localhost")
        first, second = (make_certificate(self.folder, name, name) for name in ("first", "second"))
        both = self.folder / "clients.pem"
        both.write_text(pathlib.Path(first[0]).read_text() + pathlib.Path(second[0]).read_text())
        used = (str(self.folder / "used.pem"), str(self.folder / "used.key"))
        for source, target in zip(first, used):
            shutil.copy(source, target)
        receiver = self.tls_receiver(server, str(both))
        daemon = self.daemon().start()
        daemon.endpoint(receiver.url, tls={"ca_file": server[0], "client_cert": used[0], "client_key": used[1]})
        daemon.event()
        receiver.wait_for(1)
        for source, target in zip(second, used):
            shutil.copy(source, target + ".new")
            os.replace(target + ".new", target)

        def renewed():
            daemon.event()
            return receiver.clients[-1]["commonName"] == "second"

        wait_until(renewed, "the new certificate is used", 60)


class TlsListenerTest(EndToEndTest):
    def ctl(self, port, ca, *arguments):
        command = [str(BIN / "outboxctl"), "--url", f"https://localhost:{port}", "--ca-file", ca, *arguments]
        return subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)

    def test_the_tcp_port_speaks_tls_alone_and_takes_a_renewed_certificate_on_sighup(self):
        first, second = (make_certificate(self.folder, name, "localhost") for name in ("first", "second"))
        used = (self.folder / "used.pem", self.folder / "used.key")
        for source, target in zip(first, used):
            shutil.copy(source, target)
        daemon = self.daemon(f"listen.tls_cert={used[0]}", f"listen.tls_key={used[1]}").start()
        port = daemon.tcp_port
        self.assertEqual(self.ctl(port, first[0], "event", "send", "a.b", "--data", "1").returncode, 0)
        self.assertEqual(self.ctl(port, second[0], "event", "send", "a.b", "--data", "1").returncode, 5)  # the wrong authority
        with self.assertRaises(OSError):
            with socket.create_connection(("localhost", port)) as sock:
                sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                answer = sock.recv(100)
                self.assertNotIn(b"200", answer)
                raise ConnectionError(answer)
        for source, target in zip(second, used):
            shutil.copy(source, target)
        daemon.process.send_signal(signal.SIGHUP)
        wait_until(lambda: self.ctl(port, second[0], "event", "send", "a.b", "--data", "1").returncode == 0, "the new certificate is shown")
        used[0].write_text("nonsense")
        daemon.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "stays as it was" in daemon.log(), "the broken certificate is reported")
        self.assertEqual(self.ctl(port, second[0], "event", "send", "a.b", "--data", "1").returncode, 0)
        refused = self.ctl(port, second[0], "status")  # an operator needs a token, or the admin socket
        self.assertEqual(refused.returncode, 4)
        self.assertIn(b"admin socket", refused.stderr)
        for source, target in zip(first, used):  # a reload that failed is tried again until it succeeds
            shutil.copy(source, target)
        wait_until(lambda: self.ctl(port, first[0], "event", "send", "a.b", "--data", "1").returncode == 0, "the first one is shown again")

    def test_a_certificate_that_cannot_be_used_ends_the_start_with_the_file_and_the_reason(self):
        cert, _ = make_certificate(self.folder, "one", "localhost")
        _, other_key = make_certificate(self.folder, "two", "localhost")
        for key, why in ((other_key, "two.key"), ("/nowhere.key", "/nowhere.key")):
            daemon = self.daemon(f"listen.tls_cert={cert}", f"listen.tls_key={key}")
            with self.assertRaises(AssertionError):
                daemon.start()
            self.assertEqual(daemon.process.returncode, 1)
            self.assertIn(why, daemon.log())
        daemon = self.daemon(f"listen.tls_cert={cert}")
        with self.assertRaises(AssertionError):
            daemon.start()
        self.assertEqual(daemon.process.returncode, 78)


class TokenTest(EndToEndTest):
    def call(self, daemon, token, method="GET", path="/v1/status"):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, headers={"Authorization": f"Bearer {token}"} if token else {})
            return connection.getresponse().status
        finally:
            connection.close()

    def token(self, *arguments):
        made = self.daemons[0].ctl("token", "create", *arguments, "--file", str(self.tokens), "-o", "id")
        self.assertEqual(made.returncode, 0, made.stderr)
        return made.stdout.decode().strip()

    def setUp(self):
        super().setUp()
        self.tokens = self.folder / "tokens"

    def test_tokens_are_made_listed_and_revoked_while_the_daemon_runs(self):
        daemon = self.daemon(f"listen.tokens_file={self.tokens}")
        admin = self.token("boss", "--scope", "admin")
        daemon.start()
        self.port = daemon.tcp_port
        self.assertEqual(self.call(daemon, admin), 200)
        self.assertEqual(self.call(daemon, None), 401)
        producer = self.token("shop")
        wait_until(lambda: self.call(daemon, producer) == 403, "the new token is known, and is no admin's")
        listed = daemon.ctl("token", "list", "--file", str(self.tokens)).stdout.decode()
        self.assertIn("boss", listed)
        self.assertIn("shop", listed)
        for secret in (admin, producer):
            self.assertNotIn(secret, listed)
            self.assertNotIn(secret, self.tokens.read_text())
            self.assertNotIn(secret, daemon.log())
        self.assertEqual(self.tokens.stat().st_mode & 0o007, 0)
        self.assertEqual(daemon.ctl("token", "create", "shop", "--file", str(self.tokens)).returncode, 4)
        self.assertEqual(daemon.ctl("token", "revoke", "nobody", "--file", str(self.tokens)).returncode, 3)
        self.assertEqual(daemon.ctl("token", "revoke", "boss", "--file", str(self.tokens)).returncode, 0)
        wait_until(lambda: self.call(daemon, admin) == 401, "the revoked token is refused")
        self.assertEqual(self.call(daemon, producer), 403)
        self.assertEqual(daemon.ctl("token", "revoke", "shop", "--file", str(self.tokens)).returncode, 0)
        wait_until(lambda: self.call(daemon, producer) == 401, "the last one too: no token means that nobody may call")

    def test_a_token_that_may_look_at_one_tenant_sees_that_one_alone(self):
        daemon = self.daemon(f"listen.tokens_file={self.tokens}")
        admin = self.token("boss", "--scope", "admin")
        view = self.token("dashboard", "--scope", "view", "--tenant", "acme")
        daemon.start()
        self.port = daemon.tcp_port
        for tenant in ("acme", "other"):
            made = daemon.ctl("event", "send", "order.paid", "--data", "{}", "--tenant", tenant)
            self.assertEqual(made.returncode, 0, made.stderr)
        token_file = self.folder / "view.token"
        token_file.write_text(view)
        listed = subprocess.run([BIN / "outboxctl", "--url", f"http://127.0.0.1:{self.port}", "--token-file", token_file, "-o",
                                 "jsonl", "event", "list"], capture_output=True, check=False)
        self.assertEqual(listed.returncode, 0, listed.stderr)
        self.assertEqual([json.loads(line)["tenant"] for line in listed.stdout.splitlines()], ["acme"])
        self.assertEqual(self.call(daemon, view, path="/v1/events?tenant=other"), 403)
        self.assertEqual(self.call(daemon, view, path="/v1/status"), 200)  # of that tenant's endpoints
        self.assertEqual(self.call(daemon, view, path="/v1/setup"), 403)  # which is about all tenants
        self.assertEqual(self.call(daemon, view, "POST", "/v1/events"), 403)
        self.assertEqual(self.call(daemon, admin), 200)
        self.assertIn("acme", daemon.ctl("token", "list", "--file", str(self.tokens)).stdout.decode())

    def test_a_broken_tokens_file_keeps_the_tokens_there_were_and_a_missing_one_keeps_none(self):
        daemon = self.daemon(f"listen.tokens_file={self.tokens}")
        admin = self.token("boss", "--scope", "admin")
        daemon.start()
        self.port = daemon.tcp_port
        good = self.tokens.read_text()
        self.tokens.write_text(good + "admin " + admin + "\n")
        wait_until(lambda: "tokens_file" in daemon.log() and ":2:" in daemon.log(), "the error is logged")
        self.assertEqual(self.call(daemon, admin), 200)
        self.assertNotIn(admin, daemon.log())
        self.tokens.unlink()
        wait_until(lambda: self.call(daemon, admin) == 401, "nobody may call")
        self.tokens.write_text(good)
        wait_until(lambda: self.call(daemon, admin) == 200, "the token is back")


if __name__ == "__main__":
    threading.excepthook = lambda *_: None  # ignores handshakes that were refused
    unittest.main()
