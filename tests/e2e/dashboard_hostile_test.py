"""What producers, subscribers and operators wrote is text on every page: no markup, no script, no order of letters of its own."""
import base64
import itertools
import json
import re
import unittest
from urllib.parse import quote

from browser import BrowserTest, needs_browser, until
from harness import wait_until

SCRIPT = "<script>window.pwned=1</script>"
IMAGE = "\"'><img src=x onerror=window.pwned=1>"
BIDI = "\u202eexe.gpj\u2066"
NAME = SCRIPT + IMAGE  # a name cannot hold what does not show
LONG_TYPE = "order." + "x" * 122
KEY = f"{IMAGE}{BIDI}key"
LINE = 1 << 20
# Elements that no page has of its own.
FOREIGN = """
const own = (node) => node.matches("script") && node.getAttribute("src")?.startsWith("/dashboard/");
return [...document.querySelectorAll("script, img, iframe, object, embed, style, [onerror], [onclick], [onload], a[href^='javascript:' i]")]
  .filter((node) => !own(node)).map((node) => node.outerHTML.slice(0, 200));
"""
# All that can be read: text, and what is said or shown when something is pointed at.
READ = """
const said = [...document.querySelectorAll("[title], [aria-label], [placeholder]")]
  .flatMap((node) => ["title", "aria-label", "placeholder"].map((name) => node.getAttribute(name) ?? ""));
return [document.documentElement.textContent, document.title, ...said].join("\\n");
"""
INVISIBLE = "[\u202a-\u202e\u2066-\u2069\x00]"
SCRIPTED = "return [window.pwned ?? null, document.title, document.querySelectorAll('header, main').length]"


