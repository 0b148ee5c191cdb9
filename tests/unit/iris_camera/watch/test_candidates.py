"""Which file is examined next; a flood of events takes no more memory than its files."""

import tracemalloc
from contextlib import contextmanager

from iris_camera.watch import candidates as candidates_module
from iris_camera.watch.candidates import Candidates
from iris_camera.watch.completion import Completion, FileState, Notice, Version

QUIET_S = 5.0
V1 = Version(1, 10, 100)


@contextmanager
def memory_of(module):
    """How many bytes that the module allocated in the block are still held."""
    tracemalloc.start()
    try:
        only = tracemalloc.Filter(True, module.__file__)
        yield lambda: sum(each.size for each in tracemalloc.take_snapshot().filter_traces([only]).traces)
    finally:
        tracemalloc.stop()


def all_due(candidates, now_s):
    found = []
    while (path := candidates.due(now_s)) is not None:
        found.append(path)
    return found


def test_files_are_examined_in_the_order_of_their_time():
    candidates = Candidates(QUIET_S)
    candidates.hear("slow", Notice.WRITTEN, 0.0)
    candidates.hear("done", Notice.CLOSED, 1.0)
    assert candidates.next_s() == 1.0
    assert all_due(candidates, 1.0) == ["done"]
    assert all_due(candidates, 4.9) == []
    assert all_due(candidates, 5.0) == ["slow"]


def test_a_file_written_a_million_times_has_one_place_in_the_order():
    candidates = Candidates(QUIET_S)
    with memory_of(candidates_module) as taken_bytes:
        for number in range(1000):
            candidates.hear("log", Notice.WRITTEN, number / 1000)
        assert taken_bytes() < 10_000, "a thousand places take five times as much"
    assert all_due(candidates, 5.5) == [], "its quiet began with the last write"
    assert all_due(candidates, 6.0) == ["log"]


def test_a_file_that_is_due_sooner_than_was_planned_is_examined_once():
    candidates = Candidates(QUIET_S)
    candidates.hear("a", Notice.WRITTEN, 0.0)
    candidates.hear("a", Notice.CLOSED, 1.0)
    assert all_due(candidates, 100.0) == ["a"]


def test_a_file_that_is_gone_is_not_examined():
    candidates = Candidates(QUIET_S)
    candidates.hear("a", Notice.CLOSED, 0.0)
    candidates.gone("a")
    assert (all_due(candidates, 100.0), len(candidates)) == ([], 0)


def test_a_file_that_is_left_is_no_candidate_and_an_offered_one_is_until_it_was_accepted():
    candidates = Candidates(QUIET_S)
    for name in ("left", "offered"):
        candidates.hear(name, Notice.CLOSED, 0.0)
    assert candidates.judge("left", None, None, 0.0) is Completion.LEAVE
    assert candidates.judge("offered", FileState(V1, is_open=False), None, 0.0) is Completion.OFFER
    assert list(candidates) == ["offered"]
    candidates.gone("offered")
    assert list(candidates) == []


def test_a_refused_file_is_examined_again_when_it_was_asked_for():
    candidates = Candidates(QUIET_S)
    candidates.hear("a", Notice.CLOSED, 0.0)
    assert all_due(candidates, 0.0) == ["a"]
    candidates.later("a", 7.0)
    assert all_due(candidates, 6.9) == []
    assert all_due(candidates, 7.0) == ["a"]


def test_a_file_whose_close_may_be_among_lost_events_waits_out_the_quiet_time():
    candidates = Candidates(QUIET_S)
    candidates.hear("a", Notice.WRITTEN, 0.0)
    candidates.events_were_lost()
    candidates.list("a", V1, None, 1.0)
    assert all_due(candidates, 5.0) == ["a"]
    assert candidates.judge("a", FileState(V1, is_open=None), None, 6.0) is Completion.OFFER
