"""What operators are shown of failures, from three kinds of them: the counts, who is concerned, and the command that helps."""
import json
import socket
import unittest

from harness import EndToEndTest, wait_until


class Failures(EndToEndTest):
    def refusing_url(self):
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            return f"http://127.0.0.1:{closed.getsockname()[1]}/hook"

    def failures(self, daemon, *options):
        shown = daemon.ctl("failures", "-o", "json", *options)
        self.assertEqual(0, shown.returncode, shown.stderr)
        return json.loads(shown.stdout)

    def test_three_kinds_of_failures_are_counted_told_apart_and_retried(self):
        daemon = self.daemon("delivery.retry_schedule=0s,10ms").start()
        good, broken, gone = self.receiver(), self.receiver(lambda _: 500), self.receiver(lambda _: (404, {}, b"no"))
        daemon.endpoint(good.url, name="good", types=["a.*"])
        daemon.endpoint(broken.url, name="broken", types=["a.**"])
        daemon.endpoint(gone.url, name="lost", types=["a.lost"])
        daemon.endpoint(self.refusing_url(), name="closed", types=["a.closed"])
        for _ in range(5):
            daemon.event("a.paid")
        daemon.event("a.lost")
        daemon.event("a.closed")
        # Each dead one was tried twice: 7 at `broken`, 1 at `lost`, 1 at `closed`.
        daemon.wait_for_state("dead", 9)
        daemon.wait_for_state("delivered", 7)
        shown = self.failures(daemon)
        self.assertEqual((18, 9, 3), (shown["attempts"], shown["dead"], shown["groups"]))
        counts = {group["group"]: (group["attempts"], group["dead"], group["endpoints"][0]["name"]) for group in shown["data"]}
        self.assertEqual({"http_5xx": (14, 7, "broken"), "http_4xx": (2, 1, "lost"), "connect": (2, 1, "closed")}, counts)
        self.assertEqual("http_5xx", shown["data"][0]["group"])
        self.assertEqual(500, shown["data"][0]["last_status"])
        by_type = {group["group"]: group["dead"] for group in self.failures(daemon, "--by", "type")["data"]}
        self.assertEqual({"a.paid": 5, "a.lost": 2, "a.closed": 2}, by_type)
        self.assertEqual(1, self.failures(daemon, "--endpoint", "closed")["dead"])
        self.assertEqual({"500": 7, "404": 1, "none": 1},
                         {group["group"]: group["dead"] for group in self.failures(daemon, "--by", "status")["data"]})
        self.assertEqual(9, self.failures(daemon, "--by", "reason")["data"][0]["dead"])

        table = daemon.ctl("failures", "--since", "1h")
        for text in (b"http_5xx", b"broken", b"HTTP status 500"):
            self.assertIn(text, table.stdout)
        self.assertIn(b"delivery retry --endpoint broken --state dead --error http_5xx\n", table.stderr)
        # The filter of the worst group selects just what it counts.
        worst = shown["data"][0]
        query = "".join(f"&{name}={value}" for name, value in worst["filter"].items())
        self.assertEqual(worst["dead"], len(daemon.deliveries(query)))

        series = {name: sum(point["value"] for point in daemon.get(f"/v1/series?since=1h&name={name}").json["data"])
                  for name in ("accepted", "attempts", "failed", "delivered", "dead")}
        self.assertEqual({"accepted": 7, "attempts": 25, "failed": 18, "delivered": 7, "dead": 9}, series)
        of_good = daemon.get("/v1/series?since=1h&name=latency_p95&endpoint=good").json["data"]
        self.assertTrue(any(point["value"] for point in of_good))

        # The counts are in the file: a crash changes nothing.
        daemon.kill()
        daemon.start()
        self.assertEqual(shown["data"], self.failures(daemon)["data"])
        daemon.ctl("retry", daemon.deliveries("&endpoint=closed&state=dead")[0]["id"])
        wait_until(lambda: self.failures(daemon, "--endpoint", "closed")["dead"] == 2, "it died once more")


if __name__ == "__main__":
    unittest.main()
