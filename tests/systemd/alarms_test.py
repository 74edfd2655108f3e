"""The alert rules in systemd/prometheus: by themselves, and with a real Prometheus that watches a real outboxd in trouble."""
import hashlib
import json
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import time
import unittest
import urllib.parse
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from harness import EndToEndTest, wait_until

ROOT = pathlib.Path(__file__).resolve().parents[2]
RULES = ROOT / "systemd/prometheus"
TOKEN = "the-token-of-prometheus-0123456789"
FETCHED = ROOT / ".build/prometheus/usr/bin"  # by scripts/test


def program(name):
    return shutil.which(name) or shutil.which(name, path=str(FETCHED))


def needs_prometheus(test):
    return unittest.skipUnless(program("prometheus") and program("promtool"), "Prometheus is not there: scripts/test fetches it")(test)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def in_a_hurry(rules):
    """The same rules with times that a test can wait for."""
    rules = re.sub(r"for: \d+m", "for: 1s", rules)
    rules = re.sub(r"\[\d+[mh]\]", "[8s]", rules)
    return rules.replace("> 300", "> 2")


class Alarms(EndToEndTest):
    @needs_prometheus
    def test_rules_fire_when_they_should_and_not_before(self):
        done = subprocess.run([program("promtool"), "test", "rules", "outboxd.rules.test.yml"], cwd=RULES, capture_output=True, text=True)
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)

    def test_every_metric_that_a_rule_or_a_panel_asks_for_exists(self):
        outboxd = self.daemon().start()
        self.receiver_answers(500)
        outboxd.endpoint(self.served.url, name="shop", retry_schedule=["0s"])
        outboxd.event()
        outboxd.wait_for_state("dead", 1)
        outboxd.post("/v1/endpoints/shop/pause")
        outboxd.event()
        self.assertEqual(422, outboxd.post("/v1/events", {"type": "a.b"}).status)
        known = {line.split()[2] for line in outboxd.get("/metrics").body.decode().splitlines() if line.startswith("# TYPE")}
        rules = (RULES / "outboxd.rules.yml").read_text()
        dashboard = json.loads((RULES / "outboxd-dashboard.json").read_text())
        asked = re.findall(r"\b(?:outbox|process)_[a-z_]+", rules + json.dumps([p["targets"] for p in dashboard["panels"]]))
        names = {re.sub(r"_(bucket|sum|count)$", "", name) for name in asked}
        self.assertGreater(len(names), 12)
        self.assertEqual(set(), names - known)

    def receiver_answers(self, status):
        self.status = status
        self.served = self.receiver(lambda request: self.status)

    def start_prometheus(self, target):
        port = free_port()
        folder = self.folder / "prometheus"
        folder.mkdir()
        (folder / "outboxd.rules.yml").write_text(in_a_hurry((RULES / "outboxd.rules.yml").read_text()))
        (folder / "token").write_text(TOKEN)
        (folder / "prometheus.yml").write_text(f"""
global: {{ scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s }}
rule_files: [ outboxd.rules.yml ]
scrape_configs:
  - job_name: outboxd
    authorization: {{ credentials_file: token }}
    static_configs: [ {{ targets: [ "127.0.0.1:{target}" ] }} ]
""")
        log = open(folder / "log", "wb")
        self.addCleanup(log.close)
        process = subprocess.Popen([program("prometheus"), f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
                                    f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"], stdout=log, stderr=log)
        self.addCleanup(lambda: (process.kill(), process.wait()))
        self.prometheus = f"http://127.0.0.1:{port}"
        wait_until(lambda: self.answers() is not None, "Prometheus answers")

    def answers(self):
        try:
            with urllib.request.urlopen(self.prometheus + "/api/v1/alerts", timeout=5) as answer:
                return json.load(answer)["data"]["alerts"]
        except OSError:
            return None

    def firing(self, name):
        return [a["labels"] for a in self.answers() or [] if a["labels"]["alertname"] == name and a["state"] == "firing"]

    def wait_for_alarm(self, name, **labels):
        wait_until(lambda: [f for f in self.firing(name) if labels.items() <= f.items()], f"{name} fires", 60)

    def wait_for_calm(self, name):
        wait_until(lambda: not self.firing(name), f"{name} clears", 90)

    @needs_prometheus
    def test_trouble_of_a_real_daemon_fires_and_clears(self):
        tokens = self.folder / "tokens"
        tokens.write_text(f"view {hashlib.sha256(TOKEN.encode()).hexdigest()} prometheus\n")
        tokens.chmod(0o600)
        port = free_port()
        outboxd = self.daemon(f"listen.tokens_file={tokens}", f"listen.tcp=127.0.0.1:{port}")
        outboxd.start()
        self.start_prometheus(port)
        self.receiver_answers(500)
        dead = outboxd.endpoint(self.served.url, name="dead", types=["a.b"], retry_schedule=["0s"] + ["1s"] * 60)
        for _ in range(8):
            outboxd.event("a.b")
        self.wait_for_alarm("OutboxdDeliveriesLate", endpoint=dead["id"])
        self.status = 200
        self.wait_for_calm("OutboxdDeliveriesLate")

        self.status = 410
        gone = outboxd.endpoint(self.served.url, name="gone", types=["c.d"])
        outboxd.event("c.d")
        self.wait_for_alarm("OutboxdEndpointDisabled", endpoint=gone["id"])
        self.status = 200
        self.assertEqual(0, outboxd.ctl("endpoint", "enable", "gone").returncode)
        self.wait_for_calm("OutboxdEndpointDisabled")
        outboxd.wait_for_state("delivered", 8)

        # A producer that keeps the write lock: what comes in meanwhile is refused, and said to be.
        stuck = subprocess.Popen(["sqlite3", "-cmd", ".timeout 20000", str(outboxd.database)], stdin=subprocess.PIPE, text=True)
        self.addCleanup(lambda: (stuck.kill(), stuck.wait()))
        stuck.stdin.write("BEGIN IMMEDIATE;\n")
        stuck.stdin.flush()
        deadline = time.monotonic() + 60
        while not self.firing("OutboxdStoreErrors") and time.monotonic() < deadline:
            outboxd.post("/v1/events", {"type": "a.b", "payload": 1})
        self.assertTrue(self.firing("OutboxdStoreErrors"))
        stuck.stdin.write("ROLLBACK;\n")
        stuck.stdin.flush()
        self.wait_for_calm("OutboxdStoreErrors")

        outboxd.stop()
        self.wait_for_alarm("OutboxdDown")
        if shutil.disk_usage(self.folder).free > 2**40:  # the floor cannot be set higher
            outboxd.start()
            return self.wait_for_calm("OutboxdDown")
        short = self.daemon(*outboxd.settings, "retention.free_disk=1TiB").start()
        self.wait_for_calm("OutboxdDown")
        wait_until(lambda: short.post("/v1/events", {"type": "a.b", "payload": 1}).status == 503
                   and self.firing("OutboxdEventsRefused"), "OutboxdEventsRefused fires", 60)
        self.wait_for_calm("OutboxdEventsRefused")


if __name__ == "__main__":
    unittest.main()
