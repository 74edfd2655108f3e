"""Debian's chromium, headless, at the dashboard: what the tests of the pages are built on.

A test fails when the browser complained: of the Content-Security-Policy, of a script, of a request that failed.
OUTBOXD_SCREENSHOTS=<folder> makes dashboard_pages_test.py save every page there, as page-theme-width.png."""
import importlib.util
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

from harness import BIN, NODE_PACKAGES, PATIENCE, Daemon, Receiver

try:
    from selenium import webdriver
    from selenium.common.exceptions import ElementClickInterceptedException, StaleElementReferenceException
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.common.keys import Keys
except ImportError:  # the tests are skipped
    Keys = None

CHROMIUM = shutil.which("chromium")
DRIVER = shutil.which("chromedriver")
SCREENSHOTS = os.environ.get("OUTBOXD_SCREENSHOTS")
AXE = NODE_PACKAGES / "node_modules/axe-core/axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]
HEIGHT = 1000
MOST_HEIGHT = 5000  # of a screenshot
FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-sync",
         "--disable-component-update", "--disable-background-networking", "--disable-extensions", "--no-proxy-server",
         "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--force-prefers-reduced-motion", "--lang=en-US"]

# Runs before the page's own scripts: counts what the page asks for, also while its tab is hidden.
WATCH = """
window.watched = {asked: 0, hidden: 0, waiting: 0, wasHidden: false};
document.addEventListener("visibilitychange", () => { watched.wasHidden ||= document.hidden; });
const fetched = window.fetch;
window.fetch = async (...given) => {
  ++watched.asked;
  if (document.hidden) ++watched.hidden;
  ++watched.waiting;
  try { return await fetched(...given); } finally { --watched.waiting; }
};
"""
# A page stands when its heading is there, nothing is asked for, and two frames later that is still so. When there is an error
# instead of a page, its words are the answer.
SETTLED = """
const done = arguments[0];
const idle = () => document.readyState === "complete" && watched.waiting === 0;
const stands = () => Boolean(idle() && document.querySelector("#main h1"));
const wrong = document.querySelector("#main > .problem");
if (!stands()) done(idle() && wrong ? wrong.innerText : false);
else requestAnimationFrame(() => requestAnimationFrame(() => done(stands())));
"""
FIND = """
const [selector, words, within, row] = arguments;
const wanted = words === null ? null : new RegExp(words);
const inRow = (node) => row === null || new RegExp(row).test(node.closest("tr")?.innerText.trim() ?? "");
const named = (node) => (node.getAttribute("aria-label") ?? node.innerText ?? "").replace(/\\s+/g, " ").trim();
for (const root of document.querySelectorAll(within)) {
  for (const node of root.querySelectorAll(selector)) {
    if (node.checkVisibility() && !node.disabled && inRow(node) && (wanted === null || wanted.test(named(node)))) return node;
  }
}
return null;
"""


def needs_browser(test):
    """For classes of tests. scripts/setup installs chromium, scripts/test selenium."""
    there = CHROMIUM and DRIVER and importlib.util.find_spec("selenium")
    return unittest.skipUnless(there, "chromium, chromium-driver or the Python package selenium is not installed: "
                               "scripts/setup and scripts/test do it")(test)


def needs_axe(test):
    return unittest.skipUnless(AXE.is_file(), "the npm package axe-core is not installed: scripts/test does it")(test)


