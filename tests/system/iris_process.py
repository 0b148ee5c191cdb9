"""`iris run` as a user runs it: a process of its own, its settings in a file, its log read line by line."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WAIT_S = 60.0
IRIS = (sys.executable, "-m", "iris_camera.cli.main")


class IrisProcess:
    """Started when made, with its page on a free port; `close` ends it whatever state it is in."""

    def __init__(self, arguments, *, environment=None, command=(*IRIS, "run")):
        self.log = []
        self.process = subprocess.Popen(
            [*command, *map(str, arguments)],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT / "src"), "IRIS_PORT": "0"} | (environment or {}),
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()

    @property
    def address(self):
        return self.wait_until(lambda: self.logged(r"the page is at (\S+)"))

    def get(self, path):
        with urllib.request.urlopen(self.address + path, timeout=170) as answer:
            return json.load(answer)

    def stats(self):
        return self.get("sftp-uploader-stats")

    def cameras(self):
        return {camera["name"]: camera for camera in self.get("api/state")["cameras"]}

    def logged(self, pattern):
        """The first group of the first line of the log that has it; None while none has."""
        return next((found[1] for line in list(self.log) if (found := re.search(pattern, line))), None)

    def wait_until(self, condition, wait_s=WAIT_S):
        deadline_s = time.monotonic() + wait_s
        while not (found := condition()):
            assert time.monotonic() < deadline_s, self.text
            assert self.process.poll() is None, self.text
            time.sleep(0.05)
        return found

    def end(self, number=signal.SIGTERM, wait_s=40.0):
        """Send the signal and wait: the exit status and how many seconds it took."""
        began_s = time.monotonic()
        self.process.send_signal(number)
        return self.wait(wait_s), time.monotonic() - began_s

    def wait(self, wait_s=WAIT_S):
        status = self.process.wait(wait_s)
        self._reader.join(5)
        return status

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._reader.join(5)
        self.process.stderr.close()

    @property
    def text(self):
        return "".join(self.log)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def _read_log(self):
        self.log.extend(iter(self.process.stderr.readline, ""))
