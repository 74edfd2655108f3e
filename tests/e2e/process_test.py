"""outboxd as a process among others: slow readers of its log, how it was started, signals, files taken away from it."""
import fcntl
import hashlib
import http.client
import os
import pathlib
import resource
import signal
import socket
import subprocess
import time
import unittest

from harness import BIN, EndToEndTest, PATIENCE, wait_until

UNUSED_UID = 54321  # a user whose only threads are those of the daemon under test


def full_pipe():
    """Both ends of a pipe that is full."""
    reader, writer = os.pipe()
    flags = fcntl.fcntl(writer, fcntl.F_GETFL)
    fcntl.fcntl(writer, fcntl.F_SETFL, flags | os.O_NONBLOCK)
    for size in (4096, 1):
        try:
            while True:
                os.write(writer, b"x" * size)
        except BlockingIOError:
            pass
    fcntl.fcntl(writer, fcntl.F_SETFL, flags)
    return reader, writer


class ProcessTest(EndToEndTest):
    def start(self, daemon, **how):
        """Like daemon.start(), with the given descriptors, user or limits."""
        daemon.process = subprocess.Popen(how.pop("command", daemon.command()), **{"stdout": subprocess.DEVNULL, **how})
        wait_until(daemon.ready_or_dead, "outboxd answers")
        self.assertIsNone(daemon.process.poll(), "it has ended")
        return daemon

    def metric(self, daemon, name):
        lines = daemon.get("/metrics").body.decode().splitlines()
        return next(float(line.split()[-1]) for line in lines if line.startswith(name + " "))


class LogTest(ProcessTest):
    def test_a_log_that_nobody_reads_stops_neither_requests_nor_deliveries_nor_the_end(self):
        reader, writer = full_pipe()
        self.addCleanup(os.close, reader)
        daemon = self.start(self.daemon("log.level=debug"), stderr=writer)
        os.close(writer)
        receiver = self.receiver()
        endpoint = daemon.endpoint(receiver.url)["id"]
        for n in range(300):
            self.assertEqual(200, daemon.call("PATCH", f"/v1/endpoints/{endpoint}", {"name": f"name-{n}"}).status)
            self.assertEqual(404, daemon.get("/v1/nonsense").status)
        daemon.event()
        receiver.wait_for(1)
        begin = time.monotonic()
        self.assertEqual(0, daemon.stop())
        self.assertLess(time.monotonic() - begin, PATIENCE / 2)

    def test_lines_that_cannot_be_written_are_counted(self):
        with open("/dev/full", "wb") as full:
            daemon = self.start(self.daemon(), stderr=full)
        self.assertGreater(self.metric(daemon, "outbox_log_dropped_total"), 0)
        self.assertEqual(0, daemon.stop())

    def test_a_log_whose_reader_has_gone_away_is_no_reason_to_end(self):
        reader, writer = os.pipe()
        os.close(reader)
        daemon = self.start(self.daemon(), stderr=writer)
        os.close(writer)
        daemon.event()
        self.assertEqual(0, daemon.stop())

    def test_a_service_manager_that_does_not_read_stops_nothing(self):
        manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(manager.close)
        manager.bind(str(self.folder / "notify"))
        filler = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(filler.close)
        filler.setblocking(False)
        try:
            while True:
                filler.sendto(b"x", str(self.folder / "notify"))
        except BlockingIOError:
            pass
        daemon = self.start(self.daemon(), env={**os.environ, "NOTIFY_SOCKET": str(self.folder / "notify")})
        daemon.event()
        self.assertEqual(0, daemon.stop())


