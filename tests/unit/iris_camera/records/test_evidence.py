import hashlib
import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from iris_camera.records.csv_file import NotARecordError
from iris_camera.records.evidence import (
    Area,
    Defect,
    Evidence,
    NoPictureError,
    crop,
    encode_jpeg,
    is_whole_jpeg,
)
from iris_camera.records.evidence_name import parse_evidence_name
from iris_camera.records.settings import EvidenceSettings

RUN = "9f3c01ab"
WALL_S = 1795467933.1239  # 2026-11-23 21:05:33.1239 UTC


def picture(width=320, height=240):
    """A grey, read-only picture with a bright square."""
    image = np.full((height, width, 3), 90, np.uint8)
    image[100:140, 200:260] = (20, 40, 250)
    image.flags.writeable = False
    return image


def defect(**changed):
    facts = {
        "image": picture(),
        "frame": 1234,
        "wall_s": WALL_S,
        "part_id": 12,
        "area": Area(200.0, 100.0, 60.0, 40.0),
        "label": "defect",
        "score": 0.98,
        "sequence": 7,
    }
    return Defect(**{**facts, **changed})


def evidence(folder, **settings):
    return Evidence(folder, "line-1", RUN, EvidenceSettings(**settings))


def names(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_the_whole_frame_is_written_under_the_name_of_its_row(tmp_path):
    finished = evidence(tmp_path).write(defect(), "frame")
    assert finished.path == tmp_path / "ready" / f"line-1_frame_20261123T210533.123Z_{RUN}_000007_f1234_p12.jpg"
    shown = cv2.imread(str(finished.path))
    assert shown.shape == (240, 320, 3)
    assert np.abs(shown.astype(int) - picture()).mean() < 3


def test_the_crop_shows_the_part_and_what_is_about_it(tmp_path):
    finished = evidence(tmp_path, crop_context=0.5).write(defect(), "crop")
    assert parse_evidence_name(finished.path.name).view == "crop"
    shown = cv2.imread(str(finished.path))
    assert shown.shape == (60, 90, 3)
    assert shown[30, 45, 2] > 200  # the part
    assert shown[3, 3, 2] < 120  # what is about it


def test_a_finished_picture_is_described_as_it_is_on_the_disk(tmp_path):
    finished = evidence(tmp_path).write(defect(), "crop")
    data = finished.path.read_bytes()
    assert finished == (finished.path, "evidence", len(data), hashlib.sha256(data).hexdigest())
    assert is_whole_jpeg(data)
    assert names(tmp_path / "open") == []


def test_a_picture_that_lost_its_name_still_says_what_it_shows(tmp_path):
    data = evidence(tmp_path).write(defect(label="größe\0"), "frame").path.read_bytes()
    comment = "camera=line-1 run=9f3c01ab frame=1234 part_id=12 label=größe\\0 score=0.9800"
    assert comment.encode() in data[:200]


def test_a_picture_names_the_file_that_its_frame_came_in(tmp_path):
    for file in ("2026-11-23/a b.jpg", "=1+1.jpg", "größe\udce4.jpg"):
        data = evidence(tmp_path / "of" / str(len(file))).write(defect(file=file), "crop").path.read_bytes()
        assert f" score=0.9800 file={file}".encode("utf-8", "backslashreplace") in data[:200]


def test_quality_is_paid_for_in_bytes(tmp_path):
    noise = np.random.default_rng(1).integers(0, 255, (240, 320, 3), np.uint8)
    sizes = [
        evidence(tmp_path / str(quality), jpeg_quality=quality).write(defect(image=noise), "frame").size_bytes
        for quality in (30, 90)
    ]
    assert sizes[0] < sizes[1] / 2


@pytest.mark.parametrize(
    ("settings", "views"),
    [
        ({}, ("crop", "frame")),
        ({"crop": False}, ("frame",)),
        ({"whole_frame": False}, ("crop",)),
        ({"enabled": False}, ()),
    ],
)
def test_each_view_can_be_switched_off(tmp_path, settings, views):
    assert evidence(tmp_path, **settings).views == views


@pytest.mark.parametrize(
    ("area", "shape"),
    [
        (Area(-30.0, -20.0, 60.0, 40.0), (20, 30)),
        (Area(300.0, 220.0, 60.0, 40.0), (20, 20)),
        (Area(0.0, 0.0, 320.0, 240.0), (240, 320)),
        (Area(10.4, 10.6, 0.0, 0.0), (1, 1)),
    ],
)
def test_a_crop_ends_where_the_picture_ends(area, shape):
    assert crop(picture(), area, 0.0).shape[:2] == shape


@pytest.mark.parametrize(
    "area",
    [
        Area(-70.0, 0.0, 60.0, 40.0),
        Area(320.0, 0.0, 60.0, 40.0),
        Area(0.0, 240.0, 60.0, 40.0),
        Area(math.nan, 0.0, 60.0, 40.0),
        Area(0.0, 0.0, math.inf, 40.0),
    ],
)
def test_a_part_outside_the_picture_has_no_crop(tmp_path, area):
    with pytest.raises(NoPictureError, match="its box"):
        evidence(tmp_path, crop_context=0.0).write(defect(area=area), "crop")
    assert names(tmp_path) == []


def test_a_picture_that_cannot_be_encoded_is_no_picture():
    with pytest.raises(NoPictureError, match="cannot encode"):
        encode_jpeg(np.zeros((10, 0, 3), np.uint8), 90, "")


def test_a_picture_that_does_not_fit_leaves_no_file(tmp_path, monkeypatch):
    def full(_path, _target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(OSError, match="No space left"):
        evidence(tmp_path).write(defect(), "frame")
    assert (names(tmp_path / "open"), names(tmp_path / "ready")) == ([], [])


def test_a_picture_cut_anywhere_is_not_believed():
    data = encode_jpeg(picture(40, 30), 90, "a comment")
    assert is_whole_jpeg(data)
    for length in range(len(data)):
        assert not is_whole_jpeg(data[:length])
        assert not is_whole_jpeg(data[:length] + b"\0" * (len(data) - length))


def test_a_picture_with_a_hole_is_not_believed_though_it_ends_well():
    data = encode_jpeg(np.random.default_rng(1).integers(0, 255, (240, 320, 3), np.uint8), 90, "")
    assert len(data) > 16_384
    assert is_whole_jpeg(data)
    assert not is_whole_jpeg(data[:4096] + bytes(4096) + data[8192:])


@pytest.mark.parametrize("value", [0, 16, 128, 235, 255])
@pytest.mark.parametrize("quality", [1, 50, 90, 100])
def test_a_picture_of_one_colour_is_not_taken_for_one_with_a_hole(value, quality):
    assert is_whole_jpeg(encode_jpeg(np.full((1080, 1920, 3), value, np.uint8), quality, ""))


def test_other_content_is_not_taken_for_a_picture():
    with pytest.raises(NotARecordError, match="JPEG"):
        is_whole_jpeg(b"dear diary")
