"""`make page-picture`: run the demo, wait for its outage, and take the README's picture of the page in Chromium."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

from tests.browser.chromium import Chromium

PICTURE = Path(__file__).resolve().parents[1] / "docs" / "page.png"
DEMO = [sys.executable, "-m", "iris_camera.cli.main", "demo", "--seconds", "30", "--port", "0"]
INTO_THE_OUTAGE_S = 17.0  # of a run of 30 s, the middle 10 of which are the outage


def main() -> int:
    program = shutil.which("chromium")
    if program is None:
        print("needs chromium: make system-packages", file=sys.stderr)
        return 1
    with subprocess.Popen(  # noqa: S603 - our own command
        DEMO, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as demo:
        assert demo.stdout is not None
        address = demo.stdout.readline().split()[-1]
        with Chromium(program, "Etc/GMT") as browser:
            browser.size(1280, 800)
            browser.open(address)
            time.sleep(INTO_THE_OUTAGE_S)
            browser.screenshot(PICTURE)
        demo.communicate(timeout=60)
        return demo.returncode


if __name__ == "__main__":
    sys.exit(main())
