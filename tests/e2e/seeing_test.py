"""What an operator sees while it happens: the stream of attempts, tail, event tail, top, a delivery's page and its curl command."""
import fcntl
import json
import os
import pathlib
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import termios
import time
import unittest

from harness import BIN, PATIENCE, SANITIZED, EndToEndTest, UnixConnection, wait_until


class Stream:
    """GET /v1/attempts/stream, read event by event. With `small` the kernel holds little of what is not read."""

    def __init__(self, daemon, query="", headers=None, small=False):
        self.connection = UnixConnection(daemon.admin)
        self.connection.connect()
        if small:
            self.connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.connection.request("GET", "/v1/attempts/stream" + query, headers=headers or {})
        self.answer = self.connection.getresponse()

    def next(self):
        """(name, id, data) of the next event; None at the end."""
        name, event_id, data = None, None, None
        for line in iter(self.answer.readline, b""):
            field, _, value = line.decode().rstrip("\n").partition(": ")
            if field == "event":
                name = value
            elif field == "id":
                event_id = value
            elif field == "data":
                data = json.loads(value)
            elif not field and data is not None:
                return name, event_id, data
        return None

    def close(self):
        self.answer.close()
        self.connection.close()


class Seeing(EndToEndTest):
    def setUp(self):
        super().setUp()
        self.outboxd = self.daemon().start()

    def stream(self, *arguments, **options):
        stream = Stream(self.outboxd, *arguments, **options)
        self.addCleanup(stream.close)
        return stream

    def ctl(self, *arguments, status=0):
        ended = self.outboxd.ctl(*arguments)
        self.assertEqual(status, ended.returncode, (arguments, ended.stdout, ended.stderr))
        return ended.stdout.decode()

    def running(self, *arguments):
        process = subprocess.Popen([BIN / "outboxctl", "--socket", self.outboxd.admin, *arguments], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        for end in (process.stdout.close, process.stderr.close, process.wait, process.kill):
            self.addCleanup(end)
        return process

    def test_attempts_are_streamed_as_they_happen_and_the_stream_ends_with_the_daemon(self):
        receiver = self.receiver(lambda request: 500 if b"bad" in request.body else 200)
        shop = self.outboxd.endpoint(receiver.url, name="shop", retry_schedule=["0s"])
        everything, failures, nothing = self.stream(), self.stream("?endpoint=shop&failed=true"), self.stream("?type=invoice.*")
        self.assertEqual("text/event-stream", everything.answer.headers["Content-Type"])
        good = self.outboxd.event()["id"]
        bad = self.outboxd.event(payload='"bad"')["id"]
        first = everything.next()
        self.assertEqual(("attempt", good, "success", shop["id"], "shop"),
                         (first[0], first[2]["event"], first[2]["outcome"], first[2]["endpoint"], first[2]["endpoint_name"]))
        self.assertEqual(bad, everything.next()[2]["event"])
        failed = failures.next()
        self.assertEqual((bad, "http_5xx", "dead"), (failed[2]["event"], failed[2]["outcome"], failed[2]["state"]))
        again = self.stream(headers={"Last-Event-ID": first[1]})
        self.assertEqual(bad, again.next()[2]["event"])
        self.assertEqual(0, self.outboxd.stop())
        for stream in (everything, failures, nothing, again):
            self.assertIsNone(stream.next())

    def test_a_reader_that_never_reads_holds_nobody_up_and_is_told_how_many_it_missed(self):
        events = 18_000  # more than the daemon holds in memory
        receiver = self.receiver()
        self.outboxd.endpoint(receiver.url, max_in_flight=200)
        stalled = [self.stream(small=True) for _ in range(8)]
        before = self.resident()
        for _ in range(events // 1000):
            batch = [{"type": "a.b", "payload": 1}] * 1000
            self.assertEqual(202, self.outboxd.post("/v1/events", batch).status)
        wait_until(lambda: self.outboxd.get("/v1/status").json["deliveries"]["delivered"] == events, "all are delivered", 3 * PATIENCE)
        if not SANITIZED:
            self.assertLess(self.resident() - before, 96 << 20)
        late = stalled[0]
        attempts, dropped = 0, 0
        while attempts + dropped < events:
            name, _, data = late.next()
            attempts += name == "attempt"
            dropped += data["dropped"] if name == "dropped" else 0
        self.assertEqual(events, attempts + dropped)
        self.assertGreater(dropped, 0)
        began = time.monotonic()
        self.assertEqual(0, self.outboxd.stop())
        self.assertLess(time.monotonic() - began, 15)

    def resident(self):
        status = pathlib.Path(f"/proc/{self.outboxd.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) << 10

    def test_sixteen_may_follow_at_a_time_and_a_place_is_free_as_soon_as_somebody_leaves(self):
        streams = [self.stream() for _ in range(16)]
        refused = self.outboxd.get("/v1/attempts/stream")
        self.assertEqual((503, "1"), (refused.status, refused.headers["Retry-After"]))
        self.assertEqual(503, json.loads(refused.body)["status"])
        streams.pop().close()
        wait_until(lambda: self.stream().answer.status == 200, "the place is free again")

    def test_tail_shows_attempts_as_they_happen_and_goes_on_after_a_restart_of_the_daemon(self):
        receiver = self.receiver()
        self.ctl("endpoint", "add", receiver.url, "--name", "shop")
        tail = self.running("-o", "jsonl", "tail", "--endpoint", "shop")
        first = self.outboxd.event()["id"]
        self.assertEqual(first, json.loads(tail.stdout.readline())["event"])
        self.assertEqual(0, self.outboxd.stop())
        self.outboxd.start()
        second = self.outboxd.event()["id"]
        rows = [json.loads(tail.stdout.readline()) for _ in range(2)]
        self.assertEqual([{"dropped": None}, second], [rows[0], rows[1]["event"]])
        tail.send_signal(signal.SIGINT)
        self.assertEqual(0, tail.wait(PATIENCE))
        said = tail.stderr.read()
        self.assertIn(b"has ended the stream", said)
        self.assertIn(b"was restarted", said)

    def test_event_tail_shows_events_as_they_are_accepted_also_after_a_restart(self):
        self.outboxd.event(type="before.all")
        tail = self.running("-o", "jsonl", "event", "tail")
        self.assertEqual("before.all", json.loads(tail.stdout.readline())["type"])
        sent = [self.outboxd.event(type=f"a.n{n}")["id"] for n in range(120)]
        self.assertEqual(sent, [json.loads(tail.stdout.readline())["id"] for _ in sent])
        self.assertEqual(0, self.outboxd.stop())
        self.outboxd.start()
        last = self.outboxd.event()["id"]
        self.assertEqual(last, json.loads(tail.stdout.readline())["id"])
        tail.send_signal(signal.SIGTERM)
        self.assertEqual(0, tail.wait(PATIENCE))

    def test_a_status_that_is_watched_outlives_a_restart(self):
        watch = self.running("-o", "jsonl", "status", "--watch")
        started = json.loads(watch.stdout.readline())["started_at"]
        self.assertEqual(0, self.outboxd.stop())
        self.outboxd.start()
        wait_until(lambda: json.loads(watch.stdout.readline())["started_at"] != started, "the new daemon's status")
        watch.send_signal(signal.SIGINT)
        self.assertEqual(0, watch.wait(PATIENCE))

    def test_the_curl_command_of_a_delivery_sends_the_same_request_signed_anew(self):
        receiver = self.receiver(lambda request: 400)
        secret = self.outboxd.endpoint(receiver.url, name="shop", retry_schedule=["0s"], headers={"X-Api-Key": "hush"})["secret"]
        payload = '{"name": "O\'Brien", "n": 1.10,\n "a": "$HOME `id` \\\\"}'
        self.outboxd.event(payload=payload)
        delivery = self.outboxd.wait_for_state("dead", 1)[0]["id"]
        sent = receiver.wait_for(1)[0]
        masked = self.ctl("delivery", "curl", delivery)
        self.assertNotIn("hush", masked)
        self.assertNotIn("v1,", masked)
        command = self.ctl("delivery", "curl", delivery, "--reveal")
        subprocess.run(["sh", "-c", command], check=True, capture_output=True, timeout=PATIENCE)
        again = receiver.wait_for(2)[1]
        self.assertEqual(sent.body, again.body)
        self.assertEqual(payload.encode(), again.body)
        self.assertTrue(again.signed_with(secret))
        changing = {"webhook-timestamp", "webhook-signature", "outboxd-attempt"}
        ours = {name: value for name, value in sent.headers.items() if name not in changing}
        self.assertEqual(ours, {name: again.headers.get(name) for name in ours})
        self.assertEqual("2", again.headers["outboxd-attempt"])
        self.outboxd.wait_for_log("a signed request was revealed")

    def test_bytes_that_no_terminal_should_see_reach_the_receiver_through_base64(self):
        receiver = self.receiver(lambda request: 400)
        self.outboxd.endpoint(receiver.url, retry_schedule=["0s"])
        answer = self.outboxd.post("/v1/events", {"type": "a.b", "payload_base64": "ABsbW0j/Cg==", "content_type": "application/octet-stream"})
        self.assertEqual(202, answer.status, answer)
        delivery = self.outboxd.wait_for_state("dead", 1)[0]["id"]
        command = self.ctl("delivery", "curl", delivery, "--reveal")
        self.assertNotIn("\x1b", command)
        subprocess.run(["sh", "-c", command], check=True, capture_output=True, timeout=PATIENCE)
        first, second = receiver.wait_for(2)
        self.assertEqual(b"\0\x1b\x1b[H\xff\n", first.body)
        self.assertEqual(first.body, second.body)

    def test_a_delivery_s_page_says_what_to_do(self):
        receiver = self.receiver(lambda request: (503, {"X-Why": "busy"}, b"come\x1b[2J back\n"))
        self.outboxd.endpoint(receiver.url, name="shop", retry_schedule=["0s", "1h"])
        self.outboxd.event()
        delivery = wait_until(lambda: [d for d in self.outboxd.deliveries() if d["attempts"] == 1], "one attempt")[0]["id"]
        page = self.ctl("delivery", "show", delivery)
        for part in ("shop", "order.paid", "> POST http://127.0.0.1", "< HTTP 503", "X-Why: busy", "come\\x1b[2J back", "CONNECT",
                     "waits for", "outboxctl delivery curl " + delivery):
            self.assertIn(part.lower(), page.lower())
        self.ctl("endpoint", "pause", "shop")
        self.assertIn("try: outboxctl endpoint resume shop", self.ctl("delivery", "show", delivery))

    def test_top_takes_the_whole_screen_and_gives_it_back(self):
        self.outboxd.endpoint(self.receiver().url, name="shop")
        self.outboxd.endpoint(self.receiver().url, name="billing")
        pid, terminal = pty.fork()
        if pid == 0:
            os.environ["TERM"] = "xterm"
            os.execv(BIN / "outboxctl", ["outboxctl", "--socket", str(self.outboxd.admin), "top"])
        self.addCleanup(os.close, terminal)
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        shown = bytearray()

        def showed(text):
            if select.select([terminal], [], [], 0.05)[0]:
                try:
                    shown.extend(os.read(terminal, 65536))
                except OSError:
                    return text in shown
            return text in shown

        wait_until(lambda: showed(b"\x1b[?1049h") and showed(b"billing") and showed(b"shop"), "both endpoints")
        for keys, text in ((b"n", b"by name"), (b"/bil", b"/bil_"), (b"\n", b"1 of 2"), (b"\x1b", b"by name   b backlog")):
            del shown[:]
            os.write(terminal, keys)
            wait_until(lambda wanted=text: showed(wanted), f"{text} after {keys}")
        os.write(terminal, b"q")
        wait_until(lambda: showed(b"\x1b[?1049l"), "the screen is given back")
        self.assertEqual(0, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

    def test_each_turn_of_an_endpoint_is_one_line_of_the_log_with_its_name_and_the_cause(self):
        answers = {"status": (429, {"Retry-After": "1"})}
        receiver = self.receiver(lambda request: answers["status"])
        self.outboxd.endpoint(receiver.url, name="the shop", retry_schedule=["0s"] + ["50ms"] * 30)
        for _ in range(5):
            self.outboxd.event()
        lines = lambda text: [line for line in self.outboxd.log().splitlines() if text in line]
        wait_until(lambda: lines("asks for fewer requests") or lines("is failing"), "it is paused")
        answers["status"] = 500
        wait_until(lambda: lines("endpoint is failing"), "it fails")
        answers["status"] = 200
        self.outboxd.wait_for_state("delivered", 5)
        wait_until(lambda: lines("endpoint answers again"), "it recovers")
        answers["status"] = 410
        self.outboxd.event()
        wait_until(lambda: lines("endpoint disabled"), "it is disabled")
        for text in ("endpoint is failing", "endpoint answers again", "endpoint disabled"):
            self.assertEqual(1, len(lines(text)), lines(text))
            self.assertIn('name="the shop"', lines(text)[0])
        self.assertLessEqual(len(lines("asks for fewer requests")), 1)
        self.assertIn("cause=", lines("endpoint is failing")[0])


if __name__ == "__main__":
    unittest.main()
