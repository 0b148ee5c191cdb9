import pytest

from iris_communication.errors import NotStarted, OutboxFull
from iris_communication.outbox.writer import messages
from iris_communication.outbox.writer.messages import Answer


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(messages, "ANSWER_LOOK_S", 0.005)


def test_a_reply_is_returned_and_an_error_is_raised():
    answer = Answer()
    answer.give(None)
    answer.give(OutboxFull("full"))
    assert answer.wait(lambda: True) is None
    with pytest.raises(OutboxFull):
        answer.wait(lambda: True)


def test_a_writer_that_is_slow_is_waited_for():
    answer, looks = Answer(), []

    def alive():
        looks.append(1)
        if len(looks) == 3:
            answer.give("at last")
        return True

    assert answer.wait(alive) == "at last"


def test_a_writer_that_has_ended_is_not_waited_for():
    with pytest.raises(NotStarted, match="closed before it answered"):
        Answer().wait(lambda: False)


def test_the_last_answer_of_a_writer_that_ended_is_heard():
    answer = Answer()

    def answers_and_ends():
        answer.give("the last word")
        return False

    assert answer.wait(answers_and_ends) == "the last word"


def test_a_wait_with_an_end_says_that_there_is_no_answer_yet():
    assert Answer().wait(lambda: True, timeout_s=0.02) is Answer.NONE_YET