class DescriptorTest(ProcessTest):
    def closed(self, command, which):
        return ["sh", "-c", 'exec "$@" ' + which, "sh", *[str(word) for word in command]]

    def ctl_closed(self, daemon, which, *arguments):
        command = [BIN / "outboxctl", "--socket", daemon.admin, *arguments]
        return subprocess.run(self.closed(command, which), capture_output=True, text=True, timeout=PATIENCE * 3, check=False)

    def test_without_descriptors_0_to_2_nothing_is_written_into_a_file_of_the_store(self):
        daemon = self.daemon("log.level=debug")
        self.start(daemon, command=self.closed(daemon.command(), "<&- >&- 2>&-"))
        receiver = self.receiver()
        daemon.endpoint(receiver.url)
        daemon.event()
        receiver.wait_for(1)
        self.assertEqual(f"{daemon.process.pid}\n", (self.folder / "outbox.db.lock").read_text())
        for number in range(3):
            self.assertEqual("/dev/null", os.readlink(f"/proc/{daemon.process.pid}/fd/{number}"))
        self.assertEqual(0, daemon.stop())
        self.assertEqual("ok", daemon.integrity())

    def test_what_is_shown_once_is_not_made_when_it_cannot_be_shown(self):
        tokens = self.folder / "tokens"
        tokens.write_text("")
        daemon = self.daemon().start()
        endpoint = daemon.endpoint("http://127.0.0.1:9/hook")
        for arguments in (["endpoint", "add", "http://127.0.0.1:9/other"], ["endpoint", "secret", "rotate", endpoint["id"]],
                          ["token", "create", "shop", "--file", str(tokens)]):
            with self.subTest(arguments[:2]):
                ended = self.ctl_closed(daemon, ">&-", *arguments)
                self.assertEqual((1, True), (ended.returncode, "nothing was done" in ended.stderr), ended)
        self.assertEqual(1, len(daemon.get("/v1/endpoints").json["data"]))
        self.assertEqual(1, len(daemon.get(f"/v1/endpoints/{endpoint['id']}/secrets").json["data"]))
        self.assertEqual("", tokens.read_text())

    def test_an_answer_that_cannot_be_written_is_a_failure_with_a_sentence(self):
        daemon = self.daemon().start()
        for which, why in ((">&-", "Bad file descriptor"), (">/dev/full", "No space left")):
            for arguments in (["status"], ["-o", "json", "endpoint", "list"], ["--help"], ["version"], ["-o", "json", "status"]):
                with self.subTest(which + " " + " ".join(arguments)):
                    ended = self.ctl_closed(daemon, which, *arguments)
                    self.assertEqual((1, True), (ended.returncode, f"cannot write to stdout: {why}" in ended.stderr), ended)
        ended = self.ctl_closed(daemon, ">/dev/full", "endpoint", "add", "http://127.0.0.1:9/hook")
        added = daemon.get("/v1/endpoints").json["data"][0]["id"]
        self.assertEqual(1, ended.returncode)
        self.assertIn(f"secret reveal {added}", ended.stderr)
        for arguments in (["--check-config"], ["--version"], ["migrate", "--set", f"store.url=sqlite://{self.folder}/new.db"]):
            command = self.closed([BIN / "outboxd", "--config", daemon.config, *arguments], ">/dev/full")
            self.assertEqual(1, subprocess.run(command, capture_output=True, check=False).returncode, arguments)

    def test_a_reader_of_stdout_that_has_gone_away_does_not_cut_a_command_short(self):
        daemon = self.daemon().start()
        reader, writer = os.pipe()
        os.close(reader)
        ended = subprocess.run([BIN / "outboxctl", "--socket", daemon.admin, "endpoint", "add", "http://127.0.0.1:9/hook"],
                               stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
        os.close(writer)
        self.assertEqual(1, ended.returncode)
        self.assertIn("Broken pipe; the endpoint was added", ended.stderr)


class SignalTest(ProcessTest):
    def test_a_reload_that_is_asked_for_before_it_serves_does_not_end_it(self):
        daemon = self.daemon()
        (self.folder / "conf.d").mkdir()
        for n in range(30):  # so that reading the configuration takes long enough for a signal to arrive meanwhile
            (self.folder / "conf.d" / f"{n}.toml").write_text("# nothing\n" * 100_000)

        def reads_its_configuration():
            counters = pathlib.Path(f"/proc/{daemon.process.pid}/io").read_text().splitlines()
            return int(counters[0].removeprefix("rchar: ")) > 3_000_000

        with open(daemon.log_file, "wb") as log:
            daemon.process = subprocess.Popen(daemon.command(), stderr=log, stdout=log)
        wait_until(reads_its_configuration, "it reads its configuration")
        daemon.process.send_signal(signal.SIGHUP)
        wait_until(daemon.ready_or_dead, "outboxd answers")
        self.assertIsNone(daemon.process.poll(), daemon.log())
        wait_until(lambda: "reloaded" in daemon.log(), "the reload is done")
        self.assertEqual(0, daemon.stop())

    def test_a_reload_shows_the_settings_that_it_changed_and_no_others(self):
        daemon = self.daemon()
        kept = '[delivery]\ntimeout = "7s"\n[dashboard]\npayloads = true\n'
        text = daemon.config.read_text() + kept
        daemon.config.write_text(text.replace("[retention]", '[retention]\nballast = "1MiB"\ndead = "8d"'))
        daemon.start()
        changed = kept.replace("7s", "8s").replace("true", "false")
        daemon.config.write_text(text.replace(kept, changed).replace("[retention]", '[retention]\nballast = "2MiB"\ndead = "9d"')
                                 + '[ingest]\nevent_types = ["order.paid"]\n')

        def settings():
            return {one["key"]: one["value"] for one in daemon.get("/v1/setup?hosts=false").json["settings"]}

        before = settings()
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for_log("reloaded")
        after = settings()
        self.assertEqual({"ingest.event_types": ["order.paid"], "retention.dead": "9d"},
                         {key: value for key, value in after.items() if value != before[key]})
        self.assertEqual(1 << 20, (self.folder / "outbox.db.ballast").stat().st_size)
        # A file that cannot be taken over changes none of them.
        daemon.config.write_text(daemon.config.read_text() + "[nonsense]\nx = 1\n")
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for_log("reload refused")
        self.assertEqual(after, settings())

    @unittest.skipUnless(os.geteuid() == 0, "only root can become a user without other processes")
    def test_without_enough_threads_it_ends_with_a_sentence_whichever_is_missing(self):
        self.folder.chmod(0o777)
        missing = set()
        for limit in range(1, 40):
            daemon = self.daemon()
            log = self.folder / f"threads-{limit}.log"

            def become(limit=limit):
                resource.setrlimit(resource.RLIMIT_NPROC, (limit, limit))

            with open(log, "wb") as out:
                daemon.process = subprocess.Popen(daemon.command(), stderr=out, stdout=out, user=UNUSED_UID, group=UNUSED_UID,
                                                  extra_groups=[], preexec_fn=become)
            wait_until(daemon.ready_or_dead, "it answers or ends")
            if daemon.process.poll() is None:
                self.assertEqual(0, daemon.stop())
                break
            said = log.read_text()
            self.assertEqual(1, daemon.process.returncode, said)
            missing.add(said.split('cannot be made')[0].rsplit("thread", 1)[1])
        else:
            self.fail("it never started")
        self.assertGreaterEqual(len(missing), 7, missing)  # log, backlog, writer, delivery, background, changes, api worker, api


class TokensTest(ProcessTest):
    """[listen] tokens_file, replaced while the daemon serves."""

    def setUp(self):
        super().setUp()
        self.tokens = self.folder / "tokens"
        self.write("old")
        self.outboxd = self.daemon(f"listen.tokens_file={self.tokens}").start()
        self.port = self.outboxd.tcp_port
        self.assertEqual(200, self.status("old"))

    def line(self, token):
        return f"admin {hashlib.sha256(token.encode()).hexdigest()}\n"

    def write(self, *tokens):
        self.tokens.write_text("".join(self.line(token) for token in tokens))

    def status(self, token):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request("GET", "/v1/endpoints", headers={"Authorization": f"Bearer {token}"})
            return connection.getresponse().status
        finally:
            connection.close()

    def takes(self, token):
        wait_until(lambda: self.status(token) == 200, f"{token} is let in")

    def refuses(self, token):
        wait_until(lambda: self.status(token) == 401, f"{token} is refused")

    def test_a_file_that_could_not_be_read_once_is_read_as_soon_as_it_can(self):
        looked = 0
        for unreadable in ("a folder", "half a line"):
            with self.subTest(unreadable):
                self.tokens.unlink()
                self.tokens.mkdir() if unreadable == "a folder" else self.tokens.write_text(self.line("new")[:40])
                looked += 1
                wait_until(lambda: self.outboxd.log().count("the tokens before stay") == looked, "it has looked")
                self.assertEqual(200, self.status("old"))
                if unreadable == "a folder":
                    self.tokens.rmdir()
                self.write("new")
                self.takes("new")
                self.refuses("old")
                self.tokens.unlink()
                self.write("old")
                self.takes("old")

    def test_a_file_that_is_unreadable_and_then_the_same_by_every_sign_is_read(self):
        for text in ("x" * len(self.line("new")), self.line("new"), self.line("abc")):
            self.tokens.write_text(text)
            os.utime(self.tokens, ns=(10**18, 10**18))
            if text.startswith("x"):
                wait_until(lambda: "the tokens before stay" in self.outboxd.log(), "it has looked")
            else:
                wait_until(lambda: self.status("new" if text == self.line("new") else "abc") == 200, "the token is let in")
        self.refuses("new")
        self.refuses("old")

    @unittest.skipUnless(os.geteuid() == 0, "only root can become a user who may not read a file")
    def test_a_file_whose_mode_was_wrong_is_read_when_it_is_right(self):
        self.outboxd.stop()
        self.folder.chmod(0o777)
        for path in self.folder.iterdir():
            os.chown(path, UNUSED_UID, UNUSED_UID)
        with open(self.outboxd.log_file, "ab") as log:
            self.start(self.outboxd, user=UNUSED_UID, group=UNUSED_UID, extra_groups=[], stderr=log)
        self.port = self.outboxd.tcp_port
        fresh = self.folder / "fresh"
        fresh.write_text(self.line("new"))
        fresh.chmod(0)
        os.rename(fresh, self.tokens)
        wait_until(lambda: "the tokens before stay" in self.outboxd.log(), "it has looked")
        self.tokens.chmod(0o644)
        self.takes("new")
        self.refuses("old")

    def test_without_the_file_nobody_comes_in_until_there_is_one_again(self):
        self.tokens.unlink()
        self.refuses("old")
        self.write("old")
        self.takes("old")


if __name__ == "__main__":
    unittest.main()
