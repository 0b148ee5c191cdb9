"""A program in a name space of its own, where it may mount: small disks, read-only disks, without any privilege."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NEEDED = ("unshare", "mount", "umount")
RUN = """
import json, logging, subprocess, sys
from pathlib import Path
sys.path[:0] = [{root!r}]

logging.basicConfig(format="%(levelname)s %(message)s", level=logging.WARNING)

def mount(folder, *options):
    subprocess.run(["mount", *options, str(folder)], check=True)

def small_disk(folder, size):
    Path(folder).mkdir(parents=True, exist_ok=True)
    mount(folder, "-t", "tmpfs", "-o", f"size={{size}}", "tmpfs")

def report(**facts):
    print("FACTS " + json.dumps(facts), flush=True)

folder = Path(sys.argv[1])
"""


def run_with_disks_of_its_own(code, folder, *arguments, timeout_s=120.0):
    """What `code` reports (`report(...)`), and all that it logged. It may call `small_disk(folder, "1m")` and `mount`.

    Skips where the machine forbids such a name space: that is a policy of its kernel, not a missing program.
    """
    for program in NEEDED:
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}, which is not installed")
    probe = subprocess.run(
        ["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if probe.returncode:
        pytest.skip(f"this machine does not let us mount in a name space of its own: {probe.stderr.strip()}")
    command = ["unshare", "-rm", sys.executable, "-W", "error", "-c", RUN.format(root=str(ROOT)) + code]
    command += map(str, [folder, *arguments])
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)
    assert done.returncode == 0, done.stderr
    facts = {}
    for line in done.stdout.splitlines():
        if line.startswith("FACTS "):
            facts |= json.loads(line.removeprefix("FACTS "))
    return facts, done.stderr
