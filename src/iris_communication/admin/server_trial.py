"""The server test: is a server reached, which one is it, how far and how fast is it, and what will and will not work.

    report = try_server({"host": ..., "username": ..., ...})
    print(report.works, *report.sentences, sep="\n")

Needs no outbox and no running uploader. Everything is done under hidden names in `remote_directory`, and removed
whatever happens, Ctrl+C included. The report names what the server did not let us remove; the error names what a
lost link or a silent server kept us from removing.
"""

import asyncio
import os
import secrets
import statistics
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from iris_communication.clock import Clock, SystemClock
from iris_communication.delivery.connection import Connection
from iris_communication.delivery.daemon_threads import run
from iris_communication.errors import IrisError
from iris_communication.outbox.files.known_servers import KnownServers
from iris_communication.server.facts import parse_server
from iris_communication.settings import DeliverySettings, Secret, Server
from iris_communication.sftp import wire
from iris_communication.sftp.conversations.conversation import Talk
from iris_communication.sftp.conversations.upload import TEMP_PREFIX
from iris_communication.sftp.token_bucket import TokenBucket
from iris_communication.sftp.trials.trial import OPEN_FILES, Findings, TrialContent, clear_away, one_of_many, trial
from iris_communication.sftp.trials.trial_rate import PIECE_BYTES_MAX, rate
from iris_communication.sftp.trials.trial_report import Sentence, Weight, sentences
from iris_communication.transport import accepted_keys
from iris_communication.transport.algorithms import Negotiated
from iris_communication.transport.chosen import ChosenTransport, foreseen_refusal
from iris_communication.transport.contract import Transport

QUESTIONS = 9  # of which the median is the round trip
LIMITED_S = 2.0  # one piece that measures the rate takes at most so long at the server's bandwidth limit
CLEARING_S = 3.0  # after Ctrl+C, for what is under way and for removing what is there


class TrialStopped(KeyboardInterrupt):
    """Ctrl+C. It says what the trial may have left on the server."""


