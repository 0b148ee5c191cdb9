"""What the fuzzer calls: a session that talks to a sound server, whose answers are spoiled as the input says.

An input is a script. Its first byte chooses the conversations, its second how many bytes arrive at once; then each pair
of bytes says what becomes of the next answer. Beyond the script answers are left alone, so every conversation gets deep
into its dialogue before it meets nonsense. An input that begins with RAW is what the server says, byte for byte: all of
it, or after a greeting of its own, when requests of each kind wait for their answers.

What has to hold: the decoder raises ProtocolViolation and nothing else; every conversation ends with an IrisError if
with any, at the latest when its owner gives the session up, and by itself where nothing was spoiled; no part of a file
is ever seen under its final name.
"""

import hashlib
import itertools

from iris_communication.errors import IrisError, LinkLost, ProtocolViolation
from iris_communication.sftp.capabilities import Capabilities, learn
from iris_communication.sftp.conversations.conversation import Chunk, Conversation
from iris_communication.sftp.conversations.put import put
from iris_communication.sftp.conversations.upload import SftpUpload
from iris_communication.sftp.session import Session
from iris_communication.sftp.trials.probe import Probe, ProbeContent, probe
from iris_communication.testing.memory_server import MemoryServer
from iris_communication.testing.server_wire import encode_version
from tests.memory_link import BytesSource

RAW = 255
RAW_PIECE_BYTES = 64
TURNS_MAX = 60
REPLACES, OVERWRITES = 64, 128  # of a choice: what the server can do
CONTENT = bytes(range(256)) * 300
CHOICES = tuple(itertools.product(("rename", "overwrite"), ("", ".sha256"), (False, True)))


def check(data: bytes) -> None:
    """Raises whatever must not happen."""
    if data[:1] == bytes([RAW]):
        _raw(data[1:])
    elif len(data) >= 2:
        _spoiled(data[0], data[1] or 256, data[2:])


def _raw(said: bytes) -> None:
    session = Session()
    conversations = [session.begin(learn("OpenSSH_9.2p1", {b"limits@openssh.com": b"1"}, 64)), *_uploads(session, 0)]
    conversations.append(session.begin(probe(Probe(b"/in", b"abc"), Capabilities()), ProbeContent()))
    try:
        if said[:1] != b"\0":  # which begins the length of a packet
            session.receive(encode_version(3, {b"limits@openssh.com": b"1"}))
            said = said[1:]
        session.output(1 << 20)
        for start in range(0, len(said), RAW_PIECE_BYTES):
            session.receive(said[start : start + RAW_PIECE_BYTES])
            session.output(1 << 20)
    except ProtocolViolation:
        pass
    _end(session)
    for conversation in conversations:
        assert conversation.error is None or isinstance(conversation.error, IrisError), conversation.error


def _uploads(session: Session, choice: int) -> list[Conversation]:
    conflict, marker, _ = CHOICES[choice % len(CHOICES)]
    capabilities = Capabilities(
        rename_refuses_existing=not choice & (OVERWRITES | 8),
        replaces_in_one_step=bool(choice & REPLACES),
        tells_free_space=bool(choice & 16),
    )
    session.keeps_order = bool(choice & 32)
    conversations = []
    for number in range(3):
        source = BytesSource(CONTENT)
        upload = SftpUpload(
            final_path=b"/in/%d.csv" % number,
            temp_path=b"/in/.iris-%016d" % number,
            size_bytes=len(CONTENT),
            sha256=hashlib.sha256(CONTENT).hexdigest(),
            confirm_source=source.confirm,
            conflict=conflict,
            marker=marker,
        )
        conversations.append(session.begin(put(upload, capabilities), source))
    return conversations


def _spoiled(choice: int, piece_bytes: int, script: bytes) -> None:
    taken = CHOICES[choice % len(CHOICES)][2]
    server = MemoryServer(replaces=bool(choice & REPLACES), rename_overwrites=bool(choice & OVERWRITES))
    if taken:
        server.files[b"/in/0.csv"] = bytearray(b"old")
    session, far, spoilt = Session(), server.session(), _Spoiler(script)
    conversations = _uploads(session, choice)
    conversations.append(session.begin(probe(Probe(b"/in", b"abc"), Capabilities()), ProbeContent()))
    try:
        for _ in range(TURNS_MAX):
            sent = _filled(session.output(1 << 20))
            said = spoilt(far.receive(sent))
            for start in range(0, len(said), piece_bytes):
                session.receive(said[start : start + piece_bytes])
            if not sent and not said:
                break
            _look(server, taken)
    except ProtocolViolation:
        pass
    if not spoilt.spoiled:
        assert session.live == 0, "with sound answers every conversation ends by itself"
        assert all(conversation.error is None for conversation in conversations)
        assert server.content(b"/in/1.csv") == server.content(b"/in/2.csv") == CONTENT
    _end(session)
    for conversation in conversations:
        assert conversation.error is None or isinstance(conversation.error, IrisError), conversation.error


class _Spoiler:
    """Takes each answer apart as the script says: two bytes, what and where."""

    def __init__(self, script: bytes) -> None:
        self._script = iter(script)
        self._kept = b""
        self.spoiled = False

    def __call__(self, said: bytes) -> bytes:
        what, where = next(self._script, 0), next(self._script, 0)
        if not said or what % 8 == 0:
            return said
        self.spoiled = True
        place = where % len(said)
        match what % 8:
            case 1:  # another byte
                return said[:place] + bytes([said[place] ^ (what | 1)]) + said[place + 1 :]
            case 2:  # cut off
                return said[:place]
            case 3:  # twice
                return said + said
            case 4:  # later
                said, self._kept = self._kept, said
                return said
            case 5:  # something in between
                return said[:place] + bytes([what, where]) + said[place:]
            case 6:  # something left out
                return said[:place] + said[place + 1 + what // 8 :]
            case _:  # what was kept back, first
                said, self._kept = self._kept + said, b""
                return said


def _filled(pieces: list[bytes | Chunk]) -> bytes:
    return b"".join(
        piece.head + piece.conversation.source.read(piece.offset, piece.size_bytes)
        if isinstance(piece, Chunk)
        else piece
        for piece in pieces
    )


def _look(server: MemoryServer, taken: bool) -> None:
    for number in range(3):
        found = server.content(b"/in/%d.csv" % number)
        assert found in (None, CONTENT) or (taken and number == 0 and found == b"old"), (number, len(found or b""))


def _end(session: Session) -> None:
    session.fail(lambda: LinkLost("the link was cut"))
    assert session.live == 0
