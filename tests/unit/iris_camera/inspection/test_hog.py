"""OpenCV's detector of upright people, on a figure drawn from what it was trained to see: a head, a trunk, legs."""

import cv2
import numpy as np
import pytest

from iris_camera.inspection.hog import HogDetector
from iris_camera.inspection.model_error import ModelError
from iris_camera.inspection.settings import DetectorSettings


@pytest.fixture(scope="module")
def figure():
    """A dark standing figure on light ground, head at (200, 60), feet at y 300."""
    image = np.full((340, 400, 3), 200, np.uint8)
    dark = (40, 40, 40)
    cv2.circle(image, (200, 62), 20, dark, -1)
    cv2.ellipse(image, (200, 140), (38, 62), 0, 0, 360, dark, -1)
    for x in (183, 217):
        cv2.line(image, (x, 180), (x, 300), dark, 22)
    return cv2.GaussianBlur(image, (5, 5), 0)


def hog(**settings):
    return HogDetector(DetectorSettings("hog", **settings))


def test_an_upright_figure_is_found_where_it_is(figure):
    best = hog().detect(figure)[0]
    assert best.label == "person"
    assert 0.5 < best.score < 1
    assert best.box.x < 183
    assert best.box.right > 217
    assert best.box.y < 62
    assert best.box.bottom > 250


def test_the_same_figure_lying_down_is_not(figure):
    lying = np.ascontiguousarray(np.rot90(figure))
    assert all(each.score < hog().detect(figure)[0].score for each in hog().detect(lying))


def test_a_higher_score_min_finds_less_and_the_label_may_be_declared(figure):
    (found, *_) = hog(label="worker").detect(figure)
    assert found.label == "worker"
    assert hog(score_min=min(1.0, found.score + 0.01)).detect(figure) == []


def test_boxes_stay_within_the_picture(figure):
    cut = np.ascontiguousarray(figure[30:])
    for each in hog(score_min=0.0).detect(cut):
        assert each.box.within(cut.shape[1], cut.shape[0])


@pytest.mark.parametrize("shape", [(127, 400, 3), (400, 63, 3), (1, 1, 3)])
def test_a_picture_smaller_than_the_window_holds_nobody(shape):
    assert hog().detect(np.zeros(shape, np.uint8)) == []


def test_the_detector_says_what_it_is():
    assert (hog().name, hog().provider) == ("hog", "OpenCV")


def test_a_picture_that_opencv_does_not_take_is_a_model_error_with_its_cause():
    with pytest.raises(ModelError, match=r"hog failed on a picture of \(200, 200, 2\)") as raised:
        hog().detect(np.zeros((200, 200, 2), np.uint8))
    assert isinstance(raised.value.__cause__, cv2.error)
