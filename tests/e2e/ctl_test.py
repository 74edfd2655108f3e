"""outboxctl against the real daemon, as an operator would use it, and its exit statuses, as scripts rely on them."""
import json
import os
import re
import signal
import subprocess
import unittest

from harness import BIN, PATIENCE, EndToEndTest, wait_until


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

    def test_an_endpoint_is_called_by_its_name_everywhere(self):
        broken = [True]
        receiver = self.receiver(lambda request: 400 if broken else 200)
        self.ctl("endpoint", "add", receiver.url, "--name", "the shop", "--retry-schedule", "0s")
        self.ctl("endpoint", "add", receiver.url, "--name", "the shop", status=4)
        self.ctl("event", "send", "order.paid", "--data", "1")
        dead = self.outboxd.wait_for_state("dead", 1)[0]
        self.assertEqual("the shop", dead["endpoint_name"])
        self.assertIn("the shop", self.ctl("delivery", "list", "--endpoint", "the shop"))
        self.assertIn("the shop", self.ctl("failures", "--by", "endpoint"))
        broken.clear()
        self.ctl("delivery", "retry", "--endpoint", "the shop", "--yes")
        self.outboxd.wait_for_state("delivered", 1)
        self.ctl("event", "replay", dead["event"], "--endpoint", "the shop")
        receiver.wait_for(3)
        self.ctl("endpoint", "pause", "the shop")
        self.ctl("event", "send", "order.paid", "--data", "2")
        self.outboxd.wait_for_state("pending", 1)
        self.ctl("endpoint", "remove", "the shop", status=2)
        self.ctl("endpoint", "remove", "the shop", "--yes")
        self.outboxd.wait_for_state("discarded", 1)
        self.ctl("endpoint", "show", "the shop", status=3)

    def test_bash_completes_commands_and_the_names_of_endpoints(self):
        self.ctl("endpoint", "add", self.receiver().url, "--name", "the shop")
        asks = 'source <(outboxctl completion bash); COMP_WORDS=(outboxctl "$@"); COMP_CWORD=$#; _outboxctl; printf "%s\\n" "${COMPREPLY[@]}"'
        environment = {"PATH": f"{BIN}:/usr/bin:/bin", "OUTBOXD_SOCKET": str(self.outboxd.admin)}

        def completed(*words):
            shell = ["bash", "--norc", "-c", asks, "bash", *words]
            return subprocess.run(shell, capture_output=True, text=True, env=environment, check=True, timeout=PATIENCE).stdout.split("\n")[:-1]

        self.assertEqual(["discard"], completed("delivery", "dis"))
        self.assertEqual(["the\\ shop"], completed("endpoint", "pause", ""))

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

    def tail(self, *arguments):
        tail = subprocess.Popen([BIN / "outboxctl", "--socket", self.outboxd.admin, "-o", "jsonl", "tail", *arguments],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for end in (tail.stdout.close, tail.stderr.close, tail.wait, tail.kill):
            self.addCleanup(end)
        return tail

    def test_tail_shows_each_of_a_thousand_attempts_once_in_order_with_its_own_time(self):
        seen_once = set()

        def flaky(request):  # every fifth event is refused at first
            first = request.id not in seen_once
            seen_once.add(request.id)
            return 500 if first and json.loads(request.body)["n"] % 5 == 0 else 200

        receiver = self.receiver(flaky)
        self.ctl("endpoint", "add", receiver.url, "--max-in-flight", "100", "--retry-schedule", "0s,50ms,50ms", "--types", "load.*")
        marked = self.receiver()
        self.ctl("endpoint", "add", marked.url, "--types", "mark")
        tail = self.tail()
        self.ctl("event", "send", "mark", "--data", "1")  # whoever sees this event follows the feed
        self.assertEqual("mark", json.loads(tail.stdout.readline())["type"])
        batch = "".join(json.dumps({"type": "load.it", "payload": {"n": n}}) + "\n" for n in range(1000)).encode()
        self.ctl("event", "send", "--batch", "-", stdin=batch)
        shown = [json.loads(tail.stdout.readline()) for _ in range(1200)]
        self.assertFalse([row for row in shown if "dropped" in row])
        self.assertEqual(1200, len({row["id"] for row in shown}))
        self.assertEqual(1000, sum(row["state"] == "delivered" for row in shown))
        self.assertEqual(200, sum(row["status"] == 500 and row["state"] == "pending" for row in shown))
        recorded = [row["recorded_at"] for row in shown]
        self.assertLess(max(abs(times(a) - times(b)) for a, b in zip(recorded, sorted(recorded))), 1)
        for row in shown[:20] + shown[-20:]:  # as they are on disk
            attempts = {a["id"]: a for a in self.json("delivery", "show", row["delivery"])["attempt_list"]}
            self.assertEqual(attempts[row["id"]]["started_at"], row["started_at"])
            self.assertEqual(attempts[row["id"]]["number"], row["number"])
        tail.send_signal(signal.SIGINT)
        self.assertEqual(0, tail.wait(10))
        self.assertEqual(b"", tail.stdout.read())
        self.assertEqual(b"", tail.stderr.read())

    def test_tail_stopped_for_long_says_how_many_attempts_it_missed(self):
        receiver = self.receiver()
        self.ctl("endpoint", "add", receiver.url, "--max-in-flight", "200")
        cursor = self.outboxd.get("/v1/attempts").json["next_cursor"]
        for _ in range(17):
            events = [{"type": "a.b", "payload": 1}] * 1000
            self.assertEqual(202, self.outboxd.post("/v1/events", events).status)
        wait_until(lambda: self.json("status")["deliveries"]["delivered"] == 17_000, "all are delivered")
        late = self.outboxd.get(f"/v1/attempts?limit=250&cursor={cursor}").json
        self.assertEqual(17_000 - 16_384, late["dropped"])
        kept = len(late["data"])
        while late["data"]:
            late = self.outboxd.get(f"/v1/attempts?limit=250&cursor={late['next_cursor']}").json
            self.assertEqual(0, late["dropped"])
            kept += len(late["data"])
        self.assertEqual(16_384, kept)

    def test_what_a_failing_endpoint_holds_back_is_told_apart_from_what_waits_for_its_retry(self):
        receiver = self.receiver(lambda request: 500)
        endpoint = self.json("endpoint", "add", receiver.url, "--retry-schedule", "0s,1h,1h", "--max-in-flight", "1")["id"]
        batch = "".join(json.dumps({"type": "a.b", "payload": n}) + "\n" for n in range(60)).encode()
        self.ctl("event", "send", "--batch", "-", stdin=batch)
        wait_until(lambda: self.json("endpoint", "show", endpoint)["failing_since"], "the breaker opens")
        waiting = wait_until(lambda: (w := self.json("endpoint", "stats", endpoint)["waiting"]) and sum(w.values()) == 60 and w, "nothing is under way")
        self.assertEqual({"breaker", "due"}, set(waiting))
        self.assertGreater(waiting["breaker"], 20)
        groups = self.json("failures")["data"]
        self.assertEqual(["http_5xx"], [group["group"] for group in groups])
        self.ctl("endpoint", "disable", endpoint)
        self.assertEqual({"disabled": 60}, self.json("endpoint", "stats", endpoint)["waiting"])

    def test_commands_on_this_machine_answer_in_json_too(self):
        config = ("--config", str(self.outboxd.config))
        whole = self.json("db", "check", *config)
        self.assertEqual({"path": str(self.outboxd.database), "whole": True, "problems": []}, whole)
        settings = {row["key"]: row["value"] for row in self.json("config", "show", *config)["data"]}
        self.assertEqual(True, settings["policy.allow_http"])
        self.assertEqual(["127.0.0.0/8"], settings["policy.allow_networks"])
        self.assertEqual({"valid": True, "errors": []}, self.json("config", "check", *config))
        copy = self.folder / "copy.db"
        self.assertEqual(str(copy), self.json("db", "backup", str(copy), *config)["copy"])
        copy.write_bytes(copy.read_bytes()[:4096] + b"x" * 8192 + copy.read_bytes()[12288:])
        damaged = self.outboxd.ctl("-o", "json", "db", "check", *config[:1], self.config_of(copy))
        self.assertEqual(1, damaged.returncode, damaged.stderr)
        self.assertFalse(json.loads(damaged.stdout)["whole"])

    def config_of(self, database):
        path = self.folder / "copy.toml"
        path.write_text(f'[store]\nurl = "sqlite://{database}"\n')
        return str(path)

    def test_an_id_may_be_cut_to_a_beginning_that_only_one_has(self):
        receiver = self.receiver(lambda request: 500)
        self.ctl("endpoint", "add", receiver.url, "--name", "shop", "--retry-schedule", "0s")
        self.outboxd.post("/v1/events", [{"type": "a.b", "payload": 1} for _ in range(3)])
        self.outboxd.wait_for_state("dead", 3)
        events = [event["id"] for event in self.json("event", "list")["data"]]
        deliveries = {delivery["event"]: delivery["id"] for delivery in self.json("delivery", "list")["data"]}
        for event in events:
            delivery = deliveries[event]
            cut = event[:4 + 18]
            cut_delivery = delivery[:4 + 24]  # the first digits are the event's time, the next ones its number
            self.assertEqual(event, self.json("event", "show", cut)["id"])
            self.assertEqual("1", self.ctl("event", "payload", cut))
            self.assertEqual(delivery, self.json("delivery", "show", cut_delivery)["id"])
            self.assertEqual([delivery], [row["id"] for row in self.json("delivery", "list", "--event", cut)["data"]])
            self.assertTrue(self.json("why", cut_delivery)["why"].startswith(delivery))
        first = events[0]
        shared = os.path.commonprefix(events)  # of one request, so of one moment
        for status, message, cut in ((2, "does not tell which event", shared), (2, "at least the first 8", first[:11]),
                                     (3, "begins with evt_00000000", "evt_00000000")):
            refused = self.outboxd.ctl("event", "show", cut)
            self.assertEqual(status, refused.returncode, cut)
            self.assertIn(message, refused.stderr.decode())
        self.ctl("delivery", "retry", deliveries[first][:4 + 24])
        receiver.wait_for(4)
        self.outboxd.wait_for_state("dead", 3)
        self.ctl("retry", first[:4 + 18])
        receiver.wait_for(5)
        self.outboxd.wait_for_state("dead", 3)
        batch = self.json("delivery", "retry", "--event", first[:4 + 18], "--yes")["id"]
        self.assertEqual(batch, self.json("batch", "show", batch[:4 + 12])["id"])

    def test_an_unknown_id_is_not_found_wherever_one_is_taken(self):
        ids = {kind: f"{kind}_{'0' * 32}" for kind in ("evt", "ep", "dlv")}
        for arguments in (["event", "show", ids["evt"]], ["event", "replay", ids["evt"]], ["endpoint", "show", ids["ep"]],
                          ["endpoint", "set", ids["ep"], "--name", "x"], ["endpoint", "test", ids["ep"]],
                          ["endpoint", "secret", "list", ids["ep"]], ["delivery", "show", ids["dlv"]],
                          ["delivery", "list", "--endpoint", ids["ep"]], ["delivery", "list", "--event", ids["evt"]],
                          ["delivery", "retry", "--endpoint", ids["ep"], "--yes"], ["retry", ids["dlv"]],
                          ["retry", ids["evt"]], ["tail", "--endpoint", ids["ep"]]):
            with self.subTest(arguments):
                self.ctl(*arguments, status=3)
        event = self.json("event", "send", "a.b", "--data", "1")["id"]
        self.ctl("event", "replay", event, "--endpoint", ids["ep"], status=3)

    def test_a_token_written_to_a_file_is_what_token_file_reads(self):
        tokens = self.folder / "tokens"
        tokens.write_text("")
        token = self.folder / "operator.token"
        token.write_bytes(self.outboxd.ctl("token", "create", "operator", "--scope", "admin", "--file", str(tokens)).stdout)
        self.outboxd.stop()
        self.outboxd = self.daemon(f"listen.tokens_file={tokens}").start()
        url = f"http://127.0.0.1:{self.outboxd.tcp_port}"

        command = [BIN / "outboxctl", "--url", url, "--token-file", token, "-o", "json", "status"]
        ended = subprocess.run(command, capture_output=True, check=False)
        self.assertEqual(0, ended.returncode, ended.stderr)


def times(text):
    """An RFC 3339 time as seconds since midnight."""
    hours, minutes, seconds = text[11:-1].split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


if __name__ == "__main__":
    unittest.main()
