import logging
import threading

import pytest

from iris_communication.runtime.repeats import CAUSES_MAX, NEW_CAUSES_MAX, Repeats, Spell, again, is_one_to_log, over
from iris_communication.testing import FakeClock

log = logging.getLogger("iris_communication.test")


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def repeats(clock, caplog):
    caplog.set_level(logging.INFO)
    return Repeats(log, clock.monotonic_s, every_s=60.0, per_file=True)


def test_the_first_time_is_logged_and_the_next_ones_are_counted():
    spell, unlogged = again(None, 100.0, 60.0)
    assert unlogged == 0
    for after_s in (0.0, 1.0, 59.9):
        spell, unlogged = again(spell, 100.0 + after_s, 60.0)
        assert unlogged is None
    assert again(spell, 160.0, 60.0) == (Spell(160.0), 3)


def test_the_end_is_logged_once_and_only_of_what_was_logged():
    spell, unlogged = over(Spell(100.0, unlogged=7))
    assert unlogged == 7
    assert over(spell) == (spell, None)


def test_a_cause_that_lasts_is_one_line_a_minute_with_its_count(repeats, clock, caplog):
    for _ in range(3600):
        repeats.log("refused", logging.ERROR, "%s: the server refuses", "a.csv")
        clock.advance(1.0)
    assert len(caplog.messages) == 60
    assert caplog.messages[:2] == [
        "a.csv: the server refuses",
        "a.csv: the server refuses (the same for 59 files in 60 s)",
    ]


def test_the_end_of_a_cause_is_logged_with_the_rest_of_its_count(repeats, clock, caplog):
    for _ in range(1163):
        repeats.log("refused", logging.ERROR, "refused")
    clock.advance(12.0)
    repeats.over(["refused"], "files are taken again")
    repeats.over(["refused"], "files are taken again")
    assert caplog.messages == ["refused", "files are taken again (the same for 1,162 files in 12 s)"]
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]


def test_a_state_that_never_began_does_not_end(repeats, caplog):
    repeats.over(["refused"], "files are taken again")
    repeats.log("another", logging.ERROR, "refused")
    repeats.over(["refused"], "files are taken again")
    assert caplog.messages == ["refused"]


def test_a_state_that_comes_and_goes_is_logged_no_more_often_than_one_that_lasts(repeats, clock, caplog):
    for _ in range(240):
        repeats.log("full", logging.WARNING, "full")
        repeats.over(["full"], "room again")
        clock.advance(0.25)
    assert caplog.messages == ["full", "room again"]
    repeats.log("full", logging.WARNING, "full")
    assert caplog.messages[2:] == ["full (the same for 239 files in 60 s)"]


def test_causes_are_counted_apart(repeats, caplog):
    repeats.log(("a", OSError), logging.ERROR, "one")
    repeats.log(("b", OSError), logging.ERROR, "two")
    assert caplog.messages == ["one", "two"]


def test_causes_without_end_count_as_one_after_some(repeats, clock, caplog):
    for number in range(1_000):
        repeats.log(number, logging.ERROR, "%d", number)
    assert caplog.messages == [str(number) for number in range(NEW_CAUSES_MAX + 1)]
    clock.advance(60.0)
    repeats.log("another", logging.ERROR, "another")
    assert caplog.messages[-1] == "another"


def test_causes_without_end_need_no_memory_without_end(repeats, clock, caplog):
    for number in range(2 * CAUSES_MAX):
        repeats.log(number, logging.ERROR, "%d", number)
        clock.advance(60.0)
    clock.advance(-60.0)
    repeats.log(2 * CAUSES_MAX - 1, logging.ERROR, "remembered")
    repeats.log(0, logging.ERROR, "forgotten")
    assert caplog.messages[-1] == "forgotten"


def test_threads_may_log_the_same_cause_at_once(repeats, clock, caplog):
    threads = [
        threading.Thread(target=lambda: [repeats.log("refused", logging.ERROR, "refused") for _ in range(500)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    clock.advance(60.0)
    repeats.log("refused", logging.ERROR, "refused")
    assert caplog.messages == ["refused", "refused (the same for 1,999 files in 60 s)"]


def test_a_count_is_logged_ever_more_seldom():
    assert [count for count in range(1, 40) if is_one_to_log(count)] == [1, 2, 4, 8, 16, 32]
