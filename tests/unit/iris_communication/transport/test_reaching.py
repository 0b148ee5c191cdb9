"""Of several addresses the first that answers is taken, and none uses up the time of the others."""

import asyncio
import contextlib
import socket

import pytest

from iris_communication.transport import reaching


@pytest.fixture
def addresses(monkeypatch):
    """`addresses(*places)`: what the name plant leads to."""

    def lead_to(*places):
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place) for place in places]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)

    return lead_to


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


@pytest.fixture
def black_hole():
    """An address whose queue of those who wait is full: nobody hears from it any more."""
    with contextlib.ExitStack() as held:
        hole = held.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            caller = held.enter_context(socket.socket())
            caller.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                caller.connect(hole.getsockname())
        yield hole.getsockname()


@pytest.fixture
def refusing():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()


def reached():
    async def test():
        async with asyncio.timeout(10.0):
            sock = await reaching.connected("plant", 22)
        with sock:
            return sock.getpeername()

    return asyncio.run(test())


def test_the_next_address_is_taken_where_the_first_is_silent(addresses, listener, black_hole):
    addresses(black_hole, listener.getsockname())
    assert reached() == listener.getsockname()


def test_several_silent_addresses_hold_up_the_last_one_for_a_moment_each(addresses, listener, black_hole):
    addresses(*[black_hole] * 1, *[("127.0.0.1", black_hole[1])], listener.getsockname())
    assert reached() == listener.getsockname()


def test_the_next_address_is_taken_at_once_where_the_first_refuses(addresses, listener, refusing, monkeypatch):
    monkeypatch.setattr(reaching, "NEXT_S", 1000.0)
    addresses(refusing, listener.getsockname())
    assert reached() == listener.getsockname()


def test_a_refusal_by_all_addresses_is_told(addresses, refusing):
    addresses(refusing, ("127.0.0.2", refusing[1]))
    with pytest.raises(ConnectionRefusedError):
        reached()


def test_families_take_turns(monkeypatch):
    six, four = (socket.AF_INET6, socket.SOCK_STREAM, 6, ""), (socket.AF_INET, socket.SOCK_STREAM, 6, "")
    found = [(*six, ("::1", 22, 0, 0)), (*six, ("::2", 22, 0, 0)), (*four, ("1", 22)), (*six, ("::1", 22, 0, 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    in_turn = asyncio.run(reaching.addresses_of("plant", 22))
    assert [each[4][0] for each in in_turn] == ["::1", "1", "::2"]


def test_giving_up_leaves_no_socket_open(addresses, black_hole):
    addresses(black_hole, black_hole)

    async def test():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await reaching.connected("plant", 22)

    asyncio.run(test())  # a socket left open would be a warning, and so an error
