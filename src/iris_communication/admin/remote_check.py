"""Asking the servers whether what was delivered is still there.

    for looked in RemoteCheck(folder).findings(hashes=True, latest=1000):
        ...

The ledger says what was delivered where; the outbox has the addresses and the passwords. It only reads, here and on
the servers, and works beside a running uploader: over connections of its own, one a server, many files at once.

What goes wrong. A file that is gone counts as collected. A server that cannot be asked, or does not answer, leaves its
files unknown, each with the reason. If several deliveries had one name, only the latest is checked; the ones before
were replaced.
"""

import asyncio
import os
import shutil
import tempfile
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from enum import Enum
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from iris_communication.admin.audit import Audit
from iris_communication.clock import Clock, SystemClock
from iris_communication.delivery.connection import Connection
from iris_communication.delivery.daemon_threads import loop_with_daemon_threads
from iris_communication.errors import IrisError
from iris_communication.outbox.files.servers import Servers
from iris_communication.settings import DeliverySettings
from iris_communication.sftp.conversations.look import compare
from iris_communication.transport import accepted_keys
from iris_communication.transport.chosen import ChosenTransport
from iris_communication.transport.contract import Transport

__all__ = ["RemoteCheck", "RemoteFinding", "RemoteVerdict"]

AT_ONCE = 2000  # deliveries in memory


class RemoteVerdict(Enum):
    THERE = "there"
    GONE = "gone"  # collected
    CHANGED = "changed"  # something else is under that name
    REPLACED = "replaced"  # by a later delivery of ours; not checked
    UNKNOWN = "unknown"


class RemoteFinding(NamedTuple):
    delivery: int  # number of the ledger's line
    id: str
    server: str
    final_path: str
    verdict: RemoteVerdict
    why: str  # of UNKNOWN


class _Delivery(NamedTuple):
    """What the ledger says has to be there."""

    delivery: int
    id: str
    server: str
    final_path: str
    size_bytes: int
    sha256: str

    @property
    def name(self) -> int:
        return hash((self.server, self.final_path))

    def looked(self, verdict: RemoteVerdict, why: str = "") -> RemoteFinding:
        return RemoteFinding(*self[:4], verdict, why)


class RemoteCheck:
    """Raises what `Audit` raises, and OutboxStorageError where the addresses or passwords cannot be read."""

    def __init__(
        self,
        folder: Path,
        *,
        settings: DeliverySettings | None = None,
        transport: Transport | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._folder = folder
        self._settings = settings or DeliverySettings()
        self._transport = transport
        self._clock = clock or SystemClock()

    def findings(
        self, *, hashes: bool = False, latest: int | None = None, since_s: float | None = None
    ) -> Iterator[RemoteFinding]:
        """Each delivery in its order; `latest`: only that many, the last ones; `since_s`: only those after (wall time).
        With `hashes` every file is read back."""
        servers = Servers(self._folder, read_only=True)
        newest = self._newest()
        with (
            tempfile.TemporaryDirectory(prefix="iris-look-") as made,
            asyncio.Runner(loop_factory=loop_with_daemon_threads) as runner,
        ):
            accepted = Path(made) / accepted_keys.NAME  # a copy: this check must not remember new host keys
            with suppress(FileNotFoundError):
                shutil.copyfile(self._folder / accepted_keys.NAME, accepted)
            transport = self._transport or ChosenTransport(accepted)
            connections = _Connections(servers, transport, self._settings, self._clock)
            deliveries = self._deliveries(latest, since_s)
            try:
                while some := list(islice(deliveries, AT_ONCE)):
                    yield from runner.run(connections.ask(some, newest, hashes=hashes))
            finally:
                runner.run(connections.end())

    def _newest(self) -> dict[int, str]:
        """What was delivered last under each name, by a hash of server and name: that is all that is kept."""
        return {each.name: each.sha256 for each in map(_delivery, Audit(self._folder).deliveries())}

    def _deliveries(self, latest: int | None, since_s: float | None) -> Iterator[_Delivery]:
        lines = Audit(self._folder).deliveries()
        chosen = (line for line in lines if since_s is None or line["delivered_s"] >= since_s)
        yield from map(_delivery, chosen if latest is None else deque(chosen, maxlen=latest))


class _Connections:
    """Connections to the servers, each opened once."""

    def __init__(self, servers: Servers, transport: Transport, settings: DeliverySettings, clock: Clock) -> None:
        self._servers = servers
        self._transport = transport
        self._settings = settings
        self._clock = clock
        self._connections: dict[str, Connection | IrisError] = {}

    async def ask(
        self, deliveries: Sequence[_Delivery], newest: dict[int, str], *, hashes: bool
    ) -> list[RemoteFinding]:
        """The results, in the order of the deliveries."""
        answers: dict[int, RemoteFinding] = {}
        by_server: defaultdict[str, list[_Delivery]] = defaultdict(list)
        for each in deliveries:
            if newest.get(each.name, each.sha256) != each.sha256:
                answers[each.delivery] = each.looked(RemoteVerdict.REPLACED)
            else:
                by_server[each.server].append(each)
        found = await asyncio.gather(*(self._ask_one(key, these, hashes=hashes) for key, these in by_server.items()))
        answers |= {looked.delivery: looked for these in found for looked in these}
        return [answers[each.delivery] for each in deliveries]

    async def end(self) -> None:
        for connection in self._connections.values():
            if isinstance(connection, Connection):
                connection.close()

    async def _ask_one(self, server_key: str, deliveries: Sequence[_Delivery], *, hashes: bool) -> list[RemoteFinding]:
        connection = self._connections.get(server_key)
        if connection is None:
            connection = self._connections[server_key] = await self._opened(server_key)
        if isinstance(connection, IrisError):
            return [each.looked(RemoteVerdict.UNKNOWN, str(connection)) for each in deliveries]
        places = asyncio.Semaphore(connection.capabilities.files_in_flight)

        async def ask(each: _Delivery) -> tuple[RemoteVerdict, str]:
            question = compare(os.fsencode(each.final_path), each.size_bytes, each.sha256 if hashes else None)
            async with places:
                try:
                    found, why = await connection.run(question)
                except IrisError as error:
                    return RemoteVerdict.UNKNOWN, str(error)
            return RemoteVerdict(found.value), why

        files = {each.name: each for each in deliveries}  # the members of one archive share one file
        found = dict(zip(files, await asyncio.gather(*map(ask, files.values())), strict=True))
        return [each.looked(*found[each.name]) for each in deliveries]

    async def _opened(self, server_key: str) -> Connection | IrisError:
        try:
            server, secret = self._servers.resolve(server_key)
            connection = Connection(replace(server, bandwidth_bytes_per_s=0.0), self._settings, self._clock)
            await connection.open(self._transport, secret)
            await connection.learned()
        except IrisError as error:
            return error
        return connection


def _delivery(line: dict[str, Any]) -> _Delivery:
    """Of a file that travelled in an archive, the archive is what lies there."""
    size_bytes, sha256 = line["size_bytes"], line["sha256"]
    if line.get("archive_sha256"):
        size_bytes, sha256 = line["archive_size_bytes"], line["archive_sha256"]
    return _Delivery(line["delivery"], line["id"], line["server"], line["final_path"], size_bytes, sha256)
