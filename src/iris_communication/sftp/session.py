"""One SFTP session: runs many conversations at once over one pair of byte streams, and knows nothing of sockets.

Idea. An upload is a conversation of a few requests, each waiting for the one before. Done one after the other, every
file costs several round trips; so this session runs many conversations and interleaves their requests. A conversation
is a generator: it yields a request (or a tuple of requests that may travel together) and is sent the reply (or the
list of replies). Written that way it stays straight-line code, while the session decides what goes out when.

Rules.
- Replies are matched by request id alone; servers may answer in any order.
- A single request that is refused is thrown into the conversation as StatusError. In a list of replies refusals stand
  as values, because part of a tuple may succeed.
- Requests of a tuple go out in order. WRITEs of one file go out in ascending offset, never from two places at once:
  some servers append whatever the offset says.
- Behind WRITEs and READs a CLOSE travels without waiting, where the server is known to keep their order. One that
  handles several requests at once may close a file before it has written it, and write what is left into the next one:
  there the CLOSE waits for the answers. Where even that spoils files, each WRITE waits for the one before.
- After the first refused WRITE no further one of that file is sent; what follows it in the tuple (its CLOSE) is.
- Data waits for credit, short requests do not wait behind data.
- An OPEN that is refused while other files are open may only mean that too many are: it is sent again once fewer are,
  and only a second refusal counts (see credit.Handles).
- A handle that is lent to two files at once spoils both: their CLOSE counts as refused, and from then on one file at a
  time is open on this server.
- Under a bandwidth limit only files' data waits; requests that close a file, look at one or keep the link alive do not.

What goes wrong. A reply to no request or of the wrong kind, or bytes that are no packet, raise ProtocolViolation: the
session cannot go on then, and its owner calls `fail()`, which ends every conversation at once.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

from iris_communication.errors import IrisError, LinkError, LinkTimeout, ProtocolViolation
from iris_communication.sftp import wire
from iris_communication.sftp.conversations.conversation import (
    Answer,
    Chunk,
    Conversation,
    Pending,
    SourceBytes,
    Stream,
    Talk,
)
from iris_communication.sftp.credit import SMALL_WRITE_SIZE, Credit, Handles
from iris_communication.sftp.handle_book import HandleBook, is_later, lent_twice
from iris_communication.sftp.status import StatusError
from iris_communication.sftp.trace import TracedGreeting, no_events, noted

_STATUS_OK = b"\x00\x00\x00\x00"
# What grants a request; all others are granted by a STATUS that says OK.
_GRANTS: dict[type, type] = {
    wire.Open: wire.Handle,
    wire.Read: wire.Data,
    wire.Stat: wire.Attributes,
    wire.Extended: wire.ExtendedReply,
}
_SHORT_ANSWERS = (wire.Status, wire.Handle, wire.Attributes)
UNLIMITED = 1 << 62  # bytes
_MAY_MEAN_TOO_MANY = (wire.FX_FAILURE, wire.FX_PERMISSION_DENIED)


class Session:
    def __init__(self, credit: Credit | None = None, latest_id: int = 0) -> None:
        self.credit = credit or Credit()
        self.handles = Handles()
        self._handle_book = HandleBook()
        self.write_size_bytes = SMALL_WRITE_SIZE  # its owner enlarges it, as server and link allow
        self.keeps_order = False  # what follows WRITEs need not wait for their answers; its owner sets it
        self.one_write = False  # a file's WRITEs go one after the other
        self.acknowledged_bytes = 0  # of data, since the beginning
        self.extensions: dict[bytes, bytes] | None = None  # None until the server's VERSION has come
        self.without_secrets: Callable[[str], str] = str  # applied to a refusal's text; its owner sets it
        self.events = no_events()
        self._note = self.events.append
        self.now_s = 0.0  # of the events; its owner sets it before it hands bytes in or asks for some
        self.held_back_bytes = 0  # of a piece that the last output() had no data_bytes for; 0: there was none
        self._data_bytes = UNLIMITED
        self._buffer = bytearray()
        self._latest_id = latest_id
        self._latest_answered = 0  # the request id
        self.answers = 0  # whole packets from the server so far
        self._greeting: bytes | None = wire.init()
        self._pending: dict[int, Pending] = {}  # by request id
        self._short: deque[Pending] = deque()
        self._opens: deque[Pending] = deque()
        self._streams: deque[Stream] = deque()
        self._waiting: dict[Conversation, Stream] = {}  # for the answers to their WRITEs
        self._live: set[Conversation] = set()
        self._ended: list[Conversation] = []

    @property
    def unanswered(self) -> int:
        """Requests on their way, the greeting included: while there are any, the server owes us bytes."""
        return len(self._pending) + (self.extensions is None)

    @property
    def is_within_an_answer(self) -> bool:
        """A part of one has come."""
        return bool(self._buffer)

    @property
    def oldest(self) -> wire.Request | None:
        """Of the requests that are not answered."""
        return next((pending.request for pending in self._pending.values()), None)

    @property
    def live(self) -> int:
        """Conversations that have not ended."""
        return len(self._live)

    def overtaken(self, mark: int) -> wire.Request | None:
        """The oldest request on its way, if it was sent up to `mark` and a later one was answered."""
        for request_id, pending in self._pending.items():
            old = not is_later(request_id, mark)
            return pending.request if old and is_later(self._latest_answered, mark) else None
        return None

    @property
    def latest_id(self) -> int:
        """Of the requests that were sent."""
        return self._latest_id

    def begin(self, generator: Talk, source: SourceBytes | None = None, tag: Any = None) -> Conversation:
        """Start a conversation. What it asks goes out with the next `output()` after the server's VERSION."""
        conversation = Conversation(generator, source, tag)
        self._live.add(conversation)
        self._resume(conversation, None, None)
        return conversation

    def receive(self, data: bytes) -> None:
        """Take in bytes of the server. Raises ProtocolViolation when they make no sense."""
        self._buffer += data
        for packet in wire.packets(self._buffer):
            self.answers += 1
            if self.extensions is None:
                version, self.extensions = wire.decode_version(packet)
                self._note((self.now_s, 0, TracedGreeting(version, tuple(self.extensions))))
                if version < wire.VERSION:
                    raise ProtocolViolation(f"the server speaks SFTP version {version}, which is older than 3")
            elif packet[0] == wire.FXP_STATUS and packet[5:9] == _STATUS_OK:
                self._answer(int.from_bytes(packet[1:5], "big"), wire.OK)
            else:
                request_id, reply = wire.decode(packet)
                if type(reply) is wire.Status and reply.code != wire.FX_OK:
                    self._answer(request_id, StatusError(reply.code, self.without_secrets(reply.message)))
                else:
                    self._answer(request_id, reply)

    def take_ended(self) -> list[Conversation]:
        """Conversations that ended since the last call."""
        ended, self._ended = self._ended, []
        return ended

    def output(self, budget_bytes: int, data_bytes: int = UNLIMITED) -> list[bytes | Chunk]:
        """What to send now, in order: about `budget_bytes` at most, as credit allows, and of files' data `data_bytes`
        at most. Empty: nothing for now."""
        out: list[bytes | Chunk] = []
        self._data_bytes, self.held_back_bytes = data_bytes, 0
        if self._greeting is not None:
            out.append(self._greeting)
            self._greeting = None
        if self.extensions is None:
            return out
        while budget_bytes > 0:
            piece = self._next_packet()
            if piece is None:
                break
            budget_bytes -= piece.size_bytes if type(piece) is Chunk else len(piece)
            out.append(piece)
        return out

    def unsent(self, chunk: Chunk, error: IrisError) -> None:
        """The data of `chunk` could not be read, so it was not sent: its conversation alone fails."""
        conversation = self._pending.pop(chunk.request_id).conversation
        self._one_write_less(conversation)
        self._note((self.now_s, chunk.request_id, f"not sent: {error}"))
        self.credit.regain(chunk.size_bytes)
        conversation.broken = StatusError(wire.FX_FAILURE, str(error))
        conversation.broken.__cause__ = error
        self._settled(conversation)

    def fail(self, error: Callable[[], IrisError]) -> None:
        """The session is dead: end every conversation with an error of its own, at once."""
        reached = self._reached()
        steps: dict[Conversation, str] = {}
        for pending in self._pending.values():
            steps.setdefault(pending.conversation, type(pending.request).__name__)
        self._pending.clear()
        self._short.clear()
        self._opens.clear()
        self._streams.clear()
        self._waiting.clear()
        for conversation in list(self._live):
            raised = error()
            if isinstance(raised, LinkError):
                raised.acknowledged_bytes = reached.get(conversation, 0)
            if isinstance(raised, LinkTimeout):
                raised.step = steps.get(conversation, "")
            self._resume(conversation, None, raised, last=True)

    def _reached(self) -> dict[Conversation, int]:
        """Of each conversation whose file is being written: the bytes acknowledged in one piece from its beginning."""
        reached: dict[Conversation, int] = {}
        for conversation in self._live:
            if (write := conversation.writing) is not None and conversation.broken is None:
                reached[conversation] = write.size_bytes
        for stream in (*self._streams, *self._waiting.values()):
            request = stream.requests[stream.index]
            if stream.conversation in reached and type(request) is wire.Write:
                reached[stream.conversation] = max(0, stream.offset - request.offset)
        for pending in self._pending.values():
            if pending.conversation in reached and type(pending.request) is wire.Write:
                reached_bytes = pending.offset - pending.request.offset
                reached[pending.conversation] = min(reached[pending.conversation], reached_bytes)
        return reached

    def _next_packet(self) -> bytes | Chunk | None:
        """None: nothing to send, or no credit for it."""
        while self.credit.requests_used < self.credit.requests_max:
            if self._short:
                return self._sent(self._short.popleft())
            if self._opens and self.handles.allow():
                self.handles.asked += 1
                return self._sent(self._opens.popleft())
            if not self._streams:
                return None
            piece = self._next_piece(self._streams[0])
            if piece != b"":
                return piece
        return None

    def _sent(self, pending: Pending) -> bytes:
        """Give the request an id, book it, and encode it."""
        request_id = self._book(pending)
        self._note((self.now_s, request_id, pending.request))
        if type(pending.request) is wire.Close:
            self._handle_book.closing(pending.request.handle, request_id)
        return pending.request.encode(request_id)  # type: ignore[union-attr]  # a Write goes out in chunks

    def _book(self, pending: Pending) -> int:
        self._latest_id = request_id = (self._latest_id + 1) & 0xFFFFFFFF
        self._pending[request_id] = pending
        self.credit.spend(pending.size_bytes)
        return request_id

    def _next_piece(self, stream: Stream) -> bytes | Chunk | None:
        """The next packet of a stream; None: no credit; empty: a WRITE was skipped, or the stream waits. A stream that
        has sent its last request leaves the queue."""
        conversation, request = stream.conversation, stream.requests[stream.index]
        if conversation.writes_out and self._has_to_wait(request):
            self._waiting[conversation] = self._streams.popleft()
            return b""
        if type(request) is not wire.Write:
            self._advance_stream(stream)
            return self._sent(Pending(conversation, stream.index - 1, 0, request))
        if conversation.broken is not None or not request.size_bytes:
            self._advance_stream(stream)
            self._settled(conversation)  # what is not sent is not waited for
            return b""
        offset = request.offset if stream.offset < 0 else stream.offset
        left = request.offset + request.size_bytes - offset
        size_bytes = min(left, self.write_size_bytes)
        if not self.credit.allows(size_bytes):
            return None
        if size_bytes > self._data_bytes:
            self.held_back_bytes = size_bytes
            return None
        self._data_bytes -= size_bytes
        request_id = self._book(Pending(conversation, stream.index, size_bytes, request, None, offset))
        conversation.writes_out += 1
        self._note((self.now_s, request_id, request, offset, size_bytes))
        if size_bytes == left:
            self._advance_stream(stream)
        else:
            conversation.outstanding += 1
            stream.offset = offset + size_bytes
            self._streams.rotate(-1)  # files share the link chunk by chunk
        return Chunk(request.head(request_id, offset, size_bytes), conversation, offset, size_bytes, request_id)

    def _has_to_wait(self, request: wire.Request) -> bool:
        return self.one_write or (not self.keeps_order and type(request) is not wire.Write)

    def _one_write_less(self, conversation: Conversation) -> None:
        conversation.writes_out -= 1
        if not conversation.writes_out and (stream := self._waiting.pop(conversation, None)) is not None:
            self._streams.append(stream)

    def _advance_stream(self, stream: Stream) -> None:
        stream.index += 1
        stream.offset = -1
        if stream.index == len(stream.requests):
            self._streams.popleft()  # only the front one is ever advanced

    def _answer(self, request_id: int, answer: Answer) -> None:
        try:
            pending = self._pending.pop(request_id)
        except KeyError:
            raise ProtocolViolation(f"an answer to request {request_id}, which is not open") from None
        self._latest_answered = request_id
        conversation, request = pending.conversation, pending.request
        kind = type(answer)
        if kind is not StatusError and kind is not _GRANTS.get(type(request), wire.Status):
            raise ProtocolViolation(f"{type(request).__name__} was answered by {kind.__name__}")
        self._note((self.now_s, request_id, answer if kind in _SHORT_ANSWERS else noted(answer)))
        self.credit.regain(pending.size_bytes)
        if type(request) is wire.Open and self._opened(pending, answer, request_id):
            return
        if type(request) is wire.Close:
            self.handles.open -= 1
            if not self._handle_book.closed(request.handle):
                answer = lent_twice()
        if type(request) is not wire.Write:
            conversation.answers[pending.place] = answer
        else:
            if type(answer) is not StatusError:
                self.acknowledged_bytes += pending.size_bytes
            elif conversation.broken is None:
                conversation.broken = answer
            self._one_write_less(conversation)
        self._settled(conversation)

    def _opened(self, pending: Pending, answer: Answer, request_id: int) -> bool:
        """Whether the OPEN has to be sent again before its refusal counts."""
        handles = self.handles
        if type(answer) is wire.Handle:
            handles.granted()
            if not self._handle_book.lent(answer.handle, request_id):
                handles.most = 1
        elif type(answer) is StatusError and answer.code not in _MAY_MEAN_TOO_MANY:
            handles.asked -= 1
        elif handles.refused(pending.refused_at):
            self._opens.append(pending._replace(refused_at=handles.open))
            return True
        return False

    def _settled(self, conversation: Conversation) -> None:
        conversation.outstanding -= 1
        if conversation.behind and conversation.outstanding == len(conversation.behind):
            behind, conversation.behind = conversation.behind, ()
            for pending in behind:
                self._put_off(pending)
        if conversation.outstanding:
            return
        if conversation.single:
            answer = conversation.answers[0]
            if isinstance(answer, StatusError):
                self._resume(conversation, None, answer)
            else:
                self._resume(conversation, answer, None)
            return
        # A Write has no reply of its own: its place holds the first refusal of its packets, or OK.
        written = conversation.broken or wire.OK
        self._resume(conversation, [written if a is None else a for a in conversation.answers], None)

    def _resume(self, conversation: Conversation, value: Any, error: Exception | None, last: bool = False) -> None:
        """Let the conversation go on with what it was waiting for, until its next request or its end."""
        try:
            if error is not None:
                wanted = conversation.generator.throw(error)
            else:
                wanted = conversation.generator.send(value)
            if last:
                conversation.generator.close()
                conversation.error = error
        except StopIteration as stop:
            conversation.result = stop.value
        except Exception as raised:  # noqa: BLE001 - whatever it raised is its outcome; the session goes on
            conversation.error = raised
        else:
            if not last:
                self._ask(conversation, wanted)
                return
        self._live.discard(conversation)
        self._ended.append(conversation)

    def _ask(self, conversation: Conversation, wanted: Any) -> None:
        conversation.broken = conversation.writing = None
        if type(wanted) is not tuple:  # requests are tuples of their own types
            conversation.single = True
            conversation.answers = [None]
            conversation.outstanding = 1
            self._put_off(Pending(conversation, 0, 0, wanted))
            return
        conversation.single = False
        conversation.answers = [None] * len(wanted)
        conversation.outstanding = len(wanted)
        for request in wanted:
            if type(request) is wire.Write:
                conversation.writing = request
                self._streams.append(Stream(conversation, wanted))
                return
        asked = [Pending(conversation, index, 0, request) for index, request in enumerate(wanted)]
        if not self.keeps_order and (
            ahead := next((each.place for each in asked if type(each.request) is wire.Close), 0)
        ):
            asked, conversation.behind = asked[:ahead], asked[ahead:]
        for pending in asked:
            self._put_off(pending)

    def _put_off(self, pending: Pending) -> None:
        """Queue it for the next output()."""
        (self._opens if type(pending.request) is wire.Open else self._short).append(pending)
