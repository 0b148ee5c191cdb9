"""`make torture` as it is run: thirty kills, cuts and silences of a real server, and nothing is lost or cut short."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.thorough import THOROUGH, examples

ROOT = Path(__file__).resolve().parents[2]
KILLS = examples(30)
SEED = "20261124"
LAST_LINE = r"accepted=(\d+) delivered=(\d+) lost=(\d+) partial=(\d+) duplicates=(\d+) kills=(\d+)"


@pytest.mark.long
def test_every_accepted_file_is_there_whole_and_once_after_kills(tmp_path, need_program):
    need_program("sshd", "/usr/sbin/sshd", hint="make system-packages")
    run = subprocess.run(
        [sys.executable, "-m", "tests.torture", "--kills", str(KILLS), "--seed", SEED, "--folder", tmp_path / "run"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    *lines, last = run.stdout.splitlines()
    accepted, delivered, *wrong, kills = map(int, re.fullmatch(LAST_LINE, last).groups())
    assert kills == KILLS
    assert delivered == accepted > KILLS
    assert wrong == [0, 0, 0]
    (hits,) = [line for line in lines if line.startswith("hit in the middle")]
    if THOROUGH:  # a few kills do not hit every part
        assert all(f"{part}: " in hits for part in ("producer", "writer", "uploader")), hits
