"""The uploader against servers and networks that fail: no file is lost, none arrives twice, and the reason is reported.

Refused permission is shown with a real server that is read-only (OpenSSH's `-R`), because file modes do not
restrict root, who may run these tests. A full disk is a real one, in a name space of its own.
"""

import socket
import time

import asyncssh
import pytest

from iris_communication.errors import RemoteFailure, RemoteRefused
from tests.integration.namespace import run_with_disks_of_its_own
from tests.integration.uploading import (
    LONG_S,
    Watch,
    balanced,
    contents_of,
    destination_of,
    running,
    small_files,
    submit,
    submit_all,
    wait_for,
    wait_until,
)
from tests.servers import asyncssh_server
from tests.servers.asyncssh_server import AsyncSshServer
from tests.servers.openssh import SFTP_SERVERS, OpenSshServer


@pytest.fixture
def server(tmp_path):
    with AsyncSshServer(tmp_path / "server") as opened:
        yield opened


@pytest.fixture
def openssh(tmp_path, need_program):
    with OpenSshServer(tmp_path / "sshd", sshd=need_program("sshd", hint="make system-packages")) as opened:
        yield opened


@pytest.fixture
def logins(monkeypatch):
    """Every connection that a server of this test is asked for."""
    made = []
    connection_made = asyncssh_server._KeyOrPassword.connection_made

    def counted(self, connection):
        made.append(time.monotonic())
        connection_made(self, connection)

    monkeypatch.setattr(asyncssh_server._KeyOrPassword, "connection_made", counted)
    return made


def is_down(uploader):
    return bool(uploader.get_details()["servers"]) and destination_of(uploader)["link"] == "down"


def received_in(server):
    return contents_of(server.folder / "in" / "line-1" / "model")


# -- the server refuses us -------------------------------------------------------------------------------------------


def held(uploader):
    return is_down(uploader) and destination_of(uploader)["retry_in_s"] is None


@pytest.fixture
def locked_out(server, uploader, sources, logins):
    """Twenty files for a server that refuses our password: that is reported, and no login is tried again."""
    info = server.info("/in", by="password") | {"password": "wrong"}
    receipts = submit_all(uploader, info, small_files(20), sources)
    wait_until(lambda: held(uploader))
    return receipts.values()


def test_a_wrong_password_is_reported_and_the_server_is_not_asked_again_and_again(uploader, locked_out, server, logins):
    destination = destination_of(uploader)
    assert f"{server.username}@{server.host}:{server.port} refused the credentials" in destination["reason"]
    assert "pass the server again" in destination["hint"]
    time.sleep(1.0)  # several times as long as the longest pause between attempts
    assert len(logins) == 1
    assert uploader.get_stats()["queue_size"] == 20


def test_a_wrong_password_is_corrected_by_configuring_the_server(uploader, locked_out, server):
    uploader.configure_server("plant", server.info("/in", by="password"))
    wait_for(locked_out)
    assert len(received_in(server)) == 20


def test_a_wrong_password_is_corrected_by_the_next_file_with_the_right_one(uploader, locked_out, server, sources):
    receipt = submit(uploader, server.info("/in", by="password"), sources / "0000.csv", folder_type="other")
    wait_for([*locked_out, receipt])
    assert len(received_in(server)) == 20


def test_a_wrong_password_in_a_full_outbox_is_corrected_by_a_file_that_is_refused(tmp_path, server, sources):
    """Or nothing would ever make room."""
    with running(tmp_path / "outbox", max_queue_size=5) as uploader:
        wrong = server.info("/in", by="password") | {"password": "wrong"}
        receipts = submit_all(uploader, wrong, small_files(5), sources)
        wait_until(lambda: held(uploader))
        right = server.info("/in", by="password")
        assert not uploader.queue_upload(right, sources / "0000.csv", "line-1", "model")
        wait_for(receipts.values())


