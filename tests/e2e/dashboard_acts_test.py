"""Acts of an operator in the dashboard, and what became of them by the API; and what changes under a page that is shown."""
import json
import unittest

from browser import BrowserTest, needs_browser, until
from harness import wait_until

# JSON.parse makes another number of it.
EXACT = '{"/id":{"gte":9007199254740993}}'


@needs_browser
class Acts(BrowserTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.served = cls.receiver()
        cls.gone = cls.receiver(lambda request: 410)
        cls.outboxd.endpoint(cls.served.url, name="shop", types=["order.**"])
        cls.enter()

    def endpoint(self, reference):
        return self.outboxd.get(f"/v1/endpoints/{reference}").json

    def test_the_secret_of_a_new_endpoint_stays_until_it_is_read(self):
        self.browser.open("/endpoints")
        self.browser.click("main button", "^Add an endpoint$")
        self.browser.fill("^URL$", self.served.url, "dialog")
        self.browser.fill("^Name$", "made-here", "dialog")
        self.browser.fill("^Event types$", "made.here\nmade.**", "dialog")
        self.browser.click("dialog button", "^Add it$")
        made = wait_until(lambda: self.endpoint("made-here").get("id"), "it is added")
        self.browser.wait_for_text("^made-here", "main h1")
        secret = self.outboxd.get(f"/v1/endpoints/{made}/secrets?reveal=true").json["data"][0]["secret"]
        self.assertIn(secret, self.browser.text("dialog[open]"))
        self.browser.click("dialog[open] button", "^Close$")
        self.assertEqual(f"#/endpoints/{made}", self.browser.hash())
        self.assertEqual(["made.here", "made.**"], self.endpoint(made)["types"])

    def test_numbers_that_a_browser_rounds_are_shown_and_kept_as_they_are(self):
        body = '{"url":%s,"name":"exact","types":["exact.x"],"filter":%s,"metadata":{"n":12345678901234567890}}'
        self.assertEqual(201, self.outboxd.post("/v1/endpoints", body % (json.dumps(self.served.url), EXACT)).status)
        self.browser.open("/endpoints/exact")
        self.browser.wait_for_text("9007199254740993")
        self.browser.wait_for_text("12345678901234567890")
        self.browser.click("main button", "^Change settings$")
        self.browser.fill("^Rate limit$", "7/s", "dialog")
        self.browser.click("dialog button", "^Save$")
        self.browser.wait_for_text("Changed: rate_limit", "#messages")
        self.browser.click("main button", "^Change settings$")
        typed = self.browser.js("return arguments[0].control.value", self.browser.find("dialog label", "^Filter"))
        self.assertEqual(json.loads(EXACT), json.loads(typed))
        self.browser.click("dialog button", "^Cancel$")
        kept = self.endpoint("exact")
        self.assertEqual((json.loads(EXACT), 12345678901234567890), (kept["filter"], kept["metadata"]["n"]))

    def test_an_endpoint_that_is_renamed_under_its_page_is_followed(self):
        self.outboxd.endpoint(self.served.url, name="before", types=["none.x"])
        self.browser.open("/endpoints/before")
        renamed = self.outboxd.call("PATCH", "/v1/endpoints/before", {"name": "after"})
        self.assertEqual(200, renamed.status, renamed)
        self.browser.wait_for_text("^after", "main h1")
        self.browser.click("main button", "^Pause after$")
        wait_until(lambda: self.endpoint("after")["state"] == "paused", "it is paused")

    def test_what_was_sent_to_a_removed_endpoint_offers_nothing_that_cannot_be(self):
        self.expected = ["404"]
        self.outboxd.endpoint(self.gone.url, name="short-lived", types=["short.x"])
        self.outboxd.event("short.x")
        wait_until(lambda: self.outboxd.deliveries("&state=dead&endpoint=short-lived"), "it is dead")
        dead = self.outboxd.deliveries("&state=dead&endpoint=short-lived")[0]
        self.assertEqual(204, self.outboxd.call("DELETE", "/v1/endpoints/short-lived").status)
        self.browser.open(f"/deliveries/{dead['id']}")
        self.browser.wait_for_text("The endpoint was removed")
        self.assertIsNone(self.browser.look("main button", "^Retry$"))
        self.browser.click("main button", "^Discard$")
        self.browser.click("dialog button", "^Discard$")
        wait_until(lambda: self.outboxd.get(f"/v1/deliveries/{dead['id']}").json["state"] == "discarded", "it is discarded")

    def test_of_selected_rows_each_act_takes_those_that_it_can(self):
        self.outboxd.endpoint(self.served.url, name="held", types=["held.x"], state="paused")
        for _ in range(2):
            self.outboxd.event("held.x")
        self.browser.open("/deliveries?endpoint=held")
        self.browser.click("main input", "^Select all on this page$")
        self.browser.wait_for_text("Pending: 2 of the selected")
        self.browser.click("main button", "^Discard 2 selected$")
        self.browser.click("dialog button", "^Discard$")
        wait_until(lambda: len(self.outboxd.deliveries("&state=discarded&endpoint=held")) == 2, "both are discarded")
        self.browser.wait_for_text("2 discarded", "#messages")

    def test_a_time_that_is_none_can_be_mended_where_it_was_typed(self):
        self.expected = ["422"]
        self.browser.open("/endpoints/shop")
        self.browser.click("main button", "^Send missing$")
        self.browser.fill("^Since$", "yesterday", "dialog")
        self.browser.click("dialog button", "^Count them$")
        self.browser.find("dialog [role=alert]")
        self.browser.fill("^Since$", "1h", "dialog")
        self.browser.click("dialog button", "^Count them$")
        self.browser.wait_for_text("Nothing matches", "#messages")

    def test_the_hosts_are_looked_up_also_after_the_settings_were_filtered(self):
        self.browser.open("/system")
        self.browser.fill("^Settings that contain$", "retention").submit()
        until(lambda: "settings=retention" in self.browser.hash(), "they are filtered")
        self.browser.settle()
        self.browser.click("main button", "^Look up the endpoints' hosts$")
        until(lambda: "Looking up" not in self.browser.text(), "they are looked up")
        self.browser.wait_for_text("No endpoint has a host name|Found")


if __name__ == "__main__":
    unittest.main()
