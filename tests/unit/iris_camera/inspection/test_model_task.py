"""Models of another kind than the one that is wanted: recognised by their notes, or by the shapes of their outputs."""

import re

import numpy as np
import pytest
from onnx import TensorProto

from iris_camera.inspection.classifier import OnnxClassifier
from iris_camera.inspection.model_error import ModelError
from iris_camera.inspection.onnx import OnnxDetector
from iris_camera.inspection.settings import DetectorSettings, ModelOutputSettings
from tests.unit.iris_camera.inspection.made_models import CELLS, answering

PICTURE = {"images": (TensorProto.FLOAT, [1, 3, 64, 64])}
TWO = "{0: 'nut', 1: 'bolt'}"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.onnx"


def made(path, *shapes, **metadata):
    return answering(path, PICTURE, {f"output{n}": np.zeros(shape) for n, shape in enumerate(shapes)}, metadata)


def yolo(more):
    """The table of a YOLO of two classes with so many numbers more for each box."""
    return (1, 4 + 2 + more, CELLS)


MASKS = (1, 32, 16, 16)
KINDS = {
    "segment": ("a segmentation model", [yolo(32), MASKS]),
    "pose": ("a pose model, which finds keypoints", [yolo(51)]),
    "obb": (r"a model of oriented boxes \(OBB\)", [yolo(1)]),
    "classify": ("a classification model", [(1, 1000)]),
}


@pytest.mark.parametrize("task", KINDS)
@pytest.mark.parametrize("names", [{}, {"names": TWO}], ids=["nameless", "with names"])
def test_a_model_whose_notes_say_that_it_is_no_detector_is_reported_as_what_it_is(path, task, names):
    text, shapes = KINDS[task]
    made(path, *shapes, task=task, **names)
    with pytest.raises(ModelError, match=rf"model.onnx is {text}, as its entry task says: "):
        OnnxDetector(path)


@pytest.mark.parametrize(
    ("text", "shapes"),
    [
        ("a segmentation model", [yolo(32), MASKS]),
        ("a segmentation model", [(1, 3 * CELLS, 5 + 2 + 32), MASKS]),
        ("a segmentation model", [(1, 300, 6 + 32), MASKS]),
        ("a classification model", [(1, 1000)]),
        ("a classification model", [(3,)]),
    ],
)
def test_a_model_without_notes_is_recognised_by_the_shapes_of_its_outputs(path, text, shapes):
    made(path, *shapes)
    with pytest.raises(ModelError, match=rf"model.onnx is {text}, by the shapes of its outputs: "):
        OnnxDetector(path)


def test_a_map_of_the_picture_may_be_a_segmentation(path):
    made(path, (1, 21, 64, 64))
    with pytest.raises(ModelError, match=r"expected outputs .*; found output0 .*; it may be a segmentation model"):
        OnnxDetector(path)


@pytest.mark.parametrize(
    ("text", "more"),
    [
        ("a pose model, which finds keypoints", 51),
        ("a pose model, which finds keypoints", 15),
        ("a pose model, which finds keypoints", 8),
        (r"a model of oriented boxes \(OBB\)", 1),
        ("a segmentation model", 32),
    ],
)
def test_more_numbers_than_labels_say_what_it_may_be(path, text, more):
    made(path, yolo(more), names=TWO)
    expected = (
        f"expected 2 classes, .*; found {2 + more} classes; it may be {text}: a detector has to find upright boxes"
    )
    with pytest.raises(ModelError, match=expected):
        OnnxDetector(path)


def test_fewer_classes_than_labels_are_no_other_kind_of_model(path):
    made(path, yolo(-1), names=TWO)
    with pytest.raises(ModelError) as raised:
        OnnxDetector(path)
    assert "it may be" not in str(raised.value)


def test_a_classifier_given_as_detector_is_reported_with_where_it_belongs(path):
    made(path, (1, 2), names=TWO)
    with pytest.raises(ModelError, match=re.escape("give it as model of [inspection.classifier]")):
        OnnxDetector(path)
    assert OnnxClassifier(path).labels.names == ("nut", "bolt")


@pytest.mark.parametrize("task", ["detect", "segment", "pose", "obb"])
def test_another_kind_given_as_classifier_is_reported_with_where_it_belongs(path, task):
    made(path, (1, 2), task=task)
    with pytest.raises(ModelError, match=r"as its entry task says: .*\[inspection\.detector\]"):
        OnnxClassifier(path)


@pytest.mark.parametrize(("text", "shape"), [("a detection model", yolo(0)), ("a segmentation model", (1, 2, 64, 64))])
def test_another_kind_given_as_classifier_is_known_by_its_shape_too(path, text, shape):
    made(path, shape)
    with pytest.raises(ModelError, match=rf"expected one output of \(classes\) .*; found output0 .*; it may be {text}"):
        OnnxClassifier(path)


def test_a_detection_model_that_says_so_is_one(path):
    made(path, yolo(0), task="detect", names=TWO)
    assert OnnxDetector(path).labels.names == ("nut", "bolt")


def test_a_declared_style_counts_more_than_what_shapes_look_like(path):
    made(path, (1, 6))
    settings = DetectorSettings(model=path, output=ModelOutputSettings("end-to-end"))
    assert OnnxDetector(path, settings).style.style == "end-to-end"
