"""A session writes in order, stops at the first refusal, and survives a source that cannot be read."""

import itertools

from iris_communication.errors import SourceChanged
from iris_communication.sftp import wire
from iris_communication.sftp.conversations.conversation import Chunk
from iris_communication.sftp.credit import Credit
from iris_communication.sftp.status import StatusError
from iris_communication.testing.server_wire import WriteData, decode_request
from tests.memory_link import BytesSource
from tests.unit.iris_communication.sftp.by_hand import DENIED, FAILURE, MISSING, ByHand, asks, begin_upload, idle


def test_writes_go_out_in_ascending_order_and_the_close_behind_them():
    hand = ByHand(write_size_bytes=100)
    conversation = begin_upload(hand, b"h", 250)
    requests = [request for _, request in hand.sent()]
    content = bytes(range(250))
    assert requests == [
        WriteData(b"h", 0, content[:100]),
        WriteData(b"h", 100, content[100:200]),
        WriteData(b"h", 200, content[200:]),
        wire.Close(b"h"),
    ]
    assert conversation.source.reads == [(0, 100), (100, 100), (200, 50)]


def test_a_conversation_goes_on_once_the_last_of_its_writes_is_answered_in_whatever_order():
    for order in itertools.permutations(range(4)):
        hand = ByHand()
        conversation = begin_upload(hand, size_bytes=250)
        requests = hand.sent()
        for count, index in enumerate(order, 1):
            assert (hand.ended() == []) is True
            hand.answer(requests[index][0])
            assert (conversation.result is not None) == (count == 4)
        assert conversation.result == [wire.OK, wire.OK]
        assert idle(hand.session)


def test_files_share_the_link_chunk_by_chunk():
    hand = ByHand(write_size_bytes=100)
    begin_upload(hand, b"a", 250)
    begin_upload(hand, b"b", 250)
    writes = [(request.handle, len(request.data)) for _, request in hand.sent() if isinstance(request, WriteData)]
    assert writes == [(b"a", 100), (b"b", 100), (b"a", 100), (b"b", 100), (b"a", 50), (b"b", 50)]


def test_a_file_of_no_bytes_is_closed_without_a_write():
    hand = ByHand()
    conversation = begin_upload(hand, b"h", 0)
    ((request_id, request),) = hand.sent()
    assert request == wire.Close(b"h")
    hand.answer(request_id)
    assert conversation.result == [wire.OK, wire.OK]
    assert conversation.source.reads == []
    assert idle(hand.session)


def test_no_further_write_is_sent_after_the_first_refused_one_but_the_close_is():
    hand = ByHand(credit=Credit(bytes_max=200), write_size_bytes=100)
    conversation = begin_upload(hand, size_bytes=1000)
    (first, _), (second, _) = hand.sent()
    hand.answer(first, FAILURE)
    ((close, request),) = hand.sent()
    assert request == wire.Close(b"/a")
    hand.answer(second)
    hand.answer(close)
    refused, closed = conversation.result
    assert refused.code == wire.FX_FAILURE
    assert closed == wire.OK
    assert idle(hand.session)


def test_the_first_refusal_is_the_one_that_is_told():
    hand = ByHand(write_size_bytes=100)
    conversation = begin_upload(hand, size_bytes=250)
    (first, _), (second, _), (third, _), (close, _) = hand.sent()
    hand.answer(second, DENIED)
    hand.answer(first, FAILURE)
    hand.answer(close, MISSING)
    hand.answer(third)
    refused, closed = conversation.result
    assert refused.code == wire.FX_PERMISSION_DENIED
    assert closed.code == wire.FX_NO_SUCH_FILE


def test_a_refusal_of_one_file_stops_no_other():
    hand = ByHand(credit=Credit(bytes_max=200), write_size_bytes=100)
    broken = begin_upload(hand, b"a", 500)
    sound = begin_upload(hand, b"b", 300)
    while requests := hand.sent():
        for request_id, request in requests:
            hand.answer(request_id, FAILURE if request == WriteData(b"a", 0, bytes(range(100))) else wire.OK)
    assert isinstance(broken.result[0], StatusError)
    assert sound.result == [wire.OK, wire.OK]
    assert idle(hand.session)


def test_a_lone_write_that_is_refused_ends_its_conversation():
    hand = ByHand(credit=Credit(bytes_max=100), write_size_bytes=100)
    conversation = hand.session.begin(asks((wire.Write(b"h", 0, 300),)), BytesSource(bytes(300)))
    ((request_id, _),) = hand.sent()
    hand.answer(request_id, FAILURE)
    assert hand.sent() == []
    ((refused,),) = conversation.result
    assert refused.code == wire.FX_FAILURE
    assert idle(hand.session)


def test_a_request_after_a_skipped_write_goes_out_at_once():
    hand = ByHand()
    hand.session.begin(asks((wire.Write(b"h", 0, 0),), wire.Stat(b"/a")), BytesSource(b""))
    assert [request for _, request in hand.sent()] == [wire.Stat(b"/a")]


def test_a_read_error_fails_its_file_alone_and_is_told_as_the_cause():
    hand = ByHand(write_size_bytes=100)
    conversation = begin_upload(hand, b"a", 250)
    other = begin_upload(hand, b"b", 50)
    gone = SourceChanged("shorter than it was")
    answered = []
    for piece in hand.session.output(1 << 20):
        if isinstance(piece, Chunk) and piece.conversation is conversation:
            hand.session.unsent(piece, gone)
        else:
            content = piece.head + bytes(piece.size_bytes) if isinstance(piece, Chunk) else piece
            answered.append(decode_request(content[4:]))
    for request_id, _ in answered:
        hand.answer(request_id)
    assert [type(request) for _, request in answered] == [WriteData, wire.Close, wire.Close]
    refused, closed = conversation.result
    assert refused.__cause__ is gone
    assert closed == wire.OK
    assert other.result == [wire.OK, wire.OK]
    assert idle(hand.session)


def test_no_further_piece_of_a_source_is_asked_for_once_one_could_not_be_read():
    hand = ByHand(credit=Credit(bytes_max=100), write_size_bytes=100)
    conversation = begin_upload(hand, size_bytes=1000)
    (piece,) = hand.session.output(1 << 20)
    hand.session.unsent(piece, SourceChanged("shorter than it was"))
    ((close, request),) = hand.sent()
    assert request == wire.Close(b"/a")
    hand.answer(close)
    assert isinstance(conversation.result[0], StatusError)
    assert idle(hand.session)
