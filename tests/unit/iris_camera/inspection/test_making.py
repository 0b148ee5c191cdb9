"""Each kind of settings makes what it names, with real files."""

import logging

import cv2
import numpy as np
import pytest
from onnx import TensorProto

from iris_camera.inspection.haar import HaarDetector
from iris_camera.inspection.hog import HogDetector
from iris_camera.inspection.making import make_detector, make_inspector
from iris_camera.inspection.model import CPU
from iris_camera.inspection.model_error import ModelError
from iris_camera.inspection.onnx import OnnxDetector
from iris_camera.inspection.settings import ClassifierSettings, DetectorSettings, InspectionSettings
from tests.unit.iris_camera.inspection.made_models import answering, rectangle_finder


@pytest.fixture
def own(tmp_path):
    return rectangle_finder(tmp_path / "own.onnx", "yolov8", metadata={"names": "{0: 'nut', 1: 'bolt'}"})


@pytest.fixture
def own_classifier(tmp_path):
    crop = (TensorProto.UINT8, [16, 16, 3])
    return answering(tmp_path / "judge.onnx", {"crop": crop}, {"p": [0.25, 0.75]}, {"labels": "whole,broken"})


def bright_square():
    image = np.zeros((64, 64, 3), np.uint8)
    image[20:44, 20:44] = 255
    return image


def verdicts(settings, image):
    inspector = make_inspector(settings)
    return [verdict for number in range(12) for _, verdict in inspector.inspect(image, number).verdicts]


def test_each_kind_makes_its_detector(own):
    assert isinstance(make_detector(DetectorSettings("haar")), HaarDetector)
    assert isinstance(make_detector(DetectorSettings("hog")), HogDetector)
    assert isinstance(make_detector(DetectorSettings()), OnnxDetector)
    assert make_detector(DetectorSettings(model=own)).name == "onnx own.onnx"


def test_the_inspector_names_its_detector_and_what_that_runs_on(own):
    settings = InspectionSettings(DetectorSettings(model=own))
    assert (make_inspector(settings).detector, make_inspector(settings).provider) == ("onnx own.onnx", CPU)
    assert make_inspector(InspectionSettings(DetectorSettings("hog"))).provider == "OpenCV"


def test_parts_of_ones_own_detector_are_not_judged_by_the_demos_classifier_unasked(own):
    found = verdicts(InspectionSettings(DetectorSettings(model=own)), bright_square())
    assert {verdict.label for verdict in found} == {"nut", "bolt"}


def test_a_classifier_of_ones_own_judges_what_a_detector_of_ones_own_finds(own, own_classifier):
    for kind in ("auto", "onnx"):
        settings = InspectionSettings(DetectorSettings(model=own), ClassifierSettings(kind, own_classifier))
        assert {verdict.label for verdict in verdicts(settings, bright_square())} == {"broken"}


def test_the_demos_classifier_judges_others_only_when_asked(own):
    settings = InspectionSettings(DetectorSettings(model=own), ClassifierSettings("onnx"))
    assert {verdict.label for verdict in verdicts(settings, bright_square())} <= {"good", "defect"}


class ShowsTheDemosParts:
    """What `verdicts` shows again and again: a picture of the made-up line with parts wholly in it."""

    @staticmethod
    def picture():
        from iris_camera.camera.synthetic import SyntheticLine

        return SyntheticLine(1).picture(40)


@pytest.mark.parametrize(
    ("kind", "labels"), [("auto", {"good", "defect"}), ("onnx", {"good", "defect"}), ("none", {"part"})]
)
def test_the_demos_detector_comes_with_its_classifier_unless_declined(kind, labels):
    found = verdicts(InspectionSettings(classifier=ClassifierSettings(kind)), ShowsTheDemosParts.picture())
    assert found
    assert {verdict.label for verdict in found} <= labels


def test_a_classifier_that_knows_no_defect_is_reported(own, own_classifier, caplog):
    settings = InspectionSettings(DetectorSettings(model=own), ClassifierSettings(model=own_classifier))
    with caplog.at_level(logging.WARNING):
        make_inspector(settings)
    assert "no verdict of the classifier is a defect: defect_labels are defect, its labels whole, broken" in caplog.text


def test_a_classifier_whose_label_is_a_defect_is_not_reported(own, own_classifier, caplog):
    judge = ClassifierSettings(model=own_classifier)
    make_inspector(InspectionSettings(DetectorSettings(model=own), judge, defect_labels=("broken",)))
    assert caplog.text == ""


def test_a_model_that_does_not_load_is_reported_whichever_it_is(own, tmp_path):
    missing = tmp_path / "missing.onnx"
    for settings in (
        InspectionSettings(DetectorSettings(model=missing)),
        InspectionSettings(DetectorSettings(model=own), ClassifierSettings(model=missing)),
    ):
        with pytest.raises(ModelError, match=rf"no model at {missing}"):
            make_inspector(settings)


def test_an_unknown_provider_is_reported_with_those_there_are(own):
    with pytest.raises(ModelError, match=r"has no provider tensorrt: it has .*CPUExecutionProvider"):
        make_inspector(InspectionSettings(DetectorSettings(model=own), provider="tensorrt"))


def test_opencv_is_given_the_number_of_threads_too():
    before = cv2.getNumThreads()
    try:
        for threads in (2, 1):
            make_inspector(InspectionSettings(DetectorSettings("hog"), threads=threads))
            assert cv2.getNumThreads() == threads
    finally:
        cv2.setNumThreads(before)
