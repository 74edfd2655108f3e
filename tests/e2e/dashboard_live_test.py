"""What the dashboard keeps in its URL, and when it asks the daemon: never while it is paused or hidden, and again when the daemon
is there again."""
import unittest

from browser import BrowserTest, needs_browser, open_dashboard, until
from harness import wait_until

WAIT = 6  # seconds by the daemon's clock: three times the time between two questions of the overview


@needs_browser
class Live(BrowserTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.served = cls.receiver()
        cls.outboxd.endpoint(cls.served.url, name="shop", types=["order.**"])
        for _ in range(3):
            cls.outboxd.event("order.paid")
            cls.outboxd.event("order.created")
        cls.outboxd.wait_for_state("delivered", 6)
        cls.enter()

    def time_passes(self):
        """An event that is due later is delivered: so much time has passed where it matters."""
        before = len(self.served.requests)
        self.outboxd.event("order.late", delay=f"{WAIT}s")
        self.served.wait_for(before + 1)

    def test_filters_are_in_the_url_and_survive_reload_and_back_and_forward(self):
        self.browser.open("/deliveries")
        self.browser.choose("^State", "delivered")
        until(lambda: "state=delivered" in self.browser.hash(), "the filter is in the URL")
        filtered = self.browser.hash()
        self.browser.settle()
        self.browser.driver.refresh()
        self.browser.settle()
        self.assertEqual(filtered, self.browser.hash())
        chosen = "return arguments[0].control.value"
        self.assertEqual("delivered", self.browser.js(chosen, self.browser.find("main label", "^State")))
        self.browser.click("nav a", "^Endpoints$")
        self.browser.wait_for_text("shop")
        self.browser.driver.back()
        until(lambda: self.browser.hash() == filtered, "back is where the filter was")
        until(lambda: self.browser.look("main label", "^State"), "the list is there")
        self.assertEqual("delivered", self.browser.js(chosen, self.browser.find("main label", "^State")))
        self.browser.driver.forward()
        until(lambda: self.browser.hash() == "#/endpoints", "forward is the other page")
        self.browser.wait_for_text("shop")

    def test_what_is_asked_again_is_not_while_paused(self):
        self.browser.open("/")
        asked = self.browser.asked()
        until(lambda: self.browser.asked() > asked + 1, "the overview asks again and again")
        self.browser.click("#controls button", "^Pause$")
        self.browser.settle()
        asked, loaded = self.browser.asked(), self.loaded()
        self.time_passes()
        self.assertEqual((asked, loaded), (self.browser.asked(), self.loaded()))
        self.browser.click("#controls button", "^Go on$")
        until(lambda: self.browser.asked() > asked, "it asks again at once")

    def loaded(self):
        return self.browser.js("return performance.getEntriesByType('resource').length")

    def test_a_hidden_tab_asks_nothing(self):
        self.browser.open("/")
        driver = self.browser.driver
        tab = driver.current_window_handle
        driver.switch_to.new_window("tab")
        other = driver.current_window_handle
        self.addCleanup(driver.switch_to.window, tab)
        self.time_passes()
        driver.switch_to.window(other)
        driver.close()
        driver.switch_to.window(tab)
        self.assertTrue(self.browser.js("return watched.wasHidden"), "the tab behind another is hidden")
        self.assertEqual(0, self.browser.js("return watched.hidden"))
        self.browser.command("Page.bringToFront")
        asked = self.browser.asked()
        until(lambda: self.browser.asked() > asked, "it asks again when it is seen")

    def test_a_lost_daemon_is_said_and_its_return_too(self):
        self.expected = ["502", "ERR_", "50[34]"]
        self.browser.open("/")
        self.outboxd.stop()
        self.browser.find("#lost", "does not answer since")
        self.browser.wait_for_text("Overview|does not answer")
        self.outboxd.start()
        until(lambda: not self.browser.look("#lost"), "its return is said")
        self.browser.settle()
        wait_until(lambda: self.outboxd.get("/readyz").status == 200, "it is ready")
        self.browser.wait_for_text("Nothing is stuck")

    def test_attempts_are_followed_again_after_a_restart(self):
        self.expected = ["502", "ERR_", "50[34]"]
        self.browser.open("/endpoints/shop")
        panel = "main section[aria-label='Last attempts']"
        self.browser.wait_for_text("order.paid|None since", panel)
        self.outboxd.stop()
        self.browser.find("#lost", "does not answer since")
        self.outboxd.start()
        until(lambda: not self.browser.look("#lost"), "its return is said")
        self.browser.wait_for_text("As they are recorded|started again", panel)
        self.outboxd.event("order.later")
        self.browser.wait_for_text("order.later", panel)

    def test_whoever_signs_out_is_shown_nothing_any_more(self):
        self.expected = ["403"]
        self.addCleanup(self.enter)
        self.browser.open("/endpoints/shop")
        self.browser.click("section button", "^Reveal$")
        self.browser.find("dialog code", "^whsec_")
        # As by a click: what stands open is in front of the button.
        self.browser.js("[...document.querySelectorAll('#controls button')].find((one) => one.innerText === 'Sign out').click()")
        self.browser.wait_for_text("not let in")
        asked = self.browser.asked()
        self.time_passes()
        self.assertEqual(asked, self.browser.asked())
        self.assertNotIn("shop", self.browser.html())
        self.assertNotIn("whsec_", self.browser.html())

    def test_whoever_signs_out_in_another_tab_is_shown_nothing_here(self):
        self.expected = ["403"]
        self.addCleanup(self.enter)
        self.browser.open("/endpoints")
        self.browser.wait_for_text("shop")
        self.browser.js("fetch('/v1/session').then((answer) => answer.json()).then(({csrf}) =>"
                        " fetch('/v1/session', {method: 'DELETE', headers: {'outboxd-csrf': csrf}}))")
        self.browser.wait_for_text("not let in")
        self.assertNotIn("shop", self.browser.html())

    def test_a_link_on_a_page_of_another_site_lets_in(self):
        process, link = open_dashboard(self.outboxd)
        self.addCleanup(lambda: (process.kill(), process.wait(), process.stdout.close()))
        self.addCleanup(self.enter)
        self.browser.driver.get(f"data:text/html,<a href='{link}'>here</a>")
        self.browser.click("a", "^here$")
        self.browser.wait_for_text("Nothing is stuck", patience=10)

    def test_links_that_mean_nothing_are_said_to(self):
        self.expected = ["404"]
        for path in ("/endpoints/%E0", "/constructor/x", "/no-such"):
            self.browser.open_anyway(path)
            self.browser.wait_for_text("There is no (such page|endpoint)")


if __name__ == "__main__":
    unittest.main()
