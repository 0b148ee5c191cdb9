"""The packets, byte by byte. What one side encodes the other decodes, from one table each way."""

import contextlib
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iris_communication.errors import ProtocolViolation
from iris_communication.plain_text import PEER_TEXT_MAX, clean
from iris_communication.sftp import wire
from iris_communication.testing.server_wire import (
    WriteData,
    decode_request,
    encode_reply,
    encode_version,
    packet,
    string,
)

PROPERTY = settings(derandomize=True, deadline=None, max_examples=300, database=None)

# (request, its packet without length, as the draft has it)
REQUESTS = [
    pytest.param(
        wire.Open(b"/a", wire.WRITE | wire.CREATE | wire.EXCLUSIVE),
        b"\x03\0\0\0\x09" + b"\0\0\0\x02/a" + b"\0\0\0\x2a" + b"\0\0\0\0",
        id="OPEN, without attributes",
    ),
    pytest.param(wire.Close(b"h"), b"\x04\0\0\0\x09" + b"\0\0\0\x01h", id="CLOSE"),
    pytest.param(
        wire.Read(b"h", 2**40, 32768),
        b"\x05\0\0\0\x09" + b"\0\0\0\x01h" + b"\0\0\x01\0\0\0\0\0" + b"\0\0\x80\0",
        id="READ beyond 4 GiB",
    ),
    pytest.param(wire.Rename(b"/a", b"/b\xff"), b"\x12\0\0\0\x09" + b"\0\0\0\x02/a" + b"\0\0\0\x03/b\xff", id="RENAME"),
    pytest.param(
        wire.PosixRename(b"/a", b"/b\xff"),
        b"\xc8\0\0\0\x09" + b"\0\0\0\x18posix-rename@openssh.com" + b"\0\0\0\x02/a" + b"\0\0\0\x03/b\xff",
        id="posix-rename",
    ),
    pytest.param(wire.Remove(b"/a"), b"\x0d\0\0\0\x09" + b"\0\0\0\x02/a", id="REMOVE"),
    pytest.param(wire.MakeDirectory(b"/a"), b"\x0e\0\0\0\x09" + b"\0\0\0\x02/a" + b"\0\0\0\0", id="MKDIR"),
    pytest.param(wire.Stat(b""), b"\x11\0\0\0\x09" + b"\0\0\0\0", id="STAT of nothing"),
    pytest.param(wire.limits(), b"\xc8\0\0\0\x09" + b"\0\0\0\x12limits@openssh.com", id="limits"),
    pytest.param(
        wire.free_space(b"/a"),
        b"\xc8\0\0\0\x09" + b"\0\0\0\x13statvfs@openssh.com" + b"\0\0\0\x02/a",
        id="statvfs",
    ),
]

# (reply, its packet without length)
REPLIES = [
    pytest.param(wire.OK, b"\x65\0\0\0\x09" + b"\0\0\0\0" + b"\0\0\0\0" + b"\0\0\0\x02en", id="OK"),
    pytest.param(
        wire.Status(wire.FX_FAILURE, "No \u00fc"),
        b"\x65\0\0\0\x09" + b"\0\0\0\x04" + b"\0\0\0\x05No \xc3\xbc" + b"\0\0\0\x02en",
        id="FAILURE",
    ),
    pytest.param(wire.Handle(b"\0\0\0\x01"), b"\x66\0\0\0\x09" + b"\0\0\0\x04\0\0\0\x01", id="HANDLE"),
    pytest.param(wire.Handle(b"h" * 256), b"\x66\0\0\0\x09" + b"\0\0\x01\0" + b"h" * 256, id="the longest HANDLE"),
    pytest.param(wire.Data(b"abc"), b"\x67\0\0\0\x09" + b"\0\0\0\x03abc", id="DATA"),
    pytest.param(
        wire.Attributes(2**33, 0o100644),
        b"\x69\0\0\0\x09" + b"\0\0\0\x05" + b"\0\0\0\x02\0\0\0\0" + b"\0\0\x81\xa4",
        id="ATTRS",
    ),
    pytest.param(wire.Attributes(None, None), b"\x69\0\0\0\x09" + b"\0\0\0\0", id="ATTRS that say nothing"),
    pytest.param(wire.ExtendedReply(bytes(32)), b"\xc9\0\0\0\x09" + bytes(32), id="EXTENDED_REPLY"),
]


