"""A TCP connection to a host of one or several addresses.

An address that never answers must not use up the time of the others. So the next one is begun when the one before has
failed, or has not answered for a moment; the first that answers is taken, and the others are given up ("happy
eyeballs", RFC 8305). The last failure is raised, as with the ssh program.
"""

import asyncio
import contextlib
import itertools
import socket
from typing import Any

NEXT_S = 0.25  # after which the next address is begun as well; what the RFC recommends

Address = tuple[Any, ...]  # what getaddrinfo() returns for one


async def addresses_of(host: str, port: int) -> list[Address]:
    """The two families in turn, from that of the first on, each in its own order. Raises OSError, UnicodeError."""
    loop = asyncio.get_running_loop()
    found: list[Address] = list(dict.fromkeys(await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
    first = [each for each in found if each[0] == found[0][0]]
    others = [each for each in found if each[0] != found[0][0]]
    in_turn = itertools.chain.from_iterable(itertools.zip_longest(first, others))
    return [each for each in in_turn if each is not None]


async def connected(host: str, port: int) -> socket.socket:
    """Has no deadline but the caller's. Raises OSError, UnicodeError."""
    waiting = await addresses_of(host, port)
    attempts: set[asyncio.Task[socket.socket]] = set()
    failure: BaseException = OSError(f"{host} has no address")
    try:
        while waiting or attempts:
            if waiting:
                attempts.add(asyncio.create_task(_connected_to(waiting.pop(0))))
            done, attempts = await asyncio.wait(
                attempts, timeout=NEXT_S if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            for attempt in done:
                if (error := attempt.exception()) is None:
                    done.remove(attempt)
                    attempts |= done
                    return attempt.result()
                failure = error
        raise failure
    finally:
        await _given_up(attempts)


async def _connected_to(address: Address) -> socket.socket:
    family, kind, protocol, _, place = address
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)  # noqa: FBT003 - it has no name
        await asyncio.get_running_loop().sock_connect(sock, place)
    except BaseException:
        sock.close()
        raise
    return sock


async def _given_up(attempts: "set[asyncio.Task[socket.socket]]") -> None:
    """Cancel them, and close what they opened: one may have connected together with the one that is taken."""
    for attempt in attempts:
        attempt.cancel()
    for attempt in attempts:
        with contextlib.suppress(asyncio.CancelledError, OSError):
            (await attempt).close()