@needs_browser
class Hostile(BrowserTest):
    settings = ("limits.event_bytes=2MiB",)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        headers = {"X-Answer": IMAGE + BIDI, "Content-Type": "text/html"}
        bodies = itertools.cycle([f"<html><title>pwned</title>{SCRIPT}{IMAGE}{BIDI}".encode(),
                                  b"\xff\xfe\x00 bad \x00" + SCRIPT.encode(), b"l" * LINE])
        cls.served = cls.receiver(lambda request: (400, headers, next(bodies)))
        url = f"{cls.served.url}?q={quote(SCRIPT)}&r=%22%27{quote(BIDI)}"
        cls.endpoint = cls.outboxd.endpoint(url, name=NAME, retry_schedule=["0s"], headers={"X-Shop": SCRIPT + IMAGE},
                                            metadata={"note": SCRIPT + IMAGE})["id"]
        cls.payloads = {
            "markup": (json.dumps({"html": SCRIPT, "image": IMAGE, "bidi": BIDI, SCRIPT: IMAGE}, ensure_ascii=False), {}),
            "line": (json.dumps("<b>" + "x" * LINE), {}),
            "bytes": (None, {"payload_base64": base64.b64encode(b"\xff\xfe\x00<script>\xe2\x80\xae" * 10).decode(), "content_type": "text/html"}),
        }
        cls.events = {name: cls.send(payload, fields) for name, (payload, fields) in cls.payloads.items()}
        cls.deliveries = {row["event"]: row["id"] for row in cls.outboxd.wait_for_state("dead", len(cls.events))}
        made = cls.outboxd.post("/v1/batches", {"action": "retry", "filter": {"state": "dead"}, "reason": NAME})
        assert made.status in (200, 201, 202), made
        cls.batch = made.json["id"]
        # Other content under a known key becomes no event: the row is set aside.
        written = cls.outboxd.sql("INSERT INTO outbox(type, payload, idempotency_key) VALUES "
                                  f"('a.b', '1', '{SCRIPT}'), ('a.b', '\"<img src=x>\"', '{SCRIPT}');")
        assert written.returncode == 0, written
        wait_until(lambda: cls.outboxd.get("/v1/events?rejected=true").json["data"], "a row of the outbox is set aside")
        wait_until(lambda: cls.outboxd.get(f"/v1/batches/{cls.batch}").json["state"] == "finished", "the batch is over")
        cls.outboxd.wait_for_state("dead", len(cls.events))
        cls.enter()

    @classmethod
    def send(cls, payload, fields):
        event = {"type": LONG_TYPE, "ordering_key": KEY, "headers": {"X-Event": SCRIPT + IMAGE}, **fields}
        body = json.dumps(event)
        if payload is not None:
            body = f'{body[:-1]}, "payload": {payload}}}'
        answer = cls.outboxd.post("/v1/events", body)
        assert answer.status == 202, answer
        return answer.json["id"]

    def pages(self):
        yield from ("/", "/endpoints", f"/endpoints/{self.endpoint}", "/deliveries", "/deliveries?state=dead", "/failures", "/batches",
                    f"/batches/{self.batch}", "/events", "/types", "/system", "/api")
        for event, delivery in self.deliveries.items():
            yield f"/events/{event}"
            yield f"/deliveries/{delivery}"
        for filtered in ("deliveries", "endpoints", "events", "failures"):
            yield f"/{filtered}?search={quote(SCRIPT)}&type={quote(IMAGE)}&endpoint={quote(NAME)}"

    def assert_harmless(self):
        self.assertEqual([], self.browser.js(FOREIGN))
        pwned, title, frame = self.browser.js(SCRIPTED)
        self.assertIsNone(pwned)
        self.assertRegex(title, " – outboxd$")
        self.assertEqual(2, frame)
        self.assertNotRegex(self.browser.js(READ), INVISIBLE)
        window, shown = self.browser.js("return [innerWidth, document.documentElement.scrollWidth]")
        self.assertLessEqual(shown, window)

    def test_no_page_makes_anything_of_it(self):
        self.expected = ["422", "400"]  # of filters that are none
        for path in self.pages():
            with self.subTest(page=path):
                self.browser.open_anyway(path)
                self.settle_somehow()
                self.assert_harmless()

    def settle_somehow(self):
        """A page, or what the daemon says against the filter."""
        until(lambda: self.browser.js("return watched.waiting === 0 && (document.querySelector('#main h1') ?? document.querySelector('#main .problem'))"),
              "the page stands")

    def test_it_is_shown_as_it_was_written(self):
        self.browser.open("/endpoints")
        self.browser.wait_for_text(re.escape(SCRIPT))
        self.browser.open(f"/endpoints/{self.endpoint}")
        self.browser.wait_for_text(re.escape(SCRIPT))
        self.browser.open(f"/events/{self.events['markup']}")
        self.browser.wait_for_text(LONG_TYPE[:20])
        self.browser.wait_for_text(re.escape("\\u{202e}exe.gpj\\u{2066}key"))

    def test_payloads_and_answers_are_shown_on_demand_and_as_text(self):
        answers = ""
        shown = {"markup": re.escape(SCRIPT), "line": "The first 65,536 of 1,048,", "bytes": "in hexadecimal"}
        for name, event in self.events.items():
            with self.subTest(payload=name):
                self.browser.open(f"/events/{event}")
                self.assertNotRegex(self.browser.text(), "Hide payload")
                self.open_all()
                self.browser.wait_for_text(shown[name])
                self.assert_harmless()
            with self.subTest(request_and_answer=name):
                self.browser.open(f"/deliveries/{self.deliveries[event]}")
                self.open_all()
                self.browser.wait_for_text("(?i)x-answer")
                self.browser.wait_for_text(re.escape("src=x onerror=window.pwned"))
                self.assert_harmless()
                answers += self.browser.text()
        self.assertLess(len(answers), LINE)
        for part in (f"<title>pwned</title>{SCRIPT}", "\\u{202e}exe.gpj\\u{2066}", "\\u{0} bad \\u{0}", "l" * 1000):
            self.assertIn(part, answers)

    def test_the_answer_to_a_test_event_is_text(self):
        self.browser.open(f"/endpoints/{self.endpoint}")
        self.browser.click("main button", "^Test$")
        self.browser.click("dialog button", "^Send it$")
        self.browser.wait_for_text("(?i)x-answer", "dialog")
        self.assert_harmless()
        self.browser.click("dialog button", "^Close$")

    def open_all(self):
        """Everything that is folded or shown on demand."""
        self.browser.js("document.querySelectorAll('main details').forEach((one) => { one.open = true; })")
        shows = self.browser.js("return [...document.querySelectorAll('main button')].filter((one) => /^Show (the request|payload)/.test(one.innerText))")
        for button in shows:
            self.browser.js("arguments[0].click()", button)
        until(lambda: self.browser.js("return watched.waiting === 0"), "all is shown")
        self.browser.settle()

    def test_a_payload_is_downloaded_never_opened(self):
        """By the daemon's own answer: a browser that follows a link to it makes no page of it."""
        answer = self.outboxd.get(f"/v1/events/{self.events['bytes']}/payload")
        self.assertEqual(200, answer.status)
        self.assertEqual("nosniff", answer.headers["X-Content-Type-Options"])
        self.assertRegex(f"{answer.headers['Content-Disposition']} {answer.headers['Content-Security-Policy']}", "attachment|sandbox|default-src 'none'")


if __name__ == "__main__":
    unittest.main()
