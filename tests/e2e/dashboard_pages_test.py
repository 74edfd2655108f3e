"""Every page of the dashboard in a browser: for whom, in both themes, at every width, for the keyboard and for screen readers."""
import json
import re
import unittest

from browser import AXE, SCREENSHOTS, BrowserTest, Keys, needs_axe, needs_browser, until
from harness import wait_until

WIDTHS = (360, 1280, 2560)
SHOT_WIDTHS = (390, 1280, 1920)
# What changes something begins with one of these.
ACT = re.compile(r"^(Retry|Try|Discard|Replay|Send|Pause|Resume|Enable|Disable|Test|Rotate|Reveal|Revoke|Delete|Drop|Remove|Erase|Change|"
                 r"Edit|Save|Cancel|New|Add|Create|Prune|Encrypt)\b")
# In every name, type and payload of what is not the tenant acme's.
OTHERS = r"globex|\bown-|\bown\."
NAMES = "return [...document.querySelectorAll('#main button')].filter((one) => one.checkVisibility()).map((one) => one.innerText.trim())"
SIDEWAYS = "return [document.documentElement.scrollWidth, innerWidth]"


@needs_browser
class Pages(BrowserTest):
    """Two tenants and the operators' own endpoints: some well, some failing, dead letters, a finished batch, an unmatched type."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.tokens = cls.folder / "tokens"
        cls.token = {"viewer": cls.make_token("viewer", "--scope", "view"),
                     "acme": cls.make_token("acme", "--scope", "admin", "--tenant", "acme")}
        cls.outboxd.stop()
        cls.outboxd.settings.append(f"listen.tokens_file={cls.tokens}")
        cls.outboxd.start()
        cls.fill_daemon()
        cls.pages = cls.every_page()
        cls.enter()

    @classmethod
    def make_token(cls, name, *options):
        made = cls.outboxd.ctl("-o", "json", "token", "create", name, *options, "--file", str(cls.tokens))
        assert made.returncode == 0, made
        return json.loads(made.stdout)["token"]

    @classmethod
    def fill_daemon(cls):
        well = cls.receiver(lambda request: (200, {"X-Answer": "yes"}, b"thank you"))
        broken = cls.receiver(lambda request: (500, {}, b"out of order"))
        refusing = cls.receiver(lambda request: (400, {}, b"no such shop"))
        for tenant in ("", "acme", "globex"):
            mark = tenant or "own"
            cls.outboxd.endpoint(well.url, name=f"{mark}-well", tenant=tenant, types=["order.**"], headers={"X-Shop": mark})
            cls.outboxd.endpoint(broken.url, name=f"{mark}-broken", tenant=tenant, types=["order.paid"], retry_schedule=["0s", "10m"])
            cls.outboxd.endpoint(refusing.url, name=f"{mark}-refusing", tenant=tenant, types=["order.paid"], retry_schedule=["0s"])
            for number in range(12):
                cls.outboxd.event("order.paid", json.dumps({"mark": mark, "number": number}), tenant=tenant, ordering_key=f"{mark}-key")
            cls.outboxd.event(f"{mark}.unwanted", json.dumps({"mark": mark}), tenant=tenant)
        cls.outboxd.endpoint(well.url, name="own-paused", state="paused", types=["order.paid"])
        cls.outboxd.event("order.paid")
        cls.outboxd.wait_for_state("dead", 37)
        made = cls.outboxd.post("/v1/batches", {"action": "retry", "filter": {"state": "dead", "endpoint": "own-refusing"}, "reason": "own-mended"})
        assert made.status in (200, 201, 202), made
        cls.batch = made.json["id"]
        wait_until(lambda: cls.outboxd.get(f"/v1/batches/{cls.batch}").json["state"] == "finished", "the batch is over")
        cls.outboxd.wait_for_state("dead", 37)

    @classmethod
    def every_page(cls):
        endpoint = cls.outboxd.get("/v1/endpoints/own-broken").json["id"]
        delivery = cls.outboxd.deliveries("&state=dead&endpoint=own-refusing")[0]
        return {
            "overview": "/", "endpoints": "/endpoints", "endpoint": f"/endpoints/{endpoint}", "deliveries": "/deliveries",
            "deliveries-dead": "/deliveries?state=dead", "delivery": f"/deliveries/{delivery['id']}", "failures": "/failures",
            "batches": "/batches", "batch": f"/batches/{cls.batch}", "events": "/events", "event": f"/events/{delivery['event']}",
            "types": "/types", "system": "/system", "api": "/api",
        }

    def setUp(self):
        super().setUp()
        self.browser.theme("light")
        self.browser.width(1280)

    def on_every_page(self, look, pages=None):
        for name, path in (pages or self.pages).items():
            with self.subTest(page=name):
                self.browser.open(path)
                look(name)

    def acts(self):
        return [words for words in self.browser.js(NAMES) if ACT.match(words)]

    def assert_no_error(self):
        self.assertEqual([], self.browser.js("return [...document.querySelectorAll('#main .problem')].map((one) => one.innerText)"))

    def sign_in(self, token):
        """Over TCP, with a token typed into the form; whoever came by the link is in again after the test."""
        self.addCleanup(self.enter)
        self.browser.driver.delete_all_cookies()
        self.browser.go(f"http://127.0.0.1:{self.outboxd.tcp_port}/")
        self.browser.fill("^Token", token)
        self.browser.click("button", "^Sign in$")
        self.browser.find("nav a", "^Overview$")
        self.browser.settle()

    def test_every_page_says_what_it_is_and_shows_no_error(self):
        titles = set()

        def look(name):
            self.assert_no_error()
            self.assertEqual(1, self.browser.js("return document.querySelectorAll('h1').length"))
            self.assertEqual(1, self.browser.js("return document.querySelectorAll('nav [aria-current=page]').length"), name)
            self.assertRegex(self.browser.driver.title, r".+ – outboxd$")
            titles.add(self.browser.driver.title)

        self.on_every_page(look)
        self.assertGreaterEqual(len(titles), len(self.pages) - 1, titles)  # a filter is no page of its own
        self.browser.open("/no-such-page")
        self.browser.wait_for_text("There is no such page")

    def test_the_pages_show_what_the_daemon_has(self):
        shown = {"overview": "own-broken", "endpoints": "own-paused", "endpoint": "HTTP 500|out of order|http_5xx",
                 "deliveries-dead": "own-refusing", "delivery": "400", "failures": "own-refusing|400", "batches": "own-mended",
                 "batch": "own-mended", "event": "order\\.paid", "types": "own\\.unwanted", "system": "Write-ahead log", "api": "/v1/deliveries"}
        for name, words in shown.items():
            with self.subTest(page=name):
                self.browser.open(self.pages[name])
                self.browser.wait_for_text(words)

    @needs_axe
    def test_no_page_breaks_a_rule_of_accessibility(self):
        for theme in ("light", "dark"):
            self.browser.theme(theme)
            self.on_every_page(lambda name, theme=theme: self.assertEqual([], self.browser.violations(), f"{name}, {theme}"))
            self.browser.open(self.pages["failures"])
            self.browser.click("main button", "^Retry what is dead of")
            self.browser.find("dialog[open]")
            self.assertEqual([], self.browser.violations(), f"a dialog, {theme}")
            self.browser.click("dialog button", "^Cancel$")

    @needs_axe
    def test_a_broken_rule_is_found(self):
        self.browser.open("/")
        self.addCleanup(self.browser.driver.refresh)
        self.browser.js("document.getElementById('messages').append(document.createElement('button'))")
        self.assertIn("button-name", " ".join(self.browser.violations()))

    def test_no_page_scrolls_sideways(self):
        def look(name):
            for width in WIDTHS:
                self.browser.width(width)
                until(lambda width=width: self.browser.js("return innerWidth") == width, "the window is so wide")
                shown, window = self.browser.js(SIDEWAYS)
                self.assertLessEqual(shown, window, f"{name} at {width}")

        self.on_every_page(look)

    @unittest.skipUnless(SCREENSHOTS, "OUTBOXD_SCREENSHOTS names no folder")
    def test_screenshots(self):
        for theme in ("light", "dark"):
            self.browser.theme(theme)
            for width in SHOT_WIDTHS:
                self.browser.width(width)
                self.on_every_page(lambda name, theme=theme, width=width: self.browser.screenshot(name, theme, width))

    def test_a_viewer_is_offered_no_change(self):
        offering = set()
        self.on_every_page(lambda name: offering.update([name] if self.acts() else []))
        self.assertLessEqual({"endpoint", "delivery", "failures", "deliveries-dead"}, offering)
        self.sign_in(self.token["viewer"])

        def look(name):
            self.assertEqual([], self.acts(), name)
            self.assert_no_error()

        self.on_every_page(look)
        stored = self.browser.js("return JSON.stringify({...localStorage, ...sessionStorage}) + document.cookie + location.href")
        self.assertNotIn(self.token["viewer"], stored)
        self.browser.click("button", "^Sign out$")
        self.browser.find("label", "^Token")

    def test_a_token_that_is_none_is_refused_in_words(self):
        self.expected = ["401"]
        self.addCleanup(self.enter)
        self.browser.driver.delete_all_cookies()
        self.browser.go(f"http://127.0.0.1:{self.outboxd.tcp_port}/")
        field = self.browser.fill("^Token", "nobody's")
        self.browser.click("button", "^Sign in$")
        self.browser.find("main [role=alert]")
        self.assertEqual("", field.get_attribute("value"))
        if AXE.is_file():
            self.assertEqual([], self.browser.violations())

    def test_a_token_of_one_tenant_sees_nothing_of_another(self):
        self.sign_in(self.token["acme"])
        delivery = self.outboxd.deliveries("&state=dead&tenant=acme")[0]
        own = {"endpoint": f"/endpoints/{delivery['endpoint']}", "delivery": f"/deliveries/{delivery['id']}",
               "event": f"/events/{delivery['event']}"}
        pages = {name: path for name, path in {**self.pages, **own}.items() if name != "batch"}  # that is the operators'
        self.on_every_page(lambda name: self.assertNotRegex(self.browser.html(), OTHERS), pages)
        self.browser.open("/endpoints")
        self.browser.wait_for_text("acme-broken")
        self.expected = ["404"]
        other = self.outboxd.deliveries("&tenant=globex")[0]
        for path in (f"/endpoints/{other['endpoint']}", f"/deliveries/{other['id']}", f"/events/{other['event']}", self.pages["batch"]):
            with self.subTest(path=path):
                self.browser.open_anyway(path)
                self.browser.wait_for_text("There is no|There is nothing")
                self.assertNotRegex(self.browser.html(), OTHERS)

    def test_the_keyboard_reaches_everything(self):
        self.browser.open("/")
        self.browser.js("document.activeElement.blur(); document.body.focus()")
        self.assertIn("Skip to content", self.tab_to("Skip to content"))
        reached = self.tab_to("System")
        for page in ("Overview", "Endpoints", "Deliveries", "Failures", "Batches", "Events", "Types"):
            self.assertIn(page, reached)
        self.browser.press(Keys.ENTER)
        until(lambda: self.browser.hash() == "#/system", "Enter follows the link")
        self.browser.open(self.pages["delivery"])
        self.tab_to("Skip to content")
        self.browser.press(Keys.ENTER)
        self.assertEqual("main", self.browser.focused()[0])
        self.assertEqual(["Retry"], self.tab_to("Retry"))  # the first thing on the page

    def tab_to(self, name, limit=60):
        """The names of what had the focus until `name` has it."""
        reached = []
        while name not in reached:
            self.assertLess(len(reached), limit, reached)
            self.browser.press(Keys.TAB)
            reached.append(self.browser.focused()[1])
        return reached

    def test_a_dialog_is_left_with_escape_and_gives_the_focus_back(self):
        self.browser.open(self.pages["failures"])
        button = self.browser.find("main button", "^Retry what is dead of")
        self.browser.js("arguments[0].focus()", button)
        self.browser.press(Keys.ENTER)
        self.browser.find("dialog[open]")
        self.assertTrue(self.browser.js("return document.querySelector('dialog').contains(document.activeElement)"))
        reached = self.tab_to("Cancel", limit=10)  # what is behind it is out of reach
        self.assertNotIn("Overview", reached)
        self.browser.press(Keys.ESCAPE)
        until(lambda: not self.browser.look("dialog[open]"), "Escape closes it")
        self.assertRegex(self.browser.focused()[1], "^Retry what is dead of")
        self.assertEqual(1, len(self.outboxd.get("/v1/batches").json["data"]))


if __name__ == "__main__":
    unittest.main()
