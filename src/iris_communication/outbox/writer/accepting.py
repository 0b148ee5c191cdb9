"""Acceptance: a file is admitted, its bytes are read or spooled, and a row is prepared for each of its destinations.

A fault of the source is the item's fault: the item is accepted and dead from the start, so that it is listed and
counted, and callers need not handle two kinds of failure. A fault of our own disk refuses the file.

The bytes of a file for several destinations are held once for each, under separate names, so that every item owns its
bytes and is delivered, dropped or kept independently of the others.
"""

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from iris_communication.clock import Clock
from iris_communication.decisions import attempt
from iris_communication.decisions.admission import MakeRoom, Usage, admission, victims
from iris_communication.errors import IrisError, OutboxStorageError, Scope
from iris_communication.item import Due, Event, Item, State, Take
from iris_communication.outbox.files.ids import sibling_id
from iris_communication.outbox.files.reserve import Reserve
from iris_communication.outbox.files.spool import Spool, TakenFile
from iris_communication.outbox.orders import ended
from iris_communication.outbox.store.contract import Insert
from iris_communication.outbox.writer.commit_group import CommitGroup
from iris_communication.outbox.writer.committer import Committer
from iris_communication.outbox.writer.messages import Accept
from iris_communication.plain_text import ERROR_TEXT_MAX, clean
from iris_communication.runtime.repeats import Repeats
from iris_communication.settings import Limits

log = logging.getLogger(__name__)

SHRINK_PAUSE_S = 1.0  # between two attempts to make room by writing the log into the database
VICTIMS_MAX = 1000  # rows read for one new file: a large one must not make the writer read a million tiny ones


@dataclass(frozen=True, slots=True)
class AcceptedItem:
    item: Item
    error: IrisError | None  # why it is dead from the start; None: it is not


class Accepting:
    def __init__(
        self,
        folder: Path,
        spool: Spool,
        reserve: Reserve,
        committer: Committer,
        clock: Clock,
        items_max: int,
        limits: Limits,
    ) -> None:
        self._folder = folder
        self._spool = spool
        self._reserve = reserve
        self._committer = committer
        self._clock = clock
        self._items_max = items_max
        self._limits = limits
        self._shrink_after_s = 0.0  # monotonic
        self._repeats = Repeats(log, clock.monotonic_s, per_file=True)

    @property
    def has_reserve(self) -> bool:
        return self._reserve.held

    def prepare(self, accept: Accept, group: CommitGroup, token: str, sequence: int) -> list[AcceptedItem]:
        """An item for each destination, with the sequences after `sequence`. Raises OutboxFull, OutboxStorageError;
        then nothing of it is in the group."""
        count = len(accept.destinations)
        leaving = self._admit(accept, group, count)
        if not self._has_room():
            raise OutboxStorageError(f"the disk of the outbox {self._folder} is full: No space left on device")
        item_id = f"{int(self._clock.wall_s() * 1000):012x}-{token}"
        taken, wrong = self._taken(accept, item_id, count)
        for item in leaving:
            text = "the outbox is full: %s (%s) is dropped for a newer file"
            self._repeats.log("full", logging.WARNING, text, clean(item.remote_path, ERROR_TEXT_MAX), item.id)
            group.add(ended(item, Event.DROP, self._clock.wall_s(), "it gave way in a full outbox"))
        accepted = [
            AcceptedItem(self._item(accept, number, item_id, sequence, taken, wrong), wrong) for number in range(count)
        ]
        for each in accepted:
            group.add(Insert(each.item, content=taken.content if taken else None))
        return accepted

    def _admit(self, accept: Accept, group: CommitGroup, count: int) -> list[Item]:
        """The waiting items to be dropped for it. Raises OutboxFull."""
        size_bytes = count * _size_bytes(accept.source_path) if self._counts_bytes else 0
        counters = self._committer.counters
        usage = Usage(
            items=counters.queue_size + len(group.accepted) - len(group.ended) + count - 1,
            size_bytes=counters.spooled_bytes
            + sum(item.held_bytes for item in group.accepted)
            - sum(item.held_bytes for item in group.ended),
            free_bytes=self._reserve.free_bytes() if self._limits.disk_reserve_bytes else None,
        )
        decision = admission(usage, size_bytes, self._items_max, self._limits)
        if not isinstance(decision, MakeRoom):
            return []
        with self._committer.reading() as store:
            oldest = self._limits.when_full == "drop_oldest"
            waiting = (
                store.oldest_waiting(accept.priority, VICTIMS_MAX) if oldest else store.lowest_waiting(VICTIMS_MAX)
            )
        return victims([item for item in waiting if not group.touches(item.id)], decision, accept.priority)

    @property
    def _counts_bytes(self) -> bool:
        return self._limits.bytes_max is not None or self._limits.disk_reserve_bytes > 0

    def _has_room(self) -> bool:
        """Hold the reserve; whether it is held. After a busy time the database's log holds some megabytes: on a small
        disk those are what is missing, and opening the database anew frees them."""
        if self._reserve.take():
            return True
        if self._clock.monotonic_s() < self._shrink_after_s:
            return False
        self._shrink_after_s = self._clock.monotonic_s() + SHRINK_PAUSE_S
        self._committer.shrink()
        return self._reserve.take()

    def _taken(self, accept: Accept, item_id: str, count: int) -> tuple[TakenFile | None, IrisError | None]:
        try:
            taken = self._spool.take(accept.source_path, item_id, accept.take, accept.identity)
        except IrisError as error:
            if error.scope is not Scope.ITEM:
                raise
            self._repeats.log(error.cause, logging.ERROR, "%s; it was accepted as dead. %s", error, error.hint)
            return None, error
        if taken.content is not None:
            return taken, None
        shared: list[str] = [item_id]
        try:
            for number in range(1, count):
                self._spool.share(item_id, sibling_id(item_id, number))
                shared.append(sibling_id(item_id, number))
        except IrisError:
            for each in shared:
                self._committer.discard(each)
            raise
        return taken, None

    def _item(
        self,
        accept: Accept,
        number: int,
        item_id: str,
        sequence: int,
        taken: TakenFile | None,
        wrong: IrisError | None,
    ) -> Item:
        destination = accept.destinations[number]
        return Item(
            id=sibling_id(item_id, number),
            sequence=sequence + 1 + number,
            server_key=destination.server.key,
            source_path=accept.source_path,
            remote_path=destination.remote_path,
            folder_type=accept.folder_type,
            project_settings=accept.project_settings,
            take=accept.take if number == 0 else Take.COPY,  # a moved source is unlinked once
            fingerprint=taken.fingerprint if taken else None,
            accepted_s=self._clock.wall_s(),
            state=State.WAITING if taken else State.DEAD,
            last_error=attempt.failure(wrong) if wrong else None,
            priority=accept.priority,
            batch=destination.batch,
            ttl_s=accept.ttl_s,
            expires=Due(self._clock.boot_id, self._clock.boot_s() + accept.ttl_s) if accept.ttl_s else None,
            after=accept.after,
            move_to=accept.move_to,
            in_store=taken is not None and taken.content is not None,
        )


def _size_bytes(source: str) -> int:
    """The size that admission counts; 0 for a source that cannot be examined."""
    try:
        return os.stat(source).st_size
    except OSError:
        return 0
