"""Conflicts, markers and the bandwidth limit on real servers: OpenSSH as it is, OpenSSH that cannot replace in one
step, and asyncssh's."""

import asyncio
import hashlib
import secrets
import shutil
import subprocess
import time
from dataclasses import replace

import pytest

from iris_communication.clock import SystemClock
from iris_communication.delivery.sftp_carrier import SftpCarrier
from iris_communication.errors import RemoteNameKept, RemoteNameTaken
from iris_communication.item import Fingerprint, Item, Take
from iris_communication.server.facts import parse_server
from iris_communication.settings import DeliverySettings
from iris_communication.transport.asyncssh.channel import AsyncsshTransport
from tests.integration.uploading import LONG_S, contents_of, submit_all, wait_for
from tests.servers.asyncssh_server import AsyncSshServer
from tests.servers.openssh import OpenSshServer

NEW, OLD = b"id,label\n1,good\n", b"id,label\n0,old\n"


@pytest.fixture(scope="module")
def asyncssh_server(tmp_path_factory):
    with AsyncSshServer(tmp_path_factory.mktemp("asyncssh")) as server:
        yield server


@pytest.fixture(scope="module")
def without_posix_rename(tmp_path_factory, need_program):
    sshd = need_program("sshd", hint="make system-packages")
    arguments = ("-P", "posix-rename")
    with OpenSshServer(tmp_path_factory.mktemp("sshd"), sshd=sshd, subsystem_arguments=arguments) as server:
        yield server


class ConflictLine:
    """A server, the folder on it by both its names, and how files are sent there."""

    def __init__(self, info, folder):
        self.server, self.secret = parse_server(info)
        self.folder = folder
        folder.mkdir()

    def send(self, sources, *contents, name="a.csv", **policy):
        """Each content under that name, one after the other; the names they landed under, or their errors."""
        return asyncio.run(self._send(sources, contents, name, replace(self.server, **policy)))

    async def _send(self, sources, contents, name, server):
        paths = {}
        carrier = SftpCarrier(
            AsyncsshTransport(),
            lambda _: (server, self.secret),
            lambda item: paths[item.id],
            DeliverySettings(),
            SystemClock(),
        )
        outcomes = []
        try:
            for number, content in enumerate(contents):
                paths[f"{number}"] = sources / f"{number}"
                paths[f"{number}"].write_bytes(content)
                item = an_item(f"{number}", content, server, name)
                outcomes += await asyncio.gather(carrier.carry(item), return_exceptions=True)
            self.trace = carrier.trace(server.key)
        finally:
            await carrier.close()
        return [getattr(outcome, "final_path", outcome) for outcome in outcomes]


def an_item(number, content, server, name):
    return Item(
        id=number,
        sequence=1,
        server_key=server.key,
        source_path=name,
        remote_path=f"{server.remote_directory}/{name}",
        folder_type="model",
        project_settings={},
        take=Take.COPY,
        fingerprint=Fingerprint(1, 1, len(content), 1, hashlib.sha256(content).hexdigest()),
        accepted_s=0.0,
        token=secrets.token_hex(8),
    )


@pytest.fixture(params=["OpenSSH", "OpenSSH without posix-rename", "asyncssh"])
def line(request, tmp_path):
    if request.param == "asyncssh":
        server = request.getfixturevalue("asyncssh_server")
        return ConflictLine(server.info(f"/{tmp_path.name}"), server.folder / tmp_path.name)
    server = request.getfixturevalue("openssh" if request.param == "OpenSSH" else "without_posix_rename")
    return ConflictLine(server.info(tmp_path / "received"), tmp_path / "received")


def test_overwrite_replaces_the_old_file(line, sources):
    (line.folder / "a.csv").write_bytes(OLD)
    outcomes = line.send(sources, NEW, NEW, OLD, NEW, conflict="overwrite")
    assert outcomes == [f"{line.server.remote_directory}/a.csv"] * 4
    assert contents_of(line.folder) == {"a.csv": NEW}


def test_overwrite_does_not_replace_a_folder(line, sources):
    (line.folder / "a.csv").mkdir()
    (error,) = line.send(sources, NEW, conflict="overwrite")
    assert isinstance(error, RemoteNameTaken)
    assert (line.folder / "a.csv").is_dir()
    assert contents_of(line.folder) == {}