@dataclass(frozen=True, slots=True)
class Report:
    """`rate_bytes_per_s` is that of writing one file, within its bandwidth; None: writing was not permitted."""

    server: str
    software: str
    host_key: str
    algorithms: Negotiated | None
    connected_s: float  # how long connecting took
    round_trip_s: float
    rate_bytes_per_s: float | None
    capabilities: dict[str, Any]
    findings: Findings
    sentences: tuple[Sentence, ...]
    at_s: float

    @property
    def works(self) -> bool:
        """Whether files will arrive, with these settings of the server."""
        return all(sentence.weight is not Weight.TROUBLE for sentence in self.sentences)

    def facts(self) -> dict[str, Any]:
        """For JSON."""
        found = self.findings
        return {
            "server": self.server,
            "works": self.works,
            "software": self.software,
            "host_key": self.host_key,
            "algorithms": None if self.algorithms is None else self.algorithms._asdict(),
            "connected_s": round(self.connected_s, 3),
            "round_trip_ms": round(self.round_trip_s * 1000, 2),
            "rate_bytes_per_s": None if self.rate_bytes_per_s is None else round(self.rate_bytes_per_s),
            "free_bytes": found.free_bytes,
            "open_files": found.open_files,
            "refused": found.refused,
            "left": [os.fsdecode(path) for path in found.left],
            "says": [{"weight": sentence.weight.value, "words": sentence.text} for sentence in self.sentences],
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
    """`info` is a `sftp_server_info`. With `outbox` (its folder, made where there is none), host keys accepted there
    count, and the report is remembered. Raises InvalidRequest, the IrisErrors of connecting (docs/connections.md), and
    TrialStopped."""
    server, secret = parse_server(info)
    transport = transport or ChosenTransport(_accepted_keys(outbox))
    found = Findings(os.fsencode(server.remote_directory))
    connecting = _connected(server, secret, transport, settings or DeliverySettings(), clock or SystemClock(), found)
    try:
        report = run(connecting)
    except KeyboardInterrupt:
        text = _left(found) or "Nothing of it is there"
        raise TrialStopped(f"the trial of {server.key} was stopped. {text}") from None
    except IrisError as error:
        if not found.left:
            raise
        raise type(error)(f"{error}. {_left(found)}", hint=error.hint) from error
    if outbox is not None:
        _remember(outbox, report)
    return report


def unknown_host(info: Mapping[str, Any]) -> str | None:
    """Why a server would be refused whatever key it shows, as far as that is known without connecting."""
    return foreseen_refusal(parse_server(info)[0])


def _accepted_keys(outbox: Path | None) -> Path | None:
    """None: this user's own. A file of ours in another user's outbox would keep its owner from reading its keys."""
    if outbox is None:
        return None
    with suppress(OSError):
        if outbox.stat().st_uid != os.geteuid():
            return None
    return outbox / accepted_keys.NAME


def known(outbox: Path) -> dict[str, dict[str, Any]]:
    """What is remembered of each server, by its key."""
    return KnownServers(outbox).all()


def _left(found: Findings) -> str:
    left = ", ".join(path.decode("utf-8", "backslashreplace") for path in found.left)
    return f"The trial may have left there: {left}" if left else ""


def _remember(outbox: Path, report: Report) -> None:
    with suppress(OSError):  # KnownServers logs what it cannot write there
        outbox.mkdir(mode=0o700, parents=True, exist_ok=True)
    KnownServers(outbox).remember(report.server, trial=report.facts())


async def _connected(
    server: Server, secret: Secret, transport: Transport, settings: DeliverySettings, clock: Clock, found: Findings
) -> Report:
    connection, begun_s = Connection(server, settings, clock), clock.monotonic_s()
    try:
        await connection.open(transport, secret)
        await connection.learned()
        if server.bandwidth_bytes_per_s:
            connection.limit(TokenBucket(server.bandwidth_bytes_per_s, clock.monotonic_s()))
        trying = asyncio.create_task(_tried(connection, found, clock.monotonic_s() - begun_s, clock))
        try:
            await asyncio.wait([trying])
        except asyncio.CancelledError:  # Ctrl+C: wait for open answers, or nobody knows what is on the server
            found.broken_off = True
            await asyncio.wait([trying], timeout=CLEARING_S)
            connection.close()
            await asyncio.gather(trying, return_exceptions=True)
            raise
        return trying.result()
    finally:
        connection.close()


async def _tried(connection: Connection, found: Findings, connected_s: float, clock: Clock) -> Report:
    token = secrets.token_hex(8).encode()
    round_trip_s = await _round_trip_s(connection, found.folder, clock)
    try:
        await connection.run(trial(found, token, connection.capabilities), TrialContent())
        measured = await _measured(connection, found, os.path.join(found.folder, TEMP_PREFIX + token), clock)
    except asyncio.CancelledError:  # a second Ctrl+C: nothing is waited for any more
        connection.close()
        raise
    finally:
        if connection.lost is None:
            await connection.run(clear_away(found))
    return Report(
        connection.server.key,
        connection.software,
        connection.host_key,
        connection.algorithms,
        connected_s,
        round_trip_s,
        measured,
        asdict(connection.capabilities),
        found,
        (*_spoken(connection.server, connection.algorithms), *sentences(found, connection.server)),
        clock.wall_s(),
    )


def _spoken(server: Server, algorithms: Negotiated | None) -> list[Sentence]:
    if algorithms is None:
        return []
    if old := algorithms.legacy:
        text = f"Its SSH is old, it is spoken with {' and '.join(old)}, which others may break: have it updated."
        return [Sentence(Weight.NOTE, text)]
    if server.legacy_algorithms:
        return [Sentence(Weight.NOTE, "It needs nothing old: take legacy_algorithms out of its settings.")]
    return []


async def _round_trip_s(connection: Connection, folder: bytes, clock: Clock) -> float:
    round_trips = []
    for _ in range(QUESTIONS):
        asked_s = clock.monotonic_s()
        await connection.run(_question(folder))
        round_trips.append(clock.monotonic_s() - asked_s)
    return statistics.median(round_trips)


def _question(folder: bytes) -> Talk:
    yield (wire.Stat(folder),)


async def _measured(connection: Connection, found: Findings, path: bytes, clock: Clock) -> float | None:
    """How many files the server holds open (in `found`), and the rate of one; not where none could be removed again."""
    if {"create", "hidden names", "write", "remove"} & found.refused.keys() or found.made_folder or found.broken_off:
        return None
    many = (one_of_many(found, b"%s-%d" % (path, number)) for number in range(OPEN_FILES))
    await asyncio.gather(*map(connection.run, many))
    found.open_files = connection.files_open_most
    await connection.run(clear_away(found))
    limit = connection.server.bandwidth_bytes_per_s
    most_bytes = min(PIECE_BYTES_MAX, max(1, int(limit * LIMITED_S))) if limit else PIECE_BYTES_MAX
    measured: float | None = await connection.run(
        rate(found, path + b"-r", most_bytes, clock.monotonic_s), TrialContent()
    )
    return min(measured, limit) if measured and limit else measured  # what the bucket had saved up went faster


__all__ = ["IrisError", "Report", "Sentence", "TrialStopped", "Weight", "known", "try_server", "unknown_host"]
