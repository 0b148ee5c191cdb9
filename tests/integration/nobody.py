"""A program run by a user without an account, with an empty environment, as in many containers.

In a user name space of its own its number is one that /etc/passwd does not have; for the files it is the same user.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UID = "54321"
BEGIN = """
import json, os, sys
sys.path[:0] = [{root!r}]
assert os.getuid() == {uid}

def report(**facts):
    print("FACTS " + json.dumps(facts), flush=True)

arguments = sys.argv[1:]
"""


def run_as_nobody(code, *arguments, environment=None):
    """What `code` reports (`report(...)`). Its `arguments` are the list of that name."""
    done = _done(code, arguments, environment)
    assert done.returncode == 0, done.stderr
    facts = {}
    for line in done.stdout.splitlines():
        if line.startswith("FACTS "):
            facts |= json.loads(line.removeprefix("FACTS "))
    return facts


def said_by_nobody(code, *arguments):
    """All that `code` writes, however it ends."""
    done = _done(code, arguments, None)
    return done.stdout + done.stderr


def _done(code, arguments, environment):
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("needs unshare, which is not installed")
    as_nobody = [unshare, "--user", f"--map-user={UID}", f"--map-group={UID}"]
    probe = subprocess.run([*as_nobody, "true"], capture_output=True, text=True, check=False)
    if probe.returncode:
        pytest.skip(f"this machine does not let us be another user: {probe.stderr.strip()}")
    command = [*as_nobody, sys.executable, "-W", "error", "-c", BEGIN.format(uid=UID, root=str(ROOT)) + code]
    command += map(str, arguments)
    return subprocess.run(
        command, capture_output=True, text=True, timeout=170, check=False, env=environment or {}, cwd="/"
    )
