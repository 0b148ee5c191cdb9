"""Several items as one upload: an archive that is made shortly before it is sent, and is nobody's afterwards.

For whoever counts slots and attempts an archive is an item like any other, with its members inside. What becomes of it
is told of each member, all in one commit.

Rules.
- A member whose bytes are not those accepted is dead, alone; the others travel without it.
- An archive that cannot be made, or that the server refuses, costs nobody an attempt: its members go by themselves.
- What the server or the link did is none of their business either: they wait, together for as long as their archive
  may have arrived.
"""

import asyncio
import contextlib
import logging
import os
import posixpath
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from iris_communication.archive.writing import Content, MemberBroken, write_archive
from iris_communication.delivery.carrier import Carrier
from iris_communication.errors import DeliveryStopped, Effect, IrisError, OutboxStorageError, Retry, Scope
from iris_communication.item import Delivered, Event, Item
from iris_communication.outbox.files.spool import Spool
from iris_communication.outbox.writer.messages import Settle, SettleTogether
from iris_communication.settings import BatchFormat

log = logging.getLogger(__name__)

ARCHIVES_MAX = 8  # of one server, claimed or under way: bounds the disk they take, and fills a long link
CLAIM_ARCHIVES_MAX = 2  # a commit of hundreds of rows makes whoever has a file accepted wait for as long


@dataclass(frozen=True, slots=True)
class Batch(Item):
    """Its id is the archive's name, its fingerprint that of the archive once it is made."""

    members: tuple[Item, ...] = ()


class ArchiveNotMade(DeliveryStopped):
    """Nothing was sent. `broken`: the id of the member whose fault it is, if it is one's, and why."""

    default_hint = "nothing to do: its files go without it"

    def __init__(self, message: str, reason: IrisError, broken: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.broken = broken


def gathered(items: Iterable[Item]) -> list[Item]:
    """What was claimed, with the members of each archive as one."""
    uploads: dict[str, list[Item]] = {}
    for item in items:
        uploads.setdefault(item.batch_id or item.id, []).append(item)
    return [members[0] if members[0].batch_id is None else _batch(members) for members in uploads.values()]


def files_in(uploads: Iterable[Item]) -> int:
    return sum(len(upload.members) if isinstance(upload, Batch) else 1 for upload in uploads)


async def carried(upload: Item, carrier: Carrier, spool: Spool, one_at_a_time: asyncio.Lock) -> Delivered:
    """Deliver it, an archive made on the way. Raises what the carrier raises, and ArchiveNotMade."""
    if not isinstance(upload, Batch):
        return await carrier.carry(upload)
    archive = spool.archive(upload.id)
    try:
        async with one_at_a_time:  # several would only take the processor from whoever runs beside us
            made = await asyncio.get_running_loop().run_in_executor(None, _made, upload, spool, archive)
        return await carrier.carry(made)
    except ArchiveNotMade as error:
        log.error("%s; its files go without it", error)
        raise
    finally:
        with contextlib.suppress(OSError):  # swept at the next start
            os.unlink(archive)


def outcome(settle: Settle) -> Settle | SettleTogether:
    """What became of an upload, told of each item in it."""
    upload = settle.item
    if not isinstance(upload, Batch):
        return settle
    error = settle.error
    if isinstance(error, ArchiveNotMade):
        return SettleTogether(tuple(_without_archive(member, upload, error) for member in upload.members))
    if settle.delivered is not None:
        arrived = settle.delivered
        return SettleTogether(
            tuple(replace(settle, item=member, delivered=_proof(member, arrived)) for member in upload.members)
        )
    refused = settle.event is not Event.RELEASE
    told = replace(settle, event=Event.RELEASE, delay_s=0.0, trace="", alone=refused)
    return SettleTogether(tuple(replace(told, item=member) for member in upload.members))


def _batch(members: Sequence[Item]) -> Batch:
    first = members[0]
    assert first.batch_id is not None, "an archive has a name"
    kind, _, folder = first.batch.partition(":")
    name = f"{first.batch_id}.{kind}"
    return Batch(
        id=first.batch_id,
        sequence=first.sequence,
        server_key=first.server_key,
        source_path=name,
        remote_path=posixpath.join(folder, name),
        folder_type=first.folder_type,
        project_settings=first.project_settings,
        take=first.take,
        fingerprint=None,
        accepted_s=first.accepted_s,
        state=first.state,
        token=first.token,
        earlier_tokens=first.earlier_tokens,
        effect=first.effect,
        batch=first.batch,
        batch_id=first.batch_id,
        members=tuple(members),
    )


def _made(batch: Batch, spool: Spool, archive: Path) -> Batch:
    """Its archive, written. On a thread of its own: nothing here belongs to the loop."""
    contents = []
    for member in batch.members:
        assert member.fingerprint is not None, "a claimed item has its bytes"
        name, path = posixpath.basename(member.remote_path), spool.path(member.id)
        contents.append(Content(member.id, member.sequence, name, path, member.fingerprint, member.accepted_s))
    kind = cast(BatchFormat, batch.batch.partition(":")[0])
    try:
        return replace(batch, fingerprint=write_archive(archive, kind, batch.id, contents))
    except MemberBroken as broken:
        raise ArchiveNotMade(f"{batch.source_path!r} was not made: {broken}", broken.error, broken.item_id) from broken
    except OutboxStorageError as error:
        raise ArchiveNotMade(f"{batch.source_path!r} was not made: {error}", error) from error


def _without_archive(member: Item, batch: Batch, error: ArchiveNotMade) -> Settle:
    """The broken one ends, or goes by itself where that may help. The others wait for another archive; but an archive
    that may have arrived cannot be made again without it, so then they go by themselves too."""
    was_sent = batch.effect is not Effect.NONE
    if member.id == error.broken and error.reason.scope is Scope.ITEM and error.reason.retry is Retry.NEVER:
        effect = Effect.UNSEEN if was_sent else Effect.NONE  # whatever arrived was the archive, never this file
        return Settle(member, Event.GIVE_UP, error=error.reason, effect=effect)
    if member.id == error.broken or error.broken is None:
        return Settle(member, Event.RELEASE, error=error.reason, alone=True)
    return Settle(member, Event.RELEASE, alone=was_sent)


def _proof(member: Item, arrived: Delivered) -> Delivered:
    """The member's own size and hash, and those of the archive that it lies in."""
    assert member.fingerprint is not None, "what was delivered had bytes"
    return replace(
        arrived,
        size_bytes=member.fingerprint.size_bytes,
        sha256=member.fingerprint.sha256,
        archive_size_bytes=arrived.size_bytes,
        archive_sha256=arrived.sha256,
    )
