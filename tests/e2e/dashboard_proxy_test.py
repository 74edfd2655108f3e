"""`outboxctl dashboard`: the daemon's pages over its socket, on a loopback port, for the one browser that follows the link."""
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time
import unittest
from urllib.parse import urlsplit

from harness import BIN, PATIENCE, Answer, EndToEndTest, wait_until

COOKIE = re.compile(r"outboxd_dashboard_\d+=([0-9a-f]{64}); Path=/; HttpOnly; SameSite=Strict")
AT_ONCE = 32  # requests that it answers
STREAMS = 8


class Dashboard:
    """The command, and a browser of it: the cookie is sent once there is one."""

    def __init__(self, to, *arguments):
        self.process = subprocess.Popen([BIN / "outboxctl", *to, "-o", "jsonl", "dashboard", "--no-open", *arguments],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"outboxctl dashboard ended: {self.process.communicate()}")
        self.link = urlsplit(json.loads(line)["url"])
        self.cookie = self.csrf = None

    def open(self, method, path, body=None, headers=None, cookie=True):
        """The connection with the request sent."""
        connection = http.client.HTTPConnection("127.0.0.1", self.link.port, timeout=PATIENCE)
        headers = dict(headers or {})
        if cookie and self.cookie:
            headers["Cookie"] = f"theme=dark; outboxd_dashboard_{self.link.port}={self.cookie}"
        if method not in ("GET", "HEAD") and self.csrf:
            headers.setdefault("outboxd-csrf", self.csrf)
        connection.request(method, path, body, headers)
        return connection

    def ask(self, method, path, body=None, headers=None, cookie=True):
        connection = self.open(method, path, body, headers, cookie)
        try:
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def enter(self):
        answer = self.ask("GET", self.link.path)
        assert answer.status == 303, answer
        self.cookie = COOKIE.fullmatch(answer.headers["Set-Cookie"])[1]
        self.csrf = self.ask("GET", "/v1/session").json["csrf"]
        return answer

    def interrupt(self, sent=signal.SIGINT):
        self.process.send_signal(sent)
        return self.process.wait(PATIENCE)

    def close(self):
        self.process.kill()
        self.process.communicate()


