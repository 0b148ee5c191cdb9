"""A transport whose servers live in memory: for asyncio tests of everything above the transport, without a socket.

Bytes travel one turn of the loop each way, so nothing is answered within the call that asked.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable

from iris_communication.errors import IrisError, LinkLost
from iris_communication.settings import DeliverySettings, Secret, Server
from iris_communication.testing.memory_server import MemoryServer
from iris_communication.transport.algorithms import Negotiated
from iris_communication.transport.contract import Receiver


class MemoryTransport:
    """Keeps the contract `iris_communication.transport.contract.Transport`; every address leads to `server`.

    While `refusal` is set, connecting raises the error that it makes. `channels` are all that were opened. What is sent
    arrives after half of `round_trip_s`, and so do answers, later while the server is busy. `keeps_alive`: its channels
    claim to end once the other end is gone.
    """

    def __init__(self, server: MemoryServer) -> None:
        self.server = server
        self.refusal: Callable[[], IrisError] | None = None
        self.attempts = 0
        self.round_trip_s = 0.0
        self.keeps_alive = False
        self.channels: list[MemoryChannel] = []

    async def connect(
        self, server: Server, secret: Secret, settings: DeliverySettings, receiver: Receiver
    ) -> "MemoryChannel":
        self.attempts += 1
        await asyncio.sleep(0)
        if self.refusal is not None:
            raise self.refusal()
        channel = MemoryChannel(self.server, receiver, self.round_trip_s)
        channel.keeps_alive = self.keeps_alive
        self.channels.append(channel)
        return channel


class MemoryChannel:
    """Keeps the contract `iris_communication.transport.contract.Channel`."""

    algorithms: Negotiated | None = None

    def __init__(self, server: MemoryServer, receiver: Receiver, round_trip_s: float = 0.0) -> None:
        self._way_s = round_trip_s / 2
        self._free_s = 0.0  # when the server is done with what it has received, by the loop's clock
        self._in_transit: defaultdict[Callable[[bytes], None], deque[bytes]] = defaultdict(deque)
        self.keeps_alive = False
        self.software = server.software
        self.host_key = server.host_key
        self.lost = False
        self.closed = False
        self._far = server.session()
        self._receiver = receiver
        self._loop = asyncio.get_running_loop()

    def write(self, data: bytes | bytearray) -> None:
        if not self.lost:
            self._send_later(self._carry, bytes(data))

    def close(self) -> None:
        self.closed = True
        self.lose(LinkLost("the channel was closed"))

    def lose(self, error: IrisError) -> None:
        """Cut it, as a network does."""
        if not self.lost:
            self.lost = True
            self._loop.call_soon(self._receiver.channel_lost, error)

    def _send_later(self, arrives: Callable[[bytes], None], data: bytes, wait_s: float = 0.0) -> None:
        if not wait_s and not self._way_s:
            self._loop.call_soon(arrives, data)
            return
        self._in_transit[arrives].append(data)  # timers due at the same time fire in any order, bytes must not

        def due() -> None:
            arrives(self._in_transit[arrives].popleft())

        self._loop.call_later(wait_s + self._way_s, due)

    def _carry(self, data: bytes) -> None:
        if self.lost:
            return
        replies = self._far.receive(data)
        now_s, busy_s = self._loop.time(), self._far.server.take_busy_s()
        self._free_s = max(self._free_s, now_s) + busy_s
        if replies:
            self._send_later(self._deliver, replies, self._free_s - now_s)
        if self._far.ended:
            self._loop.call_soon(self.lose, LinkLost("the server closed the connection"))

    def _deliver(self, replies: bytes) -> None:
        if not self.lost:
            self._receiver.data_received(replies)