def test_a_wrong_password_survives_a_restart_and_is_not_in_the_log(tmp_path, server, sources, caplog):
    wrong = server.info("/in", by="password") | {"password": "a wrong and secret one"}
    with running(tmp_path / "outbox") as uploader:
        (receipt,) = submit_all(uploader, wrong, {"a.csv": b"1"}, sources).values()
        wait_until(lambda: held(uploader))
    with running(tmp_path / "outbox") as uploader:
        wait_until(lambda: held(uploader))
        assert receipt.outcome is None
        assert uploader.get_stats()["queue_size"] == 1
    assert "a wrong and secret one" not in caplog.text


def test_a_changed_host_key_holds_the_server_until_a_person_accepts_it(uploader, server, sources, logins):
    wait_for(submit_all(uploader, server.info("/in"), {"a.csv": b"1"}, sources).values())
    pinned = server.info("/in")
    server.change_host_key()
    receipts = submit_all(uploader, pinned, {"b.csv": b"2", "c.csv": b"3"}, sources)
    wait_until(lambda: held(uploader))
    destination = destination_of(uploader)
    assert "is not trusted" in destination["reason"]
    assert "is pinned" in destination["reason"]
    assert "find out why the server shows another key" in destination["hint"]
    tried = len(logins)
    time.sleep(0.5)
    assert len(logins) == tried
    assert received_in(server) == {"a.csv": b"1"}
    uploader.configure_server("plant", server.info("/in"))
    wait_for(receipts.values())
    assert received_in(server) == {"a.csv": b"1", "b.csv": b"2", "c.csv": b"3"}


def test_a_server_that_may_not_be_written_to_refuses_by_name_and_the_file_is_listed_as_dead(
    tmp_path, need_program, uploader, sources
):
    sshd = need_program("sshd", hint="make system-packages")
    with OpenSshServer(tmp_path / "sshd", sshd=sshd, subsystem_arguments=["-R"]) as readonly:
        (receipt,) = submit_all(uploader, readonly.info(tmp_path / "in"), {"a.csv": b"1"}, sources).values()
        with pytest.raises(RemoteRefused, match=r"in/line-1/model/a\.csv.*PERMISSION_DENIED") as raised:
            receipt.wait_delivered(LONG_S)
    assert "permissions on the remote folder" in raised.value.hint
    (dead,) = uploader.get_details()["dead"]
    assert (dead["id"], dead["remote_path"]) == (receipt.id, f"{tmp_path}/in/line-1/model/a.csv")
    assert uploader.get_stats() == {"total_queued": 1, "total_uploaded": 0, "total_failed": 1, "queue_size": 0}


@pytest.mark.parametrize("transport", ["asyncssh", "ssh"])
def test_a_login_script_that_prints_is_quoted_and_costs_no_file_an_attempt(
    tmp_path, need_program, uploader, sources, transport
):
    sshd = need_program("sshd", hint="make system-packages")
    program = str(need_program(*SFTP_SERVERS, hint="make system-packages"))
    script = tmp_path / "login"
    script.write_text(f"#!/bin/sh\ntest -e {tmp_path}/quiet || echo Welcome to the plant!\nexec {program}\n")
    script.chmod(0o755)
    with OpenSshServer(tmp_path / "sshd", sshd=sshd, settings=[f"ForceCommand {script}"]) as greeting:
        info = {**greeting.info(tmp_path / "in"), "transport": transport}
        receipts = submit_all(uploader, info, {"a.csv": b"1", "b.csv": b"2"}, sources)
        wait_until(lambda: is_down(uploader))
        assert "Welcome to the plant!" in destination_of(uploader)["reason"]
        (tmp_path / "quiet").touch()
        wait_for(receipts.values())
    assert contents_of(tmp_path / "in" / "line-1" / "model") == {"a.csv": b"1", "b.csv": b"2"}
    assert uploader.get_stats()["total_failed"] == 0


class OneFolderIsClosed(asyncssh.SFTPServer):
    """Refuses every write below a folder named closed."""

    closed = True

    def open(self, path, pflags, attrs):
        if self.closed and b"/closed/" in path:
            raise asyncssh.SFTPPermissionDenied("not here")
        return super().open(path, pflags, attrs)


