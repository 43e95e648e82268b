"""A headless Chromium, spoken to over a pipe in its debugging protocol: what a page logs, asks for and shows."""

import base64
import json
import os
import select
import shutil
import subprocess
import time

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run")


def find():
    """Path of a Chromium, None where there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """`with Browser(path, profile) as b: page = b.open(url)`."""

    def __init__(self, path, profile):
        self.path, self.profile = path, profile
        self.number, self.rest, self.events = 0, b"", []

    def __enter__(self):
        to_read, self.write_end = os.pipe()
        self.read_end, to_write = os.pipe()
        words = [self.path, *FLAGS, f"--user-data-dir={self.profile}", "--remote-debugging-pipe", "about:blank"]
        command = f'exec "$@" 3<&{to_read} 4>&{to_write}'
        quiet = subprocess.DEVNULL
        words = ["/bin/bash", "-c", command, "chromium", *words]
        self.process = subprocess.Popen(words, pass_fds=(to_read, to_write), stdout=quiet, stderr=quiet)
        os.close(to_read)
        os.close(to_write)
        return self

    def __exit__(self, *_):
        os.close(self.write_end)
        os.close(self.read_end)
        self.process.kill()
        self.process.wait()

    def call(self, method, session=None, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params} | ({"sessionId": session} if session else {})
        os.write(self.write_end, json.dumps(message).encode() + b"\0")
        while True:
            got = self._next(60)
            if got.get("id") == self.number:
                assert "error" not in got, got
                return got["result"]
            self.events.append(got)

    def _next(self, seconds):
        until = time.monotonic() + seconds
        while b"\0" not in self.rest:
            ready, _, _ = select.select([self.read_end], [], [], max(0.0, until - time.monotonic()))
            if not ready:
                raise TimeoutError("Chromium says nothing")
            self.rest += os.read(self.read_end, 1 << 16)
        text, _, self.rest = self.rest.partition(b"\0")
        return json.loads(text)

    def open(self, url, width=1200, height=900):
        """Open a page and wait until it is loaded."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.events = []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable", session)
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", session, **size)
        self.call("Page.navigate", session, url=url)
        while not any(e.get("method") == "Page.loadEventFired" for e in self.events):
            self.events.append(self._next(60))
        return Opened(self, session)


class Opened:
    """A loaded page."""

    def __init__(self, browser, session):
        self.browser, self.session = browser, session

    def evaluate(self, script):
        result = self.browser.call("Runtime.evaluate", self.session, expression=script, returnByValue=True)
        return result["result"].get("value")

    def screenshot(self, path):
        data = self.browser.call("Page.captureScreenshot", self.session, captureBeyondViewport=True)["data"]
        path.write_bytes(base64.b64decode(data))

    def complaints(self):
        """Errors and warnings of the console, exceptions."""
        self.evaluate("1")
        kinds = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")
        return [e["params"] for e in self.browser.events if e.get("method") in kinds]

    def requests(self):
        """Addresses that the page asked for."""
        sent = [e["params"] for e in self.browser.events if e.get("method") == "Network.requestWillBeSent"]
        return [s["request"]["url"] for s in sent]
