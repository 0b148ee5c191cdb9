"""Mistakes of a user: each is reported by name, with what to do, and no accepted file is lost by it.

A file that cannot be read is one of the system's own (/proc/self/mem refuses every reader), because file modes do not
restrict root, who may run these tests. Read-only and full disks are real ones, in a name space of their own.
"""

import logging
import math
import os
import re
import subprocess
import sys

import pytest

from iris_communication.errors import (
    InvalidRequest,
    OutboxInUse,
    OutboxStorageError,
    SourceMissing,
    SourceNotAFile,
    SourceUnreadable,
)
from iris_communication.sftp_uploader_thread import SftpUploadRequest
from tests.integration.namespace import run_with_disks_of_its_own
from tests.integration.uploading import LONG_S, balanced, contents_of, running, submit, wait_for, wait_until
from tests.servers.asyncssh_server import AsyncSshServer


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with AsyncSshServer(tmp_path_factory.mktemp("server")) as opened:
        yield opened


@pytest.fixture
def good(uploader, server, tmp_path):
    """A good file, to be sent after a bad one: whether the uploader goes on."""
    path = tmp_path / "good.csv"
    path.write_bytes(b"good")

    def goes_on():
        wait_for([submit(uploader, server.info("/in"), path)])
        assert balanced(uploader)

    return goes_on


# -- at queue_upload -------------------------------------------------------------------------------------------------


def make_bad_source(kind, folder):
    path = folder / kind.replace(" ", "-")
    match kind:
        case "a named pipe":
            os.mkfifo(path)
        case "a folder":
            path.mkdir()
        case "a dangling link":
            path.symlink_to(folder / "nothing")
        case "below a missing folder":
            path = path / "a.csv"
        case "a name too long to exist":
            path = folder / ("x" * 300)
        case "a link to itself":
            path.symlink_to(path)
        case "a device":
            path = "/dev/zero"
    return path


@pytest.mark.parametrize(
    ("bad", "error", "text"),
    [
        ("missing", SourceMissing, "missing' does not exist"),
        ("below a missing folder", SourceMissing, r"a\.csv' does not exist"),
        ("a dangling link", SourceMissing, "link' does not exist"),
        ("a name too long to exist", SourceUnreadable, "xxx' cannot be read: File name too long"),
        ("a link to itself", SourceUnreadable, "itself' cannot be read: Too many levels of symbolic links"),
        ("a folder", SourceNotAFile, "a-folder' is a folder, not a regular file"),
        ("a named pipe", SourceNotAFile, "pipe' is a named pipe, not a regular file"),
        ("a device", SourceNotAFile, "'/dev/zero' is a device, not a regular file"),
    ],
)
def test_a_source_that_cannot_be_taken_is_dead_at_once_by_name_with_what_to_do(
    bad, error, text, tmp_path, uploader, server, good, caplog
):
    path = make_bad_source(bad, tmp_path)
    assert uploader.queue_upload(server.info("/in"), path, "line-1", "model") is True
    (dead,) = uploader.get_details()["dead"]
    assert re.search(text, dead["error"])
    assert dead["hint"]
    assert any(record.levelno == logging.ERROR and re.search(text, record.message) for record in caplog.records)
    with pytest.raises(error, match=text):
        submit(uploader, server.info("/in"), path).wait_delivered(LONG_S)
    assert uploader.get_stats() == {"total_queued": 2, "total_uploaded": 0, "total_failed": 2, "queue_size": 0}
    good()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ttl_s", math.inf), ("ttl_s", math.nan), ("ttl_s", 10**400), ("ttl_s", "5"), ("ttl_s", True),
        ("priority", math.inf), ("priority", 10**400), ("identity", [math.inf, 1]), ("identity", [1]), ("identity", 5),
        ("identity", ["a", "b"]),
    ],
    ids=lambda value: str(value)[:12],
)  # fmt: skip
def test_a_number_that_makes_no_sense_is_refused_and_counts_nowhere(name, value, uploader, server, tmp_path, good):
    path = tmp_path / "a.csv"
    path.write_bytes(b"1")
    with pytest.raises(InvalidRequest, match=f"{name} is "):
        uploader.submit(SftpUploadRequest(server.info("/in"), path, "line-1", "model", **{name: value}))
    assert uploader.get_stats()["total_queued"] == 0
    good()


