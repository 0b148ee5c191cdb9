"""How these tests connect: the receiver of a channel, a server's address and key, the error that is expected."""

import asyncio
import contextlib
import struct
import subprocess

import pytest

from iris_communication.settings import DeliverySettings, Secret, Server
from iris_communication.sftp import wire
from tests.servers.one_user import CLIENT_KEY, encrypted

HINT = "make system-packages"
SETTINGS = DeliverySettings(connect_timeout_s=60.0)
PROMPT_S = 7.5  # what is not waited for
IMPATIENT = DeliverySettings(connect_timeout_s=1.0)
ENCRYPTED_CLIENT_KEY = encrypted(CLIENT_KEY, "open %h")


class KeepingReceiver:
    """Keeps what it receives, and can be waited for."""

    def __init__(self):
        self.received = bytearray()
        self.ends = []
        self.news = asyncio.Event()

    def data_received(self, data):
        assert not self.ends, "nothing comes after the end"
        self.received += data
        self.news.set()

    def channel_lost(self, error):
        self.ends.append(error)
        self.news.set()

    async def until(self, condition):
        async with asyncio.timeout(20.0):
            while not condition():
                self.news.clear()
                await self.news.wait()

    async def end(self):
        await self.until(lambda: self.ends)
        return self.ends[-1]

    async def packet(self):
        """The next packet, without its length."""
        await self.until(lambda: self.ends or len(self.received) >= 4)
        assert not self.ends, self.ends
        (size_bytes,) = struct.unpack_from(">I", self.received)
        await self.until(lambda: self.ends or len(self.received) >= 4 + size_bytes)
        assert not self.ends, self.ends
        packet = bytes(self.received[4 : 4 + size_bytes])
        del self.received[: 4 + size_bytes]
        return packet

    async def reply(self):
        return wire.decode(await self.packet())[1]


def address_of(openssh, **other):
    facts = {
        "host": openssh.host,
        "port": openssh.port,
        "username": openssh.username,
        "host_key": openssh.host_key,
    }
    return Server(**facts | other)


def key_of(openssh):
    return Secret(private_key=str(openssh.private_key))


async def fails(transport, server, secret, kind, settings=SETTINGS):
    """The error of exactly this kind that connecting to it ends with."""
    with pytest.raises(kind) as caught:
        await transport.connect(server, secret, settings, KeepingReceiver())
    assert type(caught.value) is kind, caught.value
    return str(caught.value)


async def connects(transport, server, secret):
    receiver = KeepingReceiver()
    (await transport.connect(server, secret, SETTINGS, receiver)).close()
    await receiver.end()


@contextlib.contextmanager
def agent_at(place, need_program):
    """The user's agent, without a key."""
    with subprocess.Popen([need_program("ssh-agent", hint=HINT), "-D", "-a", place], stdout=subprocess.PIPE) as agent:
        try:
            assert agent.stdout.readline()  # it prints its path once it listens
            yield
        finally:
            agent.terminate()
