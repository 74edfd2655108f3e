"""What `outboxctl doctor` finds that no setting is to blame for: certificates, the clock, and groups."""
import grp
import hashlib
import json
import os
import pathlib
import pwd
import shutil
import subprocess
import unittest

from harness import BIN, PATIENCE, SANITIZED, EndToEndTest, wait_until
from secrets_test import TlsReceiver, make_certificate

FAKETIME = pathlib.Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")


class DoctorTest(EndToEndTest):
    def rows(self, daemon, check):
        shown = daemon.ctl("-o", "json", "doctor", "--config", str(daemon.config))
        return [row for row in json.loads(shown.stdout)["data"] if row["check"].startswith(check)]


class CertificateTest(DoctorTest):
    def endpoint(self, daemon, name, days):
        """One whose receiver has a certificate that is good for so long, and when that ends, as openssl(1) says."""
        certificate = make_certificate(self.folder, name, "localhost", days)
        receiver = TlsReceiver(certificate)
        self.addCleanup(receiver.close)
        daemon.endpoint(receiver.url, name=name, tls={"ca_file": certificate[0]})
        shown = subprocess.run(["openssl", "x509", "-enddate", "-dateopt", "iso_8601", "-noout", "-in", certificate[0]],
                               capture_output=True, text=True, check=True).stdout
        return receiver, shown.strip().removeprefix("notAfter=").replace(" ", "T").replace("Z", ".000Z")

    def expires_at(self, daemon, name):
        return daemon.get(f"/v1/endpoints/{name}/stats").json["certificate_expires_at"]

    def test_certificates_that_expire_soon_are_known_from_deliveries_and_named(self):
        daemon, plain = self.daemon().start(), self.receiver()
        daemon.endpoint(plain.url, name="plain")
        soon, soon_at = self.endpoint(daemon, "soon", 5)
        later, later_at = self.endpoint(daemon, "later", 90)
        daemon.endpoint(soon.url + "/twin", name="twin", tls={"ca_file": str(self.folder / "soon.pem")})  # may share its connection
        self.assertIsNone(self.expires_at(daemon, "soon"))
        self.assertEqual([], self.rows(daemon, "certificate"))
        daemon.event()
        daemon.wait_for_state("delivered", 4)
        known = {name: self.expires_at(daemon, name) for name in ("plain", "soon", "twin", "later")}
        self.assertEqual({"plain": None, "soon": soon_at, "twin": soon_at, "later": later_at}, known)
        listed = daemon.get("/v1/endpoints?stats=true").json["data"]
        self.assertEqual(known, {row["name"]: row["stats"]["certificate_expires_at"] for row in listed})
        self.assertIn(soon_at, daemon.ctl("endpoint", "show", "soon").stdout.decode())
        found = self.rows(daemon, "certificate")
        self.assertEqual([("warning", "soon"), ("warning", "twin")], sorted((row["result"], row["found"].split()[3]) for row in found))
        for row in found:
            self.assertIn(soon_at, row["found"])
            self.assertIn("outboxctl endpoint test", row["mend"])

        # What another URL showed is not told of this one; a test of the endpoint is enough to know.
        change = {"url": later.url, "tls": {"ca_file": str(self.folder / "later.pem")}}
        for name in ("soon", "twin"):
            self.assertEqual(200, daemon.call("PATCH", f"/v1/endpoints/{name}", change).status)
            wait_until(lambda: self.expires_at(daemon, name) is None, "it is not known any more")
            self.assertEqual(0, daemon.ctl("endpoint", "test", name).returncode)
            self.assertEqual(later_at, self.expires_at(daemon, name))
        self.assertEqual(["ok"], [row["result"] for row in self.rows(daemon, "certificate")])


