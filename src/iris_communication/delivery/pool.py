"""The SFTP carrier: one connection a server, opened when it is needed, kept while it is used, closed when idle.

Many items travel on one connection at once; how many, the server's own limits say once it is connected. Until then
it is one, so that a server that refuses us is asked by one item and not by all.

A health check travels on the connection that is there. Where there is none it makes one and closes it again: whether
we are still let in is half of what it is to find out, and a connection kept for checks alone would never be idle.
"""

import asyncio
import os
import posixpath
import secrets
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from iris_communication.clock import Clock
from iris_communication.delivery.connection import Connection
from iris_communication.delivery.source import SpoolFile
from iris_communication.errors import DeliveryStopped, Effect, IrisError, Scope
from iris_communication.item import Delivered, Item
from iris_communication.outbox.attempt import open_tokens
from iris_communication.settings import DeliverySettings, Secret, Server
from iris_communication.sftp.capabilities import Capabilities
from iris_communication.sftp.probe import Health, Probe, ProbeContent, probe
from iris_communication.sftp.put import clear_away, put
from iris_communication.sftp.session import Talk
from iris_communication.sftp.token_bucket import TokenBucket
from iris_communication.sftp.upload import Upload
from iris_communication.transport.contract import Transport

TEMP_PREFIX = ".iris-"


class SftpCarrier:
    """`resolve` gives a server's address and secret, `spooled` the file that holds an item's bytes."""

    checks_health = True
    takes_archives = True

    def __init__(
        self,
        transport: Transport,
        resolve: Callable[[str], tuple[Server, Secret]],
        spooled: Callable[[Item], Path],
        settings: DeliverySettings,
        clock: Clock,
    ) -> None:
        self.on_change: Callable[[], None] = lambda: None
        self._transport = transport
        self._resolve = resolve
        self._spooled = spooled
        self._settings = settings
        self._clock = clock
        self._connections: dict[str, Connection] = {}
        self._connecting: dict[str, asyncio.Task[Connection]] = {}
        self._leftovers: defaultdict[str, set[bytes]] = defaultdict(set)  # of health checks, by server
        self._bandwidths: dict[str, TokenBucket] = {}
        self._last_lost: dict[str, Connection] = {}
        self._closed = False

    def slots(self, server_key: str) -> int:
        connection = self._connections.get(server_key)
        return connection.capabilities.files_in_flight if connection is not None else 1

    def connected(self, server_key: str) -> bool:
        return server_key in self._connections

    def trace(self, server_key: str) -> list[str]:
        """The latest protocol events of its connection, one a line; of the last one, while it has none."""
        connection = self._connections.get(server_key) or self._last_lost.get(server_key)
        return connection.trace() if connection is not None else []

    async def carry(self, item: Item) -> Delivered:
        fingerprint = item.fingerprint
        assert fingerprint is not None, "a claimed item has its bytes"
        assert item.token is not None, "a claimed item has a token"
        connection = await self._connection(item.server_key)
        server, _ = self._resolve(item.server_key)  # its latest word, which may be younger than the connection
        connection.limit(self._bandwidth(item.server_key, server.bandwidth_bytes_per_s))
        source = SpoolFile(self._spooled(item), fingerprint)
        earlier = [_temp_path(item.remote_path, token) for token in open_tokens(item)]
        upload = Upload(
            final_path=os.fsencode(item.remote_path),
            temp_path=_temp_path(item.remote_path, item.token),
            size_bytes=fingerprint.size_bytes,
            sha256=fingerprint.sha256,
            confirm_source=source.confirm,
            conflict=server.conflict,
            marker=server.marker,
            finished=item.effect is Effect.UNKNOWN,
            earlier_temp=earlier.pop() if earlier else None,
            missing_folders=connection.missing_folders,
        )
        try:
            landed = await connection.run(_deliver(upload, earlier, connection.capabilities), source)
        except IrisError as error:
            if error.scope in (Scope.LINK, Scope.SERVER):
                error.effect = upload.effect
            raise
        finally:
            source.close()
        return Delivered(
            final_path=os.fsdecode(landed),
            size_bytes=fingerprint.size_bytes,
            sha256=fingerprint.sha256,
            host_key=connection.host_key,
            at_s=self._clock.wall_s(),
        )

    async def check(self, server_key: str, *, round_trip: bool) -> Health:
        made_for_it = server_key not in self._connections and server_key not in self._connecting
        connection = await self._connection(server_key)
        begun_s = answered_s = self._clock.monotonic_s()

        def answered() -> None:
            nonlocal answered_s
            answered_s = self._clock.monotonic_s()

        looking = Probe(
            folder=os.fsencode(connection.server.remote_directory),
            token=secrets.token_hex(8).encode() if round_trip else b"",
            leftovers=self._leftovers[server_key],
            answered=answered,
        )
        try:
            talk = probe(looking, connection.capabilities)
            found: Health = await connection.run(talk, ProbeContent(), is_use=False)
        finally:
            if made_for_it and connection.uses == 0:  # no item has come meanwhile
                connection.close()
        return replace(found, latency_s=answered_s - begun_s)

    async def close(self) -> None:
        self._closed = True
        for task in self._connecting.values():
            task.cancel()
        await asyncio.gather(*self._connecting.values(), return_exceptions=True)
        for connection in list(self._connections.values()):
            connection.close()

    async def _connection(self, server_key: str) -> Connection:
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

    def _bandwidth(self, server_key: str, bytes_per_s: float) -> TokenBucket | None:
        """What is left of it outlives a connection, so that losing one does not buy a burst."""
        if not bytes_per_s:
            return None
        bucket = self._bandwidths.get(server_key)
        if bucket is None or bucket.bytes_per_s != bytes_per_s:
            bucket = self._bandwidths[server_key] = TokenBucket(bytes_per_s, self._clock.monotonic_s())
        return bucket

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


def _deliver(upload: Upload, older: list[bytes], capabilities: Capabilities) -> Talk:
    """`put`, after what attempts before the earlier one have left is cleared away."""
    for temp in older:
        yield from clear_away(upload, temp, capabilities)
    return (yield from put(upload, capabilities))


def _temp_path(remote_path: str, token: str) -> bytes:
    """Beside the final name, so that the rename stays within one folder, and hidden from most listings."""
    return os.fsencode(posixpath.join(posixpath.dirname(remote_path), TEMP_PREFIX + token))
