"""`iris demo` as a user runs it: a process of its own, its answer on standard output, its exit status."""

import json
import os
import select
import signal
import socket
import subprocess
import sys

import pytest

from tests.servers.openssh import descendants

pytestmark = pytest.mark.timeout(90)

IRIS = [sys.executable, "-m", "iris_camera.cli.main"]


def run(*arguments, **environment):
    return subprocess.run(
        [*IRIS, "demo", *arguments],
        capture_output=True,
        text=True,
        timeout=80,
        check=False,
        env=os.environ | environment,
    )


def test_nothing_is_lost_nothing_partial_and_the_rate_holds_during_the_outage():
    ended = run("--seconds", "9", "--port", "0", "--json")
    summary = json.loads(ended.stdout.splitlines()[-1])
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[0].startswith("The page is at http://127.0.0.1:")
    assert (summary["lost"], summary["partial_visible"], summary["queue_size"]) == (0, 0, 0)
    written = summary["csv_files"] + summary["evidence_files"]
    assert summary["delivered_verified"] == written == summary["total_uploaded"]
    assert summary["csv_files"] >= 9
    assert summary["evidence_files"] >= 2 * summary["defects"] > 0
    assert 2.5 <= summary["outage_seconds"] <= 3.5
    # A shared machine may lose a frame or two; an inspection that waits for the link would lose all of them.
    assert summary["camera_fps_during_outage"] >= 0.9 * summary["camera_fps"]
    assert summary["parts"] >= 15
    assert summary["detector_recall"] > 0.9


def test_what_the_server_refused_is_tried_again_evidence_comes_first_and_records_travel_together():
    ended = run("--seconds", "12", "--port", "0", "--json")
    summary = json.loads(ended.stdout.splitlines()[-1])
    assert ended.returncode == 0, ended.stderr
    assert (summary["lost"], summary["partial_visible"], summary["total_failed"]) == (0, 0, 0)
    assert summary["attempts_repeated"] >= 1
    assert summary["archives"] >= 2
    assert 2 * summary["archives"] <= summary["files_in_archives"] <= summary["csv_files"]
    assert summary["backlog_evidence"] >= 2
    assert summary["backlog_csv"] >= 2
    assert summary["backlog_evidence_first"] > 0.6, "0.5 is what chance would make of it"
    for words in ("tried again", "together", "of the outage"):
        assert words in ended.stderr


def test_ctrl_c_ends_it_gracefully_with_everything_delivered():
    command = [*IRIS, "demo", "--seconds", "0", "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline().startswith("The page is at")
        process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=40)
    assert process.returncode == 0, err
    summary = json.loads(out.splitlines()[-1])
    assert (summary["lost"], summary["queue_size"]) == (0, 0)


def test_its_server_does_not_outlive_it_however_it_dies():
    command = [*IRIS, "demo", "--seconds", "0", "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout.readline().startswith("The page is at")
        (server,) = descendants(process.pid)
        child = os.pidfd_open(server)
        process.kill()
    try:
        ended, _, _ = select.select([child], [], [], 10.0)
        assert ended, "the server still runs ten seconds after its demo was killed"
    finally:
        os.close(child)


def test_a_taken_port_is_one_clear_line_and_status_2():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = run("--seconds", "5", "--port", str(port))
    assert ended.returncode == 2
    assert f"port {port}" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_named_outbox_is_used_and_kept(tmp_path):
    outbox = tmp_path / "outbox"
    ended = run("--seconds", "3", "--port", "0", "--json", IRIS_OUTBOX=str(outbox))
    assert ended.returncode == 0, ended.stderr
    assert (outbox / "outbox.db").exists()
