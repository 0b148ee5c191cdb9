"""A real Chromium without a window, driven over its DevTools protocol: what a person sees, asked from a test.

Nothing but a WebSocket is needed for that. Waiting happens inside the page (`until`), so no test sleeps. The
browser and everything it starts form one process group, which is ended by its number.
"""

import base64
import contextlib
import json
import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from websockets.sync.client import connect

START_TIMEOUT_S = 60.0
OPTIONS = (
    "--headless",
    "--no-sandbox",  # tests run as root in containers; only our own page is opened
    "--remote-debugging-port=0",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--disable-breakpad",
    "--metrics-recording-only",
    "--no-first-run",
    "--no-default-browser-check",
    "--no-proxy-server",
    "--password-store=basic",
    "--use-mock-keychain",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",  # loopback only
)


class Chromium:
    """One browser with one page, in a time zone; `with Chromium(program, "Etc/GMT") as browser`."""

    def __init__(self, program: str, time_zone: str) -> None:
        self._program = program
        self._environment = os.environ | {"TZ": time_zone}

    def __enter__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="iris-chromium-", ignore_cleanup_errors=True)
        self._process = subprocess.Popen(
            [self._program, *OPTIONS, f"--user-data-dir={self._folder.name}", "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=self._environment,
            start_new_session=True,
        )
        self._open = contextlib.ExitStack()
        self._open.callback(self._end)
        try:
            self._browser = self._open.enter_context(_Wire(self._devtools_address()))
            target = self._browser.call("Target.createTarget", url="about:blank")["targetId"]
            attached = self._browser.call("Target.attachToTarget", targetId=target, flatten=True)
            self._session = attached["sessionId"]
            self.console = self._browser.console
            for domain in ("Page", "Runtime", "Log"):
                self.call(f"{domain}.enable")
        except BaseException:
            self._open.close()
            raise
        return self

    def __exit__(self, *_error):
        self._open.close()

    def call(self, method, **parameters):
        """One DevTools command to the page."""
        return self._browser.call(method, self._session, **parameters)

    def size(self, width, height, *, phone=False):
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=phone,
        )

    def theme(self, name):
        """`light` or `dark`, as the operating system would ask for."""
        features = [{"name": "prefers-color-scheme", "value": name}]
        self.call("Emulation.setEmulatedMedia", features=features)

    def open(self, address):
        self.call("Page.navigate", url=address)

    def evaluate(self, expression):
        """The value of a JavaScript expression in the page; a promise is waited for."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise AssertionError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def until(self, condition, timeout_s=60):
        """Wait until the JavaScript condition holds in the page; fails with what the page then says."""
        for _navigation in range(5):
            try:
                held = self.evaluate(
                    f"""new Promise((resolve) => {{
                        const ends = Date.now() + {timeout_s * 1000};
                        (function look() {{
                            let held = false;
                            try {{ held = {condition}; }} catch (error) {{ held = false; }}
                            if (held || Date.now() > ends) {{ resolve(Boolean(held)); }}
                            else {{ setTimeout(look, 20); }}
                        }})();
                    }})"""
                )
            except _PageWentAway:
                continue
            if held:
                return
            break
        raise AssertionError(f"not within {timeout_s} s: {condition}\nthe page says:\n{self.text()}\n{self.console}")

    def text(self, selector="body"):
        """What stands in an element, as it is seen: hidden parts left out."""
        return self.evaluate(f"document.querySelector({json.dumps(selector)})?.innerText")

    def until_text(self, selector, expected, timeout_s=60):
        text = f"document.querySelector({json.dumps(selector)}).innerText"
        self.until(f"{text}.includes({json.dumps(expected)})", timeout_s)

    def screenshot(self, path: Path):
        picture = self.call("Page.captureScreenshot", format="png")["data"]
        path.write_bytes(base64.b64decode(picture))

    def _devtools_address(self):
        ends = time.monotonic() + START_TIMEOUT_S
        for line in self._process.stderr:
            text = line.decode(errors="replace")
            if "DevTools listening on " in text:
                return text.partition("listening on ")[2].strip()
            if time.monotonic() > ends:
                break
        raise AssertionError(f"{self._program} did not offer its DevTools within {START_TIMEOUT_S} s")

    def _end(self):
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self._process.pid, number)
                self._process.wait(timeout=5)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue
        self._process.stderr.close()
        self._folder.cleanup()


class _PageWentAway(Exception):
    """The page was navigated away while a script ran in it."""


class _Wire:
    """Commands and their answers; what the page writes to its console on the way is kept."""

    def __init__(self, address):
        # No pings: their thread lives as long as the browser and draws from `random`, which a search in a test of
        # another file takes for its own.
        self._connection = connect(
            address, max_size=None, compression=None, open_timeout=START_TIMEOUT_S, ping_interval=None
        )
        self._number = 0
        self.console = []

    def __enter__(self):
        self._socket = self._connection.__enter__()
        return self

    def __exit__(self, *error):
        self._connection.__exit__(*error)

    def call(self, method, session=None, **parameters):
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        self._socket.send(json.dumps(message))
        while True:
            answer = json.loads(self._socket.recv(timeout=60))
            if answer.get("id") == self._number:
                if "error" in answer:
                    if "navigated" in str(answer["error"]) or "context" in str(answer["error"]):
                        raise _PageWentAway(answer["error"])
                    raise AssertionError(f"{method}: {answer['error']}")
                return answer["result"]
            self._keep(answer)

    def _keep(self, event):
        if event.get("method") == "Log.entryAdded":
            entry = event["params"]["entry"]
            self.console.append(f"{entry['level']}: {entry['text']} {entry.get('url', '')}".strip())
        elif event.get("method") == "Runtime.exceptionThrown":
            details = event["params"]["exceptionDetails"]
            self.console.append(f"exception: {details.get('exception', {}).get('description', details['text'])}")
