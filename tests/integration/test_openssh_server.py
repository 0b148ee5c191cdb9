"""The real sshd that other tests use does what it says."""

import asyncio
import socket

import asyncssh
import pytest

from tests.integration.asyncssh_client import CONNECTION_GONE, DATA, SILENCE_S, client, put
from tests.integration.test_demo_server import command_line
from tests.servers.openssh import SFTP_SERVERS, OpenSshServer, is_running

HINT = "make system-packages"


def test_a_file_reaches_openssh(openssh, tmp_path):
    asyncio.run(put(openssh.info(tmp_path), "a.csv"))
    assert (tmp_path / "a.csv").read_bytes() == DATA


def test_openssh_can_run_the_program_sftp_server(tmp_path, need_program):
    need_program(*SFTP_SERVERS, hint=HINT)
    with OpenSshServer(tmp_path / "sshd", sshd=need_program("sshd", hint=HINT), external=True) as server:

        async def programs_of_a_session():
            async with client(server.info(tmp_path)):
                return list(map(command_line, server.session_pids()))

        assert any(b"sftp-server" in program for program in asyncio.run(programs_of_a_session()))


def test_openssh_can_be_made_read_only(tmp_path, need_program):
    sshd = need_program("sshd", hint=HINT)
    with (
        OpenSshServer(tmp_path / "sshd", sshd=sshd, subsystem_arguments=["-R"]) as server,
        pytest.raises(asyncssh.SFTPPermissionDenied),
    ):
        asyncio.run(put(server.info(tmp_path), "a.csv"))
    assert not (tmp_path / "a.csv").exists()


def test_openssh_can_be_made_to_refuse_a_request(tmp_path, need_program):
    async def rename(info):
        async with client(info) as sftp:
            await sftp.rename(f"{tmp_path}/a.csv", f"{tmp_path}/b.csv")

    sshd = need_program("sshd", hint=HINT)
    with OpenSshServer(tmp_path / "sshd", sshd=sshd, subsystem_arguments=["-P", "rename"]) as server:
        asyncio.run(put(server.info(tmp_path), "a.csv"))
        with pytest.raises(asyncssh.SFTPPermissionDenied):
            asyncio.run(rename(server.info(tmp_path)))


def test_a_cut_drops_the_live_connections_to_openssh_and_new_ones_are_accepted(openssh, tmp_path):
    async def write_over_a_cut(info):
        async with client(info) as sftp, sftp.open(f"{tmp_path}/a.csv", "wb") as file:
            await file.write(DATA)
            assert openssh.session_pids()
            await asyncio.to_thread(openssh.cut)
            await asyncio.wait_for(file.write(DATA, len(DATA)), 5.0)

    with pytest.raises(CONNECTION_GONE):
        asyncio.run(write_over_a_cut(openssh.info(tmp_path)))
    asyncio.run(put(openssh.info(tmp_path), "b.csv"))
    assert (tmp_path / "b.csv").read_bytes() == DATA


def test_a_frozen_openssh_is_silent_and_goes_on_where_it_was(openssh, tmp_path):
    async def write_over_a_freeze(info):
        async with client(info) as sftp, sftp.open(f"{tmp_path}/a.csv", "wb") as file:
            openssh.freeze()
            writing = asyncio.ensure_future(file.write(DATA))
            done, _ = await asyncio.wait([writing], timeout=SILENCE_S)
            openssh.thaw()
            await asyncio.wait_for(writing, 5.0)
            return len(done)

    try:
        assert asyncio.run(write_over_a_freeze(openssh.info(tmp_path))) == 0
    finally:
        openssh.thaw()
    assert (tmp_path / "a.csv").read_bytes() == DATA


def test_a_frozen_openssh_takes_connections_and_says_nothing(openssh):
    openssh.freeze()
    try:
        with socket.create_connection((openssh.host, openssh.port), SILENCE_S) as sock:
            sock.settimeout(SILENCE_S)
            with pytest.raises(TimeoutError):
                sock.recv(1)
    finally:
        openssh.thaw()


def test_a_stopped_openssh_refuses_and_comes_back_on_its_port_with_its_key(openssh, tmp_path):
    before = (openssh.port, openssh.host_key)
    openssh.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((openssh.host, openssh.port))
    openssh.start()
    assert (openssh.port, openssh.host_key) == before
    asyncio.run(put(openssh.info(tmp_path), "a.csv"))


def test_an_openssh_that_does_not_start_says_why(tmp_path, need_program):
    server = OpenSshServer(tmp_path / "sshd", sshd=need_program("sshd", hint=HINT), settings=["NoSuchSetting yes"])
    with pytest.raises(RuntimeError, match="NoSuchSetting"), server:
        pass


def test_openssh_leaves_no_process_behind(tmp_path, need_program):
    server = OpenSshServer(tmp_path / "sshd", sshd=need_program("sshd", hint=HINT))
    with server:
        sock = socket.create_connection((server.host, server.port))
        assert sock.recv(4) == b"SSH-"
        pids = server.session_pids()
        assert pids
    sock.close()
    assert not any(map(is_running, pids))
