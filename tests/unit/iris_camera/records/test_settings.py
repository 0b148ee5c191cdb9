import pytest

from iris_camera.records.retention import KeepLimits
from iris_camera.records.rotation import RotationLimits
from iris_camera.records.settings import EvidenceSettings, RecordSettings


def test_the_limits_are_the_settings_own():
    settings = RecordSettings(
        rows_max=5, size_bytes_max=600, age_s_max=7.0, keep_bytes_max=8, keep_age_s_max=9.0, disk_reserve_bytes=10
    )
    assert settings.limits == RotationLimits(5, 600, 7.0)
    assert settings.keep_limits == KeepLimits(8, 9.0, 10)


def test_no_file_is_kept_and_no_heartbeat_is_written_unless_that_is_asked_for():
    assert (RecordSettings().keep_bytes_max, RecordSettings().heartbeat_s) == (0, None)


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"rows_max": 0}, "rows_max"),
        ({"size_bytes_max": -1}, "size_bytes_max"),
        ({"age_s_max": float("nan")}, "age_s_max"),
        ({"heartbeat_s": 0.0}, "heartbeat_s is 0.0: expected a number above 0"),
        ({"heartbeat_s": float("inf")}, "heartbeat_s"),
        ({"keep_bytes_max": -1}, "keep_bytes_max is -1: expected 0 or more"),
        ({"keep_bytes_max": 1, "keep_age_s_max": 0.0}, "keep_age_s_max"),
        ({"keep_age_s_max": 60.0}, "keep_bytes_max is 0, so nothing is kept"),
        ({"disk_reserve_bytes": -1}, "disk_reserve_bytes"),
    ],
)
def test_records_cannot_be_set_to_what_makes_no_sense(wrong, text):
    with pytest.raises(ValueError, match=text):
        RecordSettings(**wrong)


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"jpeg_quality": 0}, "jpeg_quality is 0: expected a whole number from 1 to 100"),
        ({"jpeg_quality": 101}, "jpeg_quality"),
        ({"crop_context": -0.1}, "crop_context"),
        ({"frames_held_max": 0}, "frames_held_max"),
        ({"crop": False, "whole_frame": False}, "neither crop nor whole_frame"),
    ],
)
def test_evidence_cannot_be_set_to_what_makes_no_sense(wrong, text):
    with pytest.raises(ValueError, match=text):
        EvidenceSettings(**wrong)


def test_evidence_that_is_switched_off_needs_no_view():
    assert not EvidenceSettings(enabled=False, crop=False, whole_frame=False).enabled
