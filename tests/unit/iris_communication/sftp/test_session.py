"""A session greets, finds the request of each reply, and ends whole."""

import pytest

from iris_communication.errors import LinkLost, ProtocolViolation
from iris_communication.sftp import wire
from iris_communication.sftp.credit import Credit
from iris_communication.sftp.status import StatusError
from iris_communication.testing.server_wire import encode_reply, encode_version
from tests.memory_link import BytesSource
from tests.unit.iris_communication.sftp.by_hand import MISSING, ByHand, asks, begin_upload, idle, upload


def test_no_request_is_sent_before_the_server_has_greeted():
    hand = ByHand(greeted=False)
    hand.session.begin(asks(wire.Stat(b"/a")))
    assert hand.session.output(1000) == [wire.init()]
    assert hand.session.output(1000) == []
    hand.session.receive(encode_version(3, {b"a": b"1"}))
    assert hand.session.extensions == {b"a": b"1"}
    assert hand.sent() == [(1, wire.Stat(b"/a"))]


def test_the_greeting_counts_as_unanswered_until_the_version_comes():
    hand = ByHand(greeted=False)
    assert hand.session.unanswered == 1
    hand.session.receive(encode_version(3, {}))
    assert hand.session.unanswered == 0


def test_an_older_version_is_a_violation():
    with pytest.raises(ProtocolViolation, match="version 2"):
        ByHand(greeted=False).session.receive(encode_version(2, {}))


def test_text_that_a_login_script_prints_is_a_violation():
    with pytest.raises(ProtocolViolation, match="Welcome"):
        ByHand(greeted=False).session.receive(b"Welcome to the plant!\n")


def test_all_files_are_opened_before_the_first_reply_comes():
    hand = ByHand()
    for number in range(64):
        hand.session.begin(upload(b"/%d" % number, 10), BytesSource(bytes(10)))
    opened = [request.path for _, request in hand.sent()]
    assert opened == [b"/%d" % number for number in range(64)]


def test_replies_find_their_request_in_any_order():
    hand = ByHand()
    conversations = [hand.session.begin(asks(wire.Stat(b"/%d" % number))) for number in range(5)]
    requests = hand.sent()
    for request_id, _ in reversed(requests):
        hand.answer(request_id, wire.Attributes(request_id, None))
    assert [talk.result for talk in conversations] == [
        [wire.Attributes(request_id, None)] for request_id, _ in requests
    ]
    assert hand.ended() == conversations[::-1]
    assert idle(hand.session)


def test_replies_to_the_requests_of_a_tuple_stand_in_its_order():
    hand = ByHand()
    wanted = (wire.Stat(b"/a"), wire.Remove(b"/b"), wire.Stat(b"/c"))
    conversation = hand.session.begin(asks(wanted))
    (first, _), (second, _), (third, _) = hand.sent()
    hand.answer(third, wire.Attributes(3, None))
    hand.answer(second, MISSING)
    assert hand.ended() == []
    hand.answer(first, wire.Attributes(1, None))
    ((stat_a, removed, stat_c),) = conversation.result
    assert (stat_a, stat_c) == (wire.Attributes(1, None), wire.Attributes(3, None))
    assert isinstance(removed, StatusError)
    assert removed.code == wire.FX_NO_SUCH_FILE


def test_a_single_request_that_is_refused_is_thrown_into_its_conversation():
    def careful():
        try:
            yield wire.Stat(b"/a")
        except StatusError as refused:
            return refused.code
        return None

    hand = ByHand()
    conversation = hand.session.begin(careful())
    hand.answer(hand.sent()[0][0], MISSING)
    assert conversation.result == wire.FX_NO_SUCH_FILE


def test_an_error_of_a_conversation_is_its_own_outcome_and_the_session_goes_on():
    hand = ByHand()
    failing = hand.session.begin(asks(wire.Stat(b"/a")))
    other = hand.session.begin(asks(wire.Stat(b"/b")))
    (first, _), (second, _) = hand.sent()
    hand.answer(first, MISSING)
    hand.answer(second, wire.Attributes(1, None))
    assert isinstance(failing.error, StatusError)
    assert other.result == [wire.Attributes(1, None)]
    assert idle(hand.session)


def test_a_conversation_that_asks_nothing_has_ended_at_once():
    hand = ByHand()
    conversation = hand.session.begin(asks())
    assert hand.ended() == [conversation]
    assert conversation.result == []


