"""The server in memory, asked by hand: what OpenSSH's would say."""

import stat
import struct

import pytest

from iris_communication.sftp import wire
from iris_communication.sftp.wire import CREATE, EXCLUSIVE, READ, WRITE
from iris_communication.testing.memory_server import DENIED, FAILURE, NO_SUCH_FILE, OK, MemoryServer
from iris_communication.testing.server_wire import WriteData, packet, string


class Asking:
    """One greeted connection; call it with a request for the reply."""

    def __init__(self, server):
        self.session = server.session()
        self.greeting = wire.decode_version(self.session.receive(wire.init())[4:])

    def __call__(self, request):
        if isinstance(request, WriteData):
            sent = wire.Write(request.handle, 0, 0).head(7, request.offset, len(request.data)) + request.data
        else:
            sent = request.encode(7)
        (content,) = wire.packets(bytearray(self.session.receive(sent)))
        request_id, reply = wire.decode(content)
        assert request_id == 7
        return reply


@pytest.fixture
def server():
    return MemoryServer()


@pytest.fixture
def ask(server):
    return Asking(server)


def created(ask, path=b"/in/a"):
    return ask(wire.Open(path, WRITE | CREATE | EXCLUSIVE)).handle


def test_the_server_greets_with_version_3_and_its_extensions(ask):
    version, extensions = ask.greeting
    assert version == 3
    assert extensions[b"limits@openssh.com"] == b"1"


def test_written_bytes_can_be_read_back(ask, server):
    handle = created(ask)
    assert ask(WriteData(handle, 0, b"abc")) == wire.OK
    assert ask(WriteData(handle, 5, b"f")) == wire.OK
    assert ask(wire.Close(handle)) == wire.OK
    assert server.content(b"/in/a") == b"abc\0\0f"
    handle = ask(wire.Open(b"/in/a", READ)).handle
    assert ask(wire.Read(handle, 1, 3)) == wire.Data(b"bc\0")
    assert ask(wire.Read(handle, 6, 3)).code == wire.FX_EOF


@pytest.mark.parametrize(
    ("request_", "reply"),
    [
        (wire.Open(b"/in/there", WRITE | CREATE | EXCLUSIVE), FAILURE),
        (wire.Open(b"/in", WRITE | CREATE), FAILURE),
        (wire.Open(b"/missing/a", WRITE | CREATE), NO_SUCH_FILE),
        (wire.Open(b"/in/missing", READ), NO_SUCH_FILE),
        (wire.Open(b"/in/" + b"n" * 256, WRITE | CREATE), wire.Status(wire.FX_BAD_MESSAGE, "Bad message")),
        (wire.Close(b"nobody's"), FAILURE),
        (wire.Read(b"nobody's", 0, 1), FAILURE),
        (WriteData(b"nobody's", 0, b"x"), FAILURE),
        (wire.Remove(b"/in/missing"), NO_SUCH_FILE),
        (wire.Rename(b"/in/missing", b"/in/b"), NO_SUCH_FILE),
        (wire.Rename(b"/in/there", b"/missing/b"), NO_SUCH_FILE),
        (wire.Rename(b"/in/there", b"/in/also"), FAILURE),
        (wire.Rename(b"/in/there", b"/in"), FAILURE),
        (wire.MakeDirectory(b"/in"), FAILURE),
        (wire.MakeDirectory(b"/missing/a"), NO_SUCH_FILE),
        (wire.Stat(b"/in/missing"), NO_SUCH_FILE),
        (wire.Extended(b"unknown@nowhere"), wire.Status(wire.FX_OP_UNSUPPORTED, "Operation unsupported")),
    ],
)
def test_an_impossible_request_is_refused_as_openssh_refuses_it(ask, server, request_, reply):
    server.files |= {b"/in/there": bytearray(b"x"), b"/in/also": bytearray(b"y")}
    assert ask(request_) == reply
    assert server.files == {b"/in/there": b"x", b"/in/also": b"y"}


