import logging

import pytest

from iris_communication.errors import OutboxFull, OutboxStorageError
from iris_communication.outbox.writer.refusals import LOGGED_EVERY_S, QueueRefusals
from iris_communication.testing import FakeClock

FULL = OutboxFull("the outbox holds 100 files")


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def refusals(clock, caplog):
    caplog.set_level(logging.INFO)
    return QueueRefusals(logging.getLogger("iris_communication.test"), clock.monotonic_s)


def test_a_full_queue_is_logged_at_once_and_then_every_ten_seconds_with_its_count(refusals, clock, caplog):
    assert LOGGED_EVERY_S == 10.0
    for number in range(200):
        refusals.record([f"{number}.csv"], [FULL])
        clock.advance(0.125)
    beginning = "Upload queue is full, dropping request: "
    assert [message.removeprefix(beginning) for message in caplog.messages] == [
        "0.csv stays where it is; the outbox holds 100 files",
        "80.csv stays where it is; the outbox holds 100 files (the same for 79 files in 10 s)",
        "160.csv stays where it is; the outbox holds 100 files (the same for 79 files in 10 s)",
    ]


def test_a_queue_that_has_room_now_and_then_is_logged_no_more_often(refusals, clock, caplog):
    for number in range(80):
        refusals.record([f"{number}.csv", "other.csv"], [FULL, object()])
        clock.advance(0.125)
    assert len(caplog.messages) == 2


def test_a_path_of_a_stranger_is_clean_in_the_log(refusals, caplog):
    refusals.record(["a\x1b[2J\n.csv"], [OutboxStorageError("the disk refuses")])
    assert caplog.messages[0].startswith(r"a\x1b[2J\n.csv is not accepted: the disk refuses. ")
