from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iris_camera.records.retention import KeepLimits, KeptFile, decide, passed

NOW_S = 1_795_467_933.0
DAY_S = 86_400.0
WEEK_S = 7 * DAY_S
AMPLE = 10**15
FREE = 10**12
A_WEEK = KeepLimits(AMPLE, WEEK_S, 0)


def kept(number, written_s=None, size_bytes=100, series="line-1_model_9f3c01ab"):
    at_s = NOW_S + number if written_s is None else written_s
    return KeptFile(Path(f"/kept/{series}_{number}.csv"), size_bytes, at_s, series, number)


def hourly(hours, until_s=NOW_S):
    """A file every hour, numbered from 1, the last one just now."""
    return [kept(number, until_s - (hours - number) * 3600.0) for number in range(1, hours + 1)]


def removed(files, limits, *, owed=(), now_s=NOW_S, free_bytes=FREE):
    return [(file.sequence, why) for file, why in decide(files, owed, now_s, limits, free_bytes).remove]


def numbers(files, limits, **facts):
    return [number for number, _ in removed(files, limits, **facts)]


def test_no_file_is_removed_within_all_limits():
    files = hourly(24)
    assert decide(files, (), NOW_S, KeepLimits(2400, WEEK_S, FREE), FREE) == ((), ())
    assert not passed(files, NOW_S, KeepLimits(2400, WEEK_S, FREE), FREE)


def test_the_oldest_files_beyond_the_bytes_go_first_and_no_more_than_must():
    files = [kept(3), kept(1), kept(4), kept(2)]
    assert removed(files, KeepLimits(250, None, 0)) == [(1, "bytes"), (2, "bytes")]
    assert passed(files, NOW_S, KeepLimits(250, None, 0), FREE)


def test_no_file_is_kept_when_no_bytes_may_be():
    assert numbers([kept(1), kept(2)], KeepLimits(0, None, 0)) == [1, 2]


def test_files_beyond_the_age_go():
    assert removed(hourly(24 * 7 + 5), A_WEEK) == [(1, "age"), (2, "age"), (3, "age"), (4, "age")]


def test_no_file_is_too_old_without_an_age_limit():
    assert numbers([kept(1, 0.0)], KeepLimits(AMPLE, None, 0)) == []


def test_a_disk_that_is_short_of_space_loses_as_many_files_as_it_lacks_bytes():
    files = [kept(1), kept(2), kept(3)]
    assert removed(files, KeepLimits(AMPLE, None, 1_000), free_bytes=850) == [(1, "disk"), (2, "disk")]


def test_an_owed_file_stays_and_the_next_oldest_goes_in_its_place():
    files = [kept(1), kept(2), kept(3)]
    decision = decide(files, {files[0].path.name}, NOW_S, KeepLimits(150, None, 0), FREE)
    assert [file.sequence for file, _ in decision.remove] == [2, 3]
    assert decision.owed_in_the_way == ()


@pytest.mark.parametrize(
    ("limits", "free_bytes", "why"),
    [(KeepLimits(150, None, 0), FREE, "bytes"), (A_WEEK, FREE, "age"), (KeepLimits(AMPLE, None, 1000), 10, "disk")],
)
def test_a_limit_stays_passed_when_only_owed_files_are_left_and_that_is_reported(limits, free_bytes, why):
    files = hourly(24 * 8)
    decision = decide(files, {file.path.name for file in files}, NOW_S, limits, free_bytes)
    assert decision == ((), (why,))


@given(
    st.lists(st.tuples(st.floats(0, 2e9), st.integers(0, 1000), st.booleans()), max_size=30),
    st.floats(0, 2e9),
    st.builds(KeepLimits, st.integers(0, 5000), st.none() | st.floats(1, 1e9), st.integers(0, 5000)),
    st.integers(0, 5000),
)
def test_an_owed_file_is_never_removed_and_the_bytes_are_kept_to_whatever_the_clock_says(files, now_s, limits, free):
    made = [kept(n, at_s, size, f"series-{n % 3}") for n, (at_s, size, _) in enumerate(files)]
    owed = {file.path.name for file, (_, _, is_owed) in zip(made, files, strict=True) if is_owed}
    decision = decide(made, owed, now_s, limits, free)
    gone = [file.path.name for file, _ in decision.remove]
    assert not owed & set(gone)
    assert len(gone) == len(set(gone))
    left = sum(file.size_bytes for file in made if file.path.name not in gone)
    assert left <= limits.bytes_max or all(f.path.name in owed for f in made if f.path.name not in gone)


# A clock that jumps.


@pytest.mark.parametrize("jump_s", [2 * WEEK_S, 52 * WEEK_S, 50 * 365 * DAY_S])
def test_a_clock_that_jumps_forward_costs_a_quarter_of_the_limit_and_not_everything(jump_s):
    files = hourly(24 * 7)
    assert numbers(files, A_WEEK) == []
    gone = numbers(files, A_WEEK, now_s=NOW_S + jump_s)
    assert gone == list(range(1, 42))  # those beyond a week once a quarter of one, 42 hours, is added
    still = files[len(gone) :]
    assert numbers(still, A_WEEK, now_s=NOW_S + jump_s + 60.0) == []


def test_files_from_before_a_jump_are_not_aged_by_it_once_more_when_others_follow():
    before = hourly(24 * 5)
    jumped_s = NOW_S + 3 * WEEK_S
    after = [kept(1000 + n, jumped_s + n * 3600.0) for n in range(6)]
    assert numbers([*before, *after], A_WEEK, now_s=jumped_s + 6 * 3600.0) == []


@pytest.mark.parametrize("back_to_s", [NOW_S - 3600.0, 0.0], ids=["an hour", "to 1970"])
def test_a_clock_that_jumps_back_removes_nothing_by_age(back_to_s):
    assert numbers(hourly(24 * 7), A_WEEK, now_s=back_to_s) == []


def test_files_made_after_a_jump_back_are_not_the_oldest():
    files = [*hourly(3), kept(4, 10.0), kept(5, 20.0)]
    assert numbers(files, KeepLimits(250, None, 0), now_s=30.0) == [1, 2, 3]


def test_a_box_that_starts_in_1970_and_is_put_right_keeps_what_it_made_before():
    files = [kept(1, 100.0), kept(2, 160.0), kept(3, NOW_S), kept(4, NOW_S + 60.0)]
    assert numbers(files, A_WEEK, now_s=NOW_S + 120.0) == []


def test_a_silence_counts_for_a_quarter_of_the_limit_at_most():
    files = hourly(24 * 6, until_s=NOW_S - 10 * DAY_S)
    assert numbers(files, A_WEEK) == list(range(1, 18))  # those beyond a week once a quarter of one is added


def test_a_file_that_is_old_enough_goes_in_the_end_whatever_happened():
    files = hourly(24 * 3)
    now_s, gone = NOW_S + 2 * WEEK_S, []
    for day in range(8):
        files.append(kept(1000 + day, now_s + day * DAY_S))
        gone = numbers(files, A_WEEK, now_s=now_s + day * DAY_S)
    assert set(range(1, 72 + 1)) <= set(gone)
