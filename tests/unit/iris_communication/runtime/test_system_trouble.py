"""What cannot be read for now, on the way to a server, is tried again and waits for no person."""

import asyncio
import errno
import os
from pathlib import Path

import pytest

from iris_communication.errors import CredentialsUnusable, LinkError, Retry
from iris_communication.server import private_keys
from iris_communication.settings import DeliverySettings, Secret, Server
from iris_communication.transport.asyncssh.channel import AsyncsshTransport
from iris_communication.transport.openssh.process import SshProgramTransport

SERVER = Server("127.0.0.1", "iris", port=1)
FOR_NOW = [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO, errno.ESTALE]
each_transport = pytest.mark.parametrize("kind", [AsyncsshTransport, SshProgramTransport])


def refusing(error_number):
    def refuse(*_args, **_options):
        raise OSError(error_number, os.strerror(error_number))

    return refuse


def error_of(transport, server, secret):
    with pytest.raises(Exception) as caught:  # noqa: PT011 - which one is looked at
        asyncio.run(transport.connect(server, secret, DeliverySettings(), None))
    return caught.value


@each_transport
@pytest.mark.parametrize("error_number", FOR_NOW, ids=errno.errorcode.get)
def test_a_private_key_that_cannot_be_read_for_now_is_tried_again(kind, error_number, tmp_path, monkeypatch):
    server = Server("127.0.0.1", "iris", port=1, host_key_policy="off")
    monkeypatch.setattr(private_keys, "content", refusing(error_number))
    error = error_of(kind(tmp_path / "accepted"), server, Secret(private_key=str(tmp_path / "id")))
    assert type(error) is LinkError
    assert error.retry is Retry.LATER
    assert os.strerror(error_number) in str(error)
    assert "network" not in error.hint


@each_transport
def test_a_private_key_that_is_closed_to_us_waits_for_a_person(kind, tmp_path, monkeypatch):
    server = Server("127.0.0.1", "iris", port=1, host_key_policy="off")
    monkeypatch.setattr(private_keys, "content", refusing(errno.EACCES))
    error = error_of(kind(tmp_path / "accepted"), server, Secret(private_key=str(tmp_path / "id")))
    assert type(error) is CredentialsUnusable


@each_transport
@pytest.mark.parametrize("policy", ["strict", "accept-new"])
@pytest.mark.parametrize("error_number", FOR_NOW, ids=errno.errorcode.get)
def test_a_known_hosts_that_cannot_be_read_for_now_is_tried_again(kind, policy, error_number, tmp_path, monkeypatch):
    known_hosts = tmp_path / ".ssh" / "known_hosts"
    known_hosts.parent.mkdir()
    known_hosts.touch()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(Path, "read_bytes", refusing(error_number))
    server = Server("127.0.0.1", "iris", port=1, host_key_policy=policy)
    error = error_of(kind(tmp_path / "accepted"), server, Secret(password="x"))
    assert type(error) is LinkError
    assert os.strerror(error_number) in str(error)
