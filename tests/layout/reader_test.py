#!/usr/bin/env python3
"""Twenty questions that a newcomer asks, and where each is answered: at most two links away from README.

    reader_test.py --list     prints them, each with the file and the line"""
import pathlib
import sys
import unittest

from documents_test import LINK, ROOT

README = "README.md"
GUIDES = "daemon/docs/"
# Question; the documents on the way from README, the last one answers; its section; words of the answer.
QUESTIONS = [
    ("What is this, and what do I have to run beside it?", [], "outboxd", ["one SQLite file", "no broker"]),
    ("How do I see it work, now?", [], "Try it", ["scripts/run"]),
    ("How do I send my first event to a receiver of my own?", [], "A first event, to a receiver of your own",
     ["endpoint add", "event send", "curl", "INSERT INTO outbox"]),
    ("How do I make an event exactly if my transaction commits?", ["producers.md"], "A row in your own transaction",
     ["BEGIN IMMEDIATE", "source ddl", "PostgreSQL"]),
    ("My request got no answer. May I send it again?", ["producers.md"], "Sending again", ["idempotency_key", "duplicate"]),
    ("How do I keep the events of one customer in order?", ["producers.md"], "Order", ["ordering_key", "on_failure_in_order"]),
    ("How do I verify in my language that a request is outboxd's?", ["receivers.md"], "In your language", ["verify.go", "verify.php"]),
    ("What may my receiver answer, and what happens then?", ["receivers.md"], "How to answer", ["410", "Retry-After", "2xx"]),
    ("Can one event come twice, and what do I do about it?", ["receivers.md"], "How to answer", ["Repeats", "webhook-id"]),
    ("How often, and for how long, is it tried again?", ["receivers.md"], "How to answer", ["retry_schedule", "10 attempts in 3 days"]),
    ("Why is this delivery stuck?", ["runbook.md", "reference.md"], "Why something waits", ["breaker", "rate_limit", "paused"]),
    ("How do I send dead letters once more?", ["runbook.md"], "Dead letters", ["delivery retry", "--state dead"]),
    ("How do I get only some events, by what is in them?", ["endpoints.md"], "What an endpoint wants", ["filter", "gte"]),
    ("How do I install it as a service?", ["operations.md"], "Installation", ["systemctl enable --now outboxd"]),
    ("How large a machine do I need?", ["operations.md"], "How large a machine", ["events/s", "GB of disk", "MiB"]),
    ("How do I back it up, and restore?", ["operations.md"], "Backup and restore", ["db backup", "db check", "sent again"]),
    ("How do I upgrade, and how do I get back?", ["operations.md"], "Upgrade and rollback", ["db backup", "migrates", "76"]),
    ("What do I watch, and what wakes somebody?", ["operations.md"], "Monitoring", ["outbox_oldest_due_age_seconds", "/metrics"]),
    ("Can a customer's URL reach machines inside my network?", ["security.md"], "Where requests may go", ["metadata addresses", "pinned"]),
    ("Can I run more than one, and what happens when one dies?", ["several-machines.md"], "When one of them dies", ["killed", "15 s"]),
    ("How do I know that the promises are true?", ["proofs.md"], "Accepted survives power loss", ["crash states", "0 failures"]),
    ("Would Svix, or a queue of my own, be better for me?", ["comparison.md"], "Where each is better", ["Svix", "A queue of your own"]),
]


def answer_of(section, document):
    """The line of the heading, and what stands below it, code included."""
    lines = (ROOT / document).read_text().splitlines()
    start = next((n for n, line in enumerate(lines, 1) if line.lstrip("#") == " " + section and line.startswith("#")), None)
    if start is None:
        return None, ""
    end = next((n for n in range(start, len(lines)) if lines[n].startswith(("## ", "### "))), len(lines))
    return start, " ".join(" ".join(lines[start:end]).split())


class Reader(unittest.TestCase):
    def test_there_are_twenty_questions_and_more(self):
        self.assertGreaterEqual(len({question for question, *_ in QUESTIONS}), 20)

    def test_each_is_answered_at_most_two_links_from_readme(self):
        for question, way, section, words in QUESTIONS:
            with self.subTest(question=question):
                self.assertLessEqual(len(way), 2)
                here = README
                for step in way:
                    links = {str((ROOT / here).parent.joinpath(target).resolve().relative_to(ROOT))
                             for target in LINK.findall((ROOT / here).read_text())}
                    self.assertIn(GUIDES + step, links, f"{here} does not link to it")
                    here = GUIDES + step
                line, answer = answer_of(section, here)
                self.assertIsNotNone(line, f"{here} has no section {section}")
                self.assertEqual([], [word for word in words if word not in answer], f"missing below {here}:{line}")

    def test_readme_leads_to_each_guide(self):
        links = {ROOT / target for target in LINK.findall((ROOT / README).read_text())}
        self.assertEqual([], [path.name for path in (ROOT / GUIDES).glob("*.md") if path not in links])

    def test_the_check_notices_a_section_that_is_gone(self):
        self.assertEqual((None, ""), answer_of("No such section", README))


if __name__ == "__main__":
    if sys.argv[1:] == ["--list"]:
        for asked, through, heading, _ in QUESTIONS:
            file = GUIDES + through[-1] if through else README
            print(f"{asked}\n    {file}:{answer_of(heading, file)[0]}, \"{heading}\"")
    else:
        sys.exit(unittest.main())
