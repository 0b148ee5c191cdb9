"""The keeper: the one thread that changes what is owed. inbox -> group -> one commit -> publish.

Idea. A commit that survives a power cut costs the same for one change or a hundred, so the keeper takes whatever lies
in its inbox, carries it out as one group, commits once, and only then answers. Callers never touch the database, the
spool or the ledger; they send messages and read the latest published picture.

Order, each step harmless when it is repeated after a crash:
  in:   bytes durable in the spool -> row committed -> a moved source unlinked -> the caller answered
  out:  rename confirmed (by the uploader) -> row and ledger line in one commit -> spool file unlinked

What goes wrong. A commit that fails refuses the acceptances of its group and keeps its settlements: what was
delivered stays to be recorded, again and again, on a freshly opened store. An error of the keeper itself is logged
with its traceback, the group is answered with it, and the keeper goes on.
"""

import logging
import queue
import secrets
import threading
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from iris_communication.clock import Clock
from iris_communication.decisions.admission import admit
from iris_communication.errors import Effect, IrisError, NotStarted, OutboxStorageError, Scope
from iris_communication.item import Delivered, Due, Event, Failure, Fingerprint, Item, State, Take, next_state
from iris_communication.outbox import ledger
from iris_communication.outbox.messages import (
    Accept,
    Answer,
    Claim,
    Close,
    Flush,
    Message,
    Remember,
    RetryDead,
    Settle,
)
from iris_communication.outbox.owner import Owner
from iris_communication.outbox.picture import Picture
from iris_communication.outbox.receipt import Receipt
from iris_communication.outbox.recovery import recover
from iris_communication.outbox.servers import Servers
from iris_communication.outbox.spool import Spool
from iris_communication.outbox.store import Change, Deliver, Insert, Store, Update
from iris_communication.outbox.view import View
from iris_communication.settings import Secret, Server

log = logging.getLogger(__name__)

GROUP_MAX = 128  # messages in one commit: bounds what one failure refuses and how long an answer waits
STORE_RETRY_S = 1.0  # between attempts to record what could not be committed


