"""End to end through real onnxruntime: picture, preparation, model, decoding, suppression, boxes in the picture."""

import numpy as np
import pytest

from iris_camera.inspection.findings import Box
from iris_camera.inspection.model_error import ModelError
from iris_camera.inspection.onnx import OnnxDetector
from iris_camera.inspection.settings import DetectorSettings, ModelOutputSettings, PictureInputSettings
from tests.unit.iris_camera.inspection.made_models import STYLES, rectangle_finder

RED = (20, 30, 250)  # blue, green, red
MIXED = [style for style in STYLES if style != "boxes"]


def picture(width, height, box, colour=RED):
    """A dark picture with one red rectangle."""
    image = np.full((height, width, 3), 40, np.uint8)
    image[int(box.y) : int(box.bottom), int(box.x) : int(box.right)] = colour
    return image


@pytest.fixture
def path(tmp_path):
    return tmp_path / "finder.onnx"


@pytest.fixture
def labels(tmp_path):
    file = tmp_path / "labels.txt"
    file.write_text("nut\nbolt\n")
    return file


WIDE = Box(32, 16, 32, 32), 128, 64
TALL = Box(16, 32, 32, 64), 64, 128
EXACT = Box(10, 20, 30, 7), 64, 64


@pytest.mark.parametrize("style", MIXED)
@pytest.mark.parametrize(("box", "width", "height"), [WIDE, TALL, EXACT], ids=["wide", "tall", "its own size"])
def test_each_style_finds_the_rectangle_where_it_is_with_its_label(path, labels, style, box, width, height):
    detector = OnnxDetector(rectangle_finder(path, style), DetectorSettings(labels=labels))
    found = detector.detect(picture(width, height, box))
    assert detector.style.style == style
    assert detector.style.guessed_from
    assert [(each.label, round(each.score, 3)) for each in found] == [("bolt", 0.9), ("nut", 0.7)]
    for each in found:
        assert corners(each.box) == pytest.approx(corners(box), abs=1e-3)


def corners(box):
    return box.x, box.y, box.right, box.bottom


def test_the_demos_style_finds_the_rectangle_and_calls_it_a_part(path):
    detector = OnnxDetector(rectangle_finder(path, "boxes", layout="HWC", dtype="uint8", brightest=255))
    blue = picture(64, 64, EXACT[0], colour=(250, 20, 30))  # it takes blue-green-red as the camera has it
    (found,) = detector.detect(blue)
    assert (found.box, found.label, found.score) == (EXACT[0], "part", pytest.approx(0.9))


@pytest.mark.parametrize("layout", ["NCHW", "NHWC", "HWC"])
@pytest.mark.parametrize(
    ("dtype", "scaling", "brightest"),
    [
        ("uint8", "auto", 255),
        ("float32", "auto", 1),
        ("float32", "0-255", 255),
        ("float16", "auto", 1),
        ("float16", "0-255", 255),
    ],
)
def test_each_type_scaling_and_layout_is_given_what_it_takes(path, layout, dtype, scaling, brightest):
    rectangle_finder(path, "yolov8", layout=layout, dtype=dtype, brightest=brightest)
    settings = DetectorSettings(input=PictureInputSettings(scaling=scaling, colour="rgb"))
    found = OnnxDetector(path, settings).detect(picture(*WIDE[1:], WIDE[0]))
    assert [corners(each.box) for each in found] == [pytest.approx(corners(WIDE[0]), abs=1e-3)] * 2


def test_mean_and_std_are_applied_a_channel_in_the_models_order(path):
    rectangle_finder(path, "yolov8", brightest=1.25)  # red 250 becomes (250 - 125) / 100
    means = PictureInputSettings(scaling="mean-std", mean=(125.0, 0.0, 0.0), std=(100.0, 0.1, 0.1))
    found = OnnxDetector(path, DetectorSettings(input=means)).detect(picture(*EXACT[1:], EXACT[0]))
    assert [corners(each.box) for each in found] == [pytest.approx(corners(EXACT[0]), abs=1e-3)] * 2
    swapped = PictureInputSettings(scaling="mean-std", mean=(125.0, 0.0, 0.0), std=(100.0, 0.1, 0.1), colour="bgr")
    lost = OnnxDetector(path, DetectorSettings(input=swapped)).detect(picture(*EXACT[1:], EXACT[0]))
    assert [each.box for each in lost] != [each.box for each in found]


def test_colour_order_is_what_is_declared(path):
    rectangle_finder(path, "yolov8")
    blue = picture(64, 64, EXACT[0], colour=(250, 20, 30))
    settings = DetectorSettings(input=PictureInputSettings(colour="bgr"))
    assert corners(OnnxDetector(path, settings).detect(blue)[0].box) == pytest.approx(corners(EXACT[0]), abs=1e-3)