def test_a_folder_without_permission_harms_no_other_and_can_be_tried_again(tmp_path, uploader, sources, monkeypatch):
    (sources / "a.csv").write_bytes(b"1")
    with AsyncSshServer(tmp_path / "server", sftp_server=OneFolderIsClosed) as server:
        dead = [submit(uploader, server.info("/in"), sources / "a.csv", project="closed") for _ in range(5)]
        fine = [submit(uploader, server.info("/in"), sources / "a.csv", project=f"line-{n}") for n in range(20)]
        wait_for(fine)
        for receipt in dead:
            with pytest.raises(RemoteRefused):
                receipt.wait_delivered(LONG_S)
        assert balanced(uploader)
        monkeypatch.setattr(OneFolderIsClosed, "closed", False)
        assert uploader.retry_dead() == 5
        wait_for(dead)
    assert uploader.get_stats() == {"total_queued": 25, "total_uploaded": 25, "total_failed": 0, "queue_size": 0}


# -- the network -----------------------------------------------------------------------------------------------------


def owed(uploader):
    """Backlog, or on its way as the probe."""
    destination = destination_of(uploader)
    return destination["waiting"] + destination["in_flight"]


def test_a_port_that_refuses_is_reported_and_everything_arrives_once_the_server_runs(uploader, server, sources):
    server.outage()
    files = small_files(50)
    receipts = submit_all(uploader, server.info("/in"), files, sources)
    wait_until(lambda: is_down(uploader))
    destination = destination_of(uploader)
    assert f"{server.host}:{server.port} refuses connections" in destination["reason"]
    assert "nothing listens there" in destination["hint"]
    wait_until(lambda: owed(uploader) == 50)  # what was put back counts again once that is committed
    server.recover()
    wait_for(receipts.values())
    assert received_in(server) == files
    assert destination_of(uploader)["link"] == "up"


def test_stop_is_prompt_with_the_port_refusing_and_no_file_is_lost(tmp_path, server, sources):
    server.outage()
    files = small_files(20)
    with running(tmp_path / "outbox") as uploader:
        submit_all(uploader, server.info("/in"), files, sources)
        wait_until(lambda: is_down(uploader))
        began_s = time.monotonic()
        assert uploader.stop(LONG_S)
        assert time.monotonic() - began_s < PROMPT_S
    server.recover()
    with running(tmp_path / "outbox") as uploader:
        assert uploader.get_stats()["queue_size"] == 20
        uploader.stop(LONG_S)
    assert received_in(server) == files


@pytest.mark.parametrize("kind", ["OpenSSH", "asyncssh"])
def test_a_server_that_falls_silent_is_reported_and_everything_arrives_once_when_it_answers_again(
    kind, request, tmp_path, uploader, sources
):
    server = request.getfixturevalue("openssh" if kind == "OpenSSH" else "server")
    base = tmp_path / "in" if kind == "OpenSSH" else "/in"
    folder = (tmp_path if kind == "OpenSSH" else server.folder) / "in" / "line-1" / "model"
    files = small_files(60)
    wait_for(submit_all(uploader, server.info(base), {"first.csv": b"1"}, sources).values())
    server.freeze()
    try:
        with Watch(folder, files | {"first.csv": b"1"}) as watch:
            receipts = submit_all(uploader, server.info(base), files, sources)
            wait_until(lambda: is_down(uploader))
            assert "has not answered for" in destination_of(uploader)["reason"]
            assert uploader.get_stats()["queue_size"] == 60
            server.thaw()
            wait_for(receipts.values())
    finally:
        server.thaw()
    assert contents_of(folder) == files | {"first.csv": b"1"}
    assert watch.partial == []


def test_stop_ends_in_its_time_with_a_silent_server_and_no_file_is_lost(tmp_path, server, sources):
    files = small_files(20)
    with running(tmp_path / "outbox") as uploader:
        wait_for(submit_all(uploader, server.info("/in"), {"first.csv": b"1"}, sources).values())
        server.freeze()
        submit_all(uploader, server.info("/in"), files, sources)
        began_s = time.monotonic()
        assert uploader.stop(0.5)
        assert time.monotonic() - began_s < PROMPT_S
        server.thaw()
        uploader.start()
        uploader.stop(LONG_S)
        assert uploader.get_stats()["total_uploaded"] == 21
    assert received_in(server) == files | {"first.csv": b"1"}


