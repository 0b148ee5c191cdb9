"""An archive is made shortly before it is sent, and removed afterwards; what becomes of it is settled for each member,
all in one commit.

Rules.
- A member whose bytes are not those accepted is dead; the others travel without it.
- An archive that cannot be made, or that the server refuses, costs no member an attempt: they are sent one by one.
- A failure of the server or the link costs them nothing either: they wait, and stay in their archive for as long as it
  may have arrived.
"""

import asyncio
import contextlib
import logging
import os
import posixpath
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import cast

from iris_communication.archive.writing import Content, MemberBroken, write_archive
from iris_communication.delivery.carrier import Carrier
from iris_communication.errors import DeliveryStopped, Effect, IrisError, OutboxStorageError, Retry, Scope
from iris_communication.item import Archive, Delivered, Event, Item, Upload
from iris_communication.outbox.writer.held_bytes import HeldBytes
from iris_communication.outbox.writer.messages import Settle
from iris_communication.settings import BatchFormat

log = logging.getLogger(__name__)


class ArchiveNotMade(DeliveryStopped):
    """Nothing was sent. `reason`: the error; `broken`: the id of the member at fault, if one is."""

    default_hint = "nothing to do: its files are sent one by one"

    def __init__(self, message: str, reason: IrisError, broken: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.broken = broken


async def carried(upload: Upload, carrier: Carrier, held: HeldBytes, one_at_a_time: asyncio.Lock) -> Delivered:
    """Deliver it, an archive made on the way. Raises what the carrier raises, and ArchiveNotMade."""
    if isinstance(upload, Item):
        return await carrier.carry(upload)
    path = held.archive(upload.id)
    try:
        async with one_at_a_time:  # several would only take the processor from the other threads
            made = await asyncio.get_running_loop().run_in_executor(None, _made, upload, held, path)
        return await carrier.carry(made)
    except ArchiveNotMade as error:
        log.error("%s; its files are sent one by one", error)
        raise
    finally:
        with contextlib.suppress(OSError):  # swept at the next start
            os.unlink(path)


def settles(
    archive: Archive, event: Event, delivered: Delivered | None, error: IrisError | None, effect: Effect
) -> Iterator[Settle]:
    """What became of an archive, for each member."""
    for member in archive.members:
        if isinstance(error, ArchiveNotMade):
            yield _without_archive(member, archive, error)
        elif delivered is not None:
            yield Settle(member, event, _proof(member, delivered))
        else:
            yield Settle(member, Event.RELEASE, error=error, effect=effect, unbatched=event is not Event.RELEASE)


def _made(archive: Archive, held: HeldBytes, path: Path) -> Archive:
    """With its file, written. Runs on a thread of its own, and uses nothing of the loop's."""
    contents, reading = [], held.reading(archive.members)
    for member in archive.members:
        assert member.fingerprint is not None, "a claimed item has its bytes"
        name = posixpath.basename(member.remote_path)
        held_bytes = partial(reading, member)
        contents.append(Content(member.id, member.sequence, name, held_bytes, member.fingerprint, member.accepted_s))
    not_made = f"{posixpath.basename(archive.remote_path)!r} was not made"
    try:
        return replace(archive, fingerprint=write_archive(path, cast(BatchFormat, archive.kind), archive.id, contents))
    except MemberBroken as broken:
        raise ArchiveNotMade(f"{not_made}: {broken}", broken.error, broken.item_id) from broken
    except OutboxStorageError as error:
        raise ArchiveNotMade(f"{not_made}: {error}", error) from error


def _without_archive(member: Item, archive: Archive, error: ArchiveNotMade) -> Settle:
    """The broken member ends, or is sent alone where that may help. The others wait for another archive; but an archive
    that may have arrived cannot be made again without it, so then they are sent alone too."""
    was_sent = archive.effect is not Effect.NONE
    if member.id == error.broken and error.reason.scope is Scope.ITEM and error.reason.retry is Retry.NEVER:
        effect = Effect.UNSEEN if was_sent else Effect.NONE  # whatever arrived was the archive, never this file
        return Settle(member, Event.GIVE_UP, error=error.reason, effect=effect)
    if member.id == error.broken or error.broken is None:
        return Settle(member, Event.RELEASE, error=error.reason, unbatched=True)
    return Settle(member, Event.RELEASE, unbatched=was_sent)


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
