"""The project's wheel, built with the installed backend, so that nothing is fetched."""

import os
import subprocess
import sys
from pathlib import Path

from tests.architecture.tree import ROOT


def build_wheel(folder: Path) -> Path:
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    environment = {**os.environ, "PYTHONWARNINGS": "default"}
    done = subprocess.run(build, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    return wheel
