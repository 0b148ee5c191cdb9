"""One SFTP session of ours and one of a MemoryServer, joined byte for byte: no loop, no thread, no time.

The link can be cut after any number of bytes in either direction, so "the connection broke exactly there" is an
ordinary test case and every place where it can break may be tried.
"""

from collections.abc import Callable

from iris_communication.errors import IrisError, LinkLost, LinkTimeout, ProtocolViolation, SourceChanged
from iris_communication.sftp.capabilities import Capabilities, learn
from iris_communication.sftp.conversations.conversation import Conversation, SourceBytes, Talk
from iris_communication.sftp.session import Session
from iris_communication.testing.memory_server import MemoryServer

OUTPUT_PER_TURN = 256 * 1024
FILES_IN_FLIGHT_MAX = 256


class BytesSource:
    """The bytes of one upload. `changed` makes `confirm` find that they are not those that were accepted."""

    def __init__(self, content: bytes, *, changed: bool = False) -> None:
        self.content = content
        self.changed = changed
        self.reads: list[tuple[int, int]] = []  # (offset, size), in the order asked

    def read(self, offset: int, size_bytes: int) -> bytes:
        self.reads.append((offset, size_bytes))
        return self.content[offset : offset + size_bytes]

    def confirm(self) -> None:
        if self.changed:
            raise SourceChanged("the bytes are not those that were accepted")


class MemoryLink:
    """`sent_max` and `received_max`: how many bytes get through towards the server and back; None: all. `sent` and
    `received` count them."""

    def __init__(
        self,
        server: MemoryServer,
        *,
        sent_max: int | None = None,
        received_max: int | None = None,
        gives_up: bool = False,
    ) -> None:
        self.server = server
        self.session = Session()
        self.far = server.session()
        self.capabilities = Capabilities()
        self.sent = self.received = 0
        self.lost: IrisError | None = None
        self.gives_up = gives_up
        self.on_turn: Callable[[], None] = lambda: None  # called before each exchange
        self._sent_max = sent_max
        self._received_max = received_max

    def open(self) -> "MemoryLink":
        """Greet and learn what the server can do. Raises what a connection would fail with."""
        while self.session.extensions is None and self._exchange():
            pass
        if self.lost is not None:
            raise self.lost
        if self.session.extensions is None:
            raise LinkTimeout("the server does not greet")
        learning = self.session.begin(learn(self.server.software, self.session.extensions, FILES_IN_FLIGHT_MAX))
        self.run()
        if learning.error is not None:
            raise learning.error
        self.capabilities = learning.result
        self.session.write_size_bytes = self.capabilities.write_size_bytes
        self.session.keeps_order = self.capabilities.keeps_order
        return self

    def begin(self, talk: Talk, source: SourceBytes | None = None) -> Conversation:
        return self.session.begin(talk, source)

    def run(self) -> list[Conversation]:
        """Exchange bytes until nothing moves any more; returns what ended meanwhile. With `gives_up` set, a server that
        owes an answer and is silent is a lost link, as it is after its deadline."""
        while self._exchange():
            pass
        if self.gives_up and self.session.unanswered and self.lost is None:
            self.lose(lambda: LinkTimeout("the server has not answered"))
        return self.session.take_ended()

    def lose(self, error: Callable[[], IrisError] = lambda: LinkLost("the link was cut")) -> None:
        self.lost = error()
        self.session.fail(error)

    def _exchange(self) -> bool:
        """Once there and back; whether anything moved."""
        if self.lost is not None:
            return False
        self.on_turn()
        output = self._output()
        if not output:
            return False
        self.sent += len(output)
        cut = self._sent_max is not None and self.sent > self._sent_max
        if cut:
            output = output[: len(output) - (self.sent - (self._sent_max or 0))]
        replies = self.far.receive(output)
        self.received += len(replies)
        if self._received_max is not None and self.received > self._received_max:
            cut = True
            replies = replies[: len(replies) - (self.received - self._received_max)]
        try:
            self.session.receive(replies)
        except ProtocolViolation as error:
            message, hint = str(error), error.hint
            self.lose(lambda: ProtocolViolation(message, hint=hint))
            return False
        if cut or self.far.ended:
            self.lose()
        return True

    def _output(self) -> bytes:
        buffer = bytearray()
        while not buffer and (pieces := self.session.output(OUTPUT_PER_TURN)):
            for piece in pieces:
                if isinstance(piece, bytes):
                    buffer += piece
                    continue
                assert piece.conversation.source is not None, "a conversation that writes has a source"
                try:
                    data = piece.conversation.source.read(piece.offset, piece.size_bytes)
                except IrisError as error:
                    self.session.unsent(piece, error)
                else:
                    buffer += piece.head + data
        return bytes(buffer)