@unittest.skipUnless(FAKETIME.exists(), "libfaketime is not installed")
@unittest.skipIf(SANITIZED, "a sanitizer's library must be the first")
class ClockTest(DoctorTest):
    def set_clock(self, seconds):
        fresh = self.folder / "clock.new"
        fresh.write_text(f"{seconds:+d}")
        os.replace(fresh, self.folder / "clock")

    def test_a_clock_that_is_set_is_told_with_when_and_how_much(self):
        daemon = self.daemon()
        plain = daemon.command
        variables = {"LD_PRELOAD": FAKETIME, "FAKETIME_TIMESTAMP_FILE": self.folder / "clock", "FAKETIME_NO_CACHE": 1,
                     "DONT_FAKE_MONOTONIC": 1, "NO_FAKE_STAT": 1}
        daemon.command = lambda: ["env", *(f"{name}={value}" for name, value in variables.items()), *plain()]
        self.set_clock(0)
        daemon.start()
        self.assertEqual({"steps": 0, "last_step_at": None, "last_step_ms": None}, daemon.get("/v1/status").json["clock"])
        self.assertEqual([], [row for row in self.rows(daemon, "clock") if "set" in row["found"]])
        for steps, offset, step in ((1, 3600, 3600), (2, 0, -3600)):
            self.set_clock(offset)
            clock = wait_until(lambda: (c := daemon.get("/v1/status").json["clock"])["steps"] == steps and c, "the step is seen")
            self.assertAlmostEqual(step * 1000, clock["last_step_ms"], delta=2000)
        row = [row for row in self.rows(daemon, "clock") if "set" in row["found"]][0]
        self.assertEqual("warning", row["result"])
        self.assertRegex(row["found"], "it was set back by (1h|59m).*2 times")
        self.assertIn("timedatectl", row["mend"])


class TenantTest(DoctorTest):
    def test_who_sees_one_tenant_is_told_what_that_shows(self):
        token, tokens = self.folder / "token", self.folder / "tokens"
        token.write_text("acme's-token")
        tokens.write_text(f"view:acme {hashlib.sha256(token.read_bytes()).hexdigest()} acme\n")
        for file in (token, tokens):
            file.chmod(0o600)
        daemon = self.daemon(f"listen.tokens_file={tokens}").start()
        daemon.endpoint("http://127.0.0.1:9/", name="of-acme", tenant="acme")
        daemon.endpoint("http://127.0.0.1:9/", name="of-other", tenant="other")
        shown = subprocess.run([str(BIN / "outboxctl"), "--url", f"http://127.0.0.1:{daemon.tcp_port}", "--token-file", str(token),
                                "-o", "json", "doctor", "--config", str(daemon.config)],
                               capture_output=True, text=True, timeout=PATIENCE, check=False)
        self.assertEqual("", shown.stderr)
        rows = {row["check"]: row for row in json.loads(shown.stdout)["data"]}
        self.assertEqual("ok", rows["daemon"]["result"])
        self.assertTrue(rows["endpoints"]["found"].startswith("1,"), rows["endpoints"])
        self.assertNotIn("store", rows)
        self.assertNotIn("SQL outbox", rows)


@unittest.skipUnless(os.geteuid() == 0, "only root can become a user who is of no group")
class GroupTest(DoctorTest):
    def as_nobody(self, daemon, *arguments, groups=()):
        nobody = pwd.getpwnam("nobody")
        return subprocess.run([str(self.program), "--socket", str(daemon.admin), *arguments], capture_output=True, text=True,
                              timeout=PATIENCE, check=False, user=nobody.pw_uid, group=nobody.pw_gid, extra_groups=groups)

    def test_who_may_not_open_a_socket_is_told_whose_it_is_and_how_to_join(self):
        daemon = self.daemon().start()
        # The build may be where nobody can read.
        self.program = shutil.copy(BIN / "outboxctl", self.folder)
        group = grp.getgrnam("daemon").gr_gid
        self.folder.chmod(0o711)
        for socket in (daemon.admin, daemon.ingest):
            os.chown(socket, 0, group)
        shown = self.as_nobody(daemon, "-o", "json", "doctor", "--config", str(daemon.config))
        self.assertEqual(1, shown.returncode, shown.stderr)
        rows = {row["check"]: row for row in json.loads(shown.stdout)["data"]}
        for check, socket, result in (("daemon", daemon.admin, "wrong"), ("ingest socket", daemon.ingest, "warning")):
            self.assertEqual(result, rows[check]["result"])
            self.assertEqual(f"nobody may not open {socket}, which is for group daemon", rows[check]["found"])
            self.assertIn("usermod -aG daemon nobody", rows[check]["mend"])
        status = self.as_nobody(daemon, "status")
        self.assertEqual(5, status.returncode)
        self.assertIn("usermod -aG daemon nobody", status.stderr)
        self.assertEqual(0, self.as_nobody(daemon, "status", groups=[group]).returncode)
        os.chown(daemon.admin, 0, 0)  # nobody should join root's group
        status = self.as_nobody(daemon, "status")
        self.assertIn("is for root alone", status.stderr)
        self.assertNotIn("usermod", status.stderr)
        daemon.stop()
        daemon.admin.unlink(missing_ok=True)  # what is not there is no matter of permission
        self.assertIn("is it running", self.as_nobody(daemon, "status").stderr)


if __name__ == "__main__":
    unittest.main()
