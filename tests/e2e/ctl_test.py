"""outboxctl against the real daemon, as an operator would use it; and scripts' view of its exit statuses."""
import json
import re
import signal
import subprocess
import unittest

from harness import BIN, EndToEndTest, wait_until


class Ctl(EndToEndTest):
    def setUp(self):
        super().setUp()
        self.outboxd = self.daemon().start()

    def ctl(self, *arguments, status=0, stdin=None):
        ended = self.outboxd.ctl(*arguments, stdin=stdin)
        self.assertEqual(status, ended.returncode, (arguments, ended.stdout, ended.stderr))
        return ended.stdout.decode()

    def json(self, *arguments):
        return json.loads(self.ctl("-o", "json", *arguments))

    def test_an_operator_finds_a_dead_letter_mends_the_endpoint_and_sends_it_again(self):
        broken = [True]
        receiver = self.receiver(lambda request: 500 if broken else 200)
        added = self.json("endpoint", "add", receiver.url, "--name", "shop", "--types", "order.**", "--retry-schedule", "0s,50ms")
        self.assertTrue(added["secret"].startswith("whsec_"))
        payload = '{"total": 1.10, "big": 12345678901234567890}'
        self.ctl("event", "send", "order.paid", "--data", payload)
        dead = self.outboxd.wait_for_state("dead", 1)[0]
        self.assertEqual(payload.encode(), receiver.requests[0].body)
        self.assertEqual(dead["id"], self.ctl("-o", "id", "delivery", "list", "--state", "dead").strip())
        self.assertIn("http_5xx", self.ctl("failures"))
        self.assertEqual(2, len(self.json("delivery", "show", dead["id"])["attempt_list"]))
        broken.clear()
        self.ctl("retry", dead["id"])
        self.outboxd.wait_for_state("delivered", 1)
        self.assertEqual(1, self.json("status")["deliveries"]["delivered"])

    def test_endpoints_are_listed_changed_paused_tested_and_removed(self):
        receiver = self.receiver()
        endpoint = self.json("endpoint", "add", receiver.url, "--name", "one")["id"]
        self.assertIn("one", self.ctl("endpoint", "list"))
        self.assertEqual("two", self.json("endpoint", "set", endpoint, "--name", "two")["name"])
        self.ctl("endpoint", "pause", endpoint)
        self.assertEqual("paused", self.json("endpoint", "show", endpoint)["state"])
        self.ctl("endpoint", "resume", endpoint)
        self.ctl("endpoint", "test", endpoint)
        self.assertEqual("outboxd.test", receiver.wait_for(1)[0].headers["outboxd-event-type"])
        self.ctl("endpoint", "remove", endpoint)
        self.ctl("endpoint", "show", endpoint, status=3)

    def test_bulk_retry_wants_a_yes_without_a_terminal_and_only_counts_with_dry_run(self):
        broken = [True]
        receiver = self.receiver(lambda request: 400 if broken else 200)
        self.ctl("endpoint", "add", receiver.url, "--retry-schedule", "0s")
        batch = "".join(json.dumps({"type": "a.b", "payload": n}) + "\n" for n in range(30)).encode()
        self.ctl("event", "send", "--batch", "-", stdin=batch)
        self.outboxd.wait_for_state("dead", 30)
        broken.clear()
        self.ctl("delivery", "retry", "--state", "dead", "--dry-run")
        self.ctl("delivery", "retry", "--state", "dead", status=2)
        self.assertEqual(30, len(self.outboxd.deliveries("&state=dead")))
        self.ctl("delivery", "retry", "--state", "dead", "--yes")
        self.outboxd.wait_for_state("delivered", 30)

    def test_exit_statuses_are_those_of_the_contract(self):
        self.ctl("event", "send", "no such type!", "--data", "1", status=2)
        self.ctl("event", "send", "a.b", "--data", "{broken", status=2)
        self.ctl("event", "send", "a.b", "--unknown", status=2)
        self.ctl("nonsense", status=2)
        self.ctl("event", "show", "evt_" + "0" * 12 + "7000" + "8" + "0" * 15, status=3)
        self.ctl("endpoint", "add", "http://10.0.0.1/", status=4)
        ended = subprocess.run([BIN / "outboxctl", "--socket", self.folder / "nowhere.sock", "status"], capture_output=True, check=False)
        self.assertEqual(5, ended.returncode)
        (self.folder / "bad.toml").write_text("[delivery]\ntimeout = 7\nnonsense = 1\n")
        ended = self.outboxd.ctl("config", "check", "--config", str(self.folder / "bad.toml"))
        self.assertEqual(78, ended.returncode)
        self.assertIn(b"bad.toml:2:", ended.stdout + ended.stderr)
        self.assertIn(b"bad.toml:3:", ended.stdout + ended.stderr)
        daemon = subprocess.run([BIN / "outboxd", "--check-config", "--config", self.folder / "bad.toml"], capture_output=True, check=False)
        self.assertEqual(78, daemon.returncode)
        self.assertIn(b"bad.toml:2:", daemon.stderr)

    def test_what_a_subscriber_sent_back_reaches_the_terminal_escaped(self):
        receiver = self.receiver(lambda request: (500, {}, b"\x1b[2Jgone\x07\xff"))
        self.ctl("endpoint", "add", receiver.url, "--retry-schedule", "0s")
        self.ctl("event", "send", "a.b", "--data", "1")
        dead = self.outboxd.wait_for_state("dead", 1)[0]
        shown = self.outboxd.ctl("delivery", "show", dead["id"]).stdout
        self.assertIn(b"gone", shown)
        self.assertIsNone(re.search(rb"[\x00-\x08\x0b-\x1f\x7f]", shown), shown)

    def test_listen_verifies_and_fails_as_told(self):
        secret = self.folder / "secret"
        secret.write_text("whsec_" + "QUJD" * 8)
        listen = subprocess.Popen([BIN / "outboxctl", "-o", "jsonl", "listen", "--verify", f"@{secret}", "--fail-type", "a.bad:418"],
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.addCleanup(listen.stdout.close)
        self.addCleanup(listen.wait)
        self.addCleanup(listen.kill)
        port = json.loads(listen.stdout.readline())["port"]
        self.ctl("endpoint", "add", f"http://127.0.0.1:{port}/", "--secret-file", str(secret), "--retry-schedule", "0s")
        for type in ("a.good", "a.bad"):
            self.ctl("event", "send", type, "--data", '{"n": 1.10}')
            line = json.loads(listen.stdout.readline())
            self.assertEqual((type, True), (line["type"], line["verified"]))
        self.outboxd.wait_for_state("delivered", 1)
        self.assertEqual("http_4xx", self.outboxd.wait_for_state("dead", 1)[0]["error"])
        listen.send_signal(signal.SIGINT)
        self.assertEqual(0, listen.wait(10))

    def test_tail_shows_attempts_as_they_are_recorded(self):
        receiver = self.receiver()
        self.ctl("endpoint", "add", receiver.url)
        tail = subprocess.Popen([BIN / "outboxctl", "--socket", self.outboxd.admin, "-o", "jsonl", "tail"], stdout=subprocess.PIPE)
        self.addCleanup(tail.stdout.close)
        self.addCleanup(tail.wait)
        self.addCleanup(tail.kill)
        self.ctl("event", "send", "a.b", "--data", "1")
        seen = []
        wait_until(lambda: seen.append(json.loads(tail.stdout.readline())) or seen[-1]["state"] == "delivered", "the attempt is shown")
        self.assertEqual("a.b", seen[-1]["type"])


if __name__ == "__main__":
    unittest.main()