def framed(content):
    return struct.pack(">I", len(content)) + content


@pytest.mark.parametrize(("request_", "content"), REQUESTS)
def test_a_request_is_encoded_as_the_draft_says(request_, content):
    assert request_.encode(9) == framed(content)


@pytest.mark.parametrize(("request_", "content"), REQUESTS)
def test_a_server_reads_back_what_was_asked(request_, content):
    assert decode_request(content) == (9, request_)


def test_a_write_is_a_head_and_the_data_behind_it():
    head = wire.Write(b"h", 0, 100).head(9, 2**32 + 1, 3)
    assert head + b"abc" == framed(b"\x06\0\0\0\x09" + b"\0\0\0\x01h" + b"\0\0\0\x01\0\0\0\x01" + b"\0\0\0\x03abc")
    assert decode_request((head + b"abc")[4:]) == (9, WriteData(b"h", 2**32 + 1, b"abc"))


def test_a_few_bytes_that_are_known_beforehand_are_a_write_like_any_other():
    whole = wire.WriteBytes(b"h", 2**32 + 1, b"abc").encode(9)
    assert whole == wire.Write(b"h", 0, 100).head(9, 2**32 + 1, 3) + b"abc"
    assert decode_request(whole[4:]) == (9, WriteData(b"h", 2**32 + 1, b"abc"))


def test_the_greeting_asks_for_version_3():
    assert wire.init() == b"\0\0\0\x05\x01\0\0\0\x03"


@pytest.mark.parametrize(("reply", "content"), REPLIES)
def test_a_reply_is_decoded_as_the_draft_says(reply, content):
    assert wire.decode(content) == (9, reply)


@pytest.mark.parametrize(("reply", "content"), [case for case in REPLIES if case.id != "OK"])
def test_a_server_encodes_what_is_decoded(reply, content):
    assert encode_reply(9, reply) == framed(content)


@pytest.mark.parametrize(("reply", "content"), REPLIES)
def test_a_packet_cut_anywhere_is_a_violation_or_still_makes_sense(reply, content):
    """A STATUS may end after its code and an EXTENDED_REPLY anywhere: nothing else may be short."""
    for end in range(5, len(content)):
        with contextlib.suppress(ProtocolViolation):
            assert isinstance(wire.decode(content[:end])[1], wire.Status | wire.ExtendedReply)


def test_a_status_may_come_without_its_text():
    assert wire.decode(b"\x65\0\0\0\x09\0\0\0\x03") == (9, wire.Status(wire.FX_PERMISSION_DENIED, ""))


def test_a_status_text_that_is_no_utf8_is_shown_all_the_same():
    _, reply = wire.decode(b"\x65\0\0\0\x09\0\0\0\x04" + string(b"\xff!") + string(b""))
    assert reply == wire.Status(wire.FX_FAILURE, "\ufffd!")


