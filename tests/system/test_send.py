"""`iris send` as a user runs it, to a real OpenSSH server: what arrives, what is printed, and what stays queued."""

import json
import os
import pty
import re
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import asyncssh
import pytest

from iris_communication.admin.audit import Audit
from tests.integration.uploading import running, wait_until
from tests.servers.asyncssh_server import AsyncSshServer
from tests.servers.openssh import OpenSshServer
from tests.system import forked_iris
from tests.system.iris_process import IRIS, ROOT, IrisProcess

SECRET = "open sesame"


@pytest.fixture
def server(tmp_path, need_program):
    with OpenSshServer(tmp_path / "sshd", sshd=need_program("sshd", hint="make system-packages")) as started:
        yield started


@pytest.fixture
def line(tmp_path, server):
    """A folder with files to send, settings that name the server, and `iris` in it."""
    return SendingLine(tmp_path, server)


class SendingLine:
    def __init__(self, folder, server):
        self.folder = folder / "line"
        self.folder.mkdir()
        self.received = folder / "received"
        self.received.mkdir()
        self.outbox = folder / "outbox"
        self.settings = self.folder / "iris.toml"
        info = server.info(self.received)
        facts = "".join(f"{key} = {json.dumps(value)}\n" for key, value in info.items())
        self.settings.write_text(
            f"[servers.plant]\n{facts}[outbox]\nfolder = {json.dumps(str(self.outbox))}\n"
            "[delivery]\nbreaker_base_s = 0.1\nbreaker_cap_s = 0.3\n"
        )

    def write(self, name, content=b"frame;part\n1;1\n"):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def send(self, *arguments, status=0, environment=None):
        found = os.environ | {"PYTHONPATH": str(ROOT / "src")} | (environment or {})
        done = forked_iris.run("send", *arguments, cwd=self.folder, env=found, text=True)
        assert done.returncode == status, (done.stdout, done.stderr)
        return done

    def start(self, *arguments):
        environment = {"IRIS_CONFIG": str(self.settings)}
        return IrisProcess([*arguments], environment=environment, command=(*IRIS, "send"))

    @property
    def arrived(self):
        files = (path for path in self.received.rglob("*") if path.is_file() and not path.name.startswith(".iris-"))
        return {str(path.relative_to(self.received)): path.read_bytes() for path in files}


def test_files_arrive_whole_and_the_status_says_so(line):
    content = {name: os.urandom(size) for name, size in (("a.csv", 10), ("b.csv", 3_000_000), ("empty", 0))}
    for name, each in content.items():
        line.write(name, each)
    done = line.send(*content, "--project", "p", "--folder-type", "model")
    assert line.arrived == {f"p/model/{name}": each for name, each in content.items()}
    assert "3 files (3 MB) delivered" in done.stdout
    assert f"delivered as {line.received}/p/model/a.csv" in done.stderr


def test_the_output_for_programs_is_one_object_a_file_and_nothing_else(line):
    line.write("a.csv")
    line.write("b.csv")
    done = line.send("a.csv", "b.csv", "--json")
    printed = [json.loads(each) for each in done.stdout.splitlines()]
    assert done.stderr == ""
    assert sorted(Path(each["file"]).name for each in printed) == ["a.csv", "b.csv"]
    assert {each["state"] for each in printed} == {"delivered"}
    assert all(Path(each["final_path"]).read_bytes() == (line.folder / each["file"]).read_bytes() for each in printed)
    assert {each["id"] for each in printed} == {delivery["id"] for delivery in Audit(line.outbox).ledger()}


def test_a_folder_keeps_its_folders(line):
    line.write("tree/a.csv", b"1")
    line.write("tree/deep {er}/b.csv", b"2")
    (line.folder / "tree" / "loop").symlink_to(line.folder / "tree")
    line.send("tree", "--recursive")
    assert line.arrived == {"tree/files/a.csv": b"1", "tree/files/deep {er}/b.csv": b"2"}