def test_a_stretched_picture_gives_the_same_box(path):
    settings = DetectorSettings(input=PictureInputSettings(fit="stretch"))
    found = OnnxDetector(rectangle_finder(path, "yolov8"), settings).detect(picture(*WIDE[1:], WIDE[0]))
    assert corners(found[0].box) == pytest.approx(corners(WIDE[0]), abs=1e-3)


@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (333, 77), (17, 901), (20, 20)])
def test_pictures_of_any_size_and_proportion_are_fitted_in(path, width, height):
    box = Box(width // 4, height // 4, width // 2, height // 2)
    found = OnnxDetector(rectangle_finder(path, "yolov8")).detect(picture(width, height, box))
    pixel = max(width, height) / 64  # of the model's, in the picture's
    assert corners(found[0].box) == pytest.approx(corners(box), abs=1.5 * pixel)


def test_a_model_that_leaves_its_size_open_is_given_the_declared_one(path):
    rectangle_finder(path, "yolov8", side="side")
    settings = DetectorSettings(
        input=PictureInputSettings(width=64, height=64), output=ModelOutputSettings(style="yolov8")
    )
    found = OnnxDetector(path, settings).detect(picture(*WIDE[1:], WIDE[0]))
    assert corners(found[0].box) == pytest.approx(corners(WIDE[0]), abs=1e-3)


def test_an_open_size_of_a_convolutional_model_has_to_be_declared(path):
    rectangle_finder(path, "yolov8", side="side")
    with pytest.raises(
        ModelError, match=r"declared width and height .*found picture tensor\(float\) \(1, 3, any, any\)"
    ):
        OnnxDetector(path)


def test_a_model_that_resizes_itself_is_given_the_picture_as_it_is(path):
    rectangle_finder(path, "boxes", layout="NHWC", dtype="uint8", brightest=255, side="side")
    found = OnnxDetector(path).detect(picture(100, 50, Box(10, 20, 30, 7)))
    assert found[0].box == Box(10, 20, 30, 7)


def test_a_lower_threshold_lets_more_through_and_overlap_decides_within_a_label(path, labels):
    rectangle_finder(path, "end-to-end")
    everything = DetectorSettings(labels=labels, score_min=0.05, iou_max=1.0)
    found = OnnxDetector(path, everything).detect(picture(*EXACT[1:], EXACT[0]))
    assert [(each.label, round(each.score, 2)) for each in found] == [
        ("bolt", 0.9),
        ("bolt", 0.8),
        ("nut", 0.7),
        ("bolt", 0.1),
    ]


def test_a_row_beyond_the_count_is_no_detection(path):
    rectangle_finder(path, "ssd-tensorflow")
    everything = DetectorSettings(score_min=0.05, iou_max=1.0)
    found = OnnxDetector(path, everything).detect(picture(*EXACT[1:], EXACT[0]))
    assert [round(each.score, 2) for each in found] == [0.9, 0.8, 0.7]


def test_a_class_without_labels_is_called_by_the_models_own_number(path):
    image = picture(*EXACT[1:], EXACT[0])
    assert OnnxDetector(rectangle_finder(path, "yolov5")).detect(image)[0].label == "class 1"
    assert OnnxDetector(rectangle_finder(path, "ssd")).detect(image)[0].label == "class 2"


def test_a_class_below_the_first_is_the_background_and_no_detection(path):
    settings = DetectorSettings(output=ModelOutputSettings(first_class=1))
    found = OnnxDetector(rectangle_finder(path, "yolov5"), settings).detect(picture(*EXACT[1:], EXACT[0]))
    assert [round(each.score, 2) for each in found] == [0.9]


def test_names_left_by_the_exporter_are_the_labels(path):
    rectangle_finder(path, "yolov8", metadata={"names": "{0: 'nut', 1: 'bolt, M6'}"})
    assert OnnxDetector(path).detect(picture(*EXACT[1:], EXACT[0]))[0].label == "bolt, M6"


def test_boxes_of_another_order_or_unit_are_read_as_declared(path):
    rectangle_finder(path, "ssd-tensorflow")  # normalised y1 x1 y2 x2
    declared = ModelOutputSettings(
        style="ssd", box_order="y1x1y2x2", names=("detection_boxes", "detection_scores", "detection_classes")
    )
    found = OnnxDetector(path, DetectorSettings(output=declared)).detect(picture(*EXACT[1:], EXACT[0]))
    assert corners(found[0].box) == pytest.approx(corners(EXACT[0]), abs=1e-3)


def test_pixels_where_0_to_1_is_expected_are_reported(path):
    rectangle_finder(path, "end-to-end")
    settings = DetectorSettings(output=ModelOutputSettings(box_units="normalised"))
    with pytest.raises(ModelError, match=r"boxes of 0 to 1 \(box_units normalised\); found one that reaches to 40, 27"):
        OnnxDetector(path, settings).detect(picture(*EXACT[1:], EXACT[0]))
