"""Connections to servers: opened when they are needed, kept while they are used, closed when idle.

One connection to a server carries many items at once. Until it is open, all items that need it wait for the same
attempt to connect, so that a server that refuses us is asked once and not once an item.

A further connection is opened when the open ones have been full for a while and the round-trip time is high: at a low
one our own processor is the limit, not the window. No item waits for it. A server that refuses it is not asked for
another for minutes; that costs no item an attempt, and the breaker does not change. Items go to the connection with
most room, the first of equals, so that further ones are idle soonest and closed.

What a connection learned (how much may be in flight, how slow the server may be) is handed to the next one.
"""

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict

from iris_communication.clock import Clock
from iris_communication.delivery.connection import Connection
from iris_communication.errors import DeliveryStopped, IrisError, Retry
from iris_communication.outbox.files.known_servers import KnownServers
from iris_communication.runtime.repeats import Repeats
from iris_communication.settings import DeliverySettings, Secret, Server
from iris_communication.sftp.conversations.upload import Quirks
from iris_communication.sftp.token_bucket import TokenBucket
from iris_communication.sftp.window import RequestWindow, after_cut_short, after_refused_write
from iris_communication.transport.contract import Transport

log = logging.getLogger(__name__)

HANDSHAKES_AT_ONCE = 4  # to all servers together; some count clients that are not logged in yet, and ban them
FULL_S = 1.0  # connections are full for so long before a further one is worth its handshake
HIGH_ROUND_TRIP_S = 0.010  # a high round-trip time
REFUSED_S = 300.0  # after a refusal, before a further connection is tried again