def test_several_servers_each_get_every_file(line, server, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    info = tmp_path / "other.json"
    info.write_text(json.dumps(server.info(other) | {"remote_directory": str(other)}))
    line.write("a.csv")
    line.send("a.csv", "--server", "plant", "--server", str(info))
    assert list(line.arrived) == ["line/files/a.csv"]
    assert (other / "line" / "files" / "a.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("missing.csv",), "missing.csv: No such file"),
        (("a.csv", "tree"), "tree: is a folder; --recursive"),
        (("-",), "has no name"),
        (("pipe",), "pipe: is no regular file"),
        (("hollow", "-r"), "holds no file"),
        (("a.csv", "--server", "plnat"), "no server 'plnat' in the settings; there is: plant"),
        (("a.csv", "--config", "none.toml"), "none.toml"),
        (("a.csv", "--host", "h", "--server", "plant"), "give one of them"),
    ],
)
def test_a_command_that_cannot_begin_queues_no_file_and_is_status_2(line, arguments, says):
    line.write("a.csv")
    (line.folder / "tree").mkdir()
    (line.folder / "hollow").mkdir()
    os.mkfifo(line.folder / "pipe")
    assert says in line.send(*arguments, status=2).stderr
    assert not line.outbox.exists() or Audit(line.outbox).balance().accepted == 0


def test_a_file_the_server_refuses_is_reported_with_what_to_do_and_is_status_1(line):
    line.write("bad.csv")
    line.write("good.csv")
    (line.received / "p").mkdir()
    (line.received / "p" / "files").write_text("a file where a folder has to be")
    line.settings.write_text(line.settings.read_text() + "attempts_max = 1\n")
    done = line.send("bad.csv", "--project", "p", status=1)
    assert "1 file not: see above" in done.stdout
    assert re.search(r"line/bad.csv: .*p/files", done.stderr)


def test_a_file_that_can_never_be_accepted_is_reported_with_its_reason_and_is_status_1(line):
    line.write("a.csv")
    done = line.send("a.csv", "--project", "a/b", status=1)
    assert "1 file refused: project is 'a/b': expected one path component" in done.stdout
    assert re.search(r"line/a.csv: project is 'a/b'", done.stderr)
    assert "see above" not in done.stdout


def test_the_link_that_is_down_is_reported_and_the_file_arrives_once_it_is_up(line, server):
    line.write("a.csv")
    server.stop()
    with line.start(line.folder / "a.csv") as sending:
        sending.wait_until(lambda: sending.logged(r"(the link is down: .*)"))
        server.start()
        assert sending.wait() == 0
    assert list(line.arrived) == ["line/files/a.csv"]


class DiskIsFull(asyncssh.SFTPServer):
    """Has no room for any file, and answers with the text of a quota."""

    def open(self, path, pflags, attrs):
        if pflags & asyncssh.FXF_WRITE:
            raise asyncssh.SFTPFailure("quota exceeded")
        return super().open(path, pflags, attrs)


def test_a_server_that_answers_and_takes_nothing_is_not_called_a_link_that_is_down(tmp_path):
    with AsyncSshServer(tmp_path / "server", sftp_server=DiskIsFull) as server:
        info = {**server.info("/", "password"), "host_key": server.host_key}
        line = SendingLine(tmp_path, SimpleNamespace(info=lambda folder: info))
        line.write("a.csv")
        done = line.send("a.csv", "--timeout-s", "2", status=1)
        key = f"{info['username']}@{info['host']}:{info['port']}"
        assert f"{key} takes nothing: " in done.stderr
        assert "quota exceeded" in done.stderr
        assert "the link is down" not in done.stderr


def test_the_bar_on_a_terminal_counts_files_and_bytes_and_says_what_holds_them_up(line, server):
    line.write("a.csv", b"x" * 5000)
    server.stop()
    ours, theirs = pty.openpty()
    command = [*IRIS, "send", "a.csv", "--timeout-s", "1.5"]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "TERM": "xterm", "COLUMNS": "200"}
    with subprocess.Popen(
        command, cwd=line.folder, env=environment, stdout=subprocess.DEVNULL, stderr=theirs
    ) as sending:
        os.close(theirs)
        shown = all_of(ours)
        assert sending.wait(30) == 1
    assert "0 of 1 file" in shown
    assert "0.0/5.0 kB" in shown
    assert "the link is down" in shown


