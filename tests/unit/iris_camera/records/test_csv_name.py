from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iris_camera.records.csv_name import (
    KINDS,
    CsvName,
    check_camera,
    check_run,
    in_order,
    new_run,
    parse_name,
)

START = datetime(2026, 11, 23, 21, 5, 33, 123_000, UTC)


def name(sequence=42, run="9f3c01ab", started_at=START, camera="line-1", kind="model"):
    return CsvName(camera, kind, started_at, run, sequence)


def test_a_name_carries_camera_kind_start_run_and_sequence():
    assert str(name()) == "line-1_model_20261123T210533.123Z_9f3c01ab_000042.csv"


def test_a_name_is_read_back_as_it_was_written():
    assert parse_name("line-1_model_20261123T210533.123Z_9f3c01ab_000042.csv") == name()


@given(
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", fullmatch=True),
    st.sampled_from(KINDS),
    st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)),  # noqa: DTZ001 - hypothesis wants these without a zone
    st.integers(1, 10**9),
)
def test_every_legal_name_is_read_back_as_it_was_written(camera, kind, time, sequence):
    started_at = time.replace(microsecond=time.microsecond // 1000 * 1000, tzinfo=UTC)
    written = CsvName(camera, kind, started_at, "0badc0de", sequence)
    assert parse_name(str(written)) == written
    assert "/" not in str(written)
    assert len(str(written)) < 200


@pytest.mark.parametrize(
    "other",
    [
        "notes.txt",
        "",
        "line-1_model_20261123T210533.123Z_9f3c01ab_000042.csv.part",
        ".line-1_model_20261123T210533.123Z_9f3c01ab_000042.csv",
        "line-1_model_20261123T210533.123Z_9f3c01ab_000042.csv\n",
        "line-1_other_20261123T210533.123Z_9f3c01ab_000042.csv",
        "line-1_model_20261399T210533.123Z_9f3c01ab_000042.csv",
        "line-1_model_20261123T210533.123Z_9F3C01AB_000042.csv",
        "line-1_model_20261123T210533.123Z_9f3c01ab_0000042.csv",
        "line-1_model_20261123T210533.123Z_9f3c01ab_42.csv",
        "_model_20261123T210533.123Z_9f3c01ab_000042.csv",
        "line-1_model_\u0662\u0660261123T210533.123Z_9f3c01ab_000042.csv",
    ],
)
def test_any_other_name_is_not_taken_for_ours(other):
    assert parse_name(other) is None


@pytest.mark.parametrize("camera", ["", "-x", "_x", "a/b", "..", "a b", "línea", "a\n", "a.csv", "a" * 65])
def test_a_camera_name_that_cannot_be_in_a_file_name_is_refused_and_shown(camera):
    with pytest.raises(ValueError, match="cannot be part of a file name") as caught:
        check_camera(camera)
    assert repr(camera) in str(caught.value)


@pytest.mark.parametrize("run", ["", "9f3c01a", "9F3C01AB", "9f3c01abc", "zzzzzzzz", "9f3c01ab\n"])
def test_a_run_that_is_not_eight_hexadecimal_digits_is_refused(run):
    with pytest.raises(ValueError, match="8 hexadecimal digits"):
        check_run(run)


def test_two_runs_have_different_numbers():
    runs = {new_run() for _ in range(50)}
    assert len(runs) == 50
    assert all(check_run(run) for run in runs)


def test_the_sequence_decides_within_a_run_and_not_the_clock():
    before = name(sequence=1, started_at=START)
    after_the_clock_went_back = name(sequence=2, started_at=START.replace(year=1999))
    assert in_order([after_the_clock_went_back, before]) == [before, after_the_clock_went_back]


def test_a_sequence_beyond_six_digits_still_comes_later():
    assert in_order([name(sequence=1_000_000), name(sequence=999_999)])[-1].sequence == 1_000_000


def test_a_run_whose_clock_went_back_to_1970_still_follows_the_run_before_it():
    older = [name(run="ffffffff", sequence=s, started_at=START.replace(hour=s)) for s in (1, 2)]
    newer = [name(run="00000000", sequence=s, started_at=START.replace(hour=3 + s)) for s in (1, 2)]
    newer += [name(run="00000000", sequence=s, started_at=datetime(1970, 1, 1, 0, s, tzinfo=UTC)) for s in (3, 4)]
    assert in_order([*newer, *older]) == [*older, *newer]


@pytest.mark.parametrize("camera", ["open", "ready", "kept"])
def test_no_camera_is_called_as_a_folder_of_records_is(camera):
    with pytest.raises(ValueError, match="choose another"):
        check_camera(camera)


def test_runs_follow_each_other_by_the_start_of_their_first_file_and_do_not_mix():
    older = [name(run="ffffffff", sequence=s, started_at=START.replace(hour=s)) for s in (1, 2, 3)]
    newer = [name(run="00000000", sequence=s, started_at=START.replace(hour=s + 1)) for s in (1, 2)]
    assert in_order([*newer, *older]) == [*older, *newer]
