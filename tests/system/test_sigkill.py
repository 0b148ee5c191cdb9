"""SIGKILL at random moments: what was recorded arrives, complete, once. Real processes, a real server that survives.

The account each process keeps (see line_process.py) says what was recorded at least; rows recorded in the very last
moment may be missing from it, never from the server.
"""

import csv
import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.servers.openssh import OpenSshServer
from tests.thorough import examples

KILLS = examples(20)
KILLS_BEFORE_QUEUEING = examples(6)  # of these: between closing a record file and queueing it
SEED = 20261123
LINE_PROCESS = Path(__file__).with_name("line_process.py")

Row = tuple[str, str, str, str]  # kind, run, frame, part


@pytest.mark.timeout(240)
def test_everything_recorded_arrives_complete_and_once_after_kills(tmp_path, need_program):
    sshd = need_program("sshd", "/usr/sbin/sshd", hint="make system-packages")
    received = tmp_path / "received"
    received.mkdir()
    moments = random.Random(SEED)
    with OpenSshServer(tmp_path / "sshd", sshd=sshd) as server:
        server_file = tmp_path / "server.json"
        server_file.write_text(json.dumps({k: str(v) for k, v in server.info(received).items()}))
        for kill in range(KILLS):
            if kill % 3 == 0 and kill < 3 * KILLS_BEFORE_QUEUEING:
                _killed_before_queueing(tmp_path, server_file, moments.randint(1, 6))
            else:
                _killed_at(tmp_path, server_file, moments.uniform(0.0, 1.2))
        _run_to_the_end(tmp_path, server_file)

    arrived = Counter(row for path in _visible(received) for row in _rows(path))
    account = set(_account(tmp_path))
    assert len({run for _, run, _, _ in account}) > KILLS / 2, "most runs recorded something before they were killed"
    assert account - arrived.keys() == set(), "lost"
    assert {row: count for row, count in arrived.items() if count > 1} == {}, "delivered twice"
    assert _left_in(tmp_path) == [], "left behind after the last, orderly run"


def _killed_at(folder, server_file, after_s):
    with _start(folder, server_file) as process:
        assert process.stdout.readline().startswith("ready")
        time.sleep(after_s)  # the moment of the kill is what is tested
        process.kill()
        assert process.wait(10) == -signal.SIGKILL


def _killed_before_queueing(folder, server_file, file_number):
    with _start(folder, server_file, str(file_number)) as process:
        assert process.wait(30) == -signal.SIGKILL


def _run_to_the_end(folder, server_file):
    with _start(folder, server_file) as process:
        assert process.stdout.readline().startswith("ready")
        process.terminate()
        assert process.wait(40) == 0


def _start(folder, server_file, *more):
    return subprocess.Popen(
        [sys.executable, LINE_PROCESS, folder, server_file, *more], stdout=subprocess.PIPE, text=True
    )


def _visible(received):
    return [path for path in received.rglob("*") if path.is_file() and not path.name.startswith(".iris-")]


def _rows(path) -> list[Row]:
    """Each row of a received file; a file that is cut short anywhere fails here."""
    text = path.read_text()
    assert text.endswith("\n"), f"{path.name} is partial"
    kind, run = path.name.split("_")[1], path.name.split("_")[3]
    rows = list(csv.DictReader(text.splitlines()))
    assert rows, f"{path.name} has no row"
    assert all(None not in row.values() and None not in row for row in rows), f"{path.name} has a partial row"
    return [(kind, run, row["frame"], row["part_id"]) for row in rows]


def _account(folder) -> list[Row]:
    whole, _, _ = (folder / "account").read_text().rpartition("\n")
    return [tuple(line.split()) for line in whole.splitlines()]


def _left_in(folder):
    records = folder / "records" / "line-1"
    places = (records / "open", records / "ready", folder / "outbox" / "spool")
    return [path for place in places for path in place.iterdir()]
