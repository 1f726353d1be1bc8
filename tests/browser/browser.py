"""Chromium without a window, as the tests and `make screenshots` drive it: by WebDriver, and by DevTools
where that has no word for it.
"""

import json
import shutil
import tempfile
from pathlib import Path

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service as Driver

AXE = Path(__file__).parents[2] / "build/browser/node_modules/axe-core/axe.min.js"

OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # root cannot have one; nothing but our own pages is shown
    "--disable-dev-shm-usage",  # a container has 64 MiB of it
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost",
)

# In each page before all else: keeps what the policy has refused.
LISTEN = """
window.refused = [];
addEventListener("securitypolicyviolation", ({violatedDirective: directive, blockedURI: address}) =>
    refused.push(`${directive} ${address}`));
"""

# The elements that reach beyond the window, their texts included.
BEYOND = """
return [...document.body.querySelectorAll("*")].filter(element => {
    const range = document.createRange();
    range.selectNodeContents(element);
    return [element, range].map(part => part.getBoundingClientRect())
        .some(box => box.left < -0.5 || box.right > innerWidth + 0.5);
}).map(element => element.outerHTML.slice(0, 100));
"""

# axe takes the disc for something behind all texts, and then says nothing of their contrast. target-size: of
# WCAG 2.2, which it leaves out otherwise.
RUN_AXE = """
const [done] = arguments, {sheet} = document.querySelector("style");
sheet.insertRule("body::before { display: none }", sheet.cssRules.length);
axe.run({rules: {"target-size": {enabled: true}}}).then(done, error => done({error: String(error)}));
"""


class Browser:
    """One browser with one page, with a profile of its own."""

    def __init__(self):
        self.home = tempfile.mkdtemp(prefix="browser-")
        settings = ChromeOptions()
        for option in (*OPTIONS, f"--user-data-dir={self.home}"):
            settings.add_argument(option)
        settings.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = Chrome(service=Driver(shutil.which("chromedriver")), options=settings)
        self.devtools("Page.addScriptToEvaluateOnNewDocument", source=LISTEN)
        self.requests()  # of the page that it begins with

    def end(self):
        self.driver.quit()
        shutil.rmtree(self.home, ignore_errors=True)

    def devtools(self, method, **parameters):
        return self.driver.execute_cdp_cmd(method, parameters)

    # What its user does

    def prefers(self, scheme="light", language="en"):
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.devtools("Emulation.setEmulatedMedia", features=[feature])
        self.devtools("Network.setExtraHTTPHeaders", headers={"Accept-Language": language})

    def has_window(self, width, height=800):
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height,
                      deviceScaleFactor=1, mobile=False)  # fmt: skip

    def runs_scripts(self, allowed):
        self.devtools("Emulation.setScriptExecutionDisabled", value=not allowed)

    def visit(self, url):
        self.driver.get(url)

    def type(self, text):
        self.devtools("Input.insertText", text=text)

    def press(self, key):
        """Tab or Enter."""
        code, text = {"Tab": (9, ""), "Enter": (13, "\r")}[key]
        for kind in ("keyDown", "keyUp"):
            self.devtools("Input.dispatchKeyEvent", type=kind, key=key, text=text,
                          windowsVirtualKeyCode=code)  # fmt: skip

    # What it shows

    def look(self, expression, *arguments):
        """The value of a JavaScript expression, also where pages may run none."""
        return self.driver.execute_script(f"return {expression}", *arguments)

    def text(self, selector):
        """Empty while a page is on its way."""
        return self.look("document.querySelector(arguments[0])?.textContent ?? ''", selector)

    def beyond(self):
        """What is cut off at a side of the window."""
        return self.driver.execute_script(BEYOND)

    def faults(self):
        """What axe finds, and what it would have somebody look at."""
        self.driver.execute_script(AXE.read_text("utf-8"))
        found = self.driver.execute_async_script(RUN_AXE)
        assert "error" not in found, found["error"]
        return [f"{rule['id']}: {node['failureSummary']} {node['html']}"
                for rule in found["violations"] + found["incomplete"] for node in rule["nodes"]]  # fmt: skip

    # What it has said since the last time

    def complaints(self):
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self):
        """The addresses that were asked for."""
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [event["params"]["request"]["url"] for event in events
                if event["method"] == "Network.requestWillBeSent"]  # fmt: skip
