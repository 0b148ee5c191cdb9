"""Which finished file is offered next, and when."""

import itertools
from pathlib import Path

import pytest

from iris_camera.controllers.waiting_files import PAUSE_MAX_S, TOGETHER_MAX, WaitingFiles
from iris_camera.records.csv_file import FinishedCsv
from iris_camera.records.evidence import FinishedPicture


def record(name):
    return FinishedCsv(Path(f"/ready/{name}.csv"), "model", 1, 5, "0" * 64)


def picture(name):
    return FinishedPicture(Path(f"/ready/{name}.jpg"), "evidence", 5, "0" * 64)


@pytest.fixture
def waiting():
    return WaitingFiles()


def taken(waiting):
    names = []
    while first := waiting.first():
        names += [finished.path.stem for finished in first]
        waiting.accepted(first)
    return names


def test_no_file_waits_at_first(waiting):
    assert len(waiting) == 0
    assert waiting.first() == []
    assert waiting.pause_s(0.0) is None


def test_files_go_in_the_order_they_came(waiting):
    for name in "abc":
        waiting.add(record(name))
    assert taken(waiting) == ["a", "b", "c"]


def test_pictures_go_before_record_files_that_wait_already(waiting):
    for file in (record("a"), picture("p"), record("b"), picture("q")):
        waiting.add(file)
    assert len(waiting) == 4
    assert taken(waiting) == ["p", "q", "a", "b"]


def test_a_file_may_be_offered_at_once(waiting):
    waiting.add(record("a"))
    assert waiting.pause_s(123.0) == 0.0


def test_a_refused_file_stays_at_the_head_and_waits(waiting):
    waiting.add(record("a"))
    waiting.add(record("b"))
    waiting.refused(100.0)
    assert [finished.path.stem for finished in waiting.first()] == ["a"]
    assert waiting.pause_s(100.25) == 0.75
    assert waiting.pause_s(101.0) == 0.0


def test_an_outbox_that_was_full_for_an_hour_is_offered_a_file_within_two_seconds_of_room(waiting):
    waiting.add(record(1))
    now_s = 0.0
    while now_s < 3600.0:
        waiting.refused(now_s)
        assert waiting.pause_s(now_s) <= 2.0
        now_s += waiting.pause_s(now_s)


def test_pauses_between_refusals_grow_up_to_a_limit_and_are_forgotten_after_a_success(waiting):
    waiting.add(record("a"))
    waiting.add(record("b"))
    pauses = []
    for _ in range(10):
        waiting.refused(0.0)
        pauses.append(waiting.pause_s(0.0))
    assert all(later >= sooner for sooner, later in itertools.pairwise(pauses))
    assert (pauses[0], pauses[-1]) == (1.0, PAUSE_MAX_S)
    waiting.accepted(waiting.first())
    assert waiting.pause_s(0.0) == 0.0
    waiting.refused(0.0)
    assert waiting.pause_s(0.0) == 1.0


def test_the_more_are_taken_the_more_are_offered_together_and_one_after_a_refusal(waiting):
    for number in range(1000):
        waiting.add(record(str(number)))
    sizes = []
    for _ in range(9):
        sizes.append(len(waiting.first()))
        waiting.accepted(waiting.first())
    assert sizes == [1, 2, 4, 8, 16, 32, 64, 64, 64]
    assert sizes[-1] == TOGETHER_MAX
    waiting.refused(0.0)
    assert len(waiting.first()) == 1


def test_accepted_files_leave_and_the_others_keep_their_order(waiting):
    for file in (record("a"), picture("p"), record("b"), picture("q")):
        waiting.add(file)
    waiting.accepted([picture("q"), record("a")])
    assert taken(waiting) == ["p", "b"]
