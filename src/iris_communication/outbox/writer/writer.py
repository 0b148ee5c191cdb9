"""The writer: the one thread that changes the outbox. inbox -> group -> one commit -> publish.

Idea. A commit that survives a power cut costs the same for one change or a hundred. So the writer takes all messages in
its inbox, carries them out as one group, commits once, and only then answers. Callers never touch the database, the
spool or the ledger; they send messages and read the latest published snapshot.

A caller waits for an acceptance; nobody waits for a settlement, or for a claim of few files. Those messages linger:
they share the next commit that a caller waits for, or are committed after LINGER_S. So a file costs about one commit
instead of three, and the thread that captures frames finds the interpreter and the disk free more often.

Order, each step harmless when it is repeated after a crash:
  in:   bytes durable, in the spool or with their row -> row committed -> a moved source unlinked -> the caller answered
  out:  rename confirmed (by the uploader) -> row and ledger line in one commit -> spool file unlinked

What goes wrong. The committer handles a disk that refuses a group. A message that fails with an unforeseen error is
logged with its traceback and answered with the error, and harms no other. Where the thread itself fails, waiting
callers get the error, and after a pause the same owner opens the outbox anew, as after a crash: items in flight wait
again, and outcomes of earlier attempts are ignored (`incarnation`).
"""

import contextlib
import logging
import queue
import weakref
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from iris_communication.clock import Clock
from iris_communication.errors import IrisError, NotStarted, OutboxFull, OutboxStorageError, SourceReplaced
from iris_communication.item import Item, Upload
from iris_communication.outbox.files import private
from iris_communication.outbox.files.lock import Owner
from iris_communication.outbox.files.reserve import Reserve
from iris_communication.outbox.files.servers import Servers
from iris_communication.outbox.files.spool import Spool
from iris_communication.outbox.orders import Order, RetryAllDead
from iris_communication.outbox.store.contract import Store
from iris_communication.outbox.writer.accepting import Accepting
from iris_communication.outbox.writer.claiming import Claiming
from iris_communication.outbox.writer.commit_group import CommitGroup, GroupOutcome
from iris_communication.outbox.writer.committer import Committer, PutAside, unforeseen
from iris_communication.outbox.writer.handlers import Handlers, Receipts
from iris_communication.outbox.writer.held_bytes import HeldBytes
from iris_communication.outbox.writer.messages import (
    Accept,
    Answer,
    Awaited,
    Claim,
    CloseOutbox,
    Execute,
    Flush,
    KeepBreaker,
    Message,
    OwedNames,
    ReadContents,
    RememberServer,
    Settle,
    SettleArchive,
    Unawaited,
)
from iris_communication.outbox.writer.opening import opened
from iris_communication.outbox.writer.receipt import Receipt
from iris_communication.outbox.writer.snapshot import Snapshot
from iris_communication.outbox.writer.tokens import Tokens
from iris_communication.runtime.repeats import Repeats
from iris_communication.runtime.supervised_thread import SupervisedThread
from iris_communication.runtime.system_trouble import storage_trouble
from iris_communication.settings import DeliverySettings, Limits, Secret, Server

log = logging.getLogger(__name__)

GROUP_MAX = 128  # messages in one commit: bounds what one failure refuses and how long an answer waits
GROUP_BYTES_MAX = 8 * 1024 * 1024  # of content in one commit
WAIT_MAX_S = 3600.0  # one wait for the next expiry, however far that is: a lock's timeout has a maximum
LINGER_S = 0.02  # the longest that a message lingers
STORE_RETRY_S = 1.0  # between attempts to open a store that failed, and to record what could not be committed


