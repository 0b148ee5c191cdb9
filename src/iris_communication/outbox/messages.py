"""What the keeper is asked, as values. Whoever waits for a reply waits on the message's `answer`."""

import queue
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from iris_communication.errors import Effect, IrisError, NotStarted
from iris_communication.item import Delivered, Event, Item, Take
from iris_communication.settings import Secret, Server

ANSWER_LOOK_S = 1.0  # how often a waiting caller makes sure that the keeper still lives


class Answer:
    """One message's reply, for the thread that waits for it."""

    NONE_YET = object()

    def __init__(self) -> None:
        self._replies: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def give(self, reply: Any) -> None:
        self._replies.put(reply)

    def wait(self, alive: Callable[[], bool], timeout_s: float | None = None) -> Any:
        """The reply, or NONE_YET after `timeout_s`; an exception given as the reply is raised. Raises NotStarted when
        the keeper has ended."""
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
        """The keeper has ended; it may have answered just before."""
        try:
            return self._replies.get_nowait()
        except queue.Empty:
            return NotStarted("the outbox was closed before it answered")


@dataclass(frozen=True, slots=True)
class Accept:
    server: Server
    secret: Secret
    source_path: str
    remote_path: str
    project_settings: Mapping[str, Any]
    folder_type: str
    take: Take
    answer: Answer = field(default_factory=Answer)


@dataclass(frozen=True, slots=True)
class Claim:
    """Hand out up to `limit` items of a server that may be sent now, each under a token of its own."""

    server_key: str
    limit: int
    reply: Callable[[list[Item]], None]  # called on the keeper's thread


@dataclass(frozen=True, slots=True)
class Settle:
    """What became of a claimed item: DELIVER, RELEASE, FAIL or GIVE_UP."""

    item: Item
    event: Event
    delivered: Delivered | None = None
    error: IrisError | None = None
    effect: Effect = Effect.NONE
    delay_s: float = 0.0


@dataclass(frozen=True, slots=True)
class RetryDead:
    item_id: str | None  # None: all of them
    answer: Answer = field(default_factory=Answer)


@dataclass(frozen=True, slots=True)
class Remember:
    server: Server
    secret: Secret
    name: str | None
    answer: Answer = field(default_factory=Answer)


@dataclass(frozen=True, slots=True)
class OwedNames:
    """Answered with the file names of everything that is accepted and not delivered."""

    answer: Answer = field(default_factory=Answer)


@dataclass(frozen=True, slots=True)
class Flush:
    """Answered once everything sent before it is committed, or could not be."""

    answer: Answer = field(default_factory=Answer)


@dataclass(frozen=True, slots=True)
class Close:
    answer: Answer = field(default_factory=Answer)


Message = Accept | Claim | Settle | RetryDead | Remember | OwedNames | Flush | Close
