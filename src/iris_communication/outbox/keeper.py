"""The keeper: the one thread that changes what is owed. inbox -> group -> one commit -> publish.

Idea. A commit that survives a power cut costs the same for one change or a hundred, so the keeper takes whatever lies
in its inbox, carries it out as one group, commits once, and only then answers. Callers never touch the database, the
spool or the ledger; they send messages and read the latest published picture.

A caller waits for an acceptance; nobody waits for a claim or a settlement. Those wait for company: they go along with
the next group that somebody does wait for, or after LINGER_S. So a file costs about one commit where it would cost
three, and the thread that captures pictures finds the interpreter and the disk free more often.

Order, each step harmless when it is repeated after a crash:
  in:   bytes durable in the spool -> row committed -> a moved source unlinked -> the caller answered
  out:  rename confirmed (by the uploader) -> row and ledger line in one commit -> spool file unlinked

What goes wrong. What a disk that refuses means for a group is the recorder's matter. A message that fails in a way
nobody foresaw is logged with its traceback and answered with it, and harms no other.
"""

import contextlib
import logging
import queue
import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from iris_communication.clock import Clock
from iris_communication.decisions.admission import admit
from iris_communication.errors import IrisError, NotStarted, OutboxFull, OutboxStorageError, Scope
from iris_communication.item import Delivered, Due, Event, Fingerprint, Item, State, next_state
from iris_communication.outbox import attempt, ledger
from iris_communication.outbox.group import Group
from iris_communication.outbox.messages import (
    Accept,
    Answer,
    Claim,
    Close,
    Flush,
    Message,
    OwedNames,
    Remember,
    RetryDead,
    Settle,
)
from iris_communication.outbox.owner import Owner
from iris_communication.outbox.receipt import Receipt
from iris_communication.outbox.recorder import Recorder, unforeseen
from iris_communication.outbox.reserve import Reserve
from iris_communication.outbox.servers import Servers
from iris_communication.outbox.spool import Spool
from iris_communication.outbox.store import Deliver, Insert, Store, Update
from iris_communication.outbox.tokens import Tokens
from iris_communication.outbox.view import View
from iris_communication.settings import Secret, Server

log = logging.getLogger(__name__)

