from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iris_camera.records.csv_name import parse_name
from iris_camera.records.evidence_name import VIEWS, EvidenceName, parse_evidence_name, pictures_in_order

NAME = EvidenceName("line-1", "crop", datetime(2026, 11, 23, 21, 5, 33, 123_000, UTC), "9f3c01ab", 7, 1234, 12)
TEXT = "line-1_crop_20261123T210533.123Z_9f3c01ab_000007_f1234_p12.jpg"


def test_a_name_says_camera_view_time_run_sequence_frame_and_part():
    assert str(NAME) == TEXT


def test_a_name_is_read_back_as_it_was_written():
    assert parse_evidence_name(TEXT) == NAME


def test_frame_and_part_stand_in_the_name_as_they_stand_in_the_row():
    assert TEXT.endswith("_f1234_p12.jpg")


@given(
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", fullmatch=True),
    st.sampled_from(VIEWS),
    st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)),  # noqa: DTZ001 - hypothesis wants these without a zone
    st.tuples(st.integers(1, 10**9), st.integers(0, 10**15), st.integers(0, 10**9)),
)
def test_every_legal_name_is_read_back_as_it_was_written(camera, view, time, numbers):
    taken_at = time.replace(microsecond=time.microsecond // 1000 * 1000, tzinfo=UTC)
    written = EvidenceName(camera, view, taken_at, "0badc0de", *numbers)
    assert parse_evidence_name(str(written)) == written
    assert parse_name(str(written)) is None
    assert len(str(written)) < 200


def test_pictures_are_in_order_by_run_and_sequence_whatever_the_clock_did():
    run = [replace(NAME, sequence=s, view=v) for s in (1, 2, 3) for v in VIEWS]
    run[4:] = [replace(name, taken_at=datetime(1970, 1, 1, tzinfo=UTC)) for name in run[4:]]
    later = [replace(NAME, run="00000000", sequence=s, taken_at=NAME.taken_at.replace(hour=22)) for s in (1, 2)]
    assert pictures_in_order([*later, *reversed(run)]) == [*run, *later]


@pytest.mark.parametrize(
    "other",
    [
        "holiday.jpg",
        "",
        TEXT + ".part",
        "." + TEXT,
        TEXT.replace("crop", "other"),
        TEXT.replace("1123T", "1399T"),
        TEXT.replace("_000007_", "_7_"),
        TEXT.replace("_f1234", "_f01234"),
        TEXT.replace("_p12", ""),
        TEXT.replace("_p12", "_p-1"),
        "line-1_model_20261123T210533.123Z_9f3c01ab_000042.csv",
    ],
)
def test_any_other_name_is_not_ours(other):
    assert parse_evidence_name(other) is None
