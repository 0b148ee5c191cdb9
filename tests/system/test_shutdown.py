"""The shutdown with a hundred files waiting: in its time, logged, and no file lost."""

import re
from pathlib import Path

import pytest

from benchmarks.shutdown import WAITING_MIN, measure

LIMIT_S = {"up": 25.0, "cut": 8.0, "silent": 25.0}


@pytest.mark.parametrize("link", ["silent", *(pytest.param(link, marks=pytest.mark.long) for link in ("up", "cut"))])
def test_a_run_with_a_hundred_waiting_ends_in_time_says_how_and_loses_no_file(link, tmp_path, need_program):
    sshd: Path = need_program("sshd", "/usr/sbin/sshd", hint="make system-packages")
    ending = measure(link, tmp_path, sshd)
    assert ending.waiting >= WAITING_MIN
    assert ending.status == 0, ending.log
    assert ending.seconds < LIMIT_S[link], ending.log
    assert ending.lost == 0
    steps = re.findall(r"stopping, (\d) of (\d)", ending.log)
    assert [int(number) for number, _ in steps] == list(range(1, int(steps[0][1]) + 1))
    if link == "up":
        assert ending.left == 0
        assert "every accepted file is delivered" in ending.log
    else:
        assert ending.left >= WAITING_MIN
        assert re.search(
            rf"stopped in [\d.]+ s: {ending.left} files wait in .*outbox, for the next start", ending.log
        ), ending.log