class Writer:
    """`open_store` opens the durable state; called again after the store failed."""

    def __init__(
        self,
        folder: Path,
        open_store: Callable[[], Store],
        clock: Clock,
        max_queue_size: int,
        limits: Limits | None = None,
        settings: DeliverySettings | None = None,
    ) -> None:
        self._folder = folder
        self._open_store = open_store
        self._clock = clock
        self._repeats = Repeats(log, clock.monotonic_s)
        self._max_queue_size = max_queue_size
        self._limits = limits or Limits()
        self._settings = settings or DeliverySettings()
        self._inbox: queue.SimpleQueue[Sequence[Message]] = queue.SimpleQueue()  # () nudges: see `_unawaited`
        self._unawaited: deque[Unawaited] = deque()
        self._nudged = False  # a nudge is in the inbox, and the writer has not looked into `_unawaited` since
        self._tokens = Tokens()
        self._thread = SupervisedThread(self._run, "iris-writer", on_failure=self._clear_up, on_end=self._release)
        self._is_owner = False
        self._has_store = False
        self._receipts: Receipts = weakref.WeakValueDictionary()
        self._in_hand: list[Message] = []
        self._is_cleared = True  # no caller waits for a message from before a failure
        self.incarnation = 0  # how often the thread failed: items handed out before that are not in flight any more
        self._opened = Answer()
        self._closing: CloseOutbox | None = None
        self._news: Callable[[], None] = lambda: None
        self._server_changed: Callable[[str], None] = lambda key: None
        self._has_failed: Callable[[], None] = lambda: None
        self._latest_snapshot: Callable[[], Snapshot] = Snapshot
        self.notice = ""  # what was wrong with the outbox when it was opened, and was put right

    # Called by any thread.

    def open(self) -> None:
        """Take the outbox, put right what a crash left, start. Raises OutboxInUse, OutboxStorageError,
        OutboxDamaged."""
        self._thread.start()
        self._opened.wait(self._thread.is_alive)

    @property
    def is_open(self) -> bool:
        """Whether it carries out messages; False while it waits to be opened anew after a failure."""
        return self._thread.running

    def thread(self) -> dict[str, Any]:
        """See `SupervisedThread.state`."""
        return self._thread.state()

    def accept(self, accept: Accept) -> list[Receipt]:
        """A receipt for each destination, in their order. Durable when it returns. Raises OutboxFull,
        OutboxStorageError, NotStarted."""
        receipts: list[Receipt] = self._ask(accept)
        return receipts

    def accept_all(self, accepts: Sequence[Accept]) -> list[list[Receipt] | IrisError]:
        """The same for many, in one group unless they are more than GROUP_MAX: the receipts of each, or why it is
        refused. Raises NotStarted."""
        try:
            self._check_open()
        except OutboxStorageError as error:
            return [error] * len(accepts)
        self.send(accepts)
        return [self._outcome(accept) for accept in accepts]

    def send(self, messages: Sequence[Message]) -> None:
        """Have them carried out in this order, in one group unless they are more than GROUP_MAX. Waits for no
        answer."""
        self._inbox.put(messages)

    def execute(self, order: Order | RetryAllDead) -> dict[str, str]:
        """The outcome for each id: empty where it was done, durably, else why not. An order for a server names its key
        here. Raises OutboxStorageError, NotStarted."""
        outcomes: dict[str, str] = self._ask(Execute(order))
        return outcomes

    def remember(self, server: Server, secret: Secret, name: str | None) -> None:
        self._ask(RememberServer(server, secret, name))

    def owed_names(self) -> frozenset[str]:
        """The source's file name of every item that is waiting, in flight or dead. Raises OutboxStorageError,
        NotStarted."""
        names: frozenset[str] = self._ask(OwedNames())
        return names

    def claim(  # the facts of a Claim
        self,
        server_key: str,
        limit: int,
        reply: Callable[[list[Upload]], None],
        backlog_until: int = 0,
        *,
        archives: int | None = None,
        draining: bool = False,
        urgent: bool = False,
    ) -> None:
        self._put_beside(Claim(server_key, limit, reply, backlog_until, archives, draining, urgent))

    def settle(self, settle: Settle | SettleArchive) -> None:
        self._put_beside(settle)

    def keep_breaker(self, server_key: str, facts: Mapping[str, Any] | None) -> None:
        self._put_beside(KeepBreaker(server_key, facts))

    def flush(self, timeout_s: float | None = None) -> bool:
        """Wait until all earlier messages are recorded, or could not be for now; False after `timeout_s`, and where the
        thread itself has failed."""
        try:
            return self._ask(Flush(), timeout_s) is not Answer.NONE_YET
        except OutboxStorageError:
            return False

    def close(self) -> None:
        """End acceptance, record what is pending, release the outbox. May be called twice."""
        if self._thread.is_alive():
            self._thread.let_end()
            with contextlib.suppress(NotStarted, OutboxStorageError):  # another thread has closed it, or it has failed
                self._ask(CloseOutbox())
            self._thread.join()

    def subscribe(
        self,
        published: Callable[[], None],
        server_changed: Callable[[str], None] = lambda key: None,
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        """The functions are called on the writer's thread: after each new snapshot, with the key of a server that has
        new facts, and after a failure of the thread itself."""
        self._news, self._server_changed, self._has_failed = published, server_changed, failed

    @property
    def lost(self) -> str:
        """Why nothing is accepted or handed out though all threads run: another process has the outbox."""
        return self._committer.lost if self._has_store else ""

    @property
    def snapshot(self) -> Snapshot:
        """The latest snapshot; reading it never waits."""
        return self._latest_snapshot()

    @property
    def in_flight(self) -> list[Item]:
        """Items that were handed out and are not settled, by the latest commit."""
        return list(self._committer.counters.in_flight.values())

    @property
    def servers(self) -> Servers:
        return self._servers

    @property
    def held(self) -> HeldBytes:
        """The bytes of what is handed out. Another one after a failure: items handed out before are not sent then."""
        return self._claims.held

    def _put_beside(self, message: Unawaited) -> None:
        """Add a message that no caller waits for; it stays ahead of everything that enters the inbox later."""
        self._unawaited.append(message)
        if not self._nudged:  # the writer resets it before it looks: at worst there is one nudge too many
            self._nudged = True
            self._inbox.put(())

    def _ask(self, message: Awaited, timeout_s: float | None = None) -> Any:
        self._check_open()
        self.send((message,))
        return message.answer.wait(self._thread.is_alive, timeout_s)

    def _outcome(self, accept: Accept) -> list[Receipt] | IrisError:
        try:
            receipts: list[Receipt] = accept.answer.wait(self._thread.is_alive)
        except (OutboxFull, OutboxStorageError, SourceReplaced) as error:
            return error
        return receipts

    def _check_open(self) -> None:
        if self._thread.is_restarting:
            raise self._failure()
        if not self._thread.is_alive():
            raise NotStarted("the outbox is not open")

    def _failure(self) -> OutboxStorageError:
        text = f"the outbox's thread failed ({self._thread.reason}) and is being started again"
        return OutboxStorageError(text, hint="queue it again in a moment; the log has the traceback")

    # All below runs on the writer's thread.

    def _run(self) -> None:
        """Called again after a failure."""
        if not self._is_cleared:
            self._refuse_all()
        if not self._is_owner:
            try:
                self._start()
            except BaseException as error:  # noqa: BLE001 - a thread's boundary: `open` raises it
                self._opened.give(error)
                return
            self._opened.give(None)
        elif not self._has_store:
            self._open(self._opened_anew())
            log.info("the outbox %s is open again", self._folder)
            self._news()
        while self._closing is None:
            self._turn()

    def _clear_up(self, error: BaseException) -> None:
        """After a failure of the thread itself: refuse all its messages, and close the store, which is not trusted."""
        self.incarnation += 1
        self._is_cleared = False
        self._refuse_all()

    def _refuse_all(self) -> None:
        """May fail as the thread did: then `_run` continues it before anything else."""
        self._nudged = False  # before the queue is emptied: a message that comes now nudges again
        self._in_hand += [*self._taken(0.0), *(self._unawaited.popleft() for _ in range(len(self._unawaited)))]
        while self._in_hand:
            if not isinstance(message := self._in_hand[0], (Settle, SettleArchive)):
                self._refuse(message, self._failure())  # a settlement's items wait again after the reopening
            del self._in_hand[0]
        self._has_failed()
        if self._has_store:
            self._has_store = False
            self._committer.close()
        self._is_cleared = True

    def _release(self) -> None:
        if not self._is_owner:
            return
        try:
            if self._has_store:
                self._committer.close()
            self._spool.close()
        finally:
            self._owner.release(self._committer.last_sequence)
            if self._closing is not None:
                self._closing.answer.give(None)

    def _start(self) -> None:
        try:
            private.make_folder(self._folder)
            self._owner = Owner(self._folder, self._clock.wall_s())
        except OSError as error:
            raise storage_trouble(f"cannot use the outbox folder {self._folder}", error) from error
        try:
            self._servers = Servers(self._folder)
            self._spool = Spool(self._folder / "spool")
            self._reserve = Reserve(self._folder)
            committer, self.notice = opened(
                self._folder, self._owner, self._reserve, self._clock.wall_s(), self._new_committer
            )
            self._open(committer)
        except OSError as error:
            self._owner.release()
            raise storage_trouble(f"cannot use the outbox folder {self._folder}", error) from error
        except BaseException:
            self._owner.release()
            raise
        self._is_owner = True

    def _open(self, committer: Committer) -> None:
        self._committer, self._has_store = committer, True
        held = HeldBytes(self._spool, lambda items: self._ask(ReadContents(tuple(items))))
        self._claims = Claiming(self._settings, self._tokens, self._clock, held)
        self._claims.committed(committer.last_sequence)
        acceptance = Accepting(
            self._folder, self._spool, self._reserve, committer, self._clock, self._max_queue_size, self._limits
        )
        self._handlers = Handlers(
            committer,
            self._servers,
            acceptance,
            self._claims,
            self._tokens,
            self._clock,
            lambda server_key: self._server_changed(server_key),  # noqa: PLW0108  # subscribed to later
            self._receipts,
        )
        self._latest_snapshot = lambda: committer.snapshot

    def _opened_anew(self) -> Committer:
        before = self._latest_snapshot()
        committer = self._new_committer()
        committer.go_on_counting(before)
        return committer

    def _new_committer(self, put_aside: PutAside = lambda store: None) -> Committer:
        return Committer(self._open_store, self._spool, self._reserve, self._owner.confirm, put_aside)

    def _turn(self) -> None:
        """Carry out the messages in the inbox. Settlements that could not be recorded before are a separate group, so
        that another failure does not refuse new messages with them."""
        self._in_hand = messages = self._due()
        pending, self._committer.unrecorded = self._committer.unrecorded, []
        if pending:
            self._carry_out(pending)
        for start in range(0, max(1, len(messages)), GROUP_MAX):  # also without messages: `mend` may be due
            self._carry_out(messages[start : start + GROUP_MAX])
        self._in_hand = []

    def _due(self) -> list[Message]:
        """Wait for messages to carry out now. Those that no caller waits for come first: they were sent earlier."""
        asked = self._taken(STORE_RETRY_S if self._committer.unfinished else self._next_expiry_in_s())
        if not asked and self._unawaited:
            # A copy, made in one step: other threads append meanwhile, which makes iterating the deque raise.
            is_urgent = any(isinstance(message, Claim) and message.urgent for message in self._unawaited.copy())
            asked = self._taken(0.0 if is_urgent else LINGER_S)
        self._nudged = False
        return [*(self._unawaited.popleft() for _ in range(len(self._unawaited))), *asked]

    def _next_expiry_in_s(self) -> float | None:
        try:
            next_s = self._handlers.next_expiry_in_s
            return None if next_s is None else min(next_s, WAIT_MAX_S)
        except OutboxStorageError:
            return STORE_RETRY_S

    def _taken(self, timeout_s: float | None) -> list[Message]:
        """The messages in the inbox, after waiting up to `timeout_s` for the first."""
        messages: list[Message] = []
        with contextlib.suppress(queue.Empty):
            messages += self._inbox.get(timeout=timeout_s)
            while len(messages) < GROUP_MAX:
                messages += self._inbox.get_nowait()
        self._closing = next((each for each in messages if isinstance(each, CloseOutbox)), self._closing)
        return messages

    def _carry_out(self, messages: Sequence[Message]) -> None:
        try:
            mended = self._committer.mend()
        except IrisError as error:
            for message in messages:
                self._refuse(message, error)
            return
        if mended is not None:
            self._answer(mended)
        group = self._handlers.begin()
        for message in messages:
            if group.content_bytes >= GROUP_BYTES_MAX:
                self._record(group)
                group = self._handlers.begin()
            try:
                self._handlers.prepare(message, group)
            except IrisError as error:
                self._refuse(message, error)
            except Exception as error:  # noqa: BLE001 - unforeseen: logged with its traceback
                cause, text = (type(message), type(error)), "the writer failed on one %s; it goes on"
                self._repeats.log(cause, logging.ERROR, text, type(message).__name__, exc_info=error)
                self._refuse(message, unforeseen(error))
        self._record(group)

    def _record(self, group: CommitGroup) -> None:
        self._answer(self._committer.commit(group))
        self._claims.committed(self._committer.last_sequence)
        self._committer.tidy()

    def _answer(self, outcome: GroupOutcome) -> None:
        """Answer the callers of a group, and publish."""
        if outcome.error is None:
            self._handlers.recorded(outcome.group)
        else:
            outcome.group.refuse(outcome.error)
        self._news()

    def _refuse(self, message: Message, error: IrisError) -> None:
        self._committer.unrecorded.extend(message.refused(error))
