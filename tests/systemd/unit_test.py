#!/usr/bin/env python3
"""The unit as systemd reads it, and the drop-ins that are shipped as examples. Needs systemd-analyze, not a running systemd.

OUTBOXD_UNIT is the configured unit; ctest sets it."""
import ipaddress
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE.parent / "e2e"))
from harness import BIN  # noqa: E402
from unit_file import UnitFile  # noqa: E402

UNIT = pathlib.Path(os.environ.get("OUTBOXD_UNIT", ROOT / ".build/dev/systemd/outboxd.service"))
DROP_INS = ROOT / "systemd/outboxd.service.d"
EXPOSURE = 1.5


@unittest.skipUnless(shutil.which("systemd-analyze"), "systemd-analyze is missing: install systemd")
class Analyzed(unittest.TestCase):
    def setUp(self):
        """A folder of units as /etc/systemd/system would have them, with programs that are there."""
        self.units = pathlib.Path(tempfile.mkdtemp(prefix="outboxd-unit."))
        self.addCleanup(shutil.rmtree, self.units)
        self.unit = self.units / "outboxd.service"
        self.unit.write_text(re.sub(r"(?m)^ExecStart=\S+", f"ExecStart={BIN.resolve()}/outboxd", UNIT.read_text()))
        for socket in (ROOT / "systemd").glob("*.socket"):
            shutil.copy(socket, self.units)

    def drop_in(self, name, text):
        folder = self.units / "outboxd.service.d"
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(text)

    def without(self, *settings):
        kept = [line for line in self.unit.read_text().splitlines() if line.partition("=")[0] not in settings]
        self.unit.write_text("\n".join(kept) + "\n")

    def complaints(self):
        """What systemd-analyze verify has to say; it also exits with 0 after a warning."""
        units = [self.unit, *self.units.glob("*.socket")]
        run = subprocess.run(["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, check=False)
        return run.stdout + run.stderr + (f"status {run.returncode}" if run.returncode != 0 else "")

    def exposure(self, threshold=EXPOSURE):
        """The figure, and whether systemd-analyze finds it within the threshold, which it takes in tenths."""
        run = subprocess.run(["systemd-analyze", "--no-pager", "security", "--offline=yes", f"--threshold={round(threshold * 10)}", self.unit],
                             capture_output=True, text=True, check=False)
        figure = re.search(r"exposure level for outboxd\.service: ([\d.]+)", run.stdout)
        self.assertTrue(figure, run)
        return float(figure[1]), run.returncode == 0


class TheUnit(Analyzed):
    def test_systemd_finds_nothing_to_complain_about(self):
        self.assertEqual("", self.complaints())

    def test_systemd_would_complain_about_an_unknown_setting(self):
        self.drop_in("wrong.conf", "[Service]\nNoNewPrivilege=yes\n")
        self.assertIn("NoNewPrivilege", self.complaints())

    def test_its_exposure_is_small(self):
        figure, within = self.exposure()
        self.assertTrue(within, figure)
        self.assertLessEqual(figure, EXPOSURE)

    def test_its_exposure_would_be_too_large_with_less_hardening(self):
        for settings in (["CapabilityBoundingSet"], ["SystemCallFilter"], ["NoNewPrivileges", "ProtectSystem", "PrivateDevices"]):
            with self.subTest(settings):
                self.setUp()
                self.without(*settings)
                figure, within = self.exposure()
                self.assertFalse(within, figure)
                self.assertGreater(figure, EXPOSURE)

    def test_it_leaves_no_core_dump_and_runs_as_a_user_of_its_own(self):
        unit = UnitFile(self.unit)
        self.assertEqual("0", unit.value("LimitCORE"))
        self.assertEqual("outboxd", unit.value("User"))


def denied_by_the_policy():
    """The table of the daemon, read from its source: what [policy] refuses unless told otherwise."""
    source = (ROOT / "daemon/outbound/address_policy.cpp").read_text()
    table = re.search(r"kSpecial\[\] = \{(.*?)\n\};", source, re.DOTALL)[1]
    return [ipaddress.ip_network(network) for network in re.findall(r'^ *\{"([^"]+)",', table, re.MULTILINE)]


def subtract(network, others):
    """The parts of a network that none of the others contains."""
    parts = [network]
    for other in others:
        if other.version == network.version:
            parts = [rest for part in parts
                     for rest in ([] if part.subnet_of(other) else part.address_exclude(other) if other.subnet_of(part) else [part])]
    return parts


class TheAddressFilter(Analyzed):
    def setUp(self):
        super().setUp()
        self.text = (DROP_INS / "address-filter.conf").read_text()
        self.filter = UnitFile(DROP_INS / "address-filter.conf")
        self.denied = [ipaddress.ip_network(word) for word in self.filter.words("IPAddressDeny")]

    def test_systemd_accepts_it(self):
        self.drop_in("address-filter.conf", self.text)
        self.assertEqual("", self.complaints())
        self.assertTrue(self.exposure()[1])

    def test_it_denies_every_range_that_the_policy_denies(self):
        ranges = denied_by_the_policy()
        self.assertGreater(len(ranges), 30, "the table in address_policy.cpp was not understood")
        for network in ranges:
            self.assertEqual([], subtract(network, self.denied), f"of {network} not denied")

    def test_it_denies_nothing_else(self):
        for network in self.denied:
            self.assertEqual([], subtract(network, denied_by_the_policy()), f"of {network} not denied by [policy]")

    def test_a_range_that_it_lacks_would_be_noticed(self):
        for network in denied_by_the_policy():
            others = [denied for denied in self.denied if not denied.overlaps(network)]
            self.assertNotEqual([], subtract(network, others), network)

    def test_it_allows_loopback_alone(self):
        self.assertEqual(["127.0.0.0/8", "::1/128"], self.filter.words("IPAddressAllow"))


class TheCredentials(Analyzed):
    def test_systemd_accepts_them_plain_and_encrypted(self):
        text = (DROP_INS / "credentials.conf").read_text()
        self.drop_in("credentials.conf", text)
        self.assertEqual("", self.complaints())
        self.drop_in("credentials.conf", re.sub(r"(?m)^#(LoadCredentialEncrypted=)", r"\1", re.sub(r"(?m)^LoadCredential=", "#", text)))
        self.assertIn("\nLoadCredentialEncrypted=secrets.key:", (self.units / "outboxd.service.d/credentials.conf").read_text())
        self.assertEqual("", self.complaints())

    def test_the_names_are_those_of_the_configuration_it_shows(self):
        text = (DROP_INS / "credentials.conf").read_text()
        named = re.findall(r'= "credential:([^"]+)"', text)
        self.assertEqual(["secrets.key", "tokens"], named)
        loaded = [word.partition(":")[0] for word in UnitFile(DROP_INS / "credentials.conf").words("LoadCredential")]
        self.assertEqual(named, loaded)
        self.assertEqual(named, re.findall(r"#LoadCredentialEncrypted=([^:]+):", text))


if __name__ == "__main__":
    unittest.main()
