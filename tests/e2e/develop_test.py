"""For those who develop: a daemon and a subscriber in one command, a subscriber that registers itself, sample events."""
import http.client
import json
import os
import pathlib
import signal
import subprocess
import unittest

from harness import BIN, PATIENCE, EndToEndTest, wait_until


class Running:
    """outboxctl with JSON lines on stdout, until it is interrupted."""

    def __init__(self, *arguments, env=None):
        self.process = subprocess.Popen([BIN / "outboxctl", "-o", "jsonl", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        env=env)

    def line(self):
        text = self.process.stdout.readline()
        if not text:
            raise AssertionError(f"it has ended: {self.process.stderr.read().decode()}")
        return json.loads(text)

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)
        status = self.process.wait(PATIENCE)
        self.process.stdout.close()
        self.process.stderr.close()
        return status

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def post(url, body, headers):
    host, _, path = url.removeprefix("http://").partition("/")
    connection = http.client.HTTPConnection(host, timeout=10)
    try:
        connection.request("POST", "/" + path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def is_gone(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


class DevTest(EndToEndTest):
    def dev(self, *arguments):
        env = {**os.environ, "TMPDIR": str(self.folder)}
        running = Running("dev", "--port", "0", *arguments, env=env)
        self.addCleanup(running.kill)
        return running

    def children(self, running):
        return pathlib.Path(f"/proc/{running.process.pid}/task/{running.process.pid}/children").read_text().split()

    def test_what_is_posted_arrives_verified_and_ctrl_c_leaves_nothing_behind(self):
        dev = self.dev()
        first = dev.line()
        daemons = self.children(dev)
        self.assertEqual(len(daemons), 1)
        status, body = post(first["url"] + "/v1/events", '{"type":"order.paid","payload":{"id":1.10}}',
                            {"Content-Type": "application/json"})
        self.assertEqual(status, 202, body)
        shown = dev.line()
        self.assertEqual((shown["type"], shown["verified"], shown["status"], shown["attempt"]), ("order.paid", True, 200, 1))
        trigger = subprocess.run([BIN / "outboxctl", "--socket", first["socket"], "trigger", "user.created"], capture_output=True,
                                 check=False)
        self.assertEqual(trigger.returncode, 0, trigger.stderr)
        self.assertEqual(dev.line()["type"], "user.created")
        self.assertEqual(dev.interrupt(), 0)
        wait_until(lambda: all(is_gone(pid) for pid in daemons), "the daemon is gone")
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_a_request_that_does_not_verify_is_told_what_is_wrong_with_it(self):
        dev = self.dev("--fail-type", "order.bad:503")
        first = dev.line()
        post(first["url"] + "/v1/events", '{"type":"order.paid","payload":{"id":42}}', {"Content-Type": "application/json"})
        good = dev.line()
        signature = json.loads(subprocess.run(
            [BIN / "outboxctl", "--socket", first["socket"], "-o", "json", "endpoint", "secret", "reveal", first["endpoint"]],
            capture_output=True, check=True).stdout)
        secret = signature["data"][0]["secret"] if "data" in signature else signature["secret"]

        def signed(body, body_sent=None, with_secret=secret):
            secret_file = self.folder / "secret"
            secret_file.write_text(with_secret)
            made = subprocess.run([BIN / "outboxctl", "signature", "sign", "--secret-file", secret_file, "--id", good["id"],
                                   "--timestamp", good["timestamp"]], input=body, capture_output=True, check=True)
            headers = {"webhook-id": good["id"], "webhook-timestamp": good["timestamp"],
                       "webhook-signature": made.stdout.decode().strip()}
            status, text = post(first["receiver"], body_sent or body, headers)
            self.assertEqual(dev.line()["verify_error"] is None, status == 200)
            return status, text

        self.assertEqual(signed(b'{"id":42}')[0], 200)
        status, text = signed(b'{"id":42}', b'{"id":43}')
        self.assertEqual(status, 401)
        self.assertIn("first difference is at byte 7", text)
        status, text = signed(b'{"id":42}', with_secret="whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")
        self.assertIn("another secret", text)
        self.assertEqual(post(first["receiver"], b"{}", {})[0], 401)
        self.assertIn("webhook-signature", dev.line()["verify_error"])
        self.assertEqual(dev.interrupt(), 0)

    def test_when_it_is_killed_its_daemon_goes_with_it(self):
        dev = self.dev()
        dev.line()
        daemons = self.children(dev)
        dev.kill()
        wait_until(lambda: all(is_gone(pid) for pid in daemons), "the daemon is gone")

    def test_a_port_that_is_taken_is_a_failure_with_the_daemons_own_words_and_leaves_nothing(self):
        taken = self.dev()
        port = taken.line()["url"].rsplit(":", 1)[1]
        folders = set(self.folder.iterdir())
        env = {**os.environ, "TMPDIR": str(self.folder)}
        ended = subprocess.run([BIN / "outboxctl", "dev", "--port", port], capture_output=True, check=False, env=env)
        self.assertEqual(ended.returncode, 1)
        self.assertIn(port, ended.stderr.decode())
        self.assertEqual(set(self.folder.iterdir()), folders)
        self.assertEqual(taken.interrupt(), 0)


class ListenTest(EndToEndTest):
    def test_a_subscriber_registers_itself_for_as_long_as_it_runs(self):
        outboxd = self.daemon().start()
        listen = Running("--socket", str(outboxd.admin), "listen", "--types", "order.*")
        self.addCleanup(listen.kill)
        first = listen.line()
        self.assertEqual([e["id"] for e in outboxd.get("/v1/endpoints").json["data"]], [first["endpoint"]])
        outboxd.event(type="user.created")
        outboxd.event(type="order.paid", payload='{"n":1.10}')
        shown = listen.line()
        self.assertEqual((shown["type"], shown["verified"], shown["status"]), ("order.paid", True, 200))
        tested = outboxd.ctl("endpoint", "test", first["endpoint"], "--type", "order.paid", "--data", "[1.10]")
        self.assertEqual(tested.returncode, 0, tested.stderr)
        self.assertEqual(listen.line()["body_base64"], "WzEuMTBd")
        self.assertEqual(listen.interrupt(), 0)
        self.assertEqual(outboxd.get("/v1/endpoints").json["data"], [])

    def test_a_daemon_that_does_not_allow_it_says_what_to_do(self):
        outboxd = self.daemon("policy.allow_http=false").start()
        ended = outboxd.ctl("listen", "--types", "**")
        self.assertEqual(ended.returncode, 4)
        self.assertIn(b"outboxctl dev", ended.stderr)


class EndpointFileTest(EndToEndTest):
    def test_endpoints_go_into_a_file_and_back(self):
        outboxd = self.daemon().start()
        for n, tenant in enumerate(("", "acme", "acme")):
            outboxd.endpoint(f"http://127.0.0.1:9/{n}", name=f"e{n}", tenant=tenant, types=["order.*"], timeout="7s",
                             metadata={"team": n}, headers={"x-team": str(n)})
        file = self.folder / "endpoints.json"
        exported = outboxd.ctl("endpoint", "export", str(file), "--reveal")
        self.assertEqual(exported.returncode, 0, exported.stderr)
        self.assertEqual(file.stat().st_mode & 0o077, 0)
        self.assertIn(b"nothing to change", outboxd.ctl("endpoint", "apply", str(file)).stderr)
        document = json.loads(file.read_text())
        secrets = [e["secret"] for e in document["endpoints"]]
        document["endpoints"][0]["timeout"] = "9s"
        document["endpoints"].pop()
        document["endpoints"].append({"name": "new", "tenant": "acme", "url": "http://127.0.0.1:9/new"})
        file.write_text(json.dumps(document))
        dry = outboxd.ctl("endpoint", "apply", str(file), "--prune", "--dry-run")
        self.assertIn(b"+ create acme/new", dry.stdout)
        self.assertIn(b"- remove acme/e2", dry.stdout)
        self.assertIn(b'timeout: "7s" -> "9s"', dry.stdout)
        self.assertEqual(outboxd.ctl("endpoint", "apply", str(file), "--prune", "--yes").returncode, 0)
        self.assertIn(b"nothing to change", outboxd.ctl("endpoint", "apply", str(file), "--prune", "--yes").stderr)
        names = sorted(e["name"] for e in outboxd.get("/v1/endpoints").json["data"])
        self.assertEqual(names, ["e0", "e1", "new"])
        # Made anew, with the same secrets.
        for endpoint in outboxd.get("/v1/endpoints").json["data"]:
            outboxd.call("DELETE", f"/v1/endpoints/{endpoint['id']}")
        self.assertEqual(outboxd.ctl("endpoint", "apply", str(file), "--yes").returncode, 0)
        e0 = outboxd.get("/v1/endpoints/e0/secrets?reveal=true").json["data"][0]["secret"]
        self.assertEqual(e0, secrets[0])


if __name__ == "__main__":
    unittest.main()
