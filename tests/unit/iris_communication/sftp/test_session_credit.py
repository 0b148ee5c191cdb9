"""A session sends no more than its credit, and gets all of it back."""

from hypothesis import given, settings
from hypothesis import strategies as st

from iris_communication.errors import LinkLost
from iris_communication.sftp import wire
from iris_communication.sftp.credit import Credit
from iris_communication.testing.server_wire import WriteData
from tests.memory_link import BytesSource
from tests.unit.iris_communication.sftp.by_hand import FAILURE, ByHand, asks, begin_upload, idle, upload


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
