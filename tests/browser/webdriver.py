"""Debian's chromium, headless, driven over WebDriver: plain JSON over HTTP, no library."""

import base64
import contextlib
import http.client
import json
import os
import shutil
import subprocess
import tempfile
import time

from support.server import free_port

START_S = 30.0
SCRIPT_S = 30.0
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--disable-dev-shm-usage", "--no-proxy-server")
TAB, ENTER = "\ue004", "\ue007"
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


def programs():
    """Paths of chromium and its driver; None for what is not installed."""
    return shutil.which("chromium"), shutil.which("chromedriver")


class Browser:
    """One chromium with an empty profile of its own, and the window it opens."""

    def __init__(self):
        chromium, driver = programs()
        self.profile, self.port = tempfile.mkdtemp(prefix="adtally-chromium-"), free_port()
        self.driver = subprocess.Popen([driver, f"--port={self.port}"], stdin=subprocess.DEVNULL,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                       env={**os.environ, "HOME": self.profile})
        try:
            self.session = None
            self.wait_for_driver()
            options = {"binary": chromium, "args": [*FLAGS, f"--user-data-dir={self.profile}"]}
            self.session = self.call("POST", "/session", {"capabilities": {"alwaysMatch": {
                "browserName": "chrome", "goog:chromeOptions": options,
                "goog:loggingPrefs": {"performance": "ALL"},
                "timeouts": {"script": int(SCRIPT_S * 1000)}}}})["sessionId"]
        except BaseException:
            self.close()
            raise

    def call(self, method, path, body=None):
        """A WebDriver command; `path` is that below the session once there is one."""
        if self.session is not None:
            path = f"/session/{self.session}{path}"
        conn = http.client.HTTPConnection("127.0.0.1", self.port, timeout=START_S + SCRIPT_S)
        try:
            conn.request(method, path, None if body is None else json.dumps(body),
                         {"Content-Type": "application/json"})
            value = json.loads(conn.getresponse().read())["value"]
        finally:
            conn.close()
        assert not (isinstance(value, dict) and "error" in value and "stacktrace" in value), value
        return value

    def wait_for_driver(self):
        end = time.monotonic() + START_S
        while True:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.call("GET", "/status")["ready"]:
                    return
            assert time.monotonic() < end and self.driver.poll() is None, "chromedriver is silent"
            time.sleep(0.05)

    def open(self, url):
        self.call("POST", "/url", {"url": url})
        self.network()

    def run(self, script, *args):
        """Runs the body of an async function in the page; its result, or an error if it throws."""
        wrapped = ("const done = arguments[arguments.length - 1];"
                   f"(async (...args) => {{ {script} }})(...[...arguments].slice(0, -1))"
                   ".then(value => done({value}), error => done({error: String(error)}))")
        answer = self.call("POST", "/execute/async", {"script": wrapped, "args": list(args)})
        assert "error" not in answer, answer["error"]
        return answer.get("value")

    def click(self, selector):
        found = self.call("POST", "/element", {"using": "css selector", "value": selector})
        self.call("POST", f"/element/{found[ELEMENT]}/click", {})

    def devtools(self, command, **params):
        """A command of the DevTools protocol, for what WebDriver has no word for."""
        return self.call("POST", "/goog/cdp/execute", {"cmd": command, "params": params})

    def look_like(self, width=1280, height=900, scheme="light"):
        """The size of the page's window, and the colours that its user asked for."""
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height,
                      deviceScaleFactor=1, mobile=width < 600)
        self.devtools("Emulation.setEmulatedMedia",
                      features=[{"name": "prefers-color-scheme", "value": scheme}])

    def press(self, key):
        """One key of the keyboard; TAB and the like from below."""
        self.call("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": [
            {"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]}]})

    def type(self, text):
        """Into whatever has the focus."""
        self.devtools("Input.insertText", text=text)

    def screenshot(self):
        """The window as a PNG."""
        return base64.b64decode(self.call("GET", "/screenshot"))

    def network(self):
        """What went over the wire since the last call: (method, URL, status) per request, a
        preflight's included."""
        sent, answered = {}, {}
        for entry in self.call("POST", "/se/log", {"type": "performance"}):
            message = json.loads(entry["message"])["message"]
            params = message["params"]
            if message["method"] == "Network.requestWillBeSent":
                sent[params["requestId"]] = params["request"]["method"], params["request"]["url"]
            elif message["method"] == "Network.responseReceived":
                answered[params["requestId"]] = params["response"]["status"]
        return [(*request, answered.get(key)) for key, request in sent.items()]

    def close(self):
        if self.session is not None:
            with contextlib.suppress(OSError, AssertionError):
                self.call("DELETE", "")
        self.driver.terminate()
        self.driver.wait(20)
        shutil.rmtree(self.profile, ignore_errors=True)
