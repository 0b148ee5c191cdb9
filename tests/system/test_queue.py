"""`iris queue` as its operator runs it: beside an uploader that delivers to a real OpenSSH server, with none, and after
one was killed. The terminal session of docs/outage.md is made here."""

import json
import os
import pty
import re
import subprocess
import sys
from dataclasses import replace

import pytest

from iris_communication.admin.audit import Audit
from iris_communication.clock import SystemClock
from iris_communication.errors import LinkTimeout
from iris_communication.outbox.orders import ResumeServer
from iris_communication.sftp_uploader_thread import SftpUploaderThread, SftpUploadRequest
from tests.integration.uploading import IN_A_HURRY, running, wait_for, wait_until
from tests.servers.openssh import OpenSshServer
from tests.system.iris_command import ROOT, IrisCommand

PAGE = ROOT / "docs" / "outage.md"
SECRET = "open sesame"
NOWHERE = {"host": "127.0.0.1", "port": 9, "username": "line", "password": SECRET, "remote_directory": "/in"}
NOWHERE_KEY = "line@127.0.0.1:9"
PATIENT_WITH_SERVERS = replace(IN_A_HURRY, breaker_base_s=60.0, breaker_cap_s=60.0)
CONTENT = b"frame;part\n1;1\n"


@pytest.fixture
def outbox(tmp_path):
    return tmp_path / "outbox"


@pytest.fixture
def iris(outbox):
    return IrisCommand(outbox)


@pytest.fixture
def received(tmp_path):
    folder = tmp_path / "received"
    folder.mkdir()
    return folder


@pytest.fixture
def read_only_server(tmp_path, need_program):
    """An OpenSSH server that accepts every login and refuses every file; not started yet."""
    sshd = need_program("sshd", hint="make system-packages")
    server = OpenSshServer(tmp_path / "sshd", sshd=sshd, subsystem_arguments=("-R",))
    yield server
    server.close()


def mend(server):
    """Its administrator allows writing."""
    config = server.folder / "sshd_config"
    config.write_text(config.read_text().replace("internal-sftp -R", "internal-sftp"))
    server.restart()


def queue(uploader, server, path, folder_type="model", **facts):
    """Write a file and queue it."""
    path.write_bytes(CONTENT)
    return uploader.submit(SftpUploadRequest(server, path, {"project": "line-1"}, folder_type, **facts))


@pytest.fixture
def left(outbox, tmp_path):
    """The ids of two that wait and one that is dead; no uploader runs."""
    uploader = SftpUploaderThread(outbox)
    uploader.open()
    ids = [queue(uploader, NOWHERE, tmp_path / name).id for name in ("1.csv", "2.csv")]
    ids.append(uploader.submit(SftpUploadRequest(NOWHERE, tmp_path / "missing.csv", "line-1", "model")).id)
    uploader.close()
    return ids


def states(outbox):
    return {item["id"]: item["state"] for item in Audit(outbox).items("all")}


# -- beside an uploader that runs


def test_a_paused_server_is_sent_nothing_until_it_is_resumed(iris, outbox, openssh, received, tmp_path):
    with running(outbox) as uploader:
        uploader.configure_server("archive", openssh.info(received))
        key = f"{openssh.username}@{openssh.host}:{openssh.port}"
        assert json.loads(iris.output("queue", "pause", "archive", "--json")) == {"server": key, "paused": True}
        receipt = queue(uploader, "archive", tmp_path / "1.csv")
        with pytest.raises(LinkTimeout):
            receipt.wait_delivered(0.2)
        assert states(outbox) == {receipt.id: "waiting"}
        iris.output("queue", "resume", "archive")
        wait_for([receipt])
    assert (received / "line-1" / "model" / "1.csv").read_bytes() == CONTENT


@pytest.fixture(scope="module")
def openssh(tmp_path_factory, need_program):
    sshd = need_program("sshd", hint="make system-packages")
    with OpenSshServer(tmp_path_factory.mktemp("sshd"), sshd=sshd) as server:
        yield server


# -- with no uploader


def test_the_command_carries_orders_out_with_no_uploader_and_the_next_start_knows(iris, outbox, left):
    first, second, dead = left
    assert iris.output("queue", "priority", "-9", first) == "1 file has priority -9\n"
    assert iris.output("queue", "drop", "--dead", "--yes") == "1 file is dropped\n"
    with running(outbox) as uploader:
        assert uploader.get_stats()["queue_size"] == 2
    assert [item["priority"] for item in Audit(outbox).items()] == [-9, 0]
    assert states(outbox) == {first: "waiting", second: "waiting", dead: "dropped"}


# -- after a kill

