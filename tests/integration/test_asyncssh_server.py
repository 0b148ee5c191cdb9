"""The server in the test's process that other tests use does what it says."""

import asyncio
import socket

import asyncssh
import pytest

from tests.integration.asyncssh_client import DATA, SILENCE_S, put
from tests.integration.sockets import greeted, was_reset
from tests.servers.asyncssh_server import AsyncSshServer


@pytest.mark.parametrize("by", ["key", "password"])
def test_a_file_reaches_asyncssh_by_key_and_by_password(tmp_path, by):
    with AsyncSshServer(tmp_path) as server:
        asyncio.run(put(server.info("/", by), "a.csv"))
    assert (tmp_path / "a.csv").read_bytes() == DATA


def test_asyncssh_refuses_a_wrong_password_and_a_wrong_key(tmp_path):
    with AsyncSshServer(tmp_path) as server:
        other_key = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()
        wrong_key = {**server.info("/"), "private_key": other_key}
        wrong_password = {**server.info("/", "password"), "password": "guess"}
        for wrong in (wrong_key, wrong_password):
            with pytest.raises(asyncssh.PermissionDenied):
                asyncio.run(put(wrong, "a.csv"))


def test_asyncssh_can_change_its_host_key(tmp_path):
    with AsyncSshServer(tmp_path) as server:
        before = server.info("/")
        server.change_host_key()
        assert server.info("/")["port"] == before["port"]
        with pytest.raises(asyncssh.HostKeyNotVerifiable):
            asyncio.run(put(before, "a.csv"))
        asyncio.run(put(server.info("/"), "b.csv"))


class NoRoom(asyncssh.SFTPServer):
    """Takes the file, then finds no room for its bytes."""

    def write(self, file_obj, offset, data):
        raise asyncssh.SFTPFailure("No space left on device")


def test_asyncssh_can_have_an_injected_fault(tmp_path):
    with (
        AsyncSshServer(tmp_path, sftp_server=NoRoom) as server,
        pytest.raises(asyncssh.SFTPFailure, match="No space left"),
    ):
        asyncio.run(put(server.info("/"), "a.csv"))


def test_a_cut_resets_the_live_connections_to_asyncssh_and_new_ones_are_accepted(tmp_path):
    with AsyncSshServer(tmp_path) as server:
        sock = greeted(server)
        server.cut()
        assert was_reset(sock)
        asyncio.run(put(server.info("/"), "a.csv"))


def test_an_outage_of_asyncssh_refuses_new_connections_until_it_recovers(tmp_path):
    with AsyncSshServer(tmp_path) as server:
        sock = greeted(server)
        assert server.connection_count == 1
        server.outage()
        assert was_reset(sock)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((server.host, server.port))
        server.recover()
        asyncio.run(put(server.info("/"), "a.csv"))


def test_a_frozen_asyncssh_is_silent_until_it_thaws(tmp_path):
    with AsyncSshServer(tmp_path) as server:
        server.freeze()
        sock = socket.create_connection((server.host, server.port), SILENCE_S)
        sock.settimeout(SILENCE_S)
        with sock:
            with pytest.raises(TimeoutError):
                sock.recv(1)
            server.thaw()
            sock.settimeout(5.0)
            assert sock.recv(4) == b"SSH-"