class DashboardProxy(EndToEndTest):
    def setUp(self):
        super().setUp()
        self.outboxd = self.daemon().start()

    def dashboard(self, *arguments, to=None):
        dashboard = Dashboard(to or ["--socket", str(self.outboxd.admin)], *arguments)
        self.addCleanup(dashboard.close)
        return dashboard

    def entered(self):
        dashboard = self.dashboard()
        dashboard.enter()
        return dashboard

    def assert_problem(self, status, answer, word):
        self.assertEqual((status, "application/problem+json"), (answer.status, answer.headers["Content-Type"]), answer)
        self.assertEqual(status, answer.json["status"])
        self.assertIn(word, answer.json["detail"])

    def assert_not_in(self, answer):
        self.assertEqual(403, answer.status, answer)
        self.assertIn(b"the link works once", answer.body)
        self.assertIn(b"outboxctl dashboard", answer.body)

    def test_the_link_lets_one_browser_in_once(self):
        dashboard = self.dashboard()
        self.assertEqual("127.0.0.1", dashboard.link.hostname)
        self.assertRegex(dashboard.link.path, r"^/enter/[0-9a-f]{64}$")
        for path in ("/", "/v1/status", "/v1/session", "/enter/", "/enter/" + "0" * 64, dashboard.link.path[:-1]):
            with self.subTest(path=path):
                self.assert_not_in(dashboard.ask("GET", path))
        for method in ("HEAD", "POST"):  # programs that preview links do not spend it
            self.assertEqual(403, dashboard.ask(method, dashboard.link.path).status)
        entered = dashboard.enter()
        self.assertEqual("/", entered.headers["Location"])
        self.assertEqual("no-store", entered.headers["Cache-Control"])
        self.assert_not_in(dashboard.ask("GET", dashboard.link.path))
        self.assert_not_in(dashboard.ask("GET", dashboard.link.path, cookie=False))
        self.assert_not_in(dashboard.ask("GET", "/v1/status", cookie=False))
        self.assert_not_in(dashboard.ask("GET", "/v1/status", headers={"Cookie": f"outboxd_dashboard_{dashboard.link.port}={'0' * 64}"}, cookie=False))
        self.assertEqual(200, dashboard.ask("GET", "/v1/status").status)

    def test_pages_and_the_api_are_the_daemons(self):
        dashboard = self.entered()
        page, own = dashboard.ask("GET", "/"), self.outboxd.get("/")
        self.assertEqual((200, own.body), (page.status, page.body))
        for name in ("Content-Type", "Content-Security-Policy", "ETag", "Cache-Control", "X-Frame-Options", "X-Content-Type-Options"):
            self.assertEqual(own.headers[name], page.headers[name], name)
        if own.headers["ETag"]:
            same = dashboard.ask("GET", "/", headers={"If-None-Match": own.headers["ETag"]})
            self.assertEqual((304, b""), (same.status, same.body))
        compressed = dashboard.ask("GET", "/v1/status", headers={"Accept-Encoding": "gzip, br"})
        self.assertIsNone(compressed.headers["Content-Encoding"])
        self.assertEqual(set(self.outboxd.get("/v1/status").json), set(compressed.json))
        self.assertEqual(self.outboxd.get("/v1/endpoints").json, dashboard.ask("GET", "/v1/endpoints").json)
        head = dashboard.ask("HEAD", "/v1/endpoints")
        self.assertEqual((200, b""), (head.status, head.body))
        self.assertEqual(self.outboxd.get("/v1/no/such").json, dashboard.ask("GET", "/v1/no/such").json)
        for odd in ("/v1/endpoints/%2e%2e%2fa%0d%0ab", "/v1/endpoints/../status", "/v1/events?type=%26%3D&limit=%32"):
            with self.subTest(path=odd):
                own, through = self.outboxd.get(odd), dashboard.ask("GET", odd)
                self.assertEqual((own.status, own.json), (through.status, through.json))
        self.assert_problem(400, dashboard.ask("GET", "http://elsewhere/v1/status", headers={"Host": dashboard.link.netloc}), "path")

    def test_the_session_is_the_daemons_with_a_proof_of_its_own(self):
        dashboard = self.entered()
        own, session = self.outboxd.get("/v1/session").json, dashboard.ask("GET", "/v1/session").json
        self.assertIsNone(own["csrf"])
        self.assertRegex(session["csrf"], "^[0-9a-f]{64}$")
        self.assertEqual({**own, "csrf": session["csrf"]}, session)
        self.assert_problem(405, dashboard.ask("POST", "/v1/session", '{"token": "x"}'), "nothing to sign in to")
        out = dashboard.ask("DELETE", "/v1/session")
        self.assertEqual(204, out.status, out)
        self.assertIn(f"outboxd_dashboard_{dashboard.link.port}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0", out.headers["Set-Cookie"])
        self.assert_not_in(dashboard.ask("GET", "/v1/status"))
        self.assert_not_in(dashboard.ask("GET", dashboard.link.path))

    def test_a_change_needs_the_proof_and_comes_from_a_page_of_ours(self):
        self.outboxd.endpoint("http://127.0.0.1:9/", name="shop")
        dashboard, pause = self.entered(), "/v1/endpoints/shop/pause"
        for method, path in (("POST", pause), ("PATCH", "/v1/endpoints/shop"), ("DELETE", "/v1/endpoints/shop"), ("DELETE", "/v1/session")):
            for proof in ("", "0" * 64):
                with self.subTest(method=method, path=path, proof=proof):
                    self.assert_problem(403, dashboard.ask(method, path, "{}", {"outboxd-csrf": proof}), "outboxd-csrf")
        for site in ("cross-site", "same-site"):
            self.assert_problem(403, dashboard.ask("POST", pause, "{}", {"Sec-Fetch-Site": site}), "other origins")
        self.assert_not_in(dashboard.ask("POST", pause, "{}", cookie=False))
        self.assertEqual("active", self.outboxd.get("/v1/endpoints/shop").json["state"])
        headers = {"Content-Type": "application/json", "Sec-Fetch-Site": "same-origin"}
        paused = dashboard.ask("POST", pause, "{}", headers)
        self.assertEqual((200, "paused"), (paused.status, paused.json["state"]), paused)
        self.assertEqual("paused", self.outboxd.get("/v1/endpoints/shop").json["state"])
        changed = dashboard.ask("PATCH", "/v1/endpoints/shop", '{"name": "store"}', headers)
        self.assertEqual((200, "store"), (changed.status, changed.json["name"]), changed)
        self.assertLess(dashboard.ask("DELETE", "/v1/endpoints/store").status, 300)
        self.assertEqual(404, self.outboxd.get("/v1/endpoints/store").status)

    def test_a_page_of_another_port_makes_a_browser_reveal_nothing(self):
        self.outboxd.endpoint("http://127.0.0.1:9/", name="shop")
        dashboard = self.entered()
        before = self.outboxd.get("/v1/audit").json["data"]
        for path in ("/v1/endpoints/shop/secrets?reveal=true", "/v1/setup", "/v1/session", "/v1/attempts/stream"):
            for site in ("cross-site", "same-site"):
                self.assert_problem(403, dashboard.ask("GET", path, headers={"Sec-Fetch-Site": site}), "other origins")
        self.assertEqual(before, self.outboxd.get("/v1/audit").json["data"])
        self.assertEqual(200, dashboard.ask("GET", "/", headers={"Sec-Fetch-Site": "same-site"}).status)

    def test_a_link_on_a_page_of_another_site_lets_in_too(self):
        dashboard = self.dashboard()
        entered = dashboard.ask("GET", dashboard.link.path, headers={"Sec-Fetch-Site": "cross-site"})
        self.assertEqual((200, "text/html; charset=utf-8"), (entered.status, entered.headers["Content-Type"]))
        self.assertIn(b'content="0; url=/"', entered.body)
        dashboard.cookie = COOKIE.fullmatch(entered.headers["Set-Cookie"])[1]
        self.assertEqual(200, dashboard.ask("GET", "/").status)

    @unittest.skipUnless(os.geteuid() == 0, "only root can be another user")
    def test_a_link_on_a_command_line_is_for_its_own_user(self):
        opener = self.folder / "xdg-open"
        opener.write_text(f"#!/bin/sh\necho \"$1\" > {self.folder}/opened\n")
        opener.chmod(0o755)
        environment = {**os.environ, "DISPLAY": ":9", "PATH": f"{self.folder}:{os.environ['PATH']}"}
        process = subprocess.Popen([BIN / "outboxctl", "--socket", str(self.outboxd.admin), "dashboard"], env=environment,
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.addCleanup(lambda: (process.kill(), process.communicate()))
        link = process.stdout.readline().decode().strip()
        opened = self.folder / "opened"
        wait_until(lambda: opened.exists() and opened.read_text().strip() == link, "the browser is given the link")
        url = urlsplit(link)
        for user, status in ((65534, 403), (0, 303)):
            connection = http.client.HTTPConnection("127.0.0.1", url.port, timeout=PATIENCE)
            self.addCleanup(connection.close)
            os.seteuid(user)  # a socket is of the user who made it
            try:
                connection.sock = socket.socket()
            finally:
                os.seteuid(0)
            connection.sock.settimeout(PATIENCE)
            connection.sock.connect(("127.0.0.1", url.port))
            connection.request("GET", url.path)
            answer = connection.getresponse()
            self.assertEqual(status, answer.status, answer.read())

    def test_two_dashboards_share_no_cookie(self):
        names = {self.dashboard().enter().headers["Set-Cookie"].partition("=")[0] for _ in range(2)}
        self.assertEqual(2, len(names))

    def test_a_stream_ends_when_its_browser_signs_out(self):
        dashboard = self.entered()
        connection = dashboard.open("GET", "/v1/attempts/stream")
        self.addCleanup(connection.close)
        answer = connection.getresponse()
        self.assertEqual(200, answer.status)
        self.assertEqual(204, dashboard.ask("DELETE", "/v1/session").status)
        self.outboxd.endpoint(self.receiver().url)
        self.outboxd.event()
        deadline, came = time.monotonic() + PATIENCE, b""
        while (piece := answer.read1()):
            came += piece
            self.assertLess(time.monotonic(), deadline, came)
        self.assertNotIn(b"data: ", came)

    def test_it_has_no_other_name(self):
        dashboard = self.entered()
        port = dashboard.link.port
        for host in ("evil.example", f"evil.example:{port}", "127.0.0.1", "localhost", f"127.0.0.1:{port + 1}", ""):
            with self.subTest(host=host):
                self.assertEqual(403, dashboard.ask("GET", "/v1/status", headers={"Host": host}).status)
        self.assertEqual(200, dashboard.ask("GET", "/v1/status", headers={"Host": f"localhost:{port}"}).status)
        another = self.dashboard()
        self.assertEqual(403, another.ask("GET", another.link.path, headers={"Host": "evil.example"}).status)
        another.enter()

    def test_attempts_are_streamed_as_they_are_recorded(self):
        self.outboxd.endpoint(self.receiver().url)
        dashboard = self.entered()
        connection = dashboard.open("GET", "/v1/attempts/stream?type=order.*", headers={"Accept-Encoding": "gzip, br"})
        self.addCleanup(connection.close)
        answer = connection.getresponse()
        self.assertEqual((200, "text/event-stream"), (answer.status, answer.headers["Content-Type"]))
        event = self.outboxd.event("order.paid")["id"]
        lines = (line.decode() for line in iter(answer.readline, b""))
        data = next(line for line in lines if line.startswith("data: "))
        self.assertEqual(event, json.loads(data[6:])["event"])
        refused, own = dashboard.ask("GET", "/v1/attempts/stream?last=x"), self.outboxd.get("/v1/attempts/stream?last=x")
        self.assertEqual((own.status, own.json), (refused.status, refused.json))
        self.outboxd.stop()
        self.assertIsNone(next((line for line in lines if line.startswith("data: ")), None))  # it ends with the daemon

    def test_browsers_that_go_leave_no_stream_behind(self):
        dashboard = self.entered()
        threads = lambda: len(os.listdir(f"/proc/{dashboard.process.pid}/task"))
        before, answers = threads(), []
        for _ in range(STREAMS):
            connection = dashboard.open("GET", "/v1/attempts/stream")
            answers.append(connection.getresponse())
            self.addCleanup(answers[-1].close)
            connection.close()  # from now on only the answer holds it
        self.assertEqual({200}, {answer.status for answer in answers})
        self.assertEqual(before + STREAMS, threads())
        for answer in answers:
            answer.close()
        wait_until(lambda: threads() == before, "the streams end")

    def test_requests_at_once_are_bounded(self):
        dashboard = self.entered()

        def held():
            connection = http.client.HTTPConnection("127.0.0.1", dashboard.link.port, timeout=PATIENCE)
            self.addCleanup(connection.close)
            connection.putrequest("POST", "/v1/events")
            headers = {"Cookie": f"outboxd_dashboard_{dashboard.link.port}={dashboard.cookie}", "outboxd-csrf": dashboard.csrf, "Content-Length": "100000"}
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.endheaders()
            return connection

        requests = [held() for _ in range(AT_ONCE)]
        refused = lambda: (answer := dashboard.ask("GET", "/v1/endpoints")).status == 503 and answer

        def refused_while_held():
            for i, request in enumerate(requests):
                try:
                    request.send(b" ")  # a body that stays away for seconds is given up
                except OSError:
                    requests[i] = held()  # the question had taken its place
            return refused()

        busy = wait_until(refused_while_held, "all places are taken")
        self.assert_problem(503, busy, "under way")
        self.assertEqual("1", busy.headers["Retry-After"])
        for request in requests:
            request.close()
        wait_until(lambda: not refused(), "a place is free again")

    def test_a_body_is_bounded(self):
        dashboard = self.entered()

        def pieces():
            for _ in range(17):
                yield b" " * (1 << 20)

        try:
            answer = dashboard.ask("POST", "/v1/events", pieces(), {"Content-Type": "application/json"})
        except (BrokenPipeError, ConnectionResetError):
            answer = None  # it was refused before it was all sent
        if answer:
            self.assert_problem(413, answer, "16 MiB")
        self.assertEqual(200, dashboard.ask("GET", "/v1/status").status)

    def test_a_head_is_bounded_in_size_and_time(self):
        dashboard = self.dashboard()
        begun = lambda: socket.create_connection(("127.0.0.1", dashboard.link.port), PATIENCE)
        with begun() as large, self.assertRaises(OSError):
            large.sendall(b"GET / HTTP/1.1\r\n" + (b"X: " + b"x" * 1000 + b"\r\n") * 16000)
        slow = [begun() for _ in range(70)]  # more than it has threads
        for connection in slow:
            self.addCleanup(connection.close)
            connection.sendall(b"GET / HTTP/1.1\r\n")
            connection.settimeout(0)

        def is_ended(connection):
            try:
                connection.send(b"X: x\r\n")
                connection.recv(4096)
                return True
            except BlockingIOError:
                return False
            except OSError:
                return True
        wait_until(lambda: sum(map(is_ended, slow)) >= 60, "slow heads are given up")

    def test_a_stopped_daemon_is_told_and_waited_for(self):
        dashboard = self.entered()
        self.outboxd.stop()
        for path in ("/", "/v1/status", "/v1/session", "/v1/attempts/stream"):
            with self.subTest(path=path):
                self.assert_problem(502, dashboard.ask("GET", path), "cannot reach outboxd")
        ended = self.outboxd.ctl("dashboard", "--no-open")
        self.assertEqual((5, b""), (ended.returncode, ended.stdout), ended)
        self.assertIn(b"cannot reach outboxd", ended.stderr)
        self.outboxd.start()
        self.assertEqual(200, dashboard.ask("GET", "/v1/status").status)

    def test_it_ends_when_it_is_told_to(self):
        for sent in (signal.SIGINT, signal.SIGTERM):
            dashboard = self.entered()
            stream = dashboard.open("GET", "/v1/attempts/stream")
            self.addCleanup(stream.close)
            self.assertEqual(200, stream.getresponse().status)
            silent = socket.create_connection(("127.0.0.1", dashboard.link.port))
            self.addCleanup(silent.close)
            self.assertEqual(0, dashboard.interrupt(sent))
            self.assertIn(b"the link works once", dashboard.process.stderr.read())

    def test_it_listens_where_it_is_told_to_and_alone(self):
        first = self.dashboard()
        ended = self.outboxd.ctl("dashboard", "--no-open", "--port", str(first.link.port))
        self.assertEqual((1, b""), (ended.returncode, ended.stdout), ended)
        self.assertIn(b"choose another --port", ended.stderr)
        first.interrupt()
        again = self.dashboard("--port", str(first.link.port))
        self.assertEqual(first.link.port, again.link.port)
        self.assertNotEqual(first.link.path, again.link.path)

    def test_over_tcp_it_has_the_rights_of_its_token(self):
        tokens, token = self.folder / "tokens", self.folder / "token"
        made = self.outboxd.ctl("-o", "json", "token", "create", "viewer", "--scope", "view", "--file", str(tokens))
        token.write_text(json.loads(made.stdout)["token"])
        token.chmod(0o600)
        self.outboxd.stop()
        self.outboxd.settings.append(f"listen.tokens_file={tokens}")
        self.outboxd.start()
        url = ["--url", f"http://127.0.0.1:{self.outboxd.tcp_port}"]
        nobody = subprocess.run([BIN / "outboxctl", *url, "dashboard", "--no-open"], capture_output=True, timeout=PATIENCE, check=False)
        self.assertEqual((4, b""), (nobody.returncode, nobody.stdout), nobody)
        self.assertIn(b"--token-file", nobody.stderr)
        dashboard = self.dashboard(to=[*url, "--token-file", str(token)])
        dashboard.enter()
        self.assertEqual("view", dashboard.ask("GET", "/v1/session").json["scope"])
        self.assertEqual(200, dashboard.ask("GET", "/v1/status").status)
        self.assert_problem(403, dashboard.ask("POST", "/v1/endpoints/shop/pause", "{}"), "scope")


if __name__ == "__main__":
    unittest.main()
