"""The weights in the package do what docs/demo-models.md says, on lines no model was trained on.

A small sample, so the floors are lower than the figures: wide enough for another machine's arithmetic, too narrow for
weights that were exported wrongly or belong to another picture.
"""

import pytest

from iris_camera.camera.synthetic import SyntheticLine
from iris_camera.inspection.classifier import OnnxClassifier
from iris_camera.inspection.findings import Box
from iris_camera.inspection.onnx import OnnxDetector
from iris_camera.inspection.tracker import Tracker

SEEDS = (1, 7, 501, 777)
FRAMES = range(0, 500, 50)  # no part is in two of them


@pytest.fixture(scope="module")
def sample():
    """(parts wholly in the picture, [(part, the detection that shows it, verdict)], false detections)"""
    detector, classifier = OnnxDetector(), OnnxClassifier()
    whole, found, false = 0, [], 0
    for seed in SEEDS:
        line = SyntheticLine(seed)
        for number in FRAMES:
            image, truth = line.picture(number), line.truth(number)
            whole += sum(part.fully_visible for part in truth)
            for detection in detector.detect(image):
                part = max(truth, key=lambda each: Box(*each.box).iou(detection.box))
                if Box(*part.box).iou(detection.box) < 0.5:
                    false += 1
                elif part.fully_visible:
                    found.append((part, detection, classifier.classify(image, detection.box)))
    return whole, found, false


def test_the_detector_finds_the_parts(sample):
    whole, found, _ = sample
    assert whole > 180
    assert len(found) / whole >= 0.97


def test_the_detector_finds_no_part_twice_and_hardly_any_where_there_is_none(sample):
    whole, found, false = sample
    assert len(found) <= whole
    assert false <= 2


def test_the_detectors_boxes_fit(sample):
    _, found, _ = sample
    overlaps = [Box(*part.box).iou(detection.box) for part, detection, _ in found]
    assert sum(overlaps) / len(overlaps) >= 0.9


def test_the_classifier_is_mostly_right_about_the_good_and_about_the_defect(sample):
    _, found, _ = sample
    right = {label: [v.label == p.label for p, _, v in found if p.label == label] for label in ("good", "defect")}
    everything = right["good"] + right["defect"]
    assert sum(everything) / len(everything) >= 0.95
    assert sum(right["defect"]) / len(right["defect"]) >= 0.8


def test_the_whole_inspection_gives_each_part_of_a_line_one_true_verdict():
    detector, classifier, line, tracker = (
        OnnxDetector(),
        OnnxClassifier(),
        SyntheticLine(1),
        Tracker(1280, 720),
    )
    judged, right = [], 0
    for number in range(150):
        image, truth = line.picture(number), line.truth(number)
        for part in tracker.update(detector.detect(image), number).ready:
            true = max(truth, key=lambda each: Box(*each.box).iou(part.box))
            judged.append(true.part_id)
            right += classifier.classify(image, part.box).label == true.label
    assert len(judged) == len(set(judged))
    assert len(judged) >= 20
    assert right / len(judged) >= 0.9
