"""The SFTP carrier: each upload as a conversation on one of its server's connections.

Many items travel on one connection at once; once it is connected, the server's own limits say how many. Until then
it is one, so that a server that refuses us is asked by one item and not by all.

A health check uses the open connection. Where there is none it opens one and closes it again: whether the server still
accepts our login is half of what it checks, and a connection kept for checks alone would never be idle.
"""

import logging
import os
import secrets
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from iris_communication.clock import Clock
from iris_communication.decisions import patience
from iris_communication.decisions.patience import Overdue
from iris_communication.delivery.connection import Connection
from iris_communication.delivery.in_parts import InParts
from iris_communication.delivery.pool import ConnectionPool
from iris_communication.delivery.source import UploadSource
from iris_communication.delivery.turns import NamedTurns
from iris_communication.errors import Effect, IrisError, LinkTimeout, RemoteNameRefused, Scope
from iris_communication.item import Delivered, Item, Upload
from iris_communication.naming.same_name import folded
from iris_communication.outbox.files.known_servers import KnownServers
from iris_communication.settings import DeliverySettings, Secret, Server
from iris_communication.sftp.conversations.in_place import put_in_place
from iris_communication.sftp.conversations.put import after_clearing, put
from iris_communication.sftp.conversations.upload import TEMP_PREFIX, SftpUpload
from iris_communication.sftp.trials.probe import Health, Probe, ProbeContent, probe
from iris_communication.transport.contract import Transport

log = logging.getLogger(__name__)

TIME_MAX_S = 0xFFFFFFFF
OVERDUE_MAX = 10_000  # items remembered, the latest


