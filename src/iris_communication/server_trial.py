"""Try a server out, now: is it reached, who is it, how far away and how fast, and what will and will not work there.

    report = try_server({"host": ..., "username": ..., ...})
    print(report.works, *report.sentences, sep="\n")

Needs no outbox and no running uploader. Everything is done under hidden names in `remote_directory`, and removed.
"""

import asyncio
import os
import secrets
import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from iris_communication.clock import Clock, SystemClock
from iris_communication.delivery.connection import Connection
from iris_communication.delivery.daemon_threads import run
from iris_communication.errors import IrisError
from iris_communication.outbox.known_servers import KnownServers
from iris_communication.settings import DeliverySettings, Secret, Server, parse_server
from iris_communication.sftp import wire
from iris_communication.sftp.session import Talk
from iris_communication.sftp.status import StatusError
from iris_communication.sftp.trial import OPEN_FILES, Findings, TrialContent, one_of_many, trial
from iris_communication.sftp.trial_words import Sentence, Weight, sentences
from iris_communication.sftp.wire import CREATE, EXCLUSIVE, WRITE
from iris_communication.transport.chosen import ChosenTransport
from iris_communication.transport.contract import Transport
from iris_communication.transport.host_keys import ACCEPTED_NAME

QUESTIONS = 9  # of which the median is the round trip
RATE_BYTES = 1024 * 1024  # written again and again
RATE_S = 2.0  # about as long
RATE_TIMES = 64


@dataclass(frozen=True, slots=True)
class Report:
    """`rate_bytes_per_s` is that of writing one file; None: it was not permitted."""

    server: str
    software: str
    host_key: str
    connected_s: float  # how long that took
    round_trip_s: float
    rate_bytes_per_s: float | None
    capabilities: dict[str, Any]
    findings: Findings
    sentences: tuple[Sentence, ...]
    at_s: float

    @property
    def works(self) -> bool:
        """Files will arrive, as the server is set."""
        return all(sentence.weight is not Weight.TROUBLE for sentence in self.sentences)

    def facts(self) -> dict[str, Any]:
        """For JSON."""
        found = self.findings
        return {
            "server": self.server,
            "works": self.works,
            "software": self.software,
            "host_key": self.host_key,
            "connected_s": round(self.connected_s, 3),
            "round_trip_ms": round(self.round_trip_s * 1000, 2),
            "rate_bytes_per_s": None if self.rate_bytes_per_s is None else round(self.rate_bytes_per_s),
            "free_bytes": found.free_bytes,
            "open_files": found.open_files,
            "refused": found.refused,
            "left": [os.fsdecode(path) for path in found.left],
            "says": [{"weight": sentence.weight.value, "words": sentence.words} for sentence in self.sentences],
            "at_s": round(self.at_s, 3),
        }


def try_server(
    info: Mapping[str, Any],
    *,
    outbox: Path | None = None,
    transport: Transport | None = None,
    settings: DeliverySettings | None = None,
    clock: Clock | None = None,
) -> Report:
    """`info` is a `sftp_server_info`. With `outbox` (its folder), host keys accepted there count, and the report is
    remembered. Raises InvalidRequest, and the IrisErrors of connecting (docs/connections.md)."""
    server, secret = parse_server(info)
    transport = transport or ChosenTransport(None if outbox is None else outbox / ACCEPTED_NAME)
    report = run(_connected(server, secret, transport, settings or DeliverySettings(), clock or SystemClock()))
    if outbox is not None and outbox.is_dir():  # else nobody has delivered anything yet, and none is made for this
        KnownServers(outbox).remember(server.key, trial=report.facts())
    return report


def known(outbox: Path) -> dict[str, dict[str, Any]]:
    """What is remembered of each server, by its key."""
    return KnownServers(outbox).all()


async def _connected(
    server: Server, secret: Secret, transport: Transport, settings: DeliverySettings, clock: Clock
) -> Report:
    connection, begun_s = Connection(server, settings, clock), clock.monotonic_s()
    try:
        await connection.open(transport, secret)
        return await _tried(connection, server, clock.monotonic_s() - begun_s, clock)
    finally:
        connection.close()


async def _tried(connection: Connection, server: Server, connected_s: float, clock: Clock) -> Report:
    folder, token = os.fsencode(server.remote_directory), secrets.token_hex(8).encode()
    round_trips = []
    for _ in range(QUESTIONS):
        asked_s = clock.monotonic_s()
        await connection.run(_question(folder))
        round_trips.append(clock.monotonic_s() - asked_s)
    found: Findings = await connection.run(trial(folder, token, connection.capabilities), TrialContent())
    rate = None
    if not {"create", "write", "remove"} & found.refused.keys() and not found.made_folder:
        path = os.path.join(folder, b".iris-" + token)
        await asyncio.gather(*(connection.run(one_of_many(b"%s-%d" % (path, number))) for number in range(OPEN_FILES)))
        found.open_files = connection.files_open_most
        rate = await _rate(connection, path + b"-r", clock)
    return Report(
        server.key,
        connection.software,
        connection.host_key,
        connected_s,
        statistics.median(round_trips),
        rate,
        asdict(connection.capabilities),
        found,
        tuple(sentences(found, server)),
        clock.wall_s(),
    )


def _question(folder: bytes) -> Talk:
    yield (wire.Stat(folder),)


async def _rate(connection: Connection, path: bytes, clock: Clock) -> float | None:
    """Bytes in a second of one file; what was written first is not counted, because links begin slowly."""
    counted_bytes, counted_s, begun_s = 0, 0.0, clock.monotonic_s()
    try:
        for number in range(RATE_TIMES):
            asked_s = clock.monotonic_s()
            if not await connection.run(_written(path, number * RATE_BYTES, new=number == 0), TrialContent()):
                return None
            if number:
                counted_bytes, counted_s = counted_bytes + RATE_BYTES, counted_s + clock.monotonic_s() - asked_s
            if clock.monotonic_s() - begun_s > RATE_S and number:
                break
    finally:
        if connection.lost is None:
            await connection.run(_removed(path))
    return counted_bytes / counted_s if counted_s else None


def _written(path: bytes, offset: int, *, new: bool) -> Talk:
    (opened,) = yield (wire.Open(path, WRITE | CREATE | EXCLUSIVE if new else WRITE),)
    if isinstance(opened, StatusError):
        return False
    answers = yield wire.Write(opened.handle, offset, RATE_BYTES), wire.Close(opened.handle)
    return not any(isinstance(answer, StatusError) for answer in answers)


def _removed(path: bytes) -> Talk:
    yield (wire.Remove(path),)


__all__ = ["IrisError", "Report", "Sentence", "Weight", "known", "try_server"]