def test_a_server_that_accepts_and_never_greets_is_reported(tmp_path, uploader, sources):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        info = {
            "host": "127.0.0.1",
            "port": mute.getsockname()[1],
            "username": "a",
            "password": "b",
            "host_key": "SHA256:" + "x" * 43,
        }
        with running(tmp_path / "other", uploader._settings.__class__(connect_timeout_s=0.3)) as impatient:
            submit_all(impatient, info, {"a.csv": b"1"}, sources)
            wait_until(lambda: is_down(impatient))
            assert "did not finish connecting within 0.3 s" in destination_of(impatient)["reason"]


@pytest.mark.parametrize("kind", ["OpenSSH", "asyncssh"])
def test_connections_cut_in_the_middle_of_many_uploads_lose_nothing_and_repeat_nothing(
    kind, request, tmp_path, uploader, sources, caplog
):
    server = request.getfixturevalue("openssh" if kind == "OpenSSH" else "server")
    base = tmp_path / "in" if kind == "OpenSSH" else "/in"
    folder = (tmp_path if kind == "OpenSSH" else server.folder) / "in" / "line-1" / "model"
    files = small_files(300, size_bytes=60_000)
    uploader.stop()
    receipts = submit_all(uploader, server.info(base), files, sources)
    with Watch(folder, files) as watch:
        uploader.start()
        for uploaded in (0, 40, 100):
            wait_until(lambda least=uploaded: uploader.get_stats()["total_uploaded"] > least)
            server.cut()
        wait_for(receipts.values())
    assert contents_of(folder) == files
    assert watch.partial == []
    assert uploader.get_stats() == {"total_queued": 300, "total_uploaded": 300, "total_failed": 0, "queue_size": 0}
    assert "is down" in caplog.text, "no cut met an upload"


def test_a_server_that_is_restarted_in_the_middle_gets_everything_once(tmp_path, openssh, sources):
    files = small_files(150, size_bytes=20_000)
    folder = tmp_path / "in" / "line-1" / "model"
    with running(tmp_path / "outbox") as uploader:
        uploader.stop()
        receipts = submit_all(uploader, openssh.info(tmp_path / "in"), files, sources)
        uploader.start()
        with Watch(folder, files) as watch:
            wait_until(lambda: uploader.get_stats()["total_uploaded"] > 0)
            openssh.restart()
            wait_for(receipts.values())
        assert contents_of(folder) == files
        assert watch.partial == []


# -- a disk that is full ---------------------------------------------------------------------------------------------