@pytest.mark.parametrize("value", ["../up", "a/b", "/etc", "..", ".", "", "a\0b"])
@pytest.mark.parametrize("where", ["folder_type", "project"])
def test_a_value_that_is_more_than_one_component_is_refused_and_counts_nowhere(
    where, value, uploader, server, tmp_path, good
):
    path = tmp_path / "a.csv"
    path.write_bytes(b"1")
    values = {"folder_type": "model", "project": "line-1"} | {where: value}
    with pytest.raises(InvalidRequest, match=f"{where} is .*one path component") as raised:
        submit(uploader, server.info("/in"), path, **values)
    assert "remote_directory" in raised.value.hint
    assert uploader.get_stats()["total_queued"] == 0
    good()


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"host": ""}, "needs 'host'"),
        ({"host": "two words"}, "holds a space"),
        ({"username": None}, "needs 'username'"),
        ({"port": 0}, "port is 0: expected a number from 1 to 65535"),
        ({"port": "ssh"}, "port is 'ssh'"),
        ({"pasword": "x"}, "unknown key 'pasword': did you mean 'password'"),
        ({"remote_path": "{nothing}/x"}, "cannot be filled"),
        ({"host_key": "ssh-ed25519 nonsense"}, "host_key is .* cut short"),
        ({"host": "sftp://plant"}, "scheme"),
    ],
    ids=str,
)
def test_a_server_that_makes_no_sense_is_refused_and_counts_nowhere(changed, text, uploader, server, tmp_path, good):
    path = tmp_path / "a.csv"
    path.write_bytes(b"1")
    with pytest.raises(InvalidRequest, match=text) as raised:
        submit(uploader, server.info("/in", by="password") | changed, path)
    assert server.password not in str(raised.value)
    assert uploader.get_stats()["total_queued"] == 0
    good()


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"private_key": "/nowhere/key"}, "'/nowhere/key' cannot be used"),
        ({"private_key": "-----BEGIN OPENSSH PRIVATE KEY-----\nnonsense\n"}, "given as text cannot be used"),
        ({"host": "no-such-host.invalid", "port": 22}, r"'no-such-host\.invalid' cannot be resolved"),
    ],
    ids=["no key file", "a damaged key", "an unknown host"],
)
def test_a_server_that_cannot_be_used_keeps_its_files_waiting_and_says_why(
    changed, text, uploader, server, tmp_path, good
):
    path = tmp_path / "a.csv"
    path.write_bytes(b"1")
    info = server.info("/in") | {"username": "another"} | changed
    receipt = submit(uploader, info, path)
    key = f"another@{info['host']}:{info['port']}"

    def reason():
        return uploader.get_details()["servers"].get(key, {}).get("reason")

    wait_until(reason)
    assert re.search(text, reason())
    assert uploader.get_details()["servers"][key]["hint"]
    assert receipt.outcome is None
    good()


def test_an_empty_file_is_legal(uploader, server, tmp_path):
    (tmp_path / "empty.csv").write_bytes(b"")
    wait_for([submit(uploader, server.info("/empty"), tmp_path / "empty.csv")])
    assert contents_of(server.folder / "empty" / "line-1" / "model") == {"empty.csv": b""}


# -- the outbox folder -----------------------------------------------------------------------------------------------

HOLD = """
import sys
from iris_communication.sftp_uploader_thread import SftpUploaderThread
uploader = SftpUploaderThread(sys.argv[1])
uploader.start()
print("held", flush=True)
sys.stdin.read()
"""


def test_an_outbox_held_by_another_process_names_it_and_is_free_once_it_ends(tmp_path):
    folder = tmp_path / "outbox"
    command = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(OutboxInUse, match=rf"{folder} is in use by process {other.pid}, since 2\d\d\d-") as raised:
            running(folder).__enter__()
        assert "stop the other process" in raised.value.hint
        other.kill()
    with running(folder) as uploader:
        assert uploader.running


