"""Detect, follow, judge once: with a detector and a classifier that say what they were told to say."""

import numpy as np
import pytest

from iris_camera.inspection.findings import Box, Detection, Verdict
from iris_camera.inspection.inspector import Inspector
from iris_camera.inspection.model import ModelError

PICTURE = np.zeros((480, 640, 3), np.uint8)
PLACE = Box(200, 200, 100, 80)


class Clock:
    """Stands still until told."""

    def __init__(self):
        self.now_s = 100.0

    def __call__(self):
        return self.now_s


class FoundInAdvance:
    """A detector that finds the same in every picture, and takes `takes_s` for it."""

    name, provider = "found in advance", "nothing"

    def __init__(self, *detections, clock=None, takes_s=0.0):
        self.detections, self._clock, self._takes_s = list(detections), clock, takes_s

    def detect(self, image):
        if self._clock:
            self._clock.now_s += self._takes_s
        return self.detections


class JudgedInAdvance:
    """A classifier with one verdict, which takes `takes_s`."""

    def __init__(self, clock=None, takes_s=0.0):
        self.judged, self._clock, self._takes_s = [], clock, takes_s

    def classify(self, image, box):
        if self._clock:
            self._clock.now_s += self._takes_s
        self.judged.append(box)
        return Verdict("defect", 0.75)


class BrokenModel:
    """A detector whose model fails."""

    name, provider = "broken", "nothing"

    def detect(self, image):
        raise ModelError("model.onnx failed on an input")


def seen(box=PLACE, label="nut"):
    return Detection(box, 0.9, label)


def test_a_part_is_judged_once_by_the_classifier():
    classifier = JudgedInAdvance()
    inspector = Inspector(FoundInAdvance(seen()), classifier)
    results = [inspector.inspect(PICTURE, number) for number in range(10)]
    assert [part.part_id for result in results for part in result.parts] == [1] * 10
    assert [(part.part_id, verdict) for result in results for part, verdict in result.verdicts] == [
        (1, Verdict("defect", 0.75))
    ]
    assert classifier.judged == [PLACE]


def test_without_a_classifier_the_verdict_is_the_detectors_own_label_and_score():
    inspector = Inspector(FoundInAdvance(seen()), None)
    verdicts = [pair for number in range(10) for pair in inspector.inspect(PICTURE, number).verdicts]
    assert [verdict for _, verdict in verdicts] == [Verdict("nut", 0.9)]


def test_a_part_that_fills_the_picture_is_judged_without_a_classifier_and_never_with_one():
    whole = seen(Box(0, 0, 640, 480))
    for classifier, times in ((None, 1), (JudgedInAdvance(), 0)):
        inspector = Inspector(FoundInAdvance(whole), classifier)
        verdicts = [pair for number in range(30) for pair in inspector.inspect(PICTURE, number).verdicts]
        assert len(verdicts) == times


def test_after_a_reset_the_same_place_shows_a_new_part_with_a_new_verdict():
    inspector = Inspector(FoundInAdvance(seen()), None)
    before = [inspector.inspect(PICTURE, number) for number in range(5)]
    inspector.reset()
    after = [inspector.inspect(PICTURE, number) for number in range(5)]
    ids = [{part.part_id for result in results for part in result.parts} for results in (before, after)]
    assert ids == [{1}, {2}]
    assert sum(len(result.verdicts) for result in after) == 1


def test_two_resets_without_a_picture_between_them_give_no_id_twice():
    inspector = Inspector(FoundInAdvance(seen()), None)
    inspector.inspect(PICTURE, 0)
    inspector.reset()
    inspector.reset()
    assert [part.part_id for part in inspector.inspect(PICTURE, 0).parts] == [2]


def test_a_picture_of_another_size_forgets_what_was_in_view_and_gives_no_id_twice():
    inspector = Inspector(FoundInAdvance(seen()), None)
    first = inspector.inspect(PICTURE, 0)
    other = inspector.inspect(np.zeros((720, 1280, 3), np.uint8), 1)
    back = inspector.inspect(PICTURE, 2)
    assert [result.parts[0].part_id for result in (first, other, back)] == [1, 2, 3]


def test_what_detecting_and_judging_took_is_told_apart():
    clock = Clock()
    detector = FoundInAdvance(seen(), seen(Box(400, 100, 50, 60)), clock=clock, takes_s=0.25)
    inspector = Inspector(detector, JudgedInAdvance(clock, 0.125), clock=clock)
    first, second = inspector.inspect(PICTURE, 0), inspector.inspect(PICTURE, 1)
    assert (first.detect_s, first.classify_s) == (0.25, 0.0)
    assert len(second.verdicts) == 2
    assert (second.detect_s, second.classify_s) == (0.25, 0.25)


def test_it_tells_what_detects_and_on_what():
    inspector = Inspector(FoundInAdvance(), None)
    assert (inspector.detector, inspector.provider) == ("found in advance", "nothing")


def test_a_models_failure_reaches_whoever_counts_it():
    with pytest.raises(ModelError, match="failed"):
        Inspector(BrokenModel(), None).inspect(PICTURE, 0)