GROUP_MAX = 128  # messages in one commit: bounds what one failure refuses and how long an answer waits
LINGER_S = 0.02  # the longest that what nobody waits for waits for company
CLAIM_MAX_ON_A_FULL_DISK = 8  # small commits then: each needs room before the deliveries it leads to make any
SHRINK_PAUSE_S = 1.0  # between two attempts to make room that way
STORE_RETRY_S = 1.0  # between attempts to open a store that failed, and to record what could not be committed


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
        self._inbox: queue.SimpleQueue[Sequence[Message]] = queue.SimpleQueue()  # empty: look at what lies beside it
        self._unhurried: deque[Claim | Settle] = deque()
        self._nudged = False  # to look beside the inbox, and has not done so yet
        self._tokens = Tokens()
        self._thread = threading.Thread(target=self._run, name="iris-keeper", daemon=True)
        self._opened = Answer()
        self._closing: Close | None = None
        self._shrink_after_s = 0.0  # monotonic
        self._receipts: weakref.WeakValueDictionary[str, Receipt] = weakref.WeakValueDictionary()
        self._news: Callable[[], None] = lambda: None
        self._server_changed: Callable[[str], None] = lambda key: None
        self._latest_view: Callable[[], View] = View

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

    def accept_all(self, accepts: Sequence[Accept]) -> list[Receipt | IrisError]:
        """The same for many, in one group where they are not too many: each one's receipt, or why it is refused.
        Raises NotStarted."""
        self._check_open()
        self._inbox.put(accepts)
        return [self._outcome(accept) for accept in accepts]

    def retry_dead(self, item_id: str | None) -> int:
        """How many dead items wait again, with all their attempts. Raises OutboxStorageError, NotStarted."""
        count: int = self._ask(RetryDead(item_id))
        return count

    def remember(self, server: Server, secret: Secret, name: str | None) -> None:
        self._ask(Remember(server, secret, name))

    def owed_names(self) -> frozenset[str]:
        """File names of what is accepted and not delivered. Raises OutboxStorageError, NotStarted."""
        names: frozenset[str] = self._ask(OwedNames())
        return names

    def claim(self, server_key: str, limit: int, reply: Callable[[list[Item]], None]) -> None:
        self._put_beside(Claim(server_key, limit, reply))

    def settle(self, settle: Settle) -> None:
        self._put_beside(settle)

    def flush(self, timeout_s: float | None = None) -> bool:
        """Wait until what was sent before is recorded, or could not be for now; False after `timeout_s`."""
        return self._ask(Flush(), timeout_s) is not Answer.NONE_YET

    def close(self) -> None:
        """End acceptance, record what is pending, release the outbox. May be called twice."""
        if self._thread.is_alive():
            with contextlib.suppress(NotStarted):  # somebody else has closed it meanwhile
                self._ask(Close())
            self._thread.join()

    def subscribe(
        self, published: Callable[[], None], server_changed: Callable[[str], None] = lambda key: None
    ) -> None:
        """Called on the keeper's thread: after each new picture, and with the key of a server that has new facts."""
        self._news, self._server_changed = published, server_changed

    @property
    def view(self) -> View:
        """The latest picture; reading it waits for nobody."""
        return self._latest_view()

    @property
    def servers(self) -> Servers:
        return self._servers

    @property
    def spool(self) -> Spool:
        return self._spool

    def _put_beside(self, message: Claim | Settle) -> None:
        """What comes into the inbox later finds it there: the order is kept."""
        self._unhurried.append(message)
        if not self._nudged:  # the keeper takes this back before it looks: a nudge too many is possible, none too few
            self._nudged = True
            self._inbox.put(())

    def _ask(
        self, message: Accept | RetryDead | Remember | OwedNames | Flush | Close, timeout_s: float | None = None
    ) -> Any:
        self._check_open()
        self._inbox.put((message,))
        return message.answer.wait(self._thread.is_alive, timeout_s)

    def _outcome(self, accept: Accept) -> Receipt | IrisError:
        try:
            receipt: Receipt = accept.answer.wait(self._thread.is_alive)
        except (OutboxFull, OutboxStorageError) as error:
            return error
        return receipt

    def _check_open(self) -> None:
        if not self._thread.is_alive():
            raise NotStarted("the outbox is not open")

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
            self._recorder.close()
            self._spool.close()
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
            self._reserve = Reserve(self._folder)
            recorder = Recorder(self._open_store, self._spool, self._reserve, self._told, self._publish)
            self._recorder, self._sequence = recorder, recorder.last_sequence
            self._latest_view = lambda: recorder.view
        except OSError as error:
            self._owner.release()
            raise OutboxStorageError(f"cannot use the outbox folder {self._folder}: {error.strerror}") from error
        except BaseException:
            self._owner.release()
            raise

    def _publish(self) -> None:
        self._news()

    def _turn(self) -> None:
        """One group: what lies in the inbox. What could not be recorded before is a group of its own, so that it
        never drags new messages along."""
        messages = self._due()
        pending, self._recorder.unrecorded = self._recorder.unrecorded, []
        if pending:
            self._carry_out(pending)
        for start in range(0, max(1, len(messages)), GROUP_MAX):  # none too: a store that failed is to be mended
            self._carry_out(messages[start : start + GROUP_MAX])

    def _due(self) -> list[Message]:
        """What is to be carried out now, waited for. What nobody waits for comes first: it was sent before."""
        hurried = self._taken(STORE_RETRY_S if self._recorder.unfinished else None)
        if not hurried and self._unhurried:
            hurried = self._taken(LINGER_S)
        self._nudged = False
        return [*(self._unhurried.popleft() for _ in range(len(self._unhurried))), *hurried]

    def _taken(self, timeout_s: float | None) -> list[Message]:
        """What lies in the inbox, the first of it waited for."""
        messages: list[Message] = []
        with contextlib.suppress(queue.Empty):
            messages += self._inbox.get(timeout=timeout_s)
            while len(messages) < GROUP_MAX:
                messages += self._inbox.get_nowait()
        return messages

    def _carry_out(self, messages: Sequence[Message]) -> None:
        try:
            self._recorder.mend()
        except IrisError as error:
            for message in messages:
                self._refuse(message, error)
            return
        self._sequence = self._recorder.last_sequence  # what was refused has used up no number
        group = Group()
        for message in messages:
            try:
                self._prepare(message, group)
            except IrisError as error:
                self._refuse(message, error)
            except Exception as error:
                log.exception("the keeper failed on one %s; it goes on", type(message).__name__)
                self._refuse(message, unforeseen(error))
        self._recorder.commit(group)

    def _refuse(self, message: Message, error: IrisError) -> None:
        """One message that cannot be carried out, for now or for good: whoever waits for it is told."""
        if isinstance(message, Settle):
            self._recorder.unrecorded.append(message)
        elif isinstance(message, Claim):
            message.reply([])
        elif isinstance(message, Flush):
            message.answer.give(None)
        elif isinstance(message, Close):
            self._closing = message
        else:
            message.answer.give(error)

    # One message.

    def _prepare(self, message: Message, group: Group) -> None:
        if isinstance(message, Settle):
            self._prepare_settle(message, group)
        elif isinstance(message, Accept):
            self._prepare_accept(message, group)
        elif isinstance(message, Claim):
            self._prepare_claim(message, group)
        elif isinstance(message, RetryDead):
            self._prepare_retry(message, group)
        elif isinstance(message, Remember):
            self._servers.remember(message.server, message.secret, message.name)
            self._server_changed(message.server.key)
            message.answer.give(None)
        elif isinstance(message, OwedNames):
            with self._recorder.reading() as store:
                message.answer.give(frozenset(store.owed_names()))
        elif isinstance(message, Flush):
            group.last.append(lambda: message.answer.give(None))
        else:
            self._closing = message

    def _prepare_accept(self, accept: Accept, group: Group) -> None:
        if not self._servers.knows(accept.server, accept.secret):
            # Even when the outbox is full: what fills it may be waiting for just this password.
            self._servers.remember(accept.server, accept.secret)
            self._server_changed(accept.server.key)
        admit(self._recorder.picture.queue_size + len(group.spooled), self._max_queue_size)
        if not self._has_room():
            raise OutboxStorageError(f"the disk of the outbox {self._folder} is full: No space left on device")
        item, error = self._new_item(accept)
        group.add(Insert(item))
        receipt = Receipt(item.id)
        if error is None:
            group.spooled.append(item)
        else:
            receipt.settle(error)
        self._receipts[item.id] = receipt
        group.then(lambda: accept.answer.give(receipt), accept.answer.give)

    def _has_room(self) -> bool:
        """Whether the reserve is held. A database that has just worked hard holds some megabytes in its log: on a
        small disk those are what is missing, and opening it anew gives them back."""
        if self._reserve.take():
            return True
        if self._clock.monotonic_s() < self._shrink_after_s:
            return False
        self._shrink_after_s = self._clock.monotonic_s() + SHRINK_PAUSE_S
        self._recorder.shrink()
        return self._reserve.take()

    def _new_item(self, accept: Accept) -> tuple[Item, IrisError | None]:
        """Spool the bytes. What is wrong with the source is the item's fault: it is dead from the start."""
        item_id = f"{int(self._clock.wall_s() * 1000):012x}-{self._tokens()}"
        fingerprint: Fingerprint | None = None
        wrong: IrisError | None = None
        try:
            fingerprint = self._spool.take(accept.source_path, item_id, accept.take)
        except IrisError as error:
            if error.scope is not Scope.ITEM:
                raise
            log.error("%s; it was accepted as dead. %s", error, error.hint)
            wrong = error
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
            last_error=attempt.failure(wrong) if wrong else None,
        )
        return item, wrong

    def _prepare_claim(self, claim: Claim, group: Group) -> None:
        limit = claim.limit if self._reserve.held else min(claim.limit, CLAIM_MAX_ON_A_FULL_DISK)
        with self._recorder.reading() as store:
            found = store.peek(claim.server_key, self._clock.boot_s(), limit)
        claimed = [attempt.claimed(item, self._tokens()) for item in found if not group.touches(item.id)]
        for item in claimed:
            group.add(Update(item))
        group.then(lambda: claim.reply(claimed), lambda error: claim.reply([]))

    def _prepare_settle(self, settle: Settle, group: Group) -> None:
        item = self._recorder.picture.in_flight.get(settle.item.id)
        if item is None or group.touches(item.id):
            return  # settled before: repeats are harmless
        if settle.event is Event.DELIVER:
            assert settle.delivered is not None, "a delivery comes with its proof"
            line = ledger.line(group.head or self._recorder.head, ledger.entry(item, settle.delivered))
            group.head = line.hash
            group.add(Deliver(replace(item, state=next_state(item.state, settle.event)), line))
        elif settle.event is Event.RELEASE:
            group.add(Update(attempt.released(item, settle.error, settle.effect)))
        else:
            due = None
            if settle.event is Event.FAIL:
                due = Due(self._clock.boot_id, self._clock.boot_s() + settle.delay_s)
            group.add(Update(attempt.failed(item, settle.event, settle.error, settle.effect, due)))
        group.settles.append(settle)

    def _told(self, settle: Settle) -> None:
        """After the commit: the bytes of a delivered item are not ours any more, and whoever waits is told."""
        outcome: Delivered | IrisError | None = settle.delivered
        if settle.event is Event.DELIVER:
            self._recorder.discard(settle.item.id)
        elif settle.event is Event.GIVE_UP:
            outcome = settle.error
        receipt = self._receipts.get(settle.item.id)
        if receipt is not None and outcome is not None:
            receipt.settle(outcome)

    def _prepare_retry(self, message: RetryDead, group: Group) -> None:
        with self._recorder.reading() as store:
            dead = store.dead(self._recorder.picture.dead)
        chosen = [
            replace(item, state=next_state(item.state, Event.RETRY), attempts=0, due=None)
            for item in dead
            if item.fingerprint is not None and message.item_id in (None, item.id) and not group.touches(item.id)
        ]
        for item in chosen:
            group.add(Update(item))

        def done() -> None:
            for item in chosen:
                receipt = self._receipts.get(item.id)
                if receipt is not None:
                    receipt.owe_again()
            message.answer.give(len(chosen))

        group.then(done, message.answer.give)
