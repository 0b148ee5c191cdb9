"""The messages to the writer, as values. A caller that waits for a reply waits on the message's `answer`."""

import queue
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from iris_communication.errors import Effect, IrisError, NotStarted
from iris_communication.item import After, Delivered, Event, Item, Take, Upload
from iris_communication.outbox.orders import Order, RetryAllDead
from iris_communication.settings import Secret, Server

ANSWER_LOOK_S = 1.0  # how often a waiting caller checks that the writer still lives


class Answer:
    """One message's reply, for the thread that waits for it."""

    NONE_YET = object()

    def __init__(self) -> None:
        self._replies: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def give(self, reply: Any) -> None:
        self._replies.put(reply)

    def wait(self, alive: Callable[[], bool], timeout_s: float | None = None) -> Any:
        """The reply, or NONE_YET after `timeout_s`; an exception given as the reply is raised. Raises NotStarted when
        the writer has ended."""
        while True:
            wait_s = ANSWER_LOOK_S if timeout_s is None else min(ANSWER_LOOK_S, timeout_s)
            try:
                reply = self._replies.get(timeout=wait_s)
            except queue.Empty:
                if timeout_s is not None:
                    timeout_s -= wait_s
                    if timeout_s <= 0.0:
                        return self.NONE_YET
                if alive():
                    continue
                reply = self._last_reply()
            if isinstance(reply, BaseException):
                raise reply
            return reply

    def _last_reply(self) -> Any:
        """The writer has ended; it may have answered just before."""
        try:
            return self._replies.get_nowait()
        except queue.Empty:
            return NotStarted("the outbox was closed before it answered")


class Message:
    """The writer calls `refused` where a message cannot be carried out, now or ever: a waiting caller is answered with
    the error. Settlements, which report what has happened nevertheless, are returned and stay to be recorded."""

    __slots__ = ()

    def refused(self, error: IrisError) -> "Sequence[Settle]":  # no caller waits for it
        return ()


@dataclass(frozen=True, slots=True)
class Awaited(Message):
    answer: Answer = field(default_factory=Answer, kw_only=True)

    def refused(self, error: IrisError) -> "Sequence[Settle]":
        self.answer.give(error)
        return ()


@dataclass(frozen=True, slots=True)
class Destination:
    """One server and path that a file is for; each is a separate item with a separate outcome."""

    server: Server
    secret: Secret
    remote_path: str
    batch: str = ""


@dataclass(frozen=True, slots=True)
class Accept(Awaited):
    """Answered with a receipt for each destination, in their order: all of them, or none is accepted."""

    destinations: tuple[Destination, ...]
    source_path: str
    project_settings: Mapping[str, Any]
    folder_type: str
    take: Take
    priority: int = 0
    ttl_s: float | None = None
    after: After = After.KEEP
    move_to: str = ""
    identity: tuple[int, int] | None = None  # device and inode of the intended file; None: any


@dataclass(frozen=True, slots=True)
class Claim(Message):
    """Hand out up to `limit` uploads of a server that may be sent now, each under a new token."""

    server_key: str
    limit: int
    reply: Callable[[list[Upload]], None]  # called on the writer's thread
    backlog_until: int = 0  # the last sequence of an outage's backlog; 0: there is none
    archives: int | None = None  # the most archives among them; None: never any
    draining: bool = False  # no batch waits until it is full
    urgent: bool = False  # does not linger: many uploads wait, and the link has room for them

    def refused(self, error: IrisError) -> "Sequence[Settle]":
        self.reply([])
        return ()


@dataclass(frozen=True, slots=True)
class Settle(Message):
    """The outcome of a claimed item: DELIVER, RELEASE, FAIL, GIVE_UP or DROP."""

    item: Item
    event: Event
    delivered: Delivered | None = None
    error: IrisError | None = None
    effect: Effect = Effect.NONE
    delay_s: float = 0.0
    trace: str = ""  # the latest protocol events; of GIVE_UP
    unbatched: bool = False  # of RELEASE: its archive is given up, and it travels by itself from now on

    def refused(self, error: IrisError) -> "Sequence[Settle]":
        return (self,)


@dataclass(frozen=True, slots=True)
class SettleArchive(Message):
    """The outcomes of an archive's members: all in one commit, or none."""

    settles: tuple[Settle, ...]

    def refused(self, error: IrisError) -> Sequence[Settle]:
        return self.settles


@dataclass(frozen=True, slots=True)
class Execute(Awaited):
    """Answered with the outcome for each item of the order: empty when it was done, else a sentence why not."""

    order: Order | RetryAllDead


@dataclass(frozen=True, slots=True)
class KeepBreaker(Message):
    """The facts of a server's breaker that are needed after a restart. If refused, it is not repeated before the
    breaker's next change: until then the failing disk is the greater problem."""

    server_key: str
    facts: Mapping[str, Any] | None  # None: closed


@dataclass(frozen=True, slots=True)
class RememberServer(Awaited):
    server: Server
    secret: Secret
    name: str | None


@dataclass(frozen=True, slots=True)
class ReadContents(Awaited):
    """Answered with the content of each of these items that the store keeps, by id."""

    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class OwedNames(Awaited):
    """Answered with the file names of everything that is accepted and not delivered."""


@dataclass(frozen=True, slots=True)
class Flush(Awaited):
    """Answered once every earlier message is committed, or could not be."""

    def refused(self, error: IrisError) -> Sequence[Settle]:
        self.answer.give(None)
        return ()


@dataclass(frozen=True, slots=True)
class CloseOutbox(Awaited):
    """Answered once the outbox is released, whatever the outcome of earlier messages."""

    def refused(self, error: IrisError) -> Sequence[Settle]:
        return ()


Unawaited = Claim | Settle | SettleArchive | KeepBreaker
