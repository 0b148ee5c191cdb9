"""A session whose requests and answers a test handles one by one."""

from iris_communication.sftp import wire
from iris_communication.sftp.conversations.conversation import Chunk
from iris_communication.sftp.session import Session
from iris_communication.testing.server_wire import decode_request, encode_reply, encode_version
from tests.memory_link import BytesSource

FAILURE = wire.Status(wire.FX_FAILURE, "Failure")
DENIED = wire.Status(wire.FX_PERMISSION_DENIED, "Permission denied")
MISSING = wire.Status(wire.FX_NO_SUCH_FILE, "No such file")


class ByHand:
    """A greeted session, and the requests it sends as (id, request) in order."""

    def __init__(self, credit=None, write_size_bytes=100, greeted=True, latest_id=0):
        self.session = Session(credit, latest_id)
        self.session.keeps_order = True
        self.session.write_size_bytes = write_size_bytes
        if greeted:
            assert self.session.output(1000) == [wire.init()]
            self.session.receive(encode_version(3, {}))

    def sent(self, budget_bytes=1 << 20):
        """What goes out now, decoded; the data of a WRITE is read from its source."""
        requests = []
        for piece in self.session.output(budget_bytes):
            content = piece
            if isinstance(piece, Chunk):
                content = piece.head + piece.conversation.source.read(piece.offset, piece.size_bytes)
            requests.append(decode_request(content[4:]))
        return requests

    def answer(self, request_id, reply=wire.OK):
        self.session.receive(encode_reply(request_id, reply))

    def ended(self):
        return self.session.take_ended()


def asks(*wanted):
    """A conversation that asks these one after the other and returns the answers."""
    answers = []
    for request in wanted:
        answer = yield request
        answers += [answer]
    return answers


def upload(name, size_bytes, then=()):
    """The core of an upload."""
    reply = yield wire.Open(name, wire.WRITE | wire.CREATE | wire.EXCLUSIVE)
    answers = yield (wire.Write(reply.handle, 0, size_bytes), wire.Close(reply.handle))
    yield from then
    return answers


def begin_upload(hand, name=b"/a", size_bytes=250):
    """An upload whose OPEN is granted; its conversation."""
    conversation = hand.session.begin(upload(name, size_bytes), BytesSource(bytes(n % 251 for n in range(size_bytes))))
    ((request_id, _),) = hand.sent(1)
    hand.answer(request_id, wire.Handle(name))
    return conversation


def idle(session):
    return (session.unanswered, session.credit.bytes_used, session.credit.requests_used, session.live) == (0, 0, 0, 0)