class ConnectionPool:
    """`resolve` gives a server's address and secret. `on_change` is called when connections were opened or lost."""

    def __init__(
        self,
        transport: Transport,
        resolve: Callable[[str], tuple[Server, Secret]],
        settings: DeliverySettings,
        clock: Clock,
    ) -> None:
        self.on_change: Callable[[], None] = lambda: None
        self.known: KnownServers | None = None  # where what was learned of servers is saved
        self._transport = transport
        self._resolve = resolve
        self._settings = settings
        self._clock = clock
        self._connections: defaultdict[str, list[Connection]] = defaultdict(list)
        self._connecting: dict[str, asyncio.Task[Connection]] = {}
        self._further: defaultdict[str, set[asyncio.Task[None]]] = defaultdict(set)
        self._handshakes = asyncio.Semaphore(HANDSHAKES_AT_ONCE)
        self._full_since_s: dict[str, float] = {}
        self._refused_until_s: dict[str, float] = {}
        self._windows: defaultdict[str, RequestWindow] = defaultdict(RequestWindow)
        self._slowest_s: defaultdict[str, float] = defaultdict(float)
        self._quirks: defaultdict[str, Quirks] = defaultdict(Quirks)
        self._bandwidths: dict[str, TokenBucket] = {}
        self._last_lost: dict[str, Connection] = {}
        self._repeats = Repeats(log, clock.monotonic_s)
        self._closed = False

    def slots(self, server_key: str) -> int:
        return sum(connection.slots for connection in self._connections[server_key]) or 1

    def connected(self, server_key: str) -> bool:
        return bool(self._connections[server_key])

    def idle(self, server_key: str) -> bool:
        """Whether a caller that asks for a connection now is the one that opens it."""
        return not self.connected(server_key) and server_key not in self._connecting

    def trace(self, server_key: str) -> list[str]:
        """The latest protocol events of the connection used last, one a line; while there is none, of the last lost."""
        connections = self._connections[server_key]
        if connections:
            return max(connections, key=lambda connection: connection.used_s).trace()
        lost = self._last_lost.get(server_key)
        return lost.trace() if lost is not None else []

    async def connection(self, server_key: str) -> Connection:
        """The connection with most room. Raises what connecting raises, and DeliveryStopped once the pool is closed."""
        connections = self._connections[server_key]
        if connections:
            chosen = min(connections, key=lambda connection: connection.live / connection.slots)
            self._consider_further(server_key, connections[0].server, full=chosen.is_full)
            return chosen
        if self._closed:
            raise DeliveryStopped(f"not connected to {server_key}: the uploader is stopping")
        task = self._connecting.get(server_key)
        if task is None:
            task = self._connecting[server_key] = asyncio.create_task(self._connect_first(server_key))
        try:
            return await asyncio.shield(task)  # the other callers go on waiting when this one is cancelled
        except asyncio.CancelledError:
            if task.cancelled():
                raise DeliveryStopped(f"connecting to {server_key} was cancelled") from None
            raise

    async def several(self, server_key: str, count: int) -> list[Connection]:
        """Open connections and as many new ones as can be made, `count` and the server's `connections_max` at most.
        Raises what `connection` raises when there is none at all."""
        first = await self.connection(server_key)
        count = min(count, first.server.connections_max)
        for _ in range(self._may_be_opened(server_key, count)):
            self._open_further(server_key)
        if self._further[server_key]:
            await asyncio.wait(self._further[server_key])
        others = [connection for connection in self._connections[server_key] if connection is not first]
        return [first, *others][:count]

    def had_trouble_writing(self, server_key: str, *, cut_short: bool) -> None:
        """A WRITE was refused there, or a file was cut short although every WRITE was acknowledged."""
        learned = after_cut_short if cut_short else after_refused_write
        self._windows[server_key] = learned(self._windows[server_key])
        for connection in self._connections[server_key]:
            connection.bear(learned(connection.window))
            self._remember(server_key, connection)

    def limit(self, server_key: str, bytes_per_s: float) -> None:
        """Limit the rate of all its connections together from now on; 0: no limit."""
        bandwidth = self._bandwidth(server_key, bytes_per_s)
        for connection in self._connections[server_key]:
            connection.limit(bandwidth)

    def _bandwidth(self, server_key: str, bytes_per_s: float) -> TokenBucket | None:
        """The bucket outlives a connection, so that losing one does not buy a burst."""
        if not bytes_per_s:
            return None
        bucket = self._bandwidths.get(server_key)
        if bucket is None or bucket.bytes_per_s != bytes_per_s:
            bucket = self._bandwidths[server_key] = TokenBucket(bytes_per_s, self._clock.monotonic_s())
        return bucket

    async def close(self) -> None:
        self._closed = True
        tasks = [*self._connecting.values(), *(task for tasks in self._further.values() for task in tasks)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for connections in list(self._connections.values()):
            for connection in list(connections):
                connection.close()

    def _consider_further(self, server_key: str, server: Server, *, full: bool) -> None:
        """Open a further connection when all have been full for a while."""
        if not full or self._connections[server_key][0].round_trip_s < HIGH_ROUND_TRIP_S:
            self._full_since_s.pop(server_key, None)
            return
        now_s = self._clock.monotonic_s()
        if now_s - self._full_since_s.setdefault(server_key, now_s) < FULL_S:
            return
        if not self._further[server_key] and self._may_be_opened(server_key, server.connections_max):
            del self._full_since_s[server_key]
            self._open_further(server_key)

    def _may_be_opened(self, server_key: str, count: int) -> int:
        """How many further connections may be opened to have `count` of them."""
        if self._closed or self._clock.monotonic_s() < self._refused_until_s.get(server_key, 0.0):
            return 0
        return max(0, count - len(self._connections[server_key]))

    def _open_further(self, server_key: str) -> None:
        async def opening() -> None:
            try:
                await self._connect(server_key)
            except IrisError as error:
                self._refused_until_s[server_key] = self._clock.monotonic_s() + REFUSED_S
                level = logging.WARNING if error.retry is Retry.AFTER_OPERATOR else logging.INFO
                text = "%s: no further connection for now (%s); going on with those there are"
                self._repeats.log((server_key, *error.cause), level, text, server_key, error)

        task = asyncio.create_task(opening())
        self._further[server_key].add(task)
        task.add_done_callback(self._further[server_key].discard)

    async def _connect_first(self, server_key: str) -> Connection:
        try:
            return await self._connect(server_key)
        finally:
            self._connecting.pop(server_key, None)

    async def _connect(self, server_key: str) -> Connection:
        server, secret = self._resolve(server_key)
        if server_key not in self._windows and self.known is not None and self.known.of(server_key).get("one_write"):
            self._windows[server_key] = after_cut_short(self._windows[server_key])
        connection = Connection(server, self._settings, self._clock, self._windows[server_key])
        connection.slowest_s = self._slowest_s[server_key]
        connection.quirks = self._quirks[server_key]
        try:
            await connection.open(self._transport, secret, self._handshakes)
        except BaseException:
            connection.close()
            self._keep_trace(server_key, connection)
            raise
        connection.limit(self._bandwidth(server_key, server.bandwidth_bytes_per_s))
        self._connections[server_key].append(connection)
        connection.on_lost = lambda: self._forget(server_key, connection)
        connection.on_learned = lambda: self._learned(server_key, connection)
        self._close_when_idle(server_key, connection)
        self.on_change()
        return connection

    def _learned(self, server_key: str, connection: Connection) -> None:
        self._remember(server_key, connection)
        self.on_change()  # the server may take more now

    def _remember(self, server_key: str, connection: Connection) -> None:
        if self.known is not None:
            self.known.remember(
                server_key,
                learned_s=self._clock.wall_s(),
                software=connection.software,
                host_key=connection.host_key,
                capabilities=asdict(connection.capabilities),
                round_trip_ms=round(connection.round_trip_s * 1000, 2),
                one_write=connection.window.one_write,
            )

    def _forget(self, server_key: str, connection: Connection) -> None:
        self._keep_trace(server_key, connection)
        self._windows[server_key] = connection.window
        self._slowest_s[server_key] = max(self._slowest_s[server_key], connection.slowest_s)
        with contextlib.suppress(ValueError):
            self._connections[server_key].remove(connection)
            self.on_change()

    def _keep_trace(self, server_key: str, connection: Connection) -> None:
        """Keep the trace of a connection that carried something, not of a later one that only a health check used."""
        if connection.uses or server_key not in self._last_lost:
            self._last_lost[server_key] = connection

    def _close_when_idle(self, server_key: str, connection: Connection) -> None:
        if connection.lost is not None:
            return
        idle_s = self._clock.monotonic_s() - connection.used_s
        if connection.is_idle and idle_s >= self._settings.idle_close_s:
            connection.close()
            return
        wait_s = self._settings.idle_close_s - (idle_s if connection.is_idle else 0.0)
        asyncio.get_running_loop().call_later(wait_s, self._close_when_idle, server_key, connection)