def all_of(terminal):
    pieces = []
    with suppress(OSError):  # how a terminal reports that its other side is closed
        while piece := os.read(terminal, 65536):
            pieces.append(piece)
    os.close(terminal)
    return b"".join(pieces).decode(errors="replace")


def test_ctrl_c_leaves_what_is_queued_and_the_next_command_delivers_it(line, server):
    for name in ("a.csv", "b.csv"):
        line.write(name)
    server.stop()
    with line.start(line.folder / "a.csv") as sending:
        sending.wait_until(lambda: sending.logged(r"(the link is down: .*)"))
        status, seconds = sending.end(signal.SIGINT)
    assert status == 1
    assert seconds < 10
    assert Audit(line.outbox).balance().counted["waiting"] == 1
    server.start()
    line.send("b.csv")
    with line.start(line.folder / "b.csv", "--project", "again") as sending:
        assert sending.wait() == 0
    wait_until(lambda: "line/files/a.csv" in line.arrived)


def test_the_command_waits_no_longer_than_the_timeout_and_reports_the_rest(line, server):
    line.write("a.csv")
    server.stop()
    done = line.send("a.csv", "--timeout-s", "0.5", status=1)
    assert f"safely queued in {line.outbox}" in done.stdout


def test_all_files_are_queued_durably_and_none_is_sent_without_waiting(line, server):
    for number in range(50):
        line.write(f"{number:02}.csv")
    server.stop()
    names = [f"{number:02}.csv" for number in range(50)]
    done = line.send(*names, "--no-wait")
    assert "50 files" in done.stdout
    assert "queued" in done.stdout
    assert Audit(line.outbox).balance().counted["waiting"] == 50


def test_another_process_that_owns_the_outbox_is_handed_the_files_and_delivers_them(line):
    names = [f"{number:02}.csv" for number in range(100)]
    for name in names:
        line.write(name, name.encode())
    with running(line.outbox) as owner:
        done = line.send(*names, "--priority", "3")
        assert owner.get_stats()["total_uploaded"] == len(names)
        queued = line.send("00.csv", "--no-wait", "--project", "later", "--json")
        wait_until(lambda: owner.get_stats()["total_uploaded"] == len(names) + 1)
    assert "100 files" in done.stdout
    assert json.loads(queued.stdout)["state"] == "queued"
    assert sorted(line.arrived.values()) == sorted([name.encode() for name in names] + [b"00.csv"])


def test_the_command_delivers_itself_when_the_owner_of_the_outbox_ends(line, server):
    line.write("a.csv")
    server.stop()
    with running(line.outbox) as owner, line.start(line.folder / "a.csv") as sending:
        sending.wait_until(lambda: sending.logged(r"(the link is down: .*)"))
        owner.close(1.0)
        server.start()
        assert sending.wait() == 0
    assert list(line.arrived) == ["line/files/a.csv"]


def test_a_login_that_is_refused_is_not_waited_for(line, server):
    line.write("a.csv")
    (server.folder / "authorized_keys").write_text("")
    done = line.send("a.csv", status=1)
    assert "is not tried again" in done.stderr
    assert "safely queued" in done.stdout


def test_a_source_is_deleted_or_moved_once_it_is_delivered(line):
    line.write("a.csv")
    line.write("b.csv")
    line.send("a.csv", "--after", "delete")
    line.send("b.csv", "--after", "move", "--move-to", line.folder / "sent")
    assert not (line.folder / "a.csv").exists()
    assert [path.name for path in (line.folder / "sent").iterdir()] == ["b.csv"]
    assert len(line.arrived) == 2


def test_no_secret_is_printed(line, server, tmp_path):
    line.write("a.csv")
    info = {key: value for key, value in server.info(line.received).items() if key != "private_key"}
    (tmp_path / "server.json").write_text(json.dumps(info | {"password": SECRET}))
    for flags in ((), ("--json",), ("--no-wait",)):
        status = 0 if "--no-wait" in flags else 1
        done = line.send("a.csv", "--server", tmp_path / "server.json", *flags, status=status)
        assert SECRET not in done.stdout + done.stderr
