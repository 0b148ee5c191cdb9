"""A detector of the demo's style with answers given in advance: what is kept of them, and what does not fit."""

import numpy as np
import pytest
from onnx import TensorProto

from iris_camera.inspection.findings import Box
from iris_camera.inspection.model import CPU
from iris_camera.inspection.model_error import ModelError
from iris_camera.inspection.onnx import SHIPPED, OnnxDetector
from iris_camera.inspection.settings import DetectorSettings, ModelOutputSettings
from tests.unit.iris_camera.inspection.made_models import CELLS, answering, rectangle_finder

PICTURE = np.zeros((48, 64, 3), np.uint8)
IMAGE = (TensorProto.UINT8, [48, 64, 3])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.onnx"


def detector_that_answers(path, boxes, scores, image=IMAGE):
    return answering(path, {"image": image}, {"boxes": np.array(boxes, float), "scores": np.array(scores, float)})


def test_detections_come_best_first_without_the_unlikely_and_the_doubled(path):
    boxes = [[0, 0, 10, 10], [30, 10, 10, 10], [1, 0, 10, 10], [50, 30, 5, 5]]
    detector = OnnxDetector(detector_that_answers(path, boxes, [0.6, 0.9, 0.95, 0.2]))
    found = detector.detect(PICTURE)
    assert [(each.box, round(each.score, 3)) for each in found] == [
        (Box(1, 0, 10, 10), 0.95),
        (Box(30, 10, 10, 10), 0.9),
    ]


def test_a_detection_is_cut_at_the_pictures_edge_and_left_out_beyond_it(path):
    boxes = [[-4, -2, 10, 10], [70, 10, 10, 10], [20, 20, -3, 5]]
    detector = OnnxDetector(detector_that_answers(path, boxes, [0.9, 0.9, 0.9]))
    assert [each.box for each in detector.detect(PICTURE)] == [Box(0, 0, 6, 8)]


def test_a_box_that_is_no_number_is_no_detection(path):
    detector = OnnxDetector(detector_that_answers(path, [[np.nan, 0, 10, 10], [1, 2, 3, 4]], [0.9, 0.9]))
    assert [each.box for each in detector.detect(PICTURE)] == [Box(1, 2, 3, 4)]


def test_an_empty_answer_is_no_detection(path):
    assert OnnxDetector(detector_that_answers(path, np.zeros((0, 4)), np.zeros(0))).detect(PICTURE) == []


@pytest.mark.parametrize("kept", [1, 2])
def test_the_overlap_that_two_may_have_is_a_setting(path, kept):
    boxes = [[0, 0, 10, 10], [2, 0, 10, 10]]  # intersection over union 0.67
    settings = DetectorSettings(iou_max=0.66 if kept == 1 else 0.67)
    detector = OnnxDetector(detector_that_answers(path, boxes, [0.9, 0.8]), settings)
    assert len(detector.detect(PICTURE)) == kept


def test_the_picture_is_not_changed(path):
    image = np.arange(48 * 64 * 3, dtype=np.uint32).astype(np.uint8).reshape(48, 64, 3)
    image.flags.writeable = False
    OnnxDetector(detector_that_answers(path, [[0, 0, 1, 1]], [0.9])).detect(image)
    OnnxDetector(rectangle_finder(path, "yolov8")).detect(image)


def test_the_detector_names_its_file_and_what_it_runs_on(path):
    detector = OnnxDetector(detector_that_answers(path, [[0, 0, 1, 1]], [0.9]))
    assert (detector.name, detector.provider) == ("onnx model.onnx", CPU)


@pytest.mark.parametrize(
    ("image", "expected", "found"),
    [
        ((TensorProto.INT64, [48, 64, 3]), r"an input of tensor\(uint8\)", r"image tensor\(int64\) \(48, 64, 3\)"),
        ((TensorProto.UINT8, [48, 64]), "a picture of three channels", r"image tensor\(uint8\) \(48, 64\)"),
        ((TensorProto.UINT8, [48, 64, 1]), "a picture of three channels", r"image tensor\(uint8\) \(48, 64, 1\)"),
        ((TensorProto.FLOAT, [8, 3, 48, 64]), "a picture of three channels", r"image .* \(8, 3, 48, 64\)"),
    ],
    ids=["another type", "another rank", "grey", "a batch of eight"],
)
def test_an_input_that_does_not_fit_is_reported_with_both_sides(path, image, expected, found):
    detector_that_answers(path, [[0, 0, 1, 1]], [0.9], image)
    with pytest.raises(ModelError, match=rf"{path} does not fit: expected {expected}.*; found {found}"):
        OnnxDetector(path)


def test_outputs_that_do_not_fit_are_reported_with_both_sides(path):
    answering(path, {"image": IMAGE}, {"heat": np.zeros((4, 5))})
    with pytest.raises(ModelError, match=r"expected outputs of a known style.*; found heat .*\(4, 5\)"):
        OnnxDetector(path)


def test_labels_have_to_be_as_many_as_the_classes(path, tmp_path):
    three = tmp_path / "labels.txt"
    three.write_text("nut\nbolt\nscrew\n")
    rectangle_finder(path, "yolov8")
    with pytest.raises(ModelError, match=rf"expected 3 classes, one for each label of {three}; found 2 classes"):
        OnnxDetector(path, DetectorSettings(labels=three))


def test_the_one_thing_a_model_without_classes_finds_is_called_as_declared(path):
    detector_that_answers(path, [[0, 0, 10, 10]], [0.9])
    (found,) = OnnxDetector(path, DetectorSettings(label="crate")).detect(PICTURE)
    assert found.label == "crate"


@pytest.mark.parametrize(("classes", "label"), [(1, "part"), (2, "class 0")])
def test_a_yolo_of_one_class_and_no_labels_finds_parts(path, classes, label):
    answer = np.zeros((1, 4 + classes, CELLS))
    answer[0, :5, 0] = (20, 20, 10, 10, 0.9)
    answering(path, {"image": (TensorProto.FLOAT, [1, 3, 64, 64])}, {"output0": answer})
    assert [each.label for each in OnnxDetector(path).detect(PICTURE)] == [label]


def test_the_demos_model_needs_no_declaration():
    detector = OnnxDetector()
    assert detector.name == f"onnx {SHIPPED.name}"
    assert detector.style.style == "boxes"


def test_a_declared_style_that_the_outputs_cannot_be_is_reported(path):
    rectangle_finder(path, "yolov8")
    settings = DetectorSettings(output=ModelOutputSettings(style="ssd"))
    with pytest.raises(ModelError, match="expected outputs for boxes, scores, classes, or their declared names"):
        OnnxDetector(path, settings)
