"""The corpora of hostile requests against the real daemon: each gets its status, stores nothing, and leaves nothing behind on its connection."""
import json
import unittest

from api_support import EndToEndTest, Witness, converse
from corpus import api_framing
from corpus.api_case import EVENT, HIDDEN, Case, length, request


class ApiTest(EndToEndTest):
    """One daemon, a witness of its store, and the count of what was tried."""

    def setUp(self):
        super().setUp()
        self.cases = 0

    def serve(self, *settings):
        self.outboxd = self.daemon(*settings).start()
        self.addresses = {"tcp": self.outboxd.tcp_port, "ingest": self.outboxd.ingest, "admin": self.outboxd.admin}
        self.witness = Witness(self.outboxd.database)
        self.addCleanup(self.witness.close)
        self.addCleanup(lambda: print(f"{self.id().split('.')[-1]}: {self.cases} cases"))

    def check_answers(self, case, answers):
        self.assertEqual(tuple(a.status for a in answers), case.answers)
        for answer in answers:
            self.assertEqual(answer.headers["x-content-type-options"], "nosniff")
            if answer.status >= 400:
                self.assertEqual(answer.headers["content-type"], "application/problem+json")
                self.assertEqual(json.loads(answer.body)["status"], answer.status)
        if answers and not case.ends:
            self.assertEqual(answers[-1].headers["connection"], "close")

    def try_case(self, case, address):
        """All that is promised of a case; fails with what is not kept."""
        before = self.witness.rows()
        answers = converse(address, case.sent, case.ends, then=HIDDEN)
        self.check_answers(case, answers)
        health, = converse(address, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        self.assertEqual(health.status, 200)
        after = self.witness.rows()
        self.assertEqual(len(after["event"]) - len(before["event"]), case.stored)
        if not case.stored:
            self.assertEqual(after, before)
        self.cases += 1


class Framing(ApiTest):
    def setUp(self):
        super().setUp()
        self.serve()

    def run_cases(self, cases):
        for case in cases:
            for name, address in self.addresses.items():
                with self.subTest(case=case.name, listener=name, source=case.source):
                    self.try_case(case, address)

    def test_what_can_be_framed_in_two_ways_is_refused_and_stores_nothing(self):
        for kind, cases in api_framing.REFUSED.items():
            with self.subTest(kind=kind):
                self.run_cases(cases)
        self.assertEqual(self.witness.count("event"), 0)
        self.assertNotIn("level=error", self.outboxd.log())

    def test_what_every_parser_frames_alike_is_taken(self):
        self.run_cases(api_framing.TAKEN)

    def test_a_case_that_were_taken_would_be_noticed(self):
        good = request(length(EVENT), EVENT)
        for broken in (Case("a good request", good, (400,), "control"),
                       Case("a request behind it", good + HIDDEN, (202,), "control", stored=1, ends=True),
                       Case("a connection left open", good, (202,), "control", stored=1, ends=True)._replace(stored=0)):
            with self.subTest(control=broken.name), self.assertRaises(AssertionError):
                self.try_case(broken._replace(ends=True), self.addresses["tcp"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
