"""Chromium without a window, driven by its own protocol over a pair of pipes: with nothing to install
beside it, and no port that somebody else could take.

https://chromedevtools.github.io/devtools-protocol/
"""

import base64
import json
import os
import shutil
import subprocess
import tempfile


class Browser:
    """One process with one page. said: what the page or the browser has complained about."""

    def __init__(self):
        self.home = tempfile.mkdtemp(prefix="browser-")
        commands, self.commands = os.pipe()
        self.answers, answers = os.pipe()
        self.number, self.said, self.events = 0, [], []
        self.process = subprocess.Popen(
            ["/bin/sh", "-c", f'exec "$@" 3<&{commands} 4>&{answers}', "sh", "chromium", *OPTIONS,
             f"--user-data-dir={self.home}"],
            pass_fds=(commands, answers), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(commands)
        os.close(answers)
        self.unread = b""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = None
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Audits"):
            self.call(f"{domain}.enable")

    def close(self):
        os.close(self.commands)  # which is what ends it
        self.process.wait()
        os.close(self.answers)
        shutil.rmtree(self.home, ignore_errors=True)

    # --- The protocol -----------------------------------------------------------------------------

    def call(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if getattr(self, "session", None):
            message["sessionId"] = self.session
        os.write(self.commands, json.dumps(message).encode() + b"\0")
        while (answer := self.receive()).get("id") != self.number:
            pass
        assert "error" not in answer, f"{method}: {answer}"
        return answer["result"]

    def receive(self):
        while b"\0" not in self.unread:
            data = os.read(self.answers, 65536)
            assert data, "the browser has ended"
            self.unread += data
        line, _, self.unread = self.unread.partition(b"\0")
        message = json.loads(line)
        if message.get("method") in COMPLAINTS:
            self.said.append(message)
        if "method" in message:
            self.events.append(message["method"])
        return message

    def wait(self, event):
        while event not in self.events:
            self.receive()

    # --- What a visitor does ----------------------------------------------------------------------

    def visit(self, url, **fields):
        """fields: of the request, such as Accept_Language."""
        names = {name.replace("_", "-"): value for name, value in fields.items()}
        self.call("Network.setExtraHTTPHeaders", headers=names)
        self.then(lambda: self.call("Page.navigate", url=url))

    def then(self, action):
        """Does what leads to another page, and waits until that is there."""
        self.events.clear()
        action()
        self.wait("Page.loadEventFired")

    def type(self, text):
        self.call("Input.insertText", text=text)

    def press_enter(self):
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key="Enter", text="\r", windowsVirtualKeyCode=13)

    def is_seen(self, width, height=800, scheme="light", scale=1):
        """The size of the window, and the colours that the visitor prefers."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=scale, mobile=False)  # fmt: skip
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.call("Emulation.setEmulatedMedia", features=[feature])

    def look(self, script):
        """The value of an expression in the page, which may be a promise."""
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def photograph(self, path):
        data = self.call("Page.captureScreenshot", format="png")["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))


OPTIONS = ["--headless=new", "--no-sandbox", "--remote-debugging-pipe", "--disable-gpu",
           "--hide-scrollbars", "--no-first-run", "--disable-dev-shm-usage"]  # fmt: skip
COMPLAINTS = ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded", "Audits.issueAdded",
              "Network.loadingFailed")  # fmt: skip
