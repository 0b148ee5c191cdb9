from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iris_communication.decisions.batching import Depart, Wait, batch_queue, departure
from iris_communication.settings import Rule

RULE = Rule(batch="zip", batch_files_max=4, batch_bytes_max=100, batch_wait_s=10.0)
PROPERTY = settings(derandomize=True, deadline=None, database=None)
SIZES = st.lists(st.integers(0, 150), max_size=12)
AGES = st.floats(-1e9, 1e9)
RULES = st.builds(
    replace,
    st.just(RULE),
    batch_files_max=st.integers(1, 6),
    batch_bytes_max=st.integers(1, 200),
    batch_wait_s=st.floats(0.1, 100),
)


@pytest.mark.parametrize(
    ("kind", "path", "queue"),
    [
        ("zip", "/in/line-1/a.csv", "zip:/in/line-1"),
        ("tar.gz", "./line-1/a.csv", "tar.gz:./line-1"),
        ("zip", "a.csv", "zip:"),
        ("zip", "/in/Prüfung/a.csv", "zip:/in/Prüfung"),
        (None, "/in/line-1/a.csv", ""),
    ],
)
def test_files_of_one_format_and_one_folder_may_travel_together(kind, path, queue):
    assert batch_queue(kind, path) == queue


def test_a_file_for_a_folder_whose_name_is_no_text_goes_by_itself():
    assert batch_queue("zip", "/in/\udcff/a.csv") == ""
    assert batch_queue("zip", "/in/\udcff.csv") == "zip:/in"


def test_an_empty_queue_sends_no_archive():
    assert departure([], 0.0, RULE) == Depart(0)


def test_files_that_do_not_fill_an_archive_wait_for_more():
    assert departure([10, 10], 4.0, RULE) == Wait(6.0)


@pytest.mark.parametrize("sizes", [[10] * 4, [10] * 9, [60, 40], [60, 41]])
def test_a_full_archive_goes_at_once(sizes):
    assert isinstance(departure(sizes, 0.0, RULE), Depart)


def test_an_archive_holds_no_more_files_than_the_rule_says():
    assert departure([10] * 9, 0.0, RULE) == Depart(4)


def test_an_archive_holds_no_more_bytes_than_the_rule_says():
    assert departure([60, 30, 11], 0.0, RULE) == Depart(2)


def test_a_file_larger_than_an_archive_goes_alone_and_at_once():
    assert departure([101], 0.0, RULE) == Depart(1)
    assert departure([101, 1, 1], 0.0, RULE) == Depart(1)


def test_a_file_before_a_large_one_does_not_wait_for_it():
    assert departure([10, 101], 0.0, RULE) == Depart(1)


def test_the_oldest_waits_no_longer_than_the_rule_says():
    assert departure([10], 9.75, RULE) == Wait(0.25)
    assert departure([10, 10], 10.0, RULE) == Depart(2)


def test_a_draining_uploader_waits_for_no_batch_to_fill():
    assert departure([10, 10], 0.0, RULE, draining=True) == Depart(2)


def test_a_clock_that_was_set_back_makes_nobody_wait():
    assert departure([10, 10], -1.0, RULE) == Depart(2)


@PROPERTY
@given(SIZES, AGES, RULES, st.booleans())
def test_no_archive_is_fuller_than_the_rule_says_and_no_wait_longer(sizes, age_s, rule, draining):
    decision = departure(sizes, age_s, rule, draining=draining)
    if isinstance(decision, Wait):
        assert sizes
        assert not draining
        assert 0 < decision.delay_s <= rule.batch_wait_s
        assert len(sizes) < rule.batch_files_max
        assert sum(sizes) < rule.batch_bytes_max
    else:
        assert decision.files <= min(len(sizes), rule.batch_files_max)
        assert decision.files or not sizes
        assert decision.files == 1 or sum(sizes[: decision.files]) <= rule.batch_bytes_max


@PROPERTY
@given(SIZES, RULES)
def test_everything_that_waits_goes_in_order_and_none_twice(sizes, rule):
    left, gone = list(sizes), []
    while left:
        taken = departure(left, rule.batch_wait_s, rule).files
        gone += left[:taken]
        left = left[taken:]
    assert gone == sizes


@PROPERTY
@given(SIZES, AGES, RULES)
def test_more_than_an_archive_holds_need_not_be_counted(sizes, age_s, rule):
    assert departure(sizes, age_s, rule) == departure(sizes[: rule.batch_files_max], age_s, rule)
