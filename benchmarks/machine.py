"""The machine and the versions that a table was measured on: its figures mean nothing without them."""

import os
import platform
import re
import shutil
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

PACKAGES = ("asyncssh", "cryptography", "paramiko")
PROGRAMS = {"ssh": ["ssh", "-V"], "rclone": ["rclone", "version"], "lftp": ["lftp", "--version"]}


def hardware() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    model = found[1].strip() if found else platform.machine()
    return f"{os.cpu_count()} cores ({model}), Linux {platform.release()}"


def versions() -> str:
    python = f"Python {platform.python_version()}"
    return ", ".join([python, *map(_package, PACKAGES), *map(_program, PROGRAMS)])


def when() -> str:
    """The day, and how busy the machine was in the last minute."""
    today = datetime.now(UTC).date().isoformat()
    return f"{today}, load {os.getloadavg()[0]:.1f}"


def _package(name: str) -> str:
    try:
        return f"{name} {metadata.version(name)}"
    except metadata.PackageNotFoundError:
        return f"no {name}"


def _program(name: str) -> str:
    if shutil.which(name) is None:
        return f"no {name}"
    done = subprocess.run(PROGRAMS[name], capture_output=True, text=True, timeout=10, check=False)
    found = re.search(r"OpenSSH_\S+|\bv?\d+\.\d+\S*", done.stdout + done.stderr)
    version = found[0].strip("v,") if found else "of some version"
    return version.replace("_", " ") if name == "ssh" else f"{name} {version}"
