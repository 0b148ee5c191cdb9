"""What the writer is asked, as values. Whoever waits for a reply waits on the message's `answer`."""

import queue
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from iris_communication.errors import Effect, IrisError, NotStarted
from iris_communication.item import After, Delivered, Event, Item, Take, Upload
from iris_communication.outbox.orders import Order, RetryAllDead
from iris_communication.settings import Secret, Server

ANSWER_LOOK_S = 1.0  # how often a waiting caller makes sure that the writer still lives


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
            look_s = ANSWER_LOOK_S if timeout_s is None else min(ANSWER_LOOK_S, timeout_s)
            try:
                reply = self._replies.get(timeout=look_s)
            except queue.Empty:
                if timeout_s is not None:
                    timeout_s -= look_s
                    if timeout_s <= 0.0:
                        return self.NONE_YET
                if alive():
                    continue
                reply = self._last_word()
            if isinstance(reply, BaseException):
                raise reply
            return reply

    def _last_word(self) -> Any:
        """The writer has ended; it may have answered just before."""
        try:
            return self._replies.get_nowait()
        except queue.Empty:
            return NotStarted("the outbox was closed before it answered")


class Message:
    """`refused` where it cannot be carried out, for now or for good: whoever waits for it learns why. What has happened
    all the same is returned, and stays to be recorded."""

    __slots__ = ()

    def refused(self, error: IrisError) -> "Sequence[Settle]":  # nobody waits for it
        return ()


@dataclass(frozen=True, slots=True)
class Awaited(Message):
    answer: Answer = field(default_factory=Answer, kw_only=True)

    def refused(self, error: IrisError) -> "Sequence[Settle]":
        self.answer.give(error)
        return ()


@dataclass(frozen=True, slots=True)
class Destination:
    """Each has a fate of its own."""

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
    identity: tuple[int, int] | None = None  # device and inode of the file that is meant; None: whatever is there


@dataclass(frozen=True, slots=True)
class Claim(Message):
    """Hand out up to `limit` uploads of a server that may be sent now, each under a token of its own."""

    server_key: str
    limit: int
    reply: Callable[[list[Upload]], None]  # called on the writer's thread
    backlog_until: int = 0  # the last sequence of what an outage has left; 0: there is no such backlog
    archives: int | None = None  # how many may be among them; None: never any
    draining: bool = False  # no batch waits to be full
    urgent: bool = False  # it does not linger: there are many, and the link has room for them

    def refused(self, error: IrisError) -> "Sequence[Settle]":
        self.reply([])
        return ()


@dataclass(frozen=True, slots=True)
class Settle(Message):
    """What became of a claimed item: DELIVER, RELEASE, FAIL or GIVE_UP."""

    item: Item
    event: Event
    delivered: Delivered | None = None
    error: IrisError | None = None
    effect: Effect = Effect.NONE
    delay_s: float = 0.0
    trace: str = ""  # the latest protocol events; of GIVE_UP
    unbatched: bool = False  # of RELEASE: its archive is given up, and it goes by itself from now on

    def refused(self, error: IrisError) -> "Sequence[Settle]":
        return (self,)


@dataclass(frozen=True, slots=True)
class SettleArchive(Message):
    """What became of an archive's members: all of it in one commit, or none."""

    settles: tuple[Settle, ...]

    def refused(self, error: IrisError) -> Sequence[Settle]:
        return self.settles


@dataclass(frozen=True, slots=True)
class Execute(Awaited):
    """Answered with what became of each item of the order: empty when it was done, else why not, in words."""

    order: Order | RetryAllDead


@dataclass(frozen=True, slots=True)
class KeepBreaker(Message):
    """What is to be known of a server's breaker after a restart. Refused, it is asked anew at the next change: until
    then the disk is the greater trouble."""

    server_key: str
    facts: Mapping[str, Any] | None  # None: closed


@dataclass(frozen=True, slots=True)
class RememberServer(Awaited):
    server: Server
    secret: Secret
    name: str | None


@dataclass(frozen=True, slots=True)
class OwedNames(Awaited):
    """Answered with the file names of everything that is accepted and not delivered."""


@dataclass(frozen=True, slots=True)
class Flush(Awaited):
    """Answered once everything sent before it is committed, or could not be."""

    def refused(self, error: IrisError) -> Sequence[Settle]:
        self.answer.give(None)
        return ()


@dataclass(frozen=True, slots=True)
class CloseOutbox(Awaited):
    """Answered once the outbox is given back, whatever became of what was sent before."""

    def refused(self, error: IrisError) -> Sequence[Settle]:
        return ()


Unawaited = Claim | Settle | SettleArchive | KeepBreaker
