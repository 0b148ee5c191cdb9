"""The records of a session: conversations under way, their unanswered requests, and what waits to be sent.

Values without behaviour; `session.py` says what becomes of them.
"""

from collections.abc import Generator, Sequence
from typing import Any, NamedTuple, Protocol

from iris_communication.sftp import wire
from iris_communication.sftp.status import StatusError

Answer = wire.Reply | StatusError
Talk = Generator[Any, Any, Any]  # yields requests or tuples of them, is sent a reply or a list of answers


class SourceBytes(Protocol):
    def read(self, offset: int, size_bytes: int) -> bytes:
        """Exactly that many bytes. Raises IrisError when they cannot be had any more."""


class Conversation:
    """One generator under way; `result` or `error` is set once it has ended. `tag` is its owner's."""

    __slots__ = (
        "answers",
        "behind",
        "broken",
        "error",
        "generator",
        "outstanding",
        "result",
        "single",
        "source",
        "tag",
        "writes_out",
        "writing",
    )

    def __init__(self, generator: Talk, source: SourceBytes | None, tag: Any) -> None:
        self.generator = generator
        self.source = source
        self.tag = tag
        self.answers: list[Answer | None] = []
        self.single = True
        self.outstanding = 0
        self.behind: Sequence[Pending] = ()  # of what is outstanding, what waits for the answers to the rest
        self.broken: StatusError | None = None  # the first refused WRITE
        self.writes_out = 0  # WRITE packets that are not answered
        self.writing: wire.Write | None = None  # while answers to it, or to what was asked with it, are out
        self.result: Any = None
        self.error: Exception | None = None


class Chunk(NamedTuple):
    """A WRITE packet whose data the owner reads from `conversation.source` and puts behind `head`."""

    head: bytes
    conversation: Conversation
    offset: int
    size_bytes: int
    request_id: int


class Pending(NamedTuple):
    """An unanswered request, and the conversation that waits for its answer."""

    conversation: Conversation
    place: int  # of its answer among those its conversation waits for
    size_bytes: int  # of data
    request: wire.Request
    refused_at: int | None = None  # of an OPEN asked again: how many files were open when it was refused
    offset: int = 0  # of a WRITE's data


class Stream:
    """A tuple of requests with a Write among them: sent in order, a chunk at a time."""

    __slots__ = ("conversation", "index", "offset", "requests")

    def __init__(self, conversation: Conversation, requests: tuple[wire.Request, ...]) -> None:
        self.conversation = conversation
        self.requests = requests
        self.index = 0  # of the request that is next
        self.offset = -1  # within that request when it is a Write; -1: not begun
