"""The bench that compares us with other clients: each of them runs, and its figures for each are true."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.peers import CLIENTS
from benchmarks.sftp import measure
from benchmarks.works import QUICK, BenchWork

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.every_server
def test_every_client_carries_a_few_files_and_what_arrived_is_compared(need_program):
    for program in ("sshd", "sftp", "rclone", "lftp"):
        need_program(program, hint="make system-packages")
    (section,) = measure([BenchWork("a few", 3, 2.0, tuple(CLIENTS))], None, repeat=1, timeout_s=60.0)
    assert {row.client: row.note for row in section.rows} == dict.fromkeys(CLIENTS)
    assert all(row.times.seconds > 0.0 for row in section.rows)


def test_a_client_of_an_unknown_name_is_refused_before_any_runs():
    command = [sys.executable, "-m", "benchmarks.sftp", "--clients", "winscp"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "'winscp' is none of openssh-sftp" in ended.stderr


@pytest.mark.every_server
def test_the_rows_are_written_as_json_for_programs(need_program, tmp_path):
    need_program("sshd", hint="make system-packages")
    rows = tmp_path / "rows.json"
    command = [
        sys.executable,
        "-m",
        "benchmarks.sftp",
        "--quick",
        "--only",
        "small-20",
        "--clients",
        "iris,iris-engine",
    ]
    subprocess.run([*command, "--json", str(rows)], cwd=ROOT, capture_output=True, check=True)
    found = json.loads(rows.read_text())
    assert [(row["client"], row["files"], row["rtt_ms"]) for row in found] == [
        ("iris-engine", 300, 20),
        ("iris", 300, 20),
    ]
    for row in found:
        assert set(row) == {"work", "rtt_ms", "client", "files", "seconds", "files_per_s", "mb_per_s", "cpu_s"}


def test_quick_is_two_thousand_files_at_once_and_three_hundred_at_a_higher_round_trip_time():
    assert [(work.files, work.rtt_ms) for work in QUICK] == [(2000, 0), (300, 20)]
    for work in QUICK:
        assert set(work.clients) == {"openssh-sftp", "asyncssh", "iris-engine", "iris-engine-ssh", "iris"}
