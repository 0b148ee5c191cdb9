"""OpenCV's cascades, on a filmed face."""

import os

import cv2
import numpy as np
import pytest

from iris_camera.inspection.haar import HaarDetector, cascade_names, cascade_path
from iris_camera.inspection.model_error import ModelError
from iris_camera.inspection.settings import DetectorSettings
from tests.footage import footage


@pytest.fixture(scope="module")
def face():
    """The sixth frame of carphone: a man's face, 66 pixels wide, about (88, 65)."""
    film = cv2.VideoCapture(str(footage("carphone_pristine.mp4")))
    frames = [film.read()[1] for _ in range(6)]
    film.release()
    return frames[5]


def haar(**settings):
    return HaarDetector(DetectorSettings("haar", **settings))


@pytest.mark.parametrize("cascade", ["frontalface_default", "frontalface_alt2"])
def test_cascades_whose_sums_have_scales_of_their_own_give_scores_of_0_to_1(face, cascade):
    (found,) = haar(cascade=cascade).detect(face)
    assert 0.5 < found.score < 1
    assert found.label == "frontalface"
    assert found.box.x < 88 < found.box.right
    assert found.box.y < 65 < found.box.bottom


def test_a_found_face_may_be_called_otherwise(face):
    assert [each.label for each in haar(label="driver").detect(face)] == ["driver"]


def test_a_score_above_that_of_the_face_finds_nothing(face):
    (found,) = haar().detect(face)
    assert haar(score_min=found.score + 0.01).detect(face) == []


def test_noise_and_an_empty_picture_score_less_than_the_face(face):
    (found,) = haar().detect(face)
    noise = np.random.default_rng(1).integers(0, 256, (240, 320, 3), np.uint8)
    everything = haar(score_min=0.0, neighbours_min=0)
    assert all(each.score < found.score for each in everything.detect(noise))
    assert everything.detect(np.full((240, 320, 3), 128, np.uint8)) == []


def test_a_face_smaller_than_asked_for_is_not_searched(face):
    assert haar(smallest=90).detect(face) == []


def test_fewer_neighbours_find_more(face):
    each_find = haar(neighbours_min=0, score_min=0.0, iou_max=1.0).detect(face)
    merged = haar(neighbours_min=3, score_min=0.0, iou_max=1.0).detect(face)
    assert len(each_find) > len(merged)


def test_a_picture_smaller_than_any_face_shows_none():
    assert haar().detect(np.zeros((5, 5, 3), np.uint8)) == []


def test_a_cascade_may_be_a_file_of_ones_own(face, tmp_path):
    own = tmp_path / "my_faces.xml"
    own.write_bytes(cascade_path("frontalface_default").read_bytes())
    detector = haar(cascade=str(own))
    assert (detector.name, detector.provider) == ("haar my_faces", "OpenCV")
    assert [each.box for each in detector.detect(face)] == [each.box for each in haar().detect(face)]


def test_a_file_whose_name_is_not_utf_8_is_refused_and_ends_no_process(tmp_path):
    own = tmp_path / os.fsdecode(b"\xff.xml")
    own.write_bytes(cascade_path("frontalface_default").read_bytes())
    with pytest.raises(ModelError, match="is not UTF-8: rename it"):
        haar(cascade=str(own))


def test_every_name_that_is_offered_is_a_file():
    assert "frontalface_default" in cascade_names()
    assert all(cascade_path(name).is_file() for name in cascade_names())


def test_an_unknown_name_is_reported_with_the_close_ones_and_all_there_are():
    with pytest.raises(
        ModelError, match=r"no cascade frontal_face: did you mean frontal\w+ or .*\? It has eye, .*, upperbody"
    ):
        haar(cascade="frontal_face")


def test_a_name_close_to_none_is_reported_with_all_there_are():
    with pytest.raises(ModelError, match="OpenCV has no cascade 42: It has eye, "):
        haar(cascade="42")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ModelError, match=rf"no cascade at {tmp_path}/mine.xml: name an .xml file, or one of eye"):
        haar(cascade=str(tmp_path / "mine.xml"))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"garbage",
        b"<?xml version='1.0'?><a/>",
        b"<?xml version='1.0'?><opencv_storage></opencv_storage>",
        b"<?xml version='1.0'?><opencv_storage><cascade><stages></stages></cascade></opencv_storage>",
    ],
    ids=["empty", "text", "another file", "nothing in it", "no stages"],
)
def test_a_file_that_is_no_cascade_is_named(tmp_path, content):
    file = tmp_path / "mine.xml"
    file.write_bytes(content)
    with pytest.raises(
        ModelError, match=rf"{file} is not a cascade that OpenCV can load|{file} does not fit: expected"
    ):
        haar(cascade=str(file))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "it is empty"),
        (b"<!DOCTYPE html><html>", "it is an HTML page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "it is a pointer of Git LFS"),
        (b"garbage", 'it is text, which begins "garbage"'),
        (b"<?xml version='1.0'?><opencv_storage><cascade><stages>", "it is damaged, cut off, or XML of another kind"),
    ],
    ids=["empty", "a page", "a pointer", "text", "cut off"],
)
def test_a_file_that_is_no_cascade_is_reported_as_what_it_is_without_opencvs_message(tmp_path, content, text):
    file = tmp_path / "mine.xml"
    file.write_bytes(content)
    with pytest.raises(ModelError, match=rf"{file} is not a cascade that OpenCV can load: {text}") as raised:
        haar(cascade=str(file))
    assert "error:" not in str(raised.value)


def test_a_cascade_of_the_old_format_gives_no_score_and_is_refused():
    with pytest.raises(ModelError, match="does not fit: expected a cascade in the format opencv_traincascade writes"):
        haar(cascade="license_plate_rus_16stages")


def test_a_picture_that_opencv_does_not_take_is_a_model_error_with_its_cause():
    with pytest.raises(ModelError, match=r"haar frontalface_default failed on a picture of \(10, 10\)") as raised:
        haar().detect(np.zeros((10, 10), np.uint8))
    assert isinstance(raised.value.__cause__, cv2.error)
