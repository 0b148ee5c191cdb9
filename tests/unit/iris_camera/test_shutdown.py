"""The shutdown: in order, in bounded time, and logged."""

import logging
import threading

import pytest

from iris_camera.shutdown import LAST_MOMENT_S, Step, carry_out


@pytest.fixture
def released():
    """Set at the end of the test, so that what was left behind ends too."""
    event = threading.Event()
    yield event
    event.set()


def test_steps_are_taken_in_order_and_each_is_given_its_limit():
    given = []
    taken = carry_out([Step("first", 2.0, lambda s: given.append(("first", s))), Step("second", 3.0, given.append)])
    assert given == [("first", 2.0), 3.0]
    assert [(step.text, step.ended) for step in taken] == [("first", True), ("second", True)]


def test_a_step_that_fails_is_reported_with_its_traceback_and_costs_the_others_nothing(caplog):
    after = []

    def fail(limit_s):
        raise OSError("the disk is gone")

    taken = carry_out([Step("closing the records", 1.0, fail), Step("the rest", 1.0, after.append)])
    assert [step.ended for step in taken] == [False, True]
    assert after == [1.0]
    assert "closing the records failed" in caplog.text
    assert "the disk is gone" in caplog.text


def test_a_step_that_hangs_is_left_behind_and_the_next_one_is_taken(released, caplog):
    after = []
    steps = [Step("a dead disk", 0.05, lambda s: released.wait(20.0)), Step("the rest", 1.0, after.append)]
    taken = carry_out(steps)
    assert [step.ended for step in taken] == [False, True]
    assert len(after) == 1
    assert "not finished within 0.1 s, and abandoned: a dead disk" in caplog.text


def test_no_step_gets_more_than_what_is_left_of_the_whole():
    now_s = 100.0
    given = []

    def slow(limit_s):
        nonlocal now_s
        now_s += 9.0
        given.append(limit_s)

    steps = [Step("slow", 15.0, slow), Step("slow too", 15.0, slow), Step("last", 15.0, given.append)]
    carry_out(steps, total_s=20.0, monotonic=lambda: now_s)
    assert given == [15.0, 11.0 - LAST_MOMENT_S, 2.0 - LAST_MOMENT_S]


def test_the_last_steps_are_begun_and_not_waited_for_when_the_time_is_used_up(released):
    begun, slow = threading.Event(), []

    def last(limit_s):
        begun.set()
        released.wait(20.0)

    steps = [Step("slow", 30.0, lambda s: slow.append(threading.current_thread())), Step("last", 5.0, last)]
    taken = carry_out(steps, monotonic=lambda: 30.0 if slow and not slow[0].is_alive() else 0.0)
    assert begun.wait(10.0)
    assert [step.ended for step in taken] == [True, False]


def test_a_step_that_returns_when_its_time_is_over_has_ended(caplog):
    now_s = 0.0

    def keeps_to_it(limit_s):
        nonlocal now_s
        now_s += limit_s

    steps = [Step(f"step {number}", 2.0, keeps_to_it) for number in range(20)]
    assert all(step.ended for step in carry_out(steps, total_s=100.0, monotonic=lambda: now_s))
    assert "left behind" not in caplog.text


def test_the_step_that_is_waited_for_is_reported_meanwhile(released, caplog, monkeypatch):
    monkeypatch.setattr("iris_camera.shutdown.TELL_EVERY_S", 0.01)
    asked = []

    def progress():
        asked.append(len(asked))
        if len(asked) == 3:
            released.set()
        return f"{100 - len(asked)} files still to go"

    with caplog.at_level(logging.INFO):
        carry_out([Step("the uploader drains", 20.0, lambda s: released.wait(20.0), progress)])
    assert "stopping, 1 of 1: the uploader drains (20.0 s at most)" in caplog.text
    assert "the uploader drains; 99 files still to go" in caplog.text
