"""`iris demo` as a user runs it: a process of its own, its answer on standard output, its exit status."""

import fcntl
import json
import os
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import urllib.request

import pytest

from iris_camera.demo.display import HOW_TO_END
from tests.servers.openssh import descendants

IRIS = [sys.executable, "-m", "iris_camera.cli.main"]


def run(*arguments, **environment):
    return subprocess.run(
        [*IRIS, "demo", *arguments],
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
        env=os.environ | environment,
    )


def test_no_file_is_lost_or_partial_and_the_rate_holds_during_the_outage():
    ended = run("--seconds", "9", "--port", "0", "--json")
    summary = json.loads(ended.stdout.splitlines()[-1])
    assert ended.returncode == 0, ended.stderr
    assert len(ended.stdout.splitlines()) == 1, "standard output is for a program"
    assert "\nThe page is at http://127.0.0.1:" in f"\n{ended.stderr}"
    assert (summary["lost"], summary["partial_visible"], summary["queue_size"]) == (0, 0, 0)
    written = summary["csv_files"] + summary["evidence_files"]
    assert summary["delivered_verified"] == written == summary["total_uploaded"]
    assert summary["csv_files"] >= 9
    assert summary["evidence_files"] >= 2 * summary["defects"] > 0
    assert summary["outage_seconds"] >= 2.5
    # A busy machine loses frames; an inspection that waits for the link would lose all of them.
    assert summary["camera_fps_during_outage"] >= 0.5 * summary["camera_fps"]
    assert summary["parts"] >= 15
    assert summary["detector_recall"] > 0.9


def test_the_help_says_that_a_demo_of_so_many_seconds_ends_by_itself():
    helped = run("--help", COLUMNS="200", TERM="dumb")
    text = " ".join(re.sub(r"[^\w\s.,;+-]", " ", helped.stdout).split())
    assert "The demo then ends by itself; without this option it stays on a terminal until q or Ctrl+C" in text


@pytest.mark.long
def test_refused_files_are_tried_again_evidence_comes_first_and_records_travel_together():
    ended = run("--seconds", "14", "--port", "0", "--json")
    summary = json.loads(ended.stdout.splitlines()[-1])
    assert ended.returncode == 0, ended.stderr
    assert (summary["lost"], summary["partial_visible"], summary["total_failed"]) == (0, 0, 0)
    assert summary["attempts_repeated"] >= 1
    assert summary["archives"] >= 2
    assert 2 * summary["archives"] <= summary["files_in_archives"] <= summary["csv_files"]
    assert summary["backlog_evidence"] >= 2
    assert summary["backlog_csv"] >= 2
    assert summary["backlog_evidence_first"] > 0.6, "0.5 is what chance would make of it"
    for text in ("tried again", "together", "of the outage"):
        assert text in ended.stderr


class DemoTerminal:
    """The demo on a terminal of 80 columns and 24 lines; `text` is all that it wrote there."""

    def __init__(self, *arguments):
        self._ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        environment = {
            name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES", "NO_COLOR"}
        }
        self.process = subprocess.Popen(
            [*IRIS, "demo", "--port", "0", *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment | {"TERM": "xterm"},
            start_new_session=True,
        )
        os.close(theirs)
        self._read = b""

    @property
    def text(self):
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self._read.decode(errors="ignore"))

    def read(self, until):
        """Until it has written that, or has ended."""
        while until not in self.text:
            try:
                piece = os.read(self._ours, 65_536)
            except OSError:  # the terminal's other side is closed
                piece = b""
            if not piece:
                return self.process.wait(20)
            self._read += piece
        return None

    def press(self, keys):
        os.write(self._ours, keys)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._ours)


@pytest.fixture
def terminal():
    terminals = []

    def start(*arguments):
        terminals.append(DemoTerminal(*arguments))
        return terminals[-1]

    yield start
    for each in terminals:
        each.close()


def test_the_demo_on_a_terminal_prints_its_phases_and_ends_when_its_time_is_over(terminal):
    shown = terminal("--seconds", "6")
    assert shown.read("no such words") == 0
    for text in ("1 of 3: a calm line", "2 of 3: staged outage", "3 of 3: recovery", "staged outage: for 2 s"):
        assert text in shown.text
    assert "Traceback" not in shown.text
    assert shown.text.index("2 of 3") < shown.text.index("3 of 3") < shown.text.index("has arrived, whole")
    assert HOW_TO_END not in shown.text


def test_the_final_figures_on_a_terminal_stay_on_the_page_too_until_q_is_pressed(terminal):
    """Its plan is cut short to what a test has time for."""
    shown = terminal("--seconds", "4", "--stay")
    shown.read(HOW_TO_END)
    address = re.search(r"http://127\.0\.0\.1:\d+/", shown.text)[0]
    with urllib.request.urlopen(f"{address}api/state", timeout=170) as answer:
        state = json.load(answer)
    stats = state["uploader"]["stats"]
    assert stats["queue_size"] == 0
    written = stats["total_uploaded"]
    assert (
        state["notice"] == f"Demo, the end: {written} of {written} files are on the server, whole, compared by SHA-256."
    )
    assert shown.process.poll() is None
    shown.press(b"q")
    assert shown.read("no such words") == 0


def test_ctrl_c_ends_it_gracefully_with_everything_delivered():
    command = [*IRIS, "demo", "--seconds", "0", "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert any(line.startswith("The page is at") for line in process.stderr)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=170)
    assert process.returncode == 0, err
    summary = json.loads(out.splitlines()[-1])
    assert (summary["lost"], summary["queue_size"]) == (0, 0)


def test_the_demos_server_does_not_outlive_it_however_it_dies():
    command = [*IRIS, "demo", "--seconds", "0", "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert any(line.startswith("The page is at") for line in process.stderr)
        (server,) = descendants(process.pid)
        child = os.pidfd_open(server)
        process.kill()
    try:
        ended, _, _ = select.select([child], [], [], 10.0)
        assert ended, "the server still runs ten seconds after its demo was killed"
    finally:
        os.close(child)


def test_a_demo_whose_output_nobody_reads_ends_in_order_and_leaves_nothing_behind(tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ended = subprocess.run(
            [*IRIS, "demo", "--seconds", "1", "--port", "0"],
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            timeout=170,
            check=False,
            env=os.environ | {"TMPDIR": str(tmp_path)},
        )
    finally:
        os.close(writing)
    assert ended.returncode == 1
    assert " ERROR " not in ended.stderr
    assert "stopped in" in ended.stderr
    assert list(tmp_path.glob("iris-demo-*")) == []


def test_a_taken_port_is_one_clear_line_and_status_2():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = run("--seconds", "5", "--port", str(port))
    assert ended.returncode == 2
    assert f"port {port}" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.long
def test_a_named_outbox_is_used_and_kept(tmp_path):
    outbox = tmp_path / "outbox"
    ended = run("--seconds", "3", "--port", "0", "--json", IRIS_OUTBOX=str(outbox))
    assert ended.returncode == 0, ended.stderr
    assert (outbox / "outbox.db").exists()
