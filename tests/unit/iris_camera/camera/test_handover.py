import threading

import numpy as np
import pytest

from iris_camera.camera.frame import Frame
from iris_camera.camera.handover import EveryFrame, LatestFrame

WAIT_S = 20.0  # far more than any of these takes; only a failure waits so long
BOTH = pytest.mark.parametrize("handover_class", [LatestFrame, EveryFrame])


def frame(number):
    return Frame(np.zeros((1, 1, 3), np.uint8), number, 0.0, 0.0)


def numbers_left(handover):
    numbers = []
    while (taken := handover.get(0.0)) is not None:
        numbers.append(taken.number)
    return numbers


class InAThread:
    """Runs `work` in a thread and hands out what it returned."""

    def __init__(self, work):
        self._work = work
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        self._result = self._work()

    def result(self):
        self._thread.join(WAIT_S)
        assert not self._thread.is_alive(), "it still waits"
        return self._result


def test_the_latest_of_several_frames_wins():
    handover = LatestFrame()
    for number in range(5):
        handover.put(frame(number))
    assert numbers_left(handover) == [4]


def test_a_skipped_frame_is_counted():
    handover = LatestFrame()
    for number in range(5):
        handover.put(frame(number))
    assert handover.skipped == 4


def test_a_frame_that_was_taken_is_not_counted_as_skipped():
    handover = LatestFrame()
    for number in range(5):
        handover.put(frame(number))
        assert handover.get(0.0).number == number
    assert handover.skipped == 0


def test_a_live_put_does_not_wait_for_a_reader_that_works_on_a_frame():
    handover = LatestFrame()
    handover.put(frame(0))
    in_hand, let_go = threading.Event(), threading.Event()

    def read():
        taken = handover.get(WAIT_S)
        in_hand.set()
        let_go.wait(WAIT_S)
        return taken.number, handover.get(WAIT_S).number

    reader = InAThread(read)
    assert in_hand.wait(WAIT_S)
    for number in range(1, 1000):
        handover.put(frame(number))
    let_go.set()
    assert reader.result() == (0, 999)
    assert handover.skipped == 998


def test_every_live_frame_is_taken_or_counted_as_skipped():
    handover = LatestFrame()

    def read():
        taken = []
        while not handover.drained:
            if (each := handover.get(WAIT_S)) is not None:
                taken.append(each.number)
        return taken

    reader = InAThread(read)
    for number in range(2000):
        handover.put(frame(number))
    handover.close()
    taken = reader.result()
    assert taken == sorted(set(taken))
    assert taken[-1] == 1999
    assert len(taken) + handover.skipped == 2000


def test_no_frame_of_a_file_is_lost_and_the_writer_is_held_back():
    handover = EveryFrame(capacity=3)
    handed_over = []

    def write():
        for number in range(500):
            handover.put(frame(number))
            handed_over.append(number)
        handover.close()

    writer = InAThread(write)
    taken = []
    while not handover.drained:
        if (each := handover.get(WAIT_S)) is not None:
            taken.append(each.number)
            assert len(handed_over) <= len(taken) + 3
    writer.result()
    assert taken == list(range(500))
    assert handover.skipped == 0


def test_closing_ends_a_put_that_waits_for_room_and_its_frame_is_not_handed_over():
    handover = EveryFrame(capacity=1)
    handover.put(frame(0))
    writer = InAThread(lambda: handover.put(frame(1)))
    handover.close()
    writer.result()
    assert numbers_left(handover) == [0]


def test_a_file_handover_without_room_is_refused():
    with pytest.raises(ValueError, match="at least 1 frame, not 0"):
        EveryFrame(capacity=0)


@BOTH
def test_no_frame_comes_when_none_was_put_in_time(handover_class):
    assert handover_class().get(0.0) is None


@BOTH
def test_a_waiting_reader_gets_the_frame_that_comes(handover_class):
    handover = handover_class()
    reader = InAThread(lambda: handover.get(WAIT_S))
    handover.put(frame(7))
    assert reader.result().number == 7


@BOTH
def test_closing_wakes_every_waiting_reader(handover_class):
    handover = handover_class()
    readers = [InAThread(lambda: handover.get(WAIT_S)) for _ in range(3)]
    handover.close()
    assert [reader.result() for reader in readers] == [None, None, None]


@BOTH
def test_a_frame_put_before_the_close_can_still_be_taken(handover_class):
    handover = handover_class()
    handover.put(frame(3))
    handover.close()
    assert handover.closed
    assert not handover.drained
    assert numbers_left(handover) == [3]
    assert handover.drained


@BOTH
def test_a_frame_put_after_the_close_is_ignored(handover_class):
    handover = handover_class()
    handover.close()
    handover.put(frame(3))
    assert numbers_left(handover) == []
    assert handover.skipped == 0


@BOTH
def test_an_open_handover_is_not_drained_though_it_is_empty(handover_class):
    handover = handover_class()
    assert not handover.closed
    assert not handover.drained


@BOTH
def test_closing_twice_does_no_harm(handover_class):
    handover = handover_class()
    handover.close()
    handover.close()
    assert handover.drained