PROMPT_S = 5.0  # for events that the test does not wait for
FULL_SERVER = """
import asyncio, threading
import asyncssh
from tests.integration.uploading import *

class OpenSshSftp(asyncssh.SSHServerSession):
    # OpenSSH's own program at the end of a channel, because its sshd cannot run in such a space.

    def connection_made(self, channel):
        self.channel, self.waiting, self.program = channel, [], None

    def subsystem_requested(self, subsystem):
        return True

    def session_started(self):
        asyncio.get_running_loop().create_task(self.serve())

    def data_received(self, data, datatype):
        self.program.stdin.write(data) if self.program else self.waiting.append(data)

    async def serve(self):
        self.program = await asyncio.create_subprocess_exec(
            sys.argv[2], stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        self.program.stdin.writelines(self.waiting)
        while data := await self.program.stdout.read(65536):
            self.channel.write(data)

class AnyPassword(asyncssh.SSHServer):
    def password_auth_supported(self):
        return True

    def validate_password(self, username, password):
        return True

    def session_requested(self):
        return OpenSshSftp()

def serve(key, ready):
    async def serving():
        acceptor = await asyncssh.listen(
            "127.0.0.1", 0, server_factory=AnyPassword, server_host_keys=[key], encoding=None
        )
        ready.append(acceptor.get_port())
        await asyncio.Event().wait()
    asyncio.run(serving())

key, ready = asyncssh.generate_private_key("ssh-ed25519"), []
threading.Thread(target=serve, args=(key, ready), daemon=True).start()
wait_until(lambda: ready)
disk, sources = folder / "server", folder / "sources"
small_disk(disk, "512k")
sources.mkdir()
info = {"host": "127.0.0.1", "port": ready[0], "username": "iris", "password": "any",
        "host_key": key.export_public_key().decode(), "remote_directory": str(disk / "in")}
files = small_files(40, size_bytes=30_000)
target, collected = disk / "in" / "line-1" / "model", {}

def collect():
    # Somebody takes away what has arrived, and so makes room.
    for path in target.iterdir():
        if not path.name.startswith(".iris-"):
            collected[path.name] = path.read_bytes()
            path.unlink()

with running(folder / "outbox") as uploader:
    receipts = submit_all(uploader, info, files, sources)
    wait_until(lambda: destination_of(uploader)["link"] == "down")
    report(destination=destination_of(uploader), stats=uploader.get_stats())
    while uploader.get_stats()["queue_size"]:
        time.sleep(0.05)
        collect()
    wait_for(receipts.values())
    collect()
    report(end=uploader.get_stats(), whole=collected == files, left=[path.name for path in target.iterdir()])
"""


def test_a_full_disk_on_the_server_pauses_delivery_until_there_is_room(tmp_path, need_program):
    places = ["/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server", "/usr/lib/ssh/sftp-server"]
    program = need_program(*places, hint="make system-packages")
    facts, logged = run_with_disks_of_its_own(FULL_SERVER, tmp_path, program)
    assert "the server's disk is full" in facts["destination"]["reason"]
    assert "free space or raise the quota on the server" in facts["destination"]["hint"]
    assert facts["stats"]["total_failed"] == 0
    assert facts["whole"]
    assert facts["left"] == []
    assert facts["end"] == {"total_queued": 40, "total_uploaded": 40, "total_failed": 0, "queue_size": 0}
    assert "takes nothing: the server's disk is full" in logged


def test_a_port_that_is_no_ssh_server_is_reported_and_costs_the_file_nothing(uploader, server, sources):
    with socket.create_server(("127.0.0.1", 0)) as web:
        submit_all(uploader, server.info("/in") | {"port": web.getsockname()[1]}, {"a.csv": b"1"}, sources)
        peer, _ = web.accept()
        peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        peer.close()
        wait_until(lambda: is_down(uploader))
        assert uploader.get_stats() == {"total_queued": 1, "total_uploaded": 0, "total_failed": 0, "queue_size": 1}


def test_a_server_without_a_pinned_key_that_known_hosts_does_not_know_is_refused(
    uploader, server, sources, monkeypatch, tmp_path
):
    monkeypatch.setenv("HOME", str(tmp_path))
    info = {key: value for key, value in server.info("/in").items() if key != "host_key"}
    submit_all(uploader, info, {"a.csv": b"1"}, sources)
    wait_until(lambda: is_down(uploader))
    assert "no host_key is pinned" in destination_of(uploader)["reason"]
    assert not list(server.folder.rglob("a.csv"))


class CutsShort(asyncssh.SFTPServer):
    """Its disk takes half, and it answers that all is there."""

    def write(self, file_obj, offset, data):
        return super().write(file_obj, offset, data[: len(data) // 2])


def test_a_file_that_a_server_cut_short_never_gets_its_final_name(tmp_path, uploader, sources):
    with AsyncSshServer(tmp_path / "cutting", sftp_server=CutsShort) as cutting:
        receipts = submit_all(uploader, cutting.info("/in"), {"a.csv": b"x" * 1000}, sources)
        with pytest.raises(RemoteFailure, match="kept 500 of 1000 bytes"):
            receipts["a.csv"].wait_delivered(LONG_S)
        found = contents_of(cutting.folder / "in" / "line-1" / "model")
        assert [name for name in found if not name.startswith(".iris-")] == []
