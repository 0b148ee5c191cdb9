"""Servers, keys and receivers for the program ssh, and what processes it made."""

import asyncio
import contextlib
from pathlib import Path

import asyncssh

from iris_communication.settings import DeliverySettings, Server
from tests.servers import one_user

HINT = "make system-packages"
SETTINGS = DeliverySettings(connect_timeout_s=60.0)
HOST_KEY = asyncssh.generate_private_key("ssh-ed25519")
CLIENT_KEY = asyncssh.generate_private_key("ssh-ed25519")
PASSWORD, PASSPHRASE = "correct horse", "battery staple"
ENCRYPTED_CLIENT_KEY = one_user.encrypted(CLIENT_KEY, PASSPHRASE)


def public(key):
    return key.export_public_key().decode().strip()


class Receiver:
    def __init__(self):
        self.received = b""
        self.heard = asyncio.Event()
        self.end = asyncio.get_running_loop().create_future()

    def data_received(self, data):
        self.received += data
        self.heard.set()

    def channel_lost(self, error):
        self.end.set_result(error)


class OneUser(one_user.OneUser):
    """Who may also connect from here to elsewhere."""

    password, key = PASSWORD, CLIENT_KEY

    def connection_requested(self, dest_host, dest_port, orig_host, orig_port):
        return True


@contextlib.asynccontextmanager
async def listening(user=OneUser, key=HOST_KEY):
    acceptor = await asyncssh.listen("127.0.0.1", 0, server_factory=user, server_host_keys=[key], sftp_factory=True)
    try:
        yield acceptor.get_port()
    finally:
        acceptor.close()
        await acceptor.wait_closed()


def server_at(port, host="127.0.0.1"):
    return Server(host=host, port=port, username="iris", host_key=public(HOST_KEY))


def script(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def command_line(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def address_of(server):
    return Server(host=server.host, port=server.port, username=server.username, host_key=server.host_key)