class SftpCarrier:
    """`resolve` gives a server's address and secret, `held` an upload's bytes, or the file that holds them."""

    checks_health = True
    takes_archives = True

    def __init__(
        self,
        transport: Transport,
        resolve: Callable[[str], tuple[Server, Secret]],
        held: Callable[[Upload], Path | bytes],
        settings: DeliverySettings,
        clock: Clock,
    ) -> None:
        self._pool = ConnectionPool(transport, resolve, settings, clock)
        self._settings = settings
        self._resolve = resolve
        self._held = held
        self._clock = clock
        self._in_parts = InParts(self._pool.several)
        self._turns = NamedTurns()
        self._overdue: dict[str, Overdue] = {}  # by item id: what timed out the last time
        self._said: set[tuple[str, str]] = set()  # (server, cause) of the warnings that were logged
        self._leftovers: defaultdict[str, set[bytes]] = defaultdict(set)  # of health checks, by server

    @property
    def on_change(self) -> Callable[[], None]:
        return self._pool.on_change

    @on_change.setter
    def on_change(self, called: Callable[[], None]) -> None:
        self._pool.on_change = called

    def remember_in(self, known: KnownServers) -> None:
        """Save in `known` what is learned of servers from now on, and begin with what it holds."""
        self._pool.known = known

    def slots(self, server_key: str) -> int:
        return self._pool.slots(server_key)

    def connected(self, server_key: str) -> bool:
        return self._pool.connected(server_key)

    def trace(self, server_key: str) -> list[str]:
        return self._pool.trace(server_key)

    async def carry(self, upload: Upload) -> Delivered:
        fingerprint = upload.fingerprint
        assert fingerprint is not None, "a claimed item has its bytes"
        assert upload.token is not None, "a claimed item has a token"
        connection = await self._pool.connection(upload.server_key)
        server, _ = self._resolve(upload.server_key)  # its latest settings, which may be newer than the connection
        self._pool.limit(upload.server_key, server.bandwidth_bytes_per_s)
        _check_is_no_marker(upload, server)
        source = UploadSource(self._held(upload), fingerprint, upload.remote_path)
        earlier = [_temp_path(upload.remote_path, token) for token in upload.earlier_tokens]
        attempt = SftpUpload(
            final_path=os.fsencode(upload.remote_path),
            temp_path=_temp_path(upload.remote_path, upload.token),
            size_bytes=fingerprint.size_bytes,
            sha256=fingerprint.sha256,
            confirm_source=source.confirm,
            conflict=server.conflict,
            marker=server.marker,
            finished=upload.effect is Effect.UNKNOWN,
            earlier_temp=earlier.pop() if earlier else None,
            file_mode=int(server.file_mode, 8) if server.file_mode else None,
            mtime_s=self._time_to_keep(upload, fingerprint.mtime_ns) if server.keep_times else None,
            missing_folders=connection.missing_folders,
            quirks=connection.quirks,
        )
        overdue = self._overdue.pop(upload.id, None)
        try:
            async with self._turns.turn(*_names(attempt, connection)):
                with connection.patient(overdue.times if overdue is not None else 0):
                    landed = await self._carried(upload, server, connection, attempt, earlier, source)
        except IrisError as error:
            if error.scope in (Scope.LINK, Scope.SERVER):
                error.effect = attempt.effect
            if isinstance(error, LinkTimeout) and error.step:
                self._remember_step(upload.id, overdue, error)
            raise
        finally:
            source.close()
            if attempt.cut_short or attempt.write_refused:
                self._pool.had_trouble_writing(upload.server_key, cut_short=attempt.cut_short)
        if attempt.attributes_refused:
            refusal = attempt.attributes_refused
            text = f"the server does not let us set the permissions or times of files ({refusal}); they arrive without"
            self._warn_once(upload.server_key, refusal, text)
        return Delivered(
            final_path=os.fsdecode(landed),
            size_bytes=fingerprint.size_bytes,
            sha256=fingerprint.sha256,
            host_key=connection.host_key,
            at_s=self._clock.wall_s(),
        )

    def _remember_step(self, item_id: str, before: Overdue | None, error: LinkTimeout) -> None:
        self._overdue[item_id] = overdue = patience.after_timeout(before, error.step)
        error.hint = patience.hint(overdue, self._settings.progress_timeout_s) or error.hint
        if len(self._overdue) > OVERDUE_MAX:
            del self._overdue[next(iter(self._overdue))]

    async def _carried(
        self,
        upload: Upload,
        server: Server,
        connection: Connection,
        attempt: SftpUpload,
        older: list[bytes],
        source: UploadSource,
    ) -> bytes:
        """The path where it lies now."""
        capabilities = connection.capabilities
        if server.in_place and not attempt.finished:
            temps = [*older, *filter(None, [attempt.earlier_temp])]
            talk = after_clearing(attempt, temps, capabilities, put_in_place(attempt, capabilities, source.peek))
        else:
            key, streams = upload.server_key, server.streams
            landed = await self._in_parts.carried(key, upload.id, attempt, older, source, streams)
            if landed is not None:
                return landed
            talk = after_clearing(attempt, older, capabilities, put(attempt, capabilities))
        try:
            path: bytes = await connection.run(talk, source)
        except IrisError as error:
            if not server.in_place:
                self._in_parts.cut_off(upload.id, attempt, error)
            raise
        return path

    def _time_to_keep(self, upload: Upload, mtime_ns: int) -> int | None:
        """None: it does not fit into SFTP version 3's unsigned 32 bits, and a time cut to them would be a wrong one."""
        mtime_s = mtime_ns // 1_000_000_000
        if 0 <= mtime_s <= TIME_MAX_S:
            return mtime_s
        path = upload.source_path if isinstance(upload, Item) else upload.remote_path
        text = f"SFTP keeps no times before 1970 or after 2106: left out, for {path!r} first"
        self._warn_once(upload.server_key, "a time out of range", text)
        return None

    def _warn_once(self, server_key: str, cause: str, text: str) -> None:
        if (server_key, cause) not in self._said:
            self._said.add((server_key, cause))
            log.warning("%s: %s", server_key, text)

    async def check(self, server_key: str, *, round_trip: bool) -> Health:
        made_for_it = self._pool.idle(server_key)
        connection = await self._pool.connection(server_key)
        begun_s = answered_s = self._clock.monotonic_s()

        def answered() -> None:
            nonlocal answered_s
            answered_s = self._clock.monotonic_s()

        check = Probe(
            folder=os.fsencode(connection.server.remote_directory),
            token=secrets.token_hex(8).encode() if round_trip else b"",
            in_place=connection.server.in_place,
            leftovers=self._leftovers[server_key],
            answered=answered,
        )
        try:
            talk = probe(check, connection.capabilities)
            found: Health = await connection.run(talk, ProbeContent(), is_use=False)
        finally:
            if made_for_it and connection.uses == 0:  # no item has used it meanwhile
                connection.close()
        return replace(found, latency_s=answered_s - begun_s)

    async def close(self) -> None:
        await self._pool.close()


def _names(attempt: SftpUpload, connection: Connection) -> list[str]:
    """The names that it may replace. Names that may be the same on some disk, and servers with the same host key, count
    as the same: only one upload at a time checks whether such a name is free, and takes it."""
    machine = connection.host_key or connection.server.key
    paths = {attempt.final_path, attempt.marker_path(attempt.final_path)}
    return [f"{machine} {folded(os.fsdecode(path))}" for path in paths]


def _check_is_no_marker(upload: Upload, server: Server) -> None:
    """No file may have the ending of a marker: a marker replaces what has its name, and a pick-up job takes any file
    with such a name for a marker. Raises RemoteNameRefused."""
    name = upload.remote_path
    if server.marker and upload.effect is not Effect.UNKNOWN and folded(name).endswith(server.marker):
        hint = f"deliver it under another name, or set a marker other than {server.marker!r}"
        raise RemoteNameRefused(
            f"{name!r} has the ending of this server's markers: a marker may overwrite it", hint=hint
        )


def _temp_path(remote_path: str, token: str) -> bytes:
    """Beside the final name, so that the rename stays within one folder, and hidden from most listings."""
    folder, slash, _ = remote_path.rpartition("/")
    return os.fsencode(folder + slash) + TEMP_PREFIX + token.encode()
