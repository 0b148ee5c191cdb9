"""Values that contradict themselves are refused with what was found and what to give."""

from dataclasses import fields
from pathlib import Path

import pytest

from iris_camera.inspection.settings import (
    SIDE_MAX,
    THREADS_MAX,
    ClassifierSettings,
    DetectorSettings,
    InspectionSettings,
    ModelOutputSettings,
    PictureInputSettings,
)

FILE = Path("x")
ALL = [PictureInputSettings, ModelOutputSettings, DetectorSettings, ClassifierSettings, InspectionSettings]


@pytest.mark.parametrize("settings", ALL, ids=lambda each: each.__name__)
def test_every_setting_has_a_default_and_says_what_it_is(settings):
    settings()
    assert all(each.metadata["doc"] for each in fields(settings))


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"width": 0, "height": 5}, "input width is 0: give 1 to 16384 pixels"),
        ({"width": 5, "height": SIDE_MAX + 1}, "input height is 16385"),
        ({"width": 5}, "input width is 5 and height None: give both or neither"),
        ({"height": 5}, "input width is None and height 5: give both or neither"),
        ({"mean": (1.0, 2.0, 3.0)}, 'mean and std are given, but scaling is "auto"'),
        ({"scaling": "0-1", "std": (2.0, 2.0, 2.0)}, 'mean and std are given, but scaling is "0-1"'),
        ({"scaling": "mean-std"}, 'scaling is "mean-std", but neither mean nor std is given'),
        ({"scaling": "mean-std", "std": (1.0, 0.0, 2.0)}, "std is .*: each has to be above 0"),
        (
            {"scaling": "mean-std", "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)},
            "look like those of values 0 to 1: give them for pixel values, that is, times 255",
        ),
    ],
)
def test_picture_input_settings_that_contradict_themselves_are_refused(given, text):
    with pytest.raises(ValueError, match=text):
        PictureInputSettings(**given)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"first_class": 2}, "first_class is 2: give 0, or 1 when class 0 is the background"),
        ({"first_class": -1}, "first_class is -1"),
        ({"names": ("a", "a")}, "one is given twice"),
        ({"names": tuple("abcde")}, "give those of boxes, scores, classes and count"),
    ],
)
def test_output_settings_that_contradict_themselves_are_refused(given, text):
    with pytest.raises(ValueError, match=text):
        ModelOutputSettings(**given)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"score_min": 1.5}, "score_min is 1.5: give 0 to 1"),
        ({"iou_max": -0.1}, "iou_max is -0.1: give 0 to 1"),
        ({"score_min": float("nan")}, "score_min is nan: give 0 to 1"),
        ({"kind": "haar", "model": FILE}, 'model belongs to kind "onnx", but kind is "haar"'),
        ({"kind": "hog", "model": FILE, "labels": FILE}, 'model and labels belong to kind "onnx", but kind is "hog"'),
        ({"kind": "haar", "cascade": ""}, "cascade is empty: give a name"),
        ({"neighbours_min": -1}, "neighbours_min is -1: give 0 or more"),
        ({"smallest": -1}, "smallest is -1: give 0 or more pixels"),
    ],
)
def test_detector_settings_that_contradict_themselves_are_refused(given, text):
    with pytest.raises(ValueError, match=text):
        DetectorSettings(**given)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"kind": "none", "model": FILE}, 'belong to kind "onnx", but kind is "none"'),
        ({"kind": "none", "labels": FILE}, 'belong to kind "onnx", but kind is "none"'),
        ({"context": -0.5}, "context is -0.5: give 0 to 10"),
        ({"context": 11.0}, "context is 11.0: give 0 to 10"),
    ],
)
def test_classifier_settings_that_contradict_themselves_are_refused(given, text):
    with pytest.raises(ValueError, match=text):
        ClassifierSettings(**given)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"threads": 0}, f"threads is 0: give 1 to {THREADS_MAX}"),
        ({"threads": THREADS_MAX + 1}, "threads is 65"),
        ({"provider": ""}, "provider is empty: give CPUExecutionProvider"),
        ({"defect_labels": ("defect", "")}, "one is empty"),
        (
            {"detector": DetectorSettings("haar"), "classifier": ClassifierSettings(labels=FILE)},
            'labels of a classifier are given, but no model classifies what "haar" finds: give its model',
        ),
        (
            {"detector": DetectorSettings(model=FILE), "classifier": ClassifierSettings(labels=FILE)},
            'labels of a classifier are given, but no model classifies what "x" finds: give its model',
        ),
    ],
)
def test_inspection_settings_that_contradict_themselves_are_refused(given, text):
    with pytest.raises(ValueError, match=text):
        InspectionSettings(**given)
