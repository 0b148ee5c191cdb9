"""Commits a group to the store, and finds out whether a commit that failed had happened nevertheless.

What goes wrong.
- A commit fails: its acceptances are refused, its settlements are kept: what was delivered stays to be recorded. The
  store is not trusted any more: the committer opens it anew, and asks it whether the commit had happened.
- The store cannot be opened again: that question stays open (`_doubtful`). Nothing is accepted until it is answered,
  and the writer keeps trying to open the store.
- Another process has the outbox: nothing is recorded; once that process has ended, everything is read anew.
- The disk is full: the reserve is given back, so that deliveries can be recorded and make room; see `reserve`.

Everything here runs on the writer's thread; any thread may read `snapshot`.
"""

import contextlib
import logging
import os
from collections.abc import Callable, Iterator

from iris_communication.errors import IrisError, OutboxDamaged, OutboxInUse, OutboxStorageError
from iris_communication.item import Item, Take
from iris_communication.outbox.files.reserve import Reserve
from iris_communication.outbox.files.spool import Spool, still_is
from iris_communication.outbox.recovery.recovery import recover
from iris_communication.outbox.store.contract import Insert, Store
from iris_communication.outbox.writer.commit_group import CommitGroup, GroupOutcome
from iris_communication.outbox.writer.counters import Counters
from iris_communication.outbox.writer.messages import Settle
from iris_communication.outbox.writer.snapshot import Snapshot
from iris_communication.runtime.repeats import Repeats

log = logging.getLogger(__name__)

PutAside = Callable[[Store], Callable[[str], None] | None]  # for a store: takes ids of spool files without a row