def test_request_ids_begin_anew_after_the_last():
    hand = ByHand(latest_id=0xFFFFFFFE)
    hand.session.begin(asks((wire.Stat(b"/a"), wire.Stat(b"/b"), wire.Stat(b"/c"))))
    assert [request_id for request_id, _ in hand.sent()] == [0xFFFFFFFF, 0, 1]


@pytest.mark.parametrize(
    ("request_", "reply"),
    [
        (wire.Open(b"/a", wire.READ), wire.OK),
        (wire.Stat(b"/a"), wire.OK),
        (wire.Stat(b"/a"), wire.Handle(b"h")),
        (wire.Close(b"h"), wire.Handle(b"h")),
        (wire.Remove(b"/a"), wire.Data(b"x")),
        (wire.Rename(b"/a", b"/b"), wire.Handle(b"h")),
        (wire.limits(), wire.OK),
        ((wire.Write(b"h", 0, 10),), wire.Handle(b"h")),
        ((wire.Write(b"h", 0, 10),), wire.Data(b"")),
    ],
)
def test_an_answer_of_another_kind_is_a_violation_and_never_counts_as_done(request_, reply):
    hand = ByHand()
    conversation = hand.session.begin(asks(request_), BytesSource(bytes(10)))
    ((request_id, _),) = hand.sent()
    with pytest.raises(ProtocolViolation, match="was answered by"):
        hand.answer(request_id, reply)
    assert conversation.result is None


@pytest.mark.parametrize("request_id", [0, 2, 0xFFFFFFFF])
def test_an_answer_nobody_waits_for_is_a_violation(request_id):
    hand = ByHand()
    hand.session.begin(asks(wire.Stat(b"/a")))
    assert [sent_id for sent_id, _ in hand.sent()] == [1]
    with pytest.raises(ProtocolViolation, match=f"request {request_id}, which is not open"):
        hand.answer(request_id)


def test_a_second_answer_to_one_request_is_a_violation():
    hand = ByHand()
    hand.session.begin(asks(wire.Remove(b"/a")))
    ((request_id, _),) = hand.sent()
    hand.answer(request_id)
    with pytest.raises(ProtocolViolation, match="not open"):
        hand.answer(request_id)


def test_answers_before_a_violation_in_the_same_bytes_still_count():
    hand = ByHand()
    first = hand.session.begin(asks(wire.Remove(b"/a")))
    hand.session.begin(asks(wire.Remove(b"/b")))
    hand.sent()
    with pytest.raises(ProtocolViolation):
        hand.session.receive(encode_reply(1, wire.OK) + encode_reply(99, wire.OK))
    assert first.result == [wire.OK]


def test_a_dead_session_ends_everything_at_once_each_with_an_error_of_its_own():
    hand = ByHand(credit=Credit(bytes_max=100), write_size_bytes=100)
    waiting_for_answer = hand.session.begin(asks(wire.Stat(b"/a")))
    hand.sent()
    waiting_for_credit = begin_upload(hand, size_bytes=500)
    hand.sent()
    not_sent_yet = hand.session.begin(asks(wire.Stat(b"/b")))
    hand.session.fail(lambda: LinkLost("cut"))
    conversations = [waiting_for_answer, waiting_for_credit, not_sent_yet]
    assert set(hand.ended()) == set(conversations)
    errors = [talk.error for talk in conversations]
    assert [type(error) for error in errors] == [LinkLost] * 3
    assert len(set(map(id, errors))) == 3
    assert (hand.session.live, hand.session.unanswered) == (0, 0)
    assert hand.sent() == []


def test_a_conversation_that_wants_to_go_on_after_the_end_is_ended_all_the_same():
    def stubborn():
        while True:
            try:
                yield wire.Stat(b"/a")
            except LinkLost:
                continue

    hand = ByHand()
    conversation = hand.session.begin(stubborn())
    hand.session.fail(lambda: LinkLost("cut"))
    assert isinstance(conversation.error, LinkLost)
    assert hand.session.live == 0


def test_the_outcome_of_a_conversation_is_what_it_makes_of_the_end():
    def translating():
        try:
            yield wire.Stat(b"/a")
        except LinkLost:
            return "let it be"

    hand = ByHand()
    conversation = hand.session.begin(translating())
    hand.session.fail(lambda: LinkLost("cut"))
    assert conversation.result == "let it be"
    assert conversation.error is None
