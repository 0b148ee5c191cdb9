"""The session by hand: the test is the server, sees each packet and gives each answer when it likes."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iris_communication.errors import LinkLost, ProtocolViolation, SourceChanged
from iris_communication.sftp import wire
from iris_communication.sftp.conversations.conversation import Chunk
from iris_communication.sftp.credit import Credit
from iris_communication.sftp.session import Session
from iris_communication.sftp.status import StatusError
from iris_communication.testing.server_wire import WriteData, decode_request, encode_reply, encode_version
from tests.memory_link import BytesSource

FAILURE = wire.Status(wire.FX_FAILURE, "Failure")
DENIED = wire.Status(wire.FX_PERMISSION_DENIED, "Permission denied")
MISSING = wire.Status(wire.FX_NO_SUCH_FILE, "No such file")


class ByHand:
    """A greeted session, and the requests it sends as (id, request) in order."""

    def __init__(self, credit=None, write_size_bytes=100, greeted=True):
        self.session = Session(credit)
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


# -- greeting


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


# -- many at once


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
    hand = ByHand()
    hand.session._next_id = 0xFFFFFFFE
    hand.session.begin(asks((wire.Stat(b"/a"), wire.Stat(b"/b"), wire.Stat(b"/c"))))
    assert [request_id for request_id, _ in hand.sent()] == [0xFFFFFFFF, 0, 1]


# -- writing


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


# -- a source that cannot be read


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


# -- credit


def test_data_waits_for_credit_and_goes_on_when_it_is_given_back():
    hand = ByHand(credit=Credit(bytes_max=250), write_size_bytes=100)
    begin_upload(hand, size_bytes=500)
    first = hand.sent()
    assert [request.offset for _, request in first] == [0, 100]
    assert hand.sent() == []
    hand.answer(first[1][0])
    assert [request.offset for _, request in hand.sent()] == [200]


def test_short_requests_do_not_wait_behind_data():
    hand = ByHand(credit=Credit(bytes_max=100), write_size_bytes=100)
    begin_upload(hand, size_bytes=500)
    assert len(hand.sent()) == 1
    hand.session.begin(asks(wire.Stat(b"/b")))
    hand.session.begin(upload(b"/c", 10), BytesSource(bytes(10)))
    assert [type(request) for _, request in hand.sent()] == [wire.Stat, wire.Open]


def test_a_budget_ends_a_turn_after_the_packet_that_used_it_up():
    hand = ByHand(write_size_bytes=100)
    begin_upload(hand, size_bytes=500)
    assert [request.offset for _, request in hand.sent(150)] == [0, 100]
    assert [request.offset for _, request in hand.sent(150)] == [200, 300]


def test_the_close_waits_for_the_writes_where_a_server_may_mix_requests_up():
    hand = ByHand(write_size_bytes=100)
    hand.session.keeps_order = False
    begin_upload(hand, size_bytes=200)
    writes = hand.sent()
    assert [type(request) for _, request in writes] == [WriteData, WriteData]
    hand.answer(writes[1][0])
    assert hand.sent() == []
    hand.answer(writes[0][0])
    assert [type(request) for _, request in hand.sent()] == [wire.Close]


def test_other_files_go_on_while_one_waits_for_its_answers():
    hand = ByHand(write_size_bytes=100)
    hand.session.keeps_order = False
    begin_upload(hand, size_bytes=100)
    begin_upload(hand, size_bytes=100)
    assert [type(request) for _, request in hand.sent()] == [WriteData, WriteData]


def test_one_write_at_a_time_is_in_flight_of_each_file_where_more_would_spoil_it():
    hand = ByHand(write_size_bytes=100)
    hand.session.one_write = True
    conversation = begin_upload(hand, size_bytes=250)
    offsets = []
    for _ in range(3):
        ((request_id, request),) = hand.sent()
        offsets.append(request.offset)
        hand.answer(request_id)
    assert offsets == [0, 100, 200]
    ((request_id, request),) = hand.sent()
    assert type(request) is wire.Close
    hand.answer(request_id)
    assert conversation.error is None
    assert hand.session.take_ended() == [conversation]


def test_a_file_that_waited_when_the_link_broke_tells_how_far_it_got():
    hand = ByHand(write_size_bytes=100)
    hand.session.one_write = True
    conversation = begin_upload(hand, size_bytes=250)
    hand.answer(hand.sent()[0][0])
    hand.sent()
    hand.session.fail(lambda: LinkLost("cut"))
    assert conversation.error.acknowledged_bytes == 100


def test_no_more_requests_go_out_than_credit_allows_of_any_kind():
    hand = ByHand(credit=Credit(requests_max=3))
    for number in range(5):
        hand.session.begin(asks(wire.Stat(b"/%d" % number)))
    first = hand.sent()
    assert len(first) == 3
    assert hand.sent() == []
    hand.answer(first[0][0], wire.Attributes(1, None))
    assert len(hand.sent()) == 1


def test_a_packet_larger_than_all_credit_goes_alone():
    hand = ByHand(credit=Credit(bytes_max=50), write_size_bytes=100)
    begin_upload(hand, size_bytes=200)
    ((request_id, _),) = hand.sent()
    hand.answer(request_id)
    assert len(hand.sent()) == 2  # the second WRITE and the CLOSE


ACTIONS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 1 << 16)), max_size=60)


@settings(derandomize=True, deadline=None, max_examples=200, database=None)
@given(ACTIONS, st.integers(1, 400), st.integers(1, 8))
def test_all_conversations_end_and_all_credit_comes_back_whatever_is_answered(actions, bytes_max, requests_max):
    hand = ByHand(credit=Credit(bytes_max=bytes_max, requests_max=requests_max), write_size_bytes=100)
    session, owed, conversations = hand.session, [], []

    def exchange():
        owed.extend(hand.sent(300))
        assert session.credit.requests_used <= requests_max
        assert session.credit.bytes_used <= max(bytes_max, 100)

    def answer(chance):
        request_id, request = owed.pop(chance % len(owed))
        granted = wire.Handle(request.path) if isinstance(request, wire.Open) else wire.OK
        hand.answer(request_id, FAILURE if chance % 5 == 0 else granted)

    for action, chance in actions:
        if action == 0:
            size_bytes = chance % 500
            talk = upload(b"/%d" % len(conversations), size_bytes, then=[wire.Rename(b"/a", b"/b")])
            conversations.append(session.begin(talk, BytesSource(bytes(size_bytes))))
        elif action < 3:
            exchange()
        elif owed:
            answer(chance)
    while session.live:
        exchange()
        assert owed, "nothing is on its way and yet conversations wait"
        answer(1)
    assert idle(session)
    assert set(hand.ended()) == set(conversations)
    assert session.handles.open == 0


# -- a server with few handles


class FewHandles:
    """Grants a number of open files, and answers everything else with OK."""

    def __init__(self, hand, handles_max, refusal=FAILURE, denied=()):
        self.hand = hand
        self.handles_max = handles_max
        self.refusal = refusal
        self.denied = denied
        self.open = 0
        self.opens = []

    def run(self):
        while requests := self.hand.sent():
            for request_id, request in requests:
                self.hand.answer(request_id, self.reply(request))

    def reply(self, request):
        if isinstance(request, wire.Open):
            self.opens.append(request.path)
            if request.path in self.denied or self.open >= self.handles_max:
                return self.refusal
            self.open += 1
            return wire.Handle(request.path)
        self.open -= isinstance(request, wire.Close)
        return wire.OK


@pytest.mark.parametrize("refusal", [FAILURE, DENIED])
@pytest.mark.parametrize("handles_max", [1, 2, 7])
def test_a_server_with_few_handles_gets_every_file_all_the_same(handles_max, refusal):
    hand = ByHand()
    server = FewHandles(hand, handles_max, refusal)
    conversations = [hand.session.begin(upload(b"/%d" % n, 10), BytesSource(bytes(10))) for n in range(40)]
    server.run()
    assert [talk.error for talk in conversations] == [None] * 40
    assert max(server.opens.count(path) for path in server.opens) <= 2
    assert idle(hand.session)


def test_files_begun_later_keep_to_what_was_learned():
    hand = ByHand()
    server = FewHandles(hand, 2)
    for number in range(5):
        hand.session.begin(upload(b"/%d" % number, 10), BytesSource(bytes(10)))
    server.run()
    asked = len(server.opens)
    for number in range(5, 10):
        hand.session.begin(upload(b"/%d" % number, 10), BytesSource(bytes(10)))
    server.run()
    assert len(server.opens) - asked == 5


def test_a_file_that_may_not_be_opened_is_asked_for_twice_at_most_and_holds_nobody_up():
    hand = ByHand()
    server = FewHandles(hand, 1000, DENIED, denied=[b"/1"])
    conversations = [hand.session.begin(upload(b"/%d" % n, 10), BytesSource(bytes(10))) for n in range(20)]
    server.run()
    assert [n for n, talk in enumerate(conversations) if talk.error] == [1]
    assert server.opens.count(b"/1") <= 2
    assert hand.session.handles.limit is None


def test_a_refusal_for_another_reason_is_believed_at_once():
    hand = ByHand()
    server = FewHandles(hand, 1000, MISSING, denied=[b"/1"])
    for number in range(3):
        hand.session.begin(upload(b"/%d" % number, 10), BytesSource(bytes(10)))
    server.run()
    assert server.opens.count(b"/1") == 1


# -- what is no sensible answer


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


# -- the end


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
