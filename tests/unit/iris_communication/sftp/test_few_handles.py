"""A server that opens few files at once gets every file all the same."""

import pytest

from iris_communication.sftp import wire
from tests.memory_link import BytesSource
from tests.unit.iris_communication.sftp.by_hand import DENIED, FAILURE, MISSING, ByHand, idle, upload


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