class Committer:
    """Opens the store and puts right what a crash left. `still_ours` is `Owner.confirm`; `put_aside` of a store is
    recovery's. Raises OutboxStorageError, OutboxDamaged."""

    def __init__(
        self,
        open_store: Callable[[], Store],
        spool: Spool,
        reserve: Reserve,
        still_ours: Callable[[], bool],
        put_aside: PutAside,
    ) -> None:
        self._open_store = open_store
        self._spool = spool
        self._reserve = reserve
        self._still_ours = still_ours
        self._put_aside = put_aside
        self._broken = False  # the store failed, and has not been opened anew yet
        self._stale = False  # another process had the outbox: what was read before is outdated
        self.lost = ""  # why nothing is recorded: another process has the outbox
        self._doubtful: tuple[CommitGroup, IrisError] | None = None  # its commit failed, and may have happened
        self.unrecorded: list[Settle] = []  # settlements whose commit failed
        self._repeats = Repeats(log)
        try:
            self._start()
        except OutboxDamaged:
            raise
        except OutboxStorageError:
            if not reserve.give_back():
                raise
            self._start()

    def _start(self) -> None:
        self._store = self._open_store()
        try:
            recover(self._store, self._spool, self._put_aside(self._store))
            self.last_sequence = self._store.last_sequence()
            self.head = self._store.ledger_head()
            self.counters = Counters(self._store)
            self.snapshot: Snapshot = self.counters.snapshot()
        except BaseException:
            self._store.close()
            raise

    def go_on_counting(self, before: Snapshot) -> None:
        """Keep this process's counts, after its outbox was opened anew."""
        self.counters.go_on_counting(before)
        self.snapshot = self.counters.snapshot()

    @property
    def unfinished(self) -> bool:
        """Whether something is to be tried again without a message."""
        return self._broken or bool(self.unrecorded)

    @contextlib.contextmanager
    def reading(self) -> Iterator[Store]:
        """The store, for reading. After an error it is opened anew before anything is written."""
        try:
            yield self._store
        except OutboxStorageError as error:
            self._repeats.log("reading", logging.ERROR, "%s; Iris opens it again", error)
            self._broken = True
            raise

    def commit(self, group: CommitGroup) -> GroupOutcome:
        """Record it, and unlink the sources that were moved."""
        try:
            if self._broken:  # reading failed just now: do not trust it with a write either
                raise OutboxStorageError("the outbox database cannot be read")
            if group.changes:
                self._confirm()
            if group.spooled:
                self._spool.sync()
        except IrisError as error:
            return self._undone(group, error)
        try:
            if changes := group.changes:
                self._store.commit(changes)
        except Exception as error:  # noqa: BLE001 - besides its own errors a database binding raises of any kind
            return self._failed(group, error)
        self.head = group.head or self.head
        return self._committed(group)

    def _confirm(self) -> None:
        """Check that no other process has changed the outbox since it was read. Raises OutboxStorageError."""
        try:
            if self._still_ours():
                self.lost = ""
                return
        except OutboxInUse as error:
            if not self.lost:
                self.lost = f"{error}: nothing is accepted or sent until that one has ended"
                log.error("%s", self.lost)
            raise
        self._broken, self._stale, self.lost = True, True, ""
        raise OutboxStorageError("another process used the outbox meanwhile: Iris reads it again", hint="try again")

    def mend(self) -> GroupOutcome | None:
        """Open a store anew that failed; the outcome of the doubtful group, if there is one, by what the store says.
        Raises IrisError when that is not possible yet."""
        if not self._broken:
            return None
        self._store.close()
        if self._stale:
            self._start()
            self._stale = False
        else:
            self._store = self._open_store()
        head, self.last_sequence = self._store.ledger_head(), self._store.last_sequence()
        doubtful = self._doubtful
        happened = doubtful is not None and self._happened(doubtful[0])
        self._broken, self._doubtful = False, None
        self._repeats.over(["closed"], "the outbox is open again")
        self.head, self.counters.store = head, self._store
        if doubtful is None:
            return None
        return self._committed(doubtful[0]) if happened else self._undone(*doubtful)

    def tidy(self) -> None:
        """After the callers of a group were answered. On a disk that fills up, closing the store has to fit into the
        space that the reserve gives back: the log is never longer than half of it."""
        if self._broken:
            return
        try:
            self._store.tidy(self._reserve.size_bytes // 2, urgent=not self._reserve.held)
        except OutboxStorageError as error:
            self._repeats.log(("tidy", *error.cause), logging.ERROR, "%s; what was committed is safe", error)
            self._broken = True

    def shrink(self) -> None:
        """Close the store and open it anew, which writes its log into the database and removes it. Raises IrisError."""
        self._broken = True
        self.mend()

    def close(self) -> None:
        try:
            self._store.close()
        except IrisError as error:
            log.error("%s", error)

    def _committed(self, group: CommitGroup) -> GroupOutcome:
        for change in group.changes:
            self.counters.count(change)
            if isinstance(change, Insert):
                self.last_sequence = max(self.last_sequence, change.item.sequence)
        self.snapshot = self.counters.snapshot()
        for item in group.accepted:
            if item.take is Take.MOVE and group.awaited:
                _unlink_source(item)
        return GroupOutcome(group, None)

    def _failed(self, group: CommitGroup, failed: Exception) -> GroupOutcome:
        """The outcome is what the store says once it is open again: a commit may have failed after it had happened."""
        if isinstance(failed, IrisError):
            error = failed
            text = "%s; what was being accepted is refused, what was delivered stays to be recorded"
            self._repeats.log(("commit", *error.cause), logging.ERROR, text, error)
        else:
            error = unforeseen(failed)
            text = "the commit of a group failed in an unforeseen way"
            self._repeats.log(("commit", type(failed)), logging.ERROR, text, exc_info=failed)
        refused = GroupOutcome(group, error)
        self._broken, self._doubtful = True, (group, error)
        self._reserve.give_back()
        try:
            return self.mend() or refused
        except IrisError as reason:
            text = "%s; nothing is accepted until it can be opened again, which is tried by itself"
            self._repeats.log("closed", logging.ERROR, text, reason)
            return refused

    def _undone(self, group: CommitGroup, error: IrisError) -> GroupOutcome:
        """The outcome of a group of which nothing happened."""
        for item in group.spooled:
            self.discard(item.id)
        self.unrecorded.extend(group.settles)
        return GroupOutcome(group, error)

    def _happened(self, group: CommitGroup) -> bool:
        """A commit is all or none, so one item whose state it changes shows it. A group that changes no state (a
        priority, a server's facts) may be committed again, so it counts as not happened."""
        for change in group.items:
            before = None if isinstance(change, Insert) else change.before
            if before is None or before.state is not change.item.state:
                return self._store.state(change.item.id) == change.item.state.value
        return False

    def release(self, item: Item) -> None:
        """Remove the bytes of an item that is not owed any more; the store has removed its own with the row."""
        if item.fingerprint is not None and not item.in_store:
            self.discard(item.id)

    def discard(self, item_id: str) -> None:
        """Remove bytes that are not owed any more. Those that cannot be removed now are removed at the next start."""
        try:
            self._spool.discard(item_id)
        except OSError as error:
            text = "cannot remove %s from the spool: %s"
            self._repeats.log(("spool", error.errno), logging.ERROR, text, item_id, error.strerror)


def unforeseen(error: Exception) -> OutboxStorageError:
    return OutboxStorageError(f"the outbox's writer failed: {error!r}", hint="see the traceback in the log")


def _unlink_source(item: Item) -> None:
    """Unlink it if it is still the file that was taken: a new file may lie under its name by now."""
    assert item.fingerprint is not None, "its bytes were taken"
    try:
        if not still_is(item.source_path, item.fingerprint):
            if os.path.lexists(item.source_path):
                log.warning("%r was replaced or changed while Iris took it: the new content stays", item.source_path)
            return
        os.unlink(item.source_path)
    except FileNotFoundError:
        pass
    except OSError as error:
        log.error("cannot remove %r, which is in the outbox now: %s", item.source_path, error.strerror)