def open_dashboard(daemon):
    """`outboxctl dashboard` as a process, and the link that it printed."""
    process = subprocess.Popen([BIN / "outboxctl", "--socket", daemon.admin, "-o", "jsonl", "dashboard", "--no-open"],
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    line = process.stdout.readline()
    if not line:
        raise AssertionError(f"outboxctl dashboard ended with {process.wait(PATIENCE)}")
    return process, json.loads(line)["url"]


def until(condition, what, patience=PATIENCE):
    """As wait_until(), for conditions that cost the browser something."""
    deadline = time.monotonic() + patience
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {patience:g} s in vain: {what() if callable(what) else what}")
        time.sleep(0.05)
    return value


class Browser:
    """One chromium with a profile of its own. `clicks` counts them."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.clicks = 0
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for flag in [*FLAGS, f"--window-size=1280,{HEIGHT}", f"--user-data-dir={self.folder / 'profile'}"]:
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        service = Service(DRIVER, env={**os.environ, "HOME": str(self.folder), "TMPDIR": str(self.folder)})
        self.driver = None
        try:
            self.driver = webdriver.Chrome(service=service, options=options)
            self.driver.set_script_timeout(PATIENCE * 2)
            self.command("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
            self.width(1280)
        except BaseException:
            self.close()
            raise

    def close(self):
        """Leaves no process behind, whatever state the driver is in."""
        try:
            if self.driver:
                self.driver.quit()
        finally:
            for pid in filter(str.isdigit, os.listdir("/proc")):
                try:
                    if str(self.folder / "profile").encode() in pathlib.Path("/proc", pid, "cmdline").read_bytes():
                        os.kill(int(pid), signal.SIGKILL)
                except OSError:
                    pass  # it has ended meanwhile

    def command(self, name, **parameters):
        return self.driver.execute_cdp_cmd(name, parameters)

    def js(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def width(self, pixels, height=HEIGHT):
        self.command("Emulation.setDeviceMetricsOverride", width=pixels, height=height, deviceScaleFactor=1, mobile=False)

    def theme(self, name):
        self.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def complaints(self):
        """What the browser complained of since this was asked last. Reading them takes them out of the log."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]

    def go(self, url):
        self.driver.get(url)
        self.settle()

    def open_anyway(self, path):
        """A page of the dashboard, by what stands behind the #. It is made anew, also when it is shown already."""
        self.js("if (location.hash === arguments[0]) location.reload(); else location.hash = arguments[0];", "#" + path)
        until(lambda: self.hash() == "#" + path, lambda: f"{path} is shown, {self.hash()} is")

    def open(self, path):
        """As open_anyway(), of a page that is expected to stand."""
        self.open_anyway(path)
        self.settle()

    def hash(self):
        return self.js("return location.hash") or "#/"

    def settle(self):
        stands = until(lambda: self.driver.execute_async_script(SETTLED), lambda: f"the page stands: {self.text()[:1500]!r}")
        if stands is not True:
            raise AssertionError(f"{self.hash()} shows an error: {stands}")

    def text(self, selector="main"):
        return self.js("return document.querySelector(arguments[0])?.innerText ?? ''", selector)

    def html(self):
        return self.js("return document.documentElement.outerHTML")

    def wait_for_text(self, words, selector="main", patience=PATIENCE):
        """Words are a regular expression; returns the match."""
        return until(lambda: re.search(words, self.text(selector)),
                     lambda: f"{words!r} in {selector}: {self.text(selector)[:2000]!r}", patience)

    def look(self, selector, words=None, within="body", row=None):
        """The first visible element of the selector that is named so (a regular expression), in a row of a table that begins so,
        or None."""
        return self.js(FIND, selector, words, within, row and f"^{row}")

    def find(self, selector, words=None, within="body", row=None):
        return until(lambda: self.look(selector, words, within, row),
                     lambda: f"{selector} {words!r} in {within}: {self.text(within)[:2000]!r}")

    def click(self, selector, words=None, within="body", row=None):
        """A page may be drawn anew between the look and the click: then it is looked for again."""
        def clicked():
            element = self.find(selector, words, within, row)
            try:
                self.js("arguments[0].scrollIntoView({block: 'center'})", element)
                element.click()
            except (StaleElementReferenceException, ElementClickInterceptedException):
                return False
            return True
        until(clicked, f"{selector} {words!r} is clicked")
        self.clicks += 1

    def fill(self, label, value, within="body"):
        """A field, by its label; what stood in it is replaced."""
        field = self.js("return arguments[0].control", self.find("label", label, within))
        field.clear()
        field.send_keys(value)
        return field

    def choose(self, label, value, within="main"):
        """An option of a select, by its value."""
        field = self.js("return arguments[0].control", self.find("label", label, within))
        self.js("arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('change', {bubbles: true}))", field, value)

    def press(self, *keys):
        webdriver.ActionChains(self.driver).send_keys(*keys).perform()

    def focused(self):
        """What has the focus: its tag and its name."""
        return self.js("const node = document.activeElement; return [node.tagName.toLowerCase(),"
                       " (node.getAttribute('aria-label') ?? node.innerText ?? '').trim().slice(0, 80)]")

    def asked(self):
        return self.js("return watched.asked")

    def violations(self):
        """What axe-core finds against WCAG 2.2 AA, in words."""
        if not self.js("return Boolean(window.axe)"):
            self.js(AXE.read_text())
        found = self.driver.execute_async_script(
            "const done = arguments[1]; axe.run(document, {runOnly: arguments[0], resultTypes: ['violations'], preload: false})"
            ".then((result) => done(result.violations), (error) => done([{id: String(error), nodes: []}]));", RULES)
        return [f"{rule['id']}: {node['html'][:200]} {node['failureSummary'][:300]}" for rule in found for node in rule["nodes"]] \
            or [rule["id"] for rule in found]

    def screenshot(self, page, theme, width):
        """The whole page, in the folder that OUTBOXD_SCREENSHOTS names."""
        folder = pathlib.Path(SCREENSHOTS)
        folder.mkdir(parents=True, exist_ok=True)
        for _ in range(3):  # what is wider or filled later makes it higher
            self.width(width, min(MOST_HEIGHT, max(HEIGHT, self.js("return document.documentElement.scrollHeight"))))
            self.settle()
        self.driver.save_screenshot(str(folder / f"{page}-{theme}-{width}.png"))
        self.width(width)


class BrowserTest(unittest.TestCase):
    """One daemon and one browser for all tests of a class. What a test says is `expected` (regular expressions), the browser may
    complain of while it runs."""

    settings = ()

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="outboxd-e2e."))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.outboxd = Daemon(cls.folder, cls.settings)
        cls.addClassCleanup(cls.end_daemon)
        cls.outboxd.start()
        cls.browser = Browser(cls.folder)
        cls.addClassCleanup(cls.browser.close)

    @classmethod
    def end_daemon(cls):
        if cls.outboxd.process and cls.outboxd.process.poll() is None:
            cls.outboxd.kill()

    @classmethod
    def receiver(cls, answer=lambda request: 200):
        receiver = Receiver(answer)
        cls.addClassCleanup(receiver.close)
        return receiver

    @classmethod
    def enter(cls):
        """Over the admin socket, by the link that works once. Signs out whoever was in before."""
        process, link = open_dashboard(cls.outboxd)
        cls.addClassCleanup(lambda: (process.kill(), process.wait(), process.stdout.close()))
        cls.browser.driver.delete_all_cookies()
        cls.browser.go(link)

    def setUp(self):
        self.expected = []
        self.browser.clicks = 0
        self.addCleanup(self.check_complaints)

    def check_complaints(self):
        unexpected = [said for said in self.browser.complaints() if not any(re.search(words, said) for words in self.expected)]
        self.assertEqual([], unexpected)