class _Group:
    """One commit in the making, and what follows from it."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.spooled: list[Item] = []  # accepted in this group, with their bytes in the spool
        self.claimed: list[Item] = []
        self.settles: list[Settle] = []
        self.done: list[Callable[[], None]] = []  # once it is committed
        self.refused: list[Callable[[IrisError], None]] = []  # if it cannot be


class Keeper:
    """`open_store` makes the durable state; called anew after it failed."""

    def __init__(
        self,
        folder: Path,
        open_store: Callable[[], Store],
        clock: Clock,
        max_queue_size: int,
    ) -> None:
        self._folder = folder
        self._open_store = open_store
        self._clock = clock
        self._max_queue_size = max_queue_size
        self._inbox: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="iris-keeper", daemon=True)
        self._opened = Answer()
        self._closing: Close | None = None
        self._unrecorded: list[Settle] = []  # settlements whose commit failed
        self._receipts: weakref.WeakValueDictionary[str, Receipt] = weakref.WeakValueDictionary()
        self._subscriber: Callable[[], None] = lambda: None
        self.view = View()

    # Called by any thread.

    def open(self) -> None:
        """Take the outbox, put right what a crash left, start. Raises OutboxInUse, OutboxStorageError,
        OutboxDamaged."""
        self._thread.start()
        self._opened.wait(self._thread.is_alive)

    def accept(self, accept: Accept) -> Receipt:
        """Durable when it returns. Raises OutboxFull, OutboxStorageError, NotStarted."""
        receipt: Receipt = self._ask(accept)
        return receipt

    def retry_dead(self, item_id: str | None) -> int:
        """How many dead items wait again, with all their attempts."""
        count: int = self._ask(RetryDead(item_id))
        return count

    def remember(self, server: Server, secret: Secret, name: str | None) -> None:
        self._ask(Remember(server, secret, name))

    def claim(self, server_key: str, limit: int, reply: Callable[[list[Item]], None]) -> None:
        self._inbox.put(Claim(server_key, limit, reply))

    def settle(self, settle: Settle) -> None:
        self._inbox.put(settle)

    def flush(self) -> None:
        """Return once what was sent before is recorded, or could not be for now."""
        self._ask(Flush())

    def close(self) -> None:
        """End acceptance, record what is pending, release the outbox. May be called twice."""
        if self._thread.is_alive():
            self._ask(Close())
            self._thread.join()

    def subscribe(self, subscriber: Callable[[], None]) -> None:
        """Call it, on the keeper's thread, after each new picture."""
        self._subscriber = subscriber

    @property
    def servers(self) -> Servers:
        return self._servers

    @property
    def spool(self) -> Spool:
        return self._spool

    def _ask(self, message: Accept | RetryDead | Remember | Flush | Close) -> Any:
        if not self._thread.is_alive():
            raise NotStarted("the outbox is not open")
        self._inbox.put(message)
        return message.answer.wait(self._thread.is_alive)

    # All below runs on the keeper's thread.

    def _run(self) -> None:
        try:
            self._start()
        except BaseException as error:  # noqa: BLE001 - a thread's boundary: whoever opens it is given it
            self._opened.give(error)
            return
        self._opened.give(None)
        try:
            while self._closing is None:
                self._turn()
        finally:
            self._store.close()
            self._owner.release()
            if self._closing is not None:
                self._closing.answer.give(None)

    def _start(self) -> None:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._owner = Owner(self._folder, self._clock.wall_s())
        except OSError as error:
            raise OutboxStorageError(f"cannot use the outbox folder {self._folder}: {error.strerror}") from error
        try:
            self._servers = Servers(self._folder)
            self._spool = Spool(self._folder / "spool")
            self._store = self._open_store()
            try:
                recover(self._store, self._spool)
                self._sequence = self._store.last_sequence()
                self._head = self._store.ledger_head()
                self._picture = Picture(self._store)
                self.view = self._picture.view()
            except BaseException:
                self._store.close()
                raise
        except OSError as error:
            self._owner.release()
            raise OutboxStorageError(f"cannot use the outbox folder {self._folder}: {error.strerror}") from error
        except BaseException:
            self._owner.release()
            raise

    def _turn(self) -> None:
        """One group: what lies in the inbox, and what could not be recorded before."""
        messages: list[Message] = []
        try:
            messages.append(self._inbox.get(timeout=STORE_RETRY_S if self._unrecorded else None))
            while len(messages) < GROUP_MAX:
                messages.append(self._inbox.get_nowait())
        except queue.Empty:
            pass
        try:
            self._carry_out(messages)
        except Exception as error:
            log.exception("the keeper failed on a group of %d messages; it goes on", len(messages))
            for message in messages:
                if isinstance(message, (Accept, RetryDead, Remember, Flush)):
                    message.answer.give(OutboxStorageError(f"the keeper failed: {error!r}"))

    def _carry_out(self, messages: list[Message]) -> None:
        group = _Group()
        pending, self._unrecorded = self._unrecorded, []
        for settle in pending:
            self._prepare_settle(settle, group)
        for message in messages:
            if isinstance(message, Settle):
                self._prepare_settle(message, group)
            elif isinstance(message, Accept):
                self._prepare_accept(message, group)
            elif isinstance(message, Claim):
                self._prepare_claim(message, group)
            elif isinstance(message, RetryDead):
                self._prepare_retry(message, group)
            elif isinstance(message, Remember):
                self._remember(message)
            elif isinstance(message, Flush):
                self._prepare_flush(message, group)
            else:
                self._closing = message
        try:
            if group.spooled:
                self._spool.sync()
            if group.changes:
                self._store.commit(group.changes)
        except IrisError as error:
            self._not_committed(group, error)
            return
        self._committed(group)

    def _committed(self, group: _Group) -> None:
        for change in group.changes:
            self._picture.count(change)
        self.view = self._picture.view()
        for item in group.spooled:
            if item.take is Take.MOVE:
                _unlink_source(item)
        for done in group.done:
            done()
        self._subscriber()

    def _not_committed(self, group: _Group, error: IrisError) -> None:
        """Reopen the store, and believe what it says: a commit may have failed after it had happened."""
        log.error("%s; what was being accepted is refused, what was delivered stays to be recorded", error)
        reopened = self._reopen()
        stored = {item.id for item in group.spooled if reopened and self._store.state(item.id) is not None}
        if stored or (reopened and not group.spooled and self._happened(group)):
            self._committed(group)
            return
        for item in group.spooled:
            self._spool.discard(item.id)
        self._unrecorded.extend(group.settles)
        for refused in group.refused:
            refused(error)
        self._subscriber()

    def _happened(self, group: _Group) -> bool:
        first = group.changes[0] if group.changes else None
        return isinstance(first, Deliver) and self._store.state(first.item.id) == State.DELIVERED.value

    def _reopen(self) -> bool:
        self._store.close()
        try:
            self._store = self._open_store()
        except IrisError as error:
            log.error("%s", error)
            return False
        self._head = self._store.ledger_head()
        self._picture.store = self._store
        return True

    def _prepare_accept(self, accept: Accept, group: _Group) -> None:
        try:
            admit(self._picture.queue_size + len(group.spooled), self._max_queue_size)
            if not self._servers.knows(accept.server, accept.secret):
                self._servers.remember(accept.server, accept.secret)
            item = self._new_item(accept, group)
        except IrisError as error:
            accept.answer.give(error)
            return
        receipt = Receipt(item.id)
        self._receipts[item.id] = receipt
        group.done.append(lambda: accept.answer.give(receipt))
        group.refused.append(accept.answer.give)

    def _new_item(self, accept: Accept, group: _Group) -> Item:
        """Spool the bytes. What is wrong with the source is the item's fault: it is dead from the start."""
        item_id = f"{int(self._clock.wall_s() * 1000):012x}-{secrets.token_hex(8)}"
        fingerprint: Fingerprint | None = None
        failure: Failure | None = None
        try:
            fingerprint = self._spool.take(accept.source_path, item_id, accept.take)
        except IrisError as error:
            if error.scope is not Scope.ITEM:
                raise
            log.error("%s; it was accepted as dead. %s", error, error.hint)
            failure = _failure(error)
        self._sequence += 1
        item = Item(
            id=item_id,
            sequence=self._sequence,
            server_key=accept.server.key,
            source_path=accept.source_path,
            remote_path=accept.remote_path,
            folder_type=accept.folder_type,
            project_settings=accept.project_settings,
            take=accept.take,
            fingerprint=fingerprint,
            accepted_s=self._clock.wall_s(),
            state=State.WAITING if fingerprint else State.DEAD,
            last_error=failure,
        )
        group.changes.append(Insert(item))
        if fingerprint:
            group.spooled.append(item)
        return item

    def _prepare_claim(self, claim: Claim, group: _Group) -> None:
        try:
            found = self._store.peek(claim.server_key, self._clock.boot_s(), claim.limit)
        except OutboxStorageError as error:
            log.error("%s", error)
            found = []
        taken = self._picture.in_flight.keys() | {item.id for item in group.claimed}
        claimed = [_claimed(item) for item in found if item.id not in taken]
        group.claimed += claimed
        group.changes.extend(Update(item) for item in claimed)
        group.done.append(lambda: claim.reply(claimed))
        group.refused.append(lambda error: claim.reply([]))

    def _prepare_settle(self, settle: Settle, group: _Group) -> None:
        item = self._picture.in_flight.get(settle.item.id)
        if item is None:
            return  # settled before: repeats are harmless
        group.settles.append(settle)
        state = next_state(item.state, settle.event)
        if settle.event is Event.DELIVER:
            assert settle.delivered is not None, "a delivery comes with its proof"
            line = ledger.line(self._head, ledger.entry(item, settle.delivered))
            self._head = line.hash
            group.changes.append(Deliver(replace(item, state=state), line))
        else:
            group.changes.append(Update(self._after_failure(item, settle, state)))
        group.done.append(lambda: self._told(settle))

    def _after_failure(self, item: Item, settle: Settle, state: State) -> Item:
        own_fault = settle.event is not Event.RELEASE
        due = None
        if settle.event is Event.FAIL:
            due = Due(self._clock.boot_id, self._clock.boot_s() + settle.delay_s)
        return replace(
            item,
            state=state,
            attempts=item.attempts + own_fault,
            due=due if own_fault else item.due,
            effect=settle.effect,
            last_error=_failure(settle.error) if settle.error else item.last_error,
        )

    def _told(self, settle: Settle) -> None:
        """After the commit: the bytes of a delivered item are not ours any more, and whoever waits is told."""
        outcome: Delivered | IrisError | None = settle.delivered
        if settle.event is Event.DELIVER:
            self._spool.discard(settle.item.id)
        elif settle.event is Event.GIVE_UP:
            outcome = settle.error
        receipt = self._receipts.get(settle.item.id)
        if receipt is not None and outcome is not None:
            receipt.settle(outcome)

    def _prepare_retry(self, message: RetryDead, group: _Group) -> None:
        dead = self._store.dead(self._picture.dead)
        chosen = [item for item in dead if item.fingerprint is not None and message.item_id in (None, item.id)]
        for item in chosen:
            group.changes.append(Update(replace(item, state=next_state(item.state, Event.RETRY), attempts=0, due=None)))
        group.done.append(lambda: message.answer.give(len(chosen)))
        group.refused.append(message.answer.give)

    def _prepare_flush(self, message: Flush, group: _Group) -> None:
        group.done.append(lambda: message.answer.give(None))
        group.refused.append(lambda error: message.answer.give(None))

    def _remember(self, message: Remember) -> None:
        try:
            self._servers.remember(message.server, message.secret, message.name)
        except IrisError as error:
            message.answer.give(error)
        else:
            message.answer.give(None)


def _claimed(item: Item) -> Item:
    """Under way, with a token no earlier attempt knew, so that nothing late of a dead session can touch it. Only an
    item whose rename was left unanswered keeps its token: that attempt is finished, not repeated."""
    state = next_state(item.state, Event.CLAIM)
    if item.effect is Effect.UNKNOWN:
        return replace(item, state=state)
    earlier = item.token if item.effect is Effect.UNSEEN else None
    return replace(item, state=state, token=secrets.token_hex(8), earlier_token=earlier)


def _failure(error: IrisError) -> Failure:
    return Failure(type(error).__name__, str(error), error.hint)


def _unlink_source(item: Item) -> None:
    try:
        Path(item.source_path).unlink(missing_ok=True)
    except OSError as error:
        log.error("cannot remove %r, which is in the outbox now: %s", item.source_path, error.strerror)