@pytest.mark.parametrize(("conflict", "kind"), [("fail", RemoteNameTaken), ("keep", RemoteNameKept)])
def test_a_file_that_is_there_stays(line, sources, conflict, kind):
    (line.folder / "a.csv").write_bytes(OLD)
    new, same = line.send(sources, NEW, OLD, conflict=conflict)
    assert isinstance(new, kind)
    assert same == f"{line.server.remote_directory}/a.csv"
    assert contents_of(line.folder) == {"a.csv": OLD}


@pytest.mark.parametrize("marker", [".done", ".sha256"])
@pytest.mark.parametrize("conflict", ["rename", "overwrite"])
def test_every_file_has_its_marker_under_the_name_it_really_got(line, sources, conflict, marker):
    (line.folder / "a.csv").write_bytes(OLD)
    (line.folder / f"a.csv{marker}").write_bytes(b"left by somebody")
    line.send(sources, NEW, OLD, NEW, conflict=conflict, marker=marker)
    found = contents_of(line.folder)
    files = {name: content for name, content in found.items() if not name.endswith(marker)}
    assert sorted(files.values()) == sorted([OLD, NEW] if conflict == "rename" else [NEW])
    assert set(found) == set(files) | {name + marker for name in files}


def test_sha256sum_finds_every_file_as_its_marker_says(line, sources, need_program):
    program = need_program("sha256sum", hint="it is part of coreutils")
    (line.folder / "a.csv").write_bytes(OLD)
    for name in ("a.csv", "back\\slash.csv", "new\nline.csv", "Größe.csv"):
        line.send(sources, NEW, name=name, marker=".sha256")
    markers = sorted(path.name for path in line.folder.glob("*.sha256"))
    assert len(markers) == 4
    command = [program, "--check", "--strict", *markers]
    checked = subprocess.run(command, cwd=line.folder, capture_output=True, timeout=170, check=False)
    assert checked.returncode == 0, checked.stderr


def test_the_trace_shows_how_a_file_was_replaced(line, sources):
    (line.folder / "a.csv").write_bytes(OLD)
    line.send(sources, NEW, conflict="overwrite")
    trace = "\n".join(line.trace)
    in_one_step = "< VERSION 3" in trace and "posix-rename@openssh.com '" in trace
    assert in_one_step == ("posix-rename@openssh.com" in line.trace[0])
    assert ("-replaced'" in trace) is not in_one_step
    assert NEW.decode() not in trace


def test_the_uploader_gives_a_file_up_at_once_where_it_may_not_replace_another(openssh, tmp_path, sources, uploader):
    folder = tmp_path / "received" / "line-1" / "model"
    folder.mkdir(parents=True)
    (folder / "a.csv").write_bytes(OLD)
    info = {**openssh.info(tmp_path / "received"), "conflict": "fail", "marker": ".done"}
    receipts = submit_all(uploader, info, {"a.csv": NEW, "b.csv": NEW}, sources)
    wait_for([receipts["b.csv"]])
    with pytest.raises(RemoteNameTaken, match="other content"):
        receipts["a.csv"].wait_delivered(LONG_S)
    assert contents_of(folder) == {"a.csv": OLD, "b.csv": NEW, "b.csv.done": b""}
    assert uploader.get_stats() == {"total_queued": 2, "total_uploaded": 1, "total_failed": 1, "queue_size": 0}


def test_a_limit_of_bandwidth_is_kept(openssh, tmp_path, sources):
    line = ConflictLine(openssh.info(tmp_path / "received"), tmp_path / "received")
    line.send(sources, b"warm up")
    content, bytes_per_s = secrets.token_bytes(400_000), 250_000.0
    shutil.rmtree(line.folder)
    line.folder.mkdir()
    began_s = time.monotonic()
    outcomes = line.send(sources, content, bandwidth_bytes_per_s=bytes_per_s)
    took_s = time.monotonic() - began_s
    assert outcomes == [f"{line.folder}/a.csv"], line.trace
    assert contents_of(line.folder) == {"a.csv": content}
    assert took_s >= len(content) / bytes_per_s - 0.5  # half a second's worth may have been saved up
    assert took_s < len(content) / bytes_per_s + 3.0  # connecting included, on a busy machine