KILLED = """
import json, os, signal, sys
from iris_communication.sftp_uploader_thread import SftpUploaderThread, SftpUploadRequest
folder, server = sys.argv[1], json.loads(sys.argv[2])
uploader = SftpUploaderThread(folder + "/outbox")
uploader.start()
open(folder + "/1.csv", "w").write("frame;part")
uploader.submit(SftpUploadRequest(server, folder + "/1.csv", "line-1", "model"))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_file_is_there_after_a_kill_and_orders_are_carried_out(iris, outbox, tmp_path):
    command = [sys.executable, "-c", KILLED, str(tmp_path), json.dumps(NOWHERE)]
    subprocess.run(command, env=os.environ | {"PYTHONPATH": str(ROOT / "src")}, timeout=170, check=False)
    assert (outbox / "control.sock").is_socket()
    ((item_id, state),) = states(outbox).items()
    assert state in ("waiting", "in_flight")
    assert iris.output("queue", "drop", "--all", "--yes") == "1 file is dropped\n"
    assert states(outbox) == {item_id: "dropped"}


# -- what is said


def on_a_terminal(iris, *arguments, types):
    """`iris` with a terminal for its input, on which the test types."""
    ours, theirs = pty.openpty()
    try:
        os.write(ours, types)
        return subprocess.run(
            [sys.executable, "-m", "iris_camera.cli.main", *arguments],
            env=os.environ | {"PYTHONPATH": str(ROOT / "src"), "IRIS_OUTBOX": str(iris.outbox)},
            stdin=theirs,
            capture_output=True,
            timeout=170,
            check=False,
        )
    finally:
        os.close(ours)
        os.close(theirs)


def test_dropping_says_what_is_lost_and_asks(iris, outbox, left, tmp_path):
    (tmp_path / "1.csv").unlink()
    done = on_a_terminal(iris, "queue", "drop", "--all", types=b"n\n")
    assert (done.returncode, done.stdout) == (1, b"")
    said = done.stderr.decode()
    assert "3 files (2 waiting, 1 dead), 30 bytes: given up for good" in said
    assert "of 1 the outbox has the only bytes: the source is gone" in said
    assert "dropped" not in states(outbox).values()
    done = on_a_terminal(iris, "queue", "drop", "--all", types=b"y\n")
    assert (done.returncode, done.stdout) == (0, b"3 files are dropped\n")


# -- docs/outage.md


def test_the_pages_terminal_session_is_what_the_commands_say(iris, outbox, read_only_server, received, tmp_path):
    """If not: UPDATE_DOCS=1 pytest tests/system/test_queue.py"""
    server = read_only_server
    session = TerminalSession(iris)
    key = f"{server.username}@{server.host}:{server.port}"
    clock = MovedClock()
    uploader = SftpUploaderThread(outbox, settings=PATIENT_WITH_SERVERS, clock=clock)
    uploader.start()
    try:
        receipts = [queue(uploader, server.info(received), tmp_path / "1.csv")]
        wait_until(lambda: is_down(uploader) and set(states(outbox).values()) == {"waiting"})
        receipts.append(queue(uploader, server.info(received), tmp_path / "1.jpg", "evidence", priority=5))
        ids = [receipt.id for receipt in receipts]
        session.note("the server is down")
        session.run("queue", "list")
        server.start()
        clock.ahead_s = PATIENT_WITH_SERVERS.breaker_cap_s
        uploader.execute(ResumeServer(key))  # only to have it read its clock
        wait_until(lambda: uploader.get_stats()["total_failed"] == 2)
        session.note("it is back, but nothing may be written there")
        session.run("queue", "list")
        session.run("queue", "show", ids[0])
        mend(server)
        session.note("its administrator has put that right")
        session.run("queue", "retry", "--all")
        wait_for(receipts)
        session.run("queue", "list")
        session.run("queue", "show", ids[0])
        session.run("queue", "balance")
    finally:
        uploader.close()
    assert (received / "line-1" / "evidence" / "1.jpg").read_bytes() == CONTENT
    made = smoothed("\n".join(session.lines), ids, tmp_path, server)
    page = PAGE.read_text(encoding="utf-8")
    if os.environ.get("UPDATE_DOCS"):
        made_page = re.sub(r"(?s)(?<=```console\n).*?\n?(?=```)", lambda _: made + "\n", page)
        PAGE.write_text(made_page, encoding="utf-8")
        page = PAGE.read_text(encoding="utf-8")
    assert f"```console\n{made}\n```" in page


class MovedClock(SystemClock):
    """A minute that has passed at once."""

    ahead_s = 0.0

    def monotonic_s(self):
        return super().monotonic_s() + self.ahead_s


def is_down(uploader):
    return [destination["link"] for destination in uploader.get_details()["servers"].values()] == ["down"]


class TerminalSession:
    def __init__(self, iris):
        self._iris = iris
        self.lines = []

    def note(self, text):
        self.lines.append(f"# {text}")

    def run(self, *arguments):
        self.lines.append(f"$ iris {' '.join(arguments)}")
        self.lines += self._iris.output(*arguments).splitlines()


TRACE = r"(?s)(the latest that was said to its server, and by it\n)(.*?)(?=\n[#$] |\Z)"


def shortened_trace(found):
    """The last OPEN of the trace and its answer: all else differs from one server's version to another's."""
    lines = found[2].splitlines()
    (last,) = [line for line in lines if " OPEN " in line][-1:]
    number = last.split()[2]
    answer = next(line for line in lines[lines.index(last) :] if f"< {number} " in line)
    return "\n".join([f"{found[1]}  ...", *(re.sub(rf" {number} ", " 7 ", line) for line in (last, answer))])


def smoothed(text, ids, folder, server):
    """Replaces what differs from run to run, with the same width where it stands in a column."""
    key = f"{server.username}@{server.host}:{server.port}"
    text = re.sub(TRACE, shortened_trace, text)
    for number, item_id in enumerate(ids):
        text = text.replace(item_id, f"01a20baad{number}7e-5f9c6e{number}2d4b8a310")
    for pattern, replacement in (
        (re.escape(str(folder / "received")), "/in"),
        (re.escape(str(folder)), "/line"),
        (re.escape(f"{key:24}"), "iris@sftp.example.org:22"),
        (re.escape(key), "iris@sftp.example.org:22"),
        (re.escape(f"{server.host}:{server.port}"), "sftp.example.org:22"),
        (r"(waiting|dead     ) +\d+[sm]", r"\1     9s"),
        (r"\.iris-[0-9a-f]+", ".iris-TOKEN"),
        (r"\b[0-9a-f]{64}\b", "HASH"),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "2026-11-24 02:14:20 UTC"),
        (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "2026-11-24T02:14:20.123456Z"),
    ):
        text = re.sub(pattern, replacement, text)
    return text
