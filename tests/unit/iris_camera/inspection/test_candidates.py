"""Numbers become candidates; numbers that no detector answers are reported, not taken for an empty picture."""

from pathlib import Path

import numpy as np
import pytest

from iris_camera.inspection.candidates import candidates
from iris_camera.inspection.model_error import ModelError
from iris_camera.inspection.output_style import OutputStyle

PATH = Path("model.onnx")
SIZE = (200, 100)


def style(name, order="x1y1x2y2", units="pixels", first_class=0):
    return OutputStyle(name, ("output",), order, units, first_class, None)


def read(outputs, meaning, score_min=0.5):
    return list(candidates([np.asarray(each, np.float32) for each in outputs], meaning, SIZE, score_min, PATH))


def one_box(box, order, units="pixels"):
    ((corners, _, _),) = read([[box], [0.9]], style("boxes", order, units))
    return corners


@pytest.mark.parametrize(
    ("order", "box"),
    [
        ("x1y1x2y2", (10, 20, 40, 60)),
        ("y1x1y2x2", (20, 10, 60, 40)),
        ("x-y-width-height", (10, 20, 30, 40)),
        ("centre-width-height", (25, 40, 30, 40)),
    ],
)
def test_each_order_of_a_boxs_numbers_gives_its_corners(order, box):
    assert one_box(box, order) == (10, 20, 40, 60)


@pytest.mark.parametrize("order", ["x1y1x2y2", "y1x1y2x2"])
def test_shares_of_an_input_that_is_not_square_become_its_pixels(order):
    box = (0.25, 0.5, 0.5, 0.75) if order == "x1y1x2y2" else (0.5, 0.25, 0.75, 0.5)
    assert one_box(box, order, "normalised") == (50, 50, 100, 75)


def test_the_score_of_a_yolov5_is_objectness_times_class():
    rows = [[1, 1, 2, 2, 0.8, 0.5, 0.9], [1, 1, 2, 2, 0.4, 1.0, 1.0], [1, 1, 2, 2, 0.9, 0.2, 0.5]]
    ((_, score, index),) = read([[rows]], style("yolov5"))
    assert (score, index) == (pytest.approx(0.72), 1)


def test_the_score_of_a_yolov5_of_one_number_is_its_objectness():
    ((_, score, index),) = read([[[[1, 1, 2, 2, 0.8]]]], style("yolov5"))
    assert (score, index) == (pytest.approx(0.8), 0)


def test_the_score_of_a_yolov8_is_its_best_class():
    columns = np.array([[1, 1, 2, 2, 0.1, 0.7, 0.6], [1, 1, 2, 2, 0.1, 0.3, 0.4]]).T
    ((_, score, index),) = read([[columns]], style("yolov8"))
    assert (score, index) == (pytest.approx(0.7), 1)


def test_the_thousand_likeliest_of_thousands_are_kept():
    scores = np.linspace(0.6, 0.9, 5000, dtype=np.float32)
    found = read([np.tile([0, 0, 1, 1], (5000, 1)), scores], style("boxes"))
    assert len(found) == 1000
    assert min(score for _, score, _ in found) == pytest.approx(float(np.sort(scores)[-1000]))


@pytest.mark.parametrize("score", [3.5, -0.4, np.nan, np.inf])
@pytest.mark.parametrize("name", ["yolov5", "yolov8", "end-to-end", "boxes"])
def test_scores_outside_0_to_1_are_reported(name, score):
    outputs = {
        "yolov5": [[[[1, 1, 2, 2, score, 0.5]]]],
        "yolov8": [[[[1], [1], [2], [2], [score]]]],
        "end-to-end": [[[[1, 1, 2, 2, score, 0]]]],
        "boxes": [[[1, 1, 2, 2]], [score]],
    }[name]
    with pytest.raises(ModelError, match=r"model.onnx does not fit: expected scores of 0 to 1; found "):
        read(outputs, style(name))


def test_a_score_a_rounding_above_1_is_1():
    ((_, score, _),) = read([[[1, 1, 2, 2]], [1.004]], style("boxes"))
    assert score == 1.0


@pytest.mark.parametrize(
    ("outputs", "found"),
    [
        ([np.zeros((2, 3, 4)), np.zeros((2, 4))], r"\(2, 3, 4\), \(2, 4\)"),
        ([np.zeros((3, 4)), np.zeros(2)], r"\(3, 4\), \(2\)"),
        ([np.zeros((3, 4)), np.zeros(3), np.zeros(2)], r"\(3, 4\), \(3\), \(2\)"),
    ],
)
def test_boxes_scores_and_classes_of_different_number_are_reported(outputs, found):
    with pytest.raises(ModelError, match=f"as many scores and classes as boxes, .*; found {found}"):
        read(outputs, style("ssd"))


@pytest.mark.parametrize(
    ("name", "shape", "wanted"),
    [
        ("yolov5", (1, 10, 4), r"\(1, n, 5\)"),
        ("yolov8", (1, 4, 10), r"\(1, 4 \+ classes, n\)"),
        ("end-to-end", (2, 10, 6), r"\(1, n, 6\)"),
    ],
)
def test_a_table_of_another_shape_than_declared_is_reported(name, shape, wanted):
    with pytest.raises(ModelError, match=f"expected an output of {wanted}"):
        read([np.zeros(shape)], style(name))


@pytest.mark.parametrize(("count", "found"), [(0, 0), (1, 1), (2, 2), (9, 2), (-1, 0), (np.nan, 0)])
def test_as_many_candidates_are_there_as_the_count_says(count, found):
    outputs = [[[1, 1, 2, 2], [3, 3, 4, 4]], [0.9, 0.9], [1, 1], [count]]
    assert len(read(outputs, style("ssd-tensorflow"))) == found


def test_a_class_that_is_no_number_is_reported():
    with pytest.raises(ModelError, match="expected a class for each box; found one that is not a number"):
        read([[[[1, 1, 2, 2, 0.9, np.nan]]]], style("end-to-end"))


def test_classes_are_counted_from_the_first():
    outputs = [[[1, 1, 2, 2], [3, 3, 4, 4]], [0.9, 0.8], [1, 0]]
    assert [index for _, _, index in read(outputs, style("ssd", first_class=1))] == [0]
    assert [index for _, _, index in read(outputs, style("ssd"))] == [1, 0]
