import math

import pytest

from iris_camera.records.rotation import RotationLimits, due

LIMITS = RotationLimits(rows_max=100, size_bytes_max=5_000, age_s_max=10.0)


@pytest.mark.parametrize(
    ("rows", "size_bytes", "age_s", "reason"),
    [
        (99, 4_999, 9.9, None),
        (100, 4_999, 9.9, "rows"),
        (250, 4_999, 9.9, "rows"),
        (99, 5_000, 9.9, "size"),
        (99, 4_999, 10.0, "age"),
    ],
)
def test_a_file_is_due_once_it_reaches_a_limit(rows, size_bytes, age_s, reason):
    assert due(LIMITS, rows, size_bytes, age_s) == reason


def test_a_file_without_rows_is_never_due():
    assert due(LIMITS, 0, 9_999, 9_999.0) is None


def test_a_clock_that_seems_to_run_backwards_makes_nothing_due():
    assert due(LIMITS, 1, 100, -5.0) is None


@pytest.mark.parametrize("name", ["rows_max", "size_bytes_max", "age_s_max"])
@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf])
def test_a_limit_that_is_no_positive_number_is_refused_by_name(name, value):
    with pytest.raises(ValueError, match=name):
        RotationLimits(**{name: value})