def test_an_outbox_held_by_another_uploader_of_this_process_is_reported(tmp_path):
    with running(tmp_path / "outbox"), pytest.raises(OutboxInUse, match="another uploader of this process"):
        running(tmp_path / "outbox").__enter__()


def test_an_outbox_folder_that_is_a_file_is_reported(tmp_path):
    (tmp_path / "outbox").write_bytes(b"")
    with pytest.raises(OutboxStorageError, match=rf"{tmp_path / 'outbox'}.*File exists"):
        running(tmp_path / "outbox").__enter__()


READ_ONLY = """
from iris_communication.errors import OutboxStorageError
from tests.integration.uploading import *
from tests.servers.asyncssh_server import AsyncSshServer

disk, source = folder / "disk", folder / "a.csv"
source.write_bytes(b"1")

def start():
    try:
        with running(disk / "outbox"):
            return {}
    except OutboxStorageError as error:
        return {"error": str(error), "hint": error.hint}

small_disk(disk, "8m")
mount(disk, "-o", "remount,ro")
report(new=start())
mount(disk, "-o", "remount,rw")
with AsyncSshServer(folder / "server") as server:
    server.outage()
    with running(disk / "outbox") as uploader:
        for number in range(5):
            submit(uploader, server.info("/in"), source, folder_type=f"t{number}")
    mount(disk, "-o", "remount,ro")
    report(existing=start())
    mount(disk, "-o", "remount,rw")
    server.recover()
    with running(disk / "outbox") as uploader:
        uploader.stop(10.0)
        report(end=uploader.get_stats())
"""


def test_a_read_only_outbox_folder_is_reported_by_name_and_what_is_in_it_waits_until_it_can_be_written(tmp_path):
    facts, _ = run_with_disks_of_its_own(READ_ONLY, tmp_path)
    for refused in (facts["new"], facts["existing"]):
        assert f"{tmp_path}/disk/outbox" in refused["error"]
        assert "Read-only file system" in refused["error"]
        assert refused["hint"] == "mount that disk for writing"
    assert facts["end"] == {"total_queued": 5, "total_uploaded": 5, "total_failed": 0, "queue_size": 0}


FULL = """
from tests.integration.uploading import *
from tests.servers.asyncssh_server import AsyncSshServer

disk, sources = folder / "disk", folder / "sources"
small_disk(disk, "1m")
sources.mkdir()
files = small_files(60, size_bytes=40_000)
accepted, refused = [], []
with AsyncSshServer(folder / "server") as server:
    server.outage()
    with running(disk / "outbox") as uploader:
        for name, content in files.items():
            (sources / name).write_bytes(content)
            took = uploader.queue_upload(server.info("/in"), sources / name, "line-1", "model", take="move")
            (accepted if took else refused).append(name)
        report(accepted=len(accepted), refused=len(refused), stats=uploader.get_stats())
        report(kept=sorted(path.name for path in sources.iterdir()) == sorted(refused))
        server.recover()
        target = folder / "server" / "in" / "line-1" / "model"
        wait_until(lambda: uploader.get_stats()["total_uploaded"] == len(accepted))
        report(arrived={name: files[name] for name in accepted} == contents_of(target))
        for name in refused:
            while not uploader.queue_upload(server.info("/in"), sources / name, "line-1", "model", take="move"):
                time.sleep(0.02)
        wait_until(lambda: uploader.get_stats()["queue_size"] == 0)
        report(end=uploader.get_stats(), all=contents_of(target) == files)
"""


def test_a_full_disk_under_the_outbox_refuses_by_name_and_goes_on_when_there_is_room(tmp_path):
    facts, logged = run_with_disks_of_its_own(FULL, tmp_path)
    assert facts["accepted"] > 0
    assert facts["refused"] > 0
    assert facts["stats"]["queue_size"] == facts["stats"]["total_queued"] == facts["accepted"]
    assert facts["kept"], "a refused file was not left where it was"
    assert re.search(r"\.csv is not accepted: .*(No space left on device|disk is full)", logged)
    assert "free space on the outbox's disk" in logged
    assert facts["arrived"]
    assert facts["all"]
    assert facts["end"] == {"total_queued": 60, "total_uploaded": 60, "total_failed": 0, "queue_size": 0}
