"""Connections to servers: opened when they are needed, kept while they are used, closed when idle.

One connection a server carries many items at once. Until it is there, all who need it wait for the same attempt to
connect, so that a server that refuses us is asked once and not once an item.
"""

import asyncio
from collections.abc import Callable

from iris_communication.clock import Clock
from iris_communication.delivery.connection import Connection
from iris_communication.errors import DeliveryStopped
from iris_communication.settings import DeliverySettings, Secret, Server
from iris_communication.sftp.token_bucket import TokenBucket
from iris_communication.transport.contract import Transport


class ConnectionPool:
    """`resolve` gives a server's address and secret. `on_change` is called when connections have come or gone."""

    def __init__(
        self,
        transport: Transport,
        resolve: Callable[[str], tuple[Server, Secret]],
        settings: DeliverySettings,
        clock: Clock,
    ) -> None:
        self.on_change: Callable[[], None] = lambda: None
        self._transport = transport
        self._resolve = resolve
        self._settings = settings
        self._clock = clock
        self._connections: dict[str, Connection] = {}
        self._connecting: dict[str, asyncio.Task[Connection]] = {}
        self._bandwidths: dict[str, TokenBucket] = {}
        self._last_lost: dict[str, Connection] = {}
        self._closed = False

    def slots(self, server_key: str) -> int:
        connection = self._connections.get(server_key)
        return connection.capabilities.files_in_flight if connection is not None else 1

    def connected(self, server_key: str) -> bool:
        return server_key in self._connections

    def idle(self, server_key: str) -> bool:
        """Whether whoever asks for a connection now is the one for whom it is made."""
        return server_key not in self._connections and server_key not in self._connecting

    def trace(self, server_key: str) -> list[str]:
        """The latest protocol events of its connection, one a line; of the last one, while it has none."""
        connection = self._connections.get(server_key) or self._last_lost.get(server_key)
        return connection.trace() if connection is not None else []

    async def connection(self, server_key: str) -> Connection:
        """Raises what connecting raises, and DeliveryStopped once the pool is closed."""
        connection = self._connections.get(server_key)
        if connection is not None:
            return connection
        if self._closed:
            raise DeliveryStopped(f"not connected to {server_key}: the uploader is stopping")
        task = self._connecting.get(server_key)
        if task is None:
            task = self._connecting[server_key] = asyncio.create_task(self._connect(server_key))
        try:
            return await asyncio.shield(task)  # its other users go on when this one is cancelled
        except asyncio.CancelledError:
            if task.cancelled():
                raise DeliveryStopped(f"connecting to {server_key} was broken off") from None
            raise

    async def several(self, server_key: str, count: int) -> list[Connection]:
        """As many connections as there are and can be made, `count` at most. Raises what `connection` raises when there
        is none at all."""
        return [await self.connection(server_key)]

    def bandwidth(self, server_key: str, bytes_per_s: float) -> TokenBucket | None:
        """What is left of it outlives a connection, so that losing one does not buy a burst."""
        if not bytes_per_s:
            return None
        bucket = self._bandwidths.get(server_key)
        if bucket is None or bucket.bytes_per_s != bytes_per_s:
            bucket = self._bandwidths[server_key] = TokenBucket(bytes_per_s, self._clock.monotonic_s())
        return bucket

    async def close(self) -> None:
        self._closed = True
        for task in self._connecting.values():
            task.cancel()
        await asyncio.gather(*self._connecting.values(), return_exceptions=True)
        for connection in list(self._connections.values()):
            connection.close()

    async def _connect(self, server_key: str) -> Connection:
        try:
            server, secret = self._resolve(server_key)
            connection = Connection(server, self._settings, self._clock)
            try:
                await connection.open(self._transport, secret)
            except BaseException:
                connection.close()
                self._keep_trace(server_key, connection)
                raise
        finally:
            self._connecting.pop(server_key, None)
        self._connections[server_key] = connection
        connection.on_lost = lambda: self._forget(server_key, connection)
        self._close_when_idle(server_key, connection)
        self.on_change()
        return connection

    def _forget(self, server_key: str, connection: Connection) -> None:
        self._keep_trace(server_key, connection)
        if self._connections.get(server_key) is connection:
            del self._connections[server_key]
            self.on_change()

    def _keep_trace(self, server_key: str, connection: Connection) -> None:
        """Of one that carried something, rather than of a health check that came after it."""
        if connection.uses or server_key not in self._last_lost:
            self._last_lost[server_key] = connection

    def _close_when_idle(self, server_key: str, connection: Connection) -> None:
        if connection.lost is not None:
            return
        idle_s = self._clock.monotonic_s() - connection.used_s
        if connection.live == 0 and idle_s >= self._settings.idle_close_s:
            connection.close()
            return
        wait_s = self._settings.idle_close_s - (idle_s if connection.live == 0 else 0.0)
        asyncio.get_running_loop().call_later(wait_s, self._close_when_idle, server_key, connection)