def test_a_rename_moves_the_content(ask, server):
    server.files[b"/in/a"] = bytearray(b"x")
    assert ask(wire.Rename(b"/in/a", b"/in/b")) == wire.OK
    assert server.files == {b"/in/b": b"x"}


def test_a_server_may_overwrite_without_a_word():
    server = MemoryServer(rename_overwrites=True)
    server.files |= {b"/in/a": bytearray(b"x"), b"/in/b": bytearray(b"y")}
    assert Asking(server)(wire.Rename(b"/in/a", b"/in/b")) == wire.OK
    assert server.files == {b"/in/b": b"x"}


def test_files_and_folders_are_distinguished(ask, server):
    server.files[b"/in/a"] = bytearray(b"xyz")
    assert ask(wire.Stat(b"/in/a")) == wire.Attributes(3, stat.S_IFREG | 0o644)
    assert stat.S_ISDIR(ask(wire.Stat(b"/in")).permissions)


def test_relative_paths_begin_where_the_login_does(ask, server):
    created(ask, b"./a")
    assert list(server.files) == [b"/login/a"]


def test_a_removed_file_lives_on_for_whoever_has_it_open(ask, server):
    handle = created(ask)
    ask(wire.Remove(b"/in/a"))
    assert ask(WriteData(handle, 0, b"late")) == wire.OK
    assert server.files == {}


def test_handles_belong_to_their_connection(ask, server):
    handle = created(ask)
    assert Asking(server)(wire.Close(handle)) == FAILURE


def test_a_full_disk_takes_what_fits_and_refuses():
    server = MemoryServer(capacity_bytes=10)
    ask = Asking(server)
    handle = created(ask)
    assert ask(WriteData(handle, 0, b"x" * 12)) == FAILURE
    assert server.content(b"/in/a") == b"x" * 10
    free = ask(wire.free_space(b"/in")).numbers(11)
    assert free[1] * free[4] == 0


def test_limits_and_free_space_are_reported(ask):
    assert ask(wire.limits()).numbers(4) == (262144, 261120, 261120, 1019)
    free = ask(wire.free_space(b"/in")).numbers(11)
    assert free[1] * free[4] == 1 << 40


def test_a_cap_on_handles_counts_what_is_open_on_the_connection():
    server = MemoryServer(handles_max=1)
    ask = Asking(server)
    handle = created(ask)
    assert ask(wire.Open(b"/in/b", WRITE | CREATE)) == FAILURE
    ask(wire.Close(handle))
    assert isinstance(ask(wire.Open(b"/in/b", WRITE | CREATE)), wire.Handle)


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(packet(9, 1, string(b"/in/a") + struct.pack(">IQ", 1, 0)), id="SETSTAT with SIZE"),
        pytest.param(packet(wire.FXP_CLOSE, 1, b"\0\0\0\x09h"), id="a request cut short"),
        pytest.param(struct.pack(">IB", wire.PACKET_MAX + 1, wire.FXP_WRITE) + bytes(wire.PACKET_MAX), id="too long"),
    ],
)
def test_a_packet_that_no_client_may_send_ends_the_connection(ask, sent):
    assert ask.session.receive(sent) == b""
    assert ask.session.ended


def test_a_connection_that_has_ended_takes_nothing_more(ask, server):
    ask.session.ended = True
    assert ask.session.receive(wire.Remove(b"/in/a").encode(1)) == b""
    assert server.asked == []


def test_bytes_may_come_one_by_one(server):
    session = server.session()
    replies = b"".join(session.receive(bytes([byte])) for byte in wire.init() + wire.Stat(b"/in").encode(1))
    assert len(list(wire.packets(bytearray(replies)))) == 2


def test_the_refusals_have_openssh_s_own_words():
    assert [reply.message for reply in (OK, NO_SUCH_FILE, FAILURE, DENIED)] == [
        "Success",
        "No such file",
        "Failure",
        "Permission denied",
    ]
