"""The style that the outputs alone show, and where none is guessed because two would fit."""

from pathlib import Path

import pytest

from iris_camera.inspection.model import Tensor
from iris_camera.inspection.model_error import ModelError
from iris_camera.inspection.output_style import style_of
from iris_camera.inspection.settings import ModelOutputSettings

PATH = Path("model.onnx")
SIZE = (640, 640)


def outputs(**shapes):
    return tuple(Tensor(name, "tensor(float)", shape) for name, shape in shapes.items())


def recognised(found, size=SIZE, **declared):
    return style_of(found, size, ModelOutputSettings(**declared), PATH)


SSD = outputs(bboxes=(1, None, 4), labels=(1, None), scores=(1, None))
TENSORFLOW = outputs(
    detection_anchor_indices=(1, None),
    detection_boxes=(1, None, 4),
    detection_classes=(1, None),
    detection_multiclass_scores=(1, None, 91),
    detection_scores=(1, None),
    num_detections=(1,),
    raw_detection_boxes=(1, None, 4),
    raw_detection_scores=(1, None, 91),
)


@pytest.mark.parametrize(
    ("found", "size", "style", "classes"),
    [
        (outputs(output0=(1, 25200, 85)), (640, 640), "yolov5", 80),
        (outputs(output0=(1, 25200, 6)), (640, 640), "yolov5", 1),
        (outputs(output0=(25200, 5)), (640, 640), "yolov5", 1),
        (outputs(output0=(1, 84, 8400)), (640, 640), "yolov8", 80),
        (outputs(output0=(None, 5, 8400)), (640, 640), "yolov8", 1),
        (outputs(output0=(1, 6, 1260)), (320, 192), "yolov8", 2),
        (outputs(output0=(1, 300, 6)), (640, 640), "end-to-end", None),
        (TENSORFLOW, None, "ssd-tensorflow", None),
        (SSD, (1200, 1200), "ssd", None),
        (outputs(boxes=(32, 4), scores=(32,)), (1280, 720), "boxes", 1),
    ],
)
def test_a_style_is_recognised_where_no_other_answers_so(found, size, style, classes):
    made = recognised(found, size)
    assert (made.style, made.classes) == (style, classes)
    assert made.guessed_from
    assert f"{style} (guessed from " in str(made)


def test_the_four_of_tensorflows_outputs_that_matter_are_asked_for():
    names = ("detection_boxes", "detection_scores", "detection_classes", "num_detections")
    made = recognised(TENSORFLOW, None)
    assert made.names == names
    assert (made.box_order, made.box_units, made.first_class) == ("y1x1y2x2", "normalised", 1)


@pytest.mark.parametrize(
    ("found", "size"),
    [
        (outputs(output0=(1, 8400, 6)), (640, 640)),  # a YOLO's places, but neither of the two ways to write them
        (outputs(output0=(1, 102000, 6)), (1280, 1280)),  # a YOLO of four strides with one class, not end to end
        (outputs(output0=(1, None, 85)), (640, 640)),
        (outputs(output0=(1, 84, 8400)), (320, 320)),
        (outputs(output0=(1, 25200, 85)), None),
        (outputs(output0=(1, 300, 7)), (640, 640)),
        (outputs(one=(1, 300, 6), other=(1, 300, 6)), (640, 640)),
        (outputs(boxes=(1, 10, 4), scores=(1, 10), classes=(1, 10)), (640, 640)),
        (outputs(dets=(1, 100, 5), labels=(1, 100)), (640, 640)),
    ],
)
def test_a_style_is_not_guessed_where_several_could_answer_so(found, size):
    with pytest.raises(ModelError, match=f"known style, or a declared one: .*; found {found[0].name} "):
        recognised(found, size)


def test_the_refusal_says_what_each_yolo_answers_for_an_input_of_that_size():
    with pytest.raises(
        ModelError, match=r"640x640 yolov5 answers \(1, 25200, 5 \+ classes\) and yolov8 \(1, 4 \+ classes, 8400\)"
    ):
        recognised(outputs(output0=(1, 1000, 85)))


def test_a_declared_style_is_not_guessed_at():
    made = recognised(outputs(output0=(1, 25200, 6)), style="end-to-end")
    assert (made.style, made.guessed_from) == ("end-to-end", "")
    assert "(declared)" in str(made)


@pytest.mark.parametrize(
    ("style", "shape", "wanted"),
    [
        ("yolov5", (1, 25200, 4), r"\(1, n, 5 \+ classes\)"),
        ("yolov8", (1, 4, 8400), r"\(1, 4 \+ classes, n\)"),
        ("end-to-end", (1, 300, 7), r"\(1, n, 6\)"),
        ("yolov5", (25200,), r"\(1, n, 5 \+ classes\)"),
        ("yolov8", (2, 84, 8400), r"\(1, 4 \+ classes, n\)"),
    ],
)
def test_a_declared_style_of_another_shape_is_reported_with_both_sides(style, shape, wanted):
    with pytest.raises(ModelError, match=rf"expected .*{wanted} for the style {style}; found output0"):
        recognised(outputs(output0=shape), style=style)


def test_the_declared_one_of_several_tables_is_taken():
    both = outputs(first=(1, 84, 8400), second=(1, 10, 8400))
    assert recognised(both, names=("second",)).classes == 6
    assert recognised(both, names=("first",), style="yolov8").names == ("first",)


def test_a_declared_name_that_is_not_there_is_reported_with_those_that_are():
    with pytest.raises(ModelError, match=r"expected an output heads, as declared; found output0 "):
        recognised(outputs(output0=(1, 84, 8400)), names=("heads",))


def test_declared_names_may_be_any_text():
    found = outputs(x=(1, 10, 4), y=(1, 10), z=(1, 10), n=(1,))
    made = recognised(found, style="ssd-tensorflow", names=("x", "z", "y", "n"))
    assert made.names == ("x", "z", "y", "n")


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (outputs(boxes=(1, 10, 5), scores=(1, 10), labels=(1, 10)), r"boxes of \(1, n, 4\) or \(n, 4\)"),
        (outputs(boxes=(1, 10, 4), scores=(1, 10, 91), labels=(1, 10)), "as many scores as boxes, one number each"),
    ],
)
def test_boxes_and_scores_have_to_belong_together(found, expected):
    with pytest.raises(ModelError, match=f"expected {expected}"):
        recognised(found, style="ssd")


def test_outputs_that_are_no_numbers_are_left_alone():
    found = (*SSD, Tensor("boxes_as_text", "tensor(string)", (1, None, 4)))
    assert recognised(found, None).names == ("bboxes", "scores", "labels")


def test_order_units_and_first_class_may_be_declared_besides():
    made = recognised(SSD, style="ssd", box_order="x-y-width-height", box_units="pixels", first_class=0)
    assert (made.box_order, made.box_units, made.first_class) == ("x-y-width-height", "pixels", 0)
