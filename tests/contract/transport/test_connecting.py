"""A connection that does not come about: refused, not found, silent, cut, or to something that is no SSH server."""

import asyncio
import contextlib
import socket
import struct
import time

import pytest

from iris_communication.errors import ConnectionRefused, HostNotFound, LinkError, LinkLost, LinkTimeout
from iris_communication.settings import Secret, Server
from iris_communication.transport import host_keys
from tests.contract.transport.connecting import IMPATIENT, connects, fails
from tests.contract.transport.in_process import listening, sending
from tests.servers.one_user import HOST_KEY, PASSWORD, OneUser, public


@pytest.mark.parametrize(
    "error", [ValueError("odd"), OSError(24, "Too many open files"), RuntimeError("no threads")], ids=type
)
def test_an_unforeseen_error_is_a_link_error_and_no_files_fault(transport, error, monkeypatch):
    def fail(*_):
        raise error

    monkeypatch.setattr(host_keys, "trust", fail)
    server = Server("127.0.0.1", "iris", port=9, host_key=public(HOST_KEY))
    with pytest.raises(
        LinkError, match=r"cannot connect to 127.0.0.1:9: .*(odd|Too many open files|no threads)"
    ) as caught:
        asyncio.run(connects(transport, server, Secret(password="x")))
    assert type(caught.value) is LinkError
    assert caught.value.__cause__ is error


def test_a_port_where_nothing_listens_refuses(transport):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        server = Server(host="127.0.0.1", username="iris", port=free.getsockname()[1], host_key=public(HOST_KEY))
        said = asyncio.run(fails(transport, server, Secret(password="x"), ConnectionRefused))
    assert f"127.0.0.1:{server.port} refuses connections" in said


def test_a_name_of_several_addresses_that_all_refuse_refuses(transport):
    """localhost is ::1 and 127.0.0.1 in most places."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        server = Server(host="localhost", username="iris", port=free.getsockname()[1], host_key=public(HOST_KEY))
        asyncio.run(fails(transport, server, Secret(password="x"), ConnectionRefused))


@pytest.mark.parametrize("host", ["n" * 64 + ".example", "a..b"])
def test_an_impossible_host_name_is_a_host_that_is_not_found(transport, host):
    server = Server(host=host, username="iris", host_key=public(HOST_KEY))
    assert "resolved" in asyncio.run(fails(transport, server, Secret(password="x"), HostNotFound))


@pytest.mark.parametrize("says", [b"", b"SSH-2.0-Slow_1.0\r\n"], ids=["before its banner", "after its banner"])
def test_a_server_that_falls_silent_is_given_up_in_time(transport, says):
    async def test():
        async with sending(says, then=lambda _: None) as address:
            begun_s = time.monotonic()
            said = await fails(transport, Server(**address), Secret(password="x"), LinkTimeout, IMPATIENT)
            assert "within 1 s" in said
            assert time.monotonic() - begun_s < 10.0

    asyncio.run(test())


@pytest.fixture
def black_hole():
    """A port whose system no longer answers: the queue of connections to accept is full."""
    with contextlib.ExitStack() as held:
        listener = held.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            caller = held.enter_context(socket.socket())
            caller.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                caller.connect(listener.getsockname())
        yield listener.getsockname()[1]


def test_a_server_that_cannot_be_reached_and_says_nothing_is_given_up_in_time(transport, black_hole):
    server = Server("127.0.0.1", "iris", black_hole, host_key=public(HOST_KEY))
    begun_s = time.monotonic()
    said = asyncio.run(fails(transport, server, Secret(password="x"), LinkTimeout, IMPATIENT))
    assert f"127.0.0.1:{black_hole} did not finish connecting" in said
    assert time.monotonic() - begun_s < 10.0


class NeverDecides(OneUser):
    """Takes the password and says nothing more."""

    async def validate_password(self, username, password):
        await asyncio.Event().wait()


def test_a_server_that_falls_silent_while_it_is_given_the_password_is_given_up_in_time(transport):
    async def test():
        async with listening(NeverDecides) as address:
            await fails(transport, Server(**address), Secret(password=PASSWORD), LinkTimeout, IMPATIENT)

    asyncio.run(test())


@pytest.mark.parametrize(
    "says",
    ["", "Not allowed at this time", "Exceeded MaxStartups"],
    ids=["nothing", "penalty", "too many"],
)
def test_a_server_that_turns_us_away_before_its_banner_is_a_lost_link_with_its_text(transport, says):
    async def test():
        async with sending(f"{says}\r\n".encode() if says else b"") as address:
            said = await fails(transport, Server(**address), Secret(password="x"), LinkLost)
            assert f"127.0.0.1:{address['port']}" in said
            assert says in said

    asyncio.run(test())


def test_a_reset_before_the_banner_is_a_lost_link(transport):
    def reset(writer):
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async def test():
        async with sending(b"", then=reset) as address:
            said = await fails(transport, Server(**address), Secret(password="x"), LinkLost)
            assert f"127.0.0.1:{address['port']}" in said

    asyncio.run(test())


@pytest.mark.parametrize("says", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"220 ftp ready\r\n", b"SSH-1.5-old\r\n"])
def test_a_port_that_is_no_ssh_server_is_a_lost_link_that_names_it(transport, says):
    async def test():
        async with sending(says) as address:
            said = await fails(transport, Server(**address), Secret(password="x"), LinkLost)
            assert f"127.0.0.1:{address['port']}" in said

    asyncio.run(test())


@pytest.mark.parametrize(
    "says",
    [b"SSH-2.0-Odd_1.0\r\n", b"SSH-2.0-Odd_1.0\r\n" + b"\0" * 64, b"SSH-2.0-Odd_1.0\r\n" + b"\xff" * 64],
    ids=["nothing", "empty packets", "impossible lengths"],
)
def test_a_server_that_speaks_ssh_no_further_than_its_banner_is_a_lost_link(transport, says):
    async def test():
        async with sending(says) as address:
            await fails(transport, Server(**address), Secret(password="x"), LinkLost)

    asyncio.run(test())