@pytest.mark.parametrize("said", [b"x", b"://a:", b"\x1b[2J\n", b"\xff", "ä".encode(), "\u202e".encode()])
def test_a_status_text_of_megabytes_is_cut_and_cleaned(said):
    text = said * (4_000_000 // len(said))
    _, reply = wire.decode(b"\x65\0\0\0\x09\0\0\0\x04" + string(text) + string(text))
    assert len(reply.message) == PEER_TEXT_MAX
    assert reply.message == clean(reply.message)


@pytest.mark.parametrize("length", [wire.REPLY_MAX + 1, 4_000_017, wire.SOME_REPLY_MAX])
def test_an_answer_longer_than_any_we_ask_for_is_a_violation_before_it_has_come(length):
    buffer = bytearray(length.to_bytes(4, "big") + b"\x65\0\0\0\x09\0\0\0\x04\0\x3d\x09\0" + b"\x1b[2J://a:")
    with pytest.raises(ProtocolViolation, match=f"an answer of {length:,} bytes, of at most 262,144: ") as caught:
        list(wire.packets(buffer))
    assert str(caught.value).endswith(r": \x1b[2J://a:")


@pytest.mark.parametrize("kind", [b"\x65", b"\x66", b"\x67", b"\0", b"\xff"])
@pytest.mark.parametrize("come_bytes", [0, 1, 5, 12, 13, 40])
def test_an_answer_too_long_is_a_violation_however_little_of_it_has_come(kind, come_bytes):
    buffer = bytearray(b"\0\x40\0\0" + (kind + bytes(60))[:come_bytes])
    with pytest.raises(ProtocolViolation, match="an answer of 4,194,304 bytes, of at most 262,144"):
        list(wire.packets(buffer))


def test_a_handle_longer_than_the_draft_allows_is_a_violation():
    assert wire.decode(b"\x66\0\0\0\x09" + string(b"h" * 256)) == (9, wire.Handle(b"h" * 256))
    with pytest.raises(ProtocolViolation, match="a handle of 257 bytes"):
        wire.decode(b"\x66\0\0\0\x09" + string(b"h" * 257))


def test_the_owner_in_attributes_is_skipped():
    flags = 0x01 | 0x02 | 0x04 | 0x08
    content = b"\x69\0\0\0\x09" + struct.pack(">IQIIIII", flags, 10, 1000, 1000, 0o100600, 1, 2)
    assert wire.decode(content) == (9, wire.Attributes(10, 0o100600))


@pytest.mark.parametrize("kind", [0, 2, 104, 106, 255])
def test_a_reply_of_another_type_is_a_violation(kind):
    with pytest.raises(ProtocolViolation, match=f"type {kind}"):
        wire.decode(packet(kind, 1, b"")[4:])


def test_an_extended_reply_is_read_as_numbers():
    assert wire.ExtendedReply(struct.pack(">4Q", 1, 2, 3, 2**64 - 1)).numbers(4) == (1, 2, 3, 2**64 - 1)


def test_an_extended_reply_that_is_too_short_is_a_violation():
    with pytest.raises(ProtocolViolation, match="31 bytes where 32 were due"):
        wire.ExtendedReply(bytes(31)).numbers(4)


# -- VERSION


def test_version_and_extensions_are_read():
    content = encode_version(3, {b"limits@openssh.com": b"1", b"vendor-id": b"\0\xff", b"empty": b""})[4:]
    assert wire.decode_version(content) == (
        3,
        {b"limits@openssh.com": b"1", b"vendor-id": b"\0\xff", b"empty": b""},
    )


def test_extensions_beyond_any_limit_of_a_real_server_are_left_out():
    many = {b"limits@openssh.com": b"1", b"n" * 4_000: b"1", b"long": b"1" * 4_000}
    many |= {b"%d" % number: b"1" for number in range(10_000)}
    _, extensions = wire.decode_version(encode_version(3, many)[4:])
    assert len(extensions) == wire.EXTENSIONS_MAX
    assert extensions.keys() >= {b"limits@openssh.com", b"0"}
    assert max(map(len, [*extensions, *extensions.values()])) <= PEER_TEXT_MAX


def test_a_version_cut_within_an_extension_is_a_violation():
    with pytest.raises(ProtocolViolation, match="cut short"):
        wire.decode_version(encode_version(3, {b"name": b"data"})[4:-1])


def test_a_first_packet_of_another_type_is_a_violation():
    with pytest.raises(ProtocolViolation, match="type 101, not VERSION"):
        wire.decode_version(encode_reply(1, wire.OK)[4:])


# -- packets: whole, byte by byte, with more behind

STREAM = [encode_version(3, {b"a": b"1"}), encode_reply(1, wire.OK), encode_reply(2, wire.Data(b"x" * 300))]


def test_whole_packets_are_taken_off_the_buffer():
    buffer = bytearray(b"".join(STREAM))
    assert list(wire.packets(buffer)) == [content[4:] for content in STREAM]
    assert buffer == b""


def test_packets_that_come_byte_by_byte_are_given_once_they_are_whole():
    buffer, found, ends = bytearray(), [], []
    for at, byte in enumerate(b"".join(STREAM), 1):
        buffer.append(byte)
        for content in wire.packets(buffer):
            found.append(content)
            ends.append(at)
    assert found == [content[4:] for content in STREAM]
    assert ends == [len(b"".join(STREAM[: count + 1])) for count in range(len(STREAM))]


@pytest.mark.parametrize("trailing", [b"\0", b"\0\0\0\x09", b"\0\0\0\x09\x65\0\0\0\x01\0\0\0"])
def test_bytes_after_the_last_whole_packet_stay_in_the_buffer(trailing):
    buffer = bytearray(STREAM[1] + trailing)
    assert list(wire.packets(buffer)) == [STREAM[1][4:]]
    assert buffer == trailing


def test_a_packet_that_was_handed_out_is_off_the_buffer_even_if_nobody_asks_for_the_next():
    buffer = bytearray(STREAM[1] + STREAM[2])
    taking = wire.packets(buffer)
    assert next(taking) == STREAM[1][4:]
    taking.close()
    assert buffer == STREAM[2]


@pytest.mark.parametrize(
    "noise", [b"Last login: Mon", b"\nWelcome", b"\0\0\0\0", b"\0\0\0\x04\x65\0\0\0", b"\x01\x00\x00\x01\x66"]
)
def test_a_length_no_server_sends_is_a_violation_that_shows_what_came(noise):
    with pytest.raises(ProtocolViolation) as caught:
        list(wire.packets(bytearray(noise)))
    assert repr(noise.decode("ascii", "replace")) in str(caught.value)
    assert "start-up" in caught.value.hint


@PROPERTY
@given(st.binary(max_size=400))
def test_any_bytes_give_packets_or_a_violation_and_nothing_else(data):
    buffer = bytearray(data)
    try:
        taken = list(wire.packets(buffer))
    except ProtocolViolation:
        return
    assert b"".join(framed(content) for content in taken) + buffer == data


@PROPERTY
@given(st.sampled_from([101, 102, 103, 105, 201, 104, 2]), st.binary(max_size=120))
def test_any_packet_is_decoded_or_a_violation_and_nothing_else(kind, body):
    try:
        request_id, reply = wire.decode(bytes([kind]) + b"\0\0\0\x07" + body)
    except ProtocolViolation:
        return
    assert request_id == 7
    assert isinstance(reply, wire.Reply)


@PROPERTY
@given(st.binary(min_size=5, max_size=200))
def test_any_first_packet_is_a_version_or_a_violation_and_nothing_else(content):
    try:
        version, extensions = wire.decode_version(content)
    except ProtocolViolation:
        return
    assert version == int.from_bytes(content[1:5], "big")
    assert all(name in content and data in content for name, data in extensions.items())


@PROPERTY
@given(st.lists(st.binary(min_size=5, max_size=60), max_size=6), st.lists(st.integers(1, 40), min_size=1, max_size=30))
def test_packets_do_not_depend_on_how_the_bytes_arrive(contents, sizes):
    stream, buffer, found, at = b"".join(map(framed, contents)), bytearray(), [], 0
    for number in range(len(stream) + 1):
        size = sizes[number % len(sizes)]
        buffer += stream[at : at + size]
        at += size
        found += wire.packets(buffer)
    assert found == contents
    assert buffer == b""


# -- what a client may send, as a strict server sees it


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"\x03\0\0\0\x09" + string(b"/a") + b"\0\0\0\x02" + b"\0\0\0\x01" + bytes(8), id="OPEN with SIZE"),
        pytest.param(b"\x04\0\0\0\x09" + string(b"h") + b"more", id="something behind the request"),
        pytest.param(b"\x09\0\0\0\x09" + string(b"/a") + b"\0\0\0\x01" + bytes(8), id="SETSTAT with SIZE"),
        pytest.param(b"\x09\0\0\0\x09" + string(b"/a") + b"\0\0\0\x02" + bytes(8), id="SETSTAT with an owner"),
        pytest.param(b"\x04\0\0\0\x09\0\0\0\x05h", id="a string cut short"),
    ],
)
def test_a_strict_server_takes_no_request_that_breaks_a_real_one(content):
    with pytest.raises(ProtocolViolation):
        decode_request(content)
