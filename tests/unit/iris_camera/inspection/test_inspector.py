"""Detect, follow, judge once: with a scripted detector and a scripted classifier."""

import numpy as np
import pytest

from iris_camera.inspection.findings import Box, Detection, Verdict
from iris_camera.inspection.inspector import NOTHING, Inspector
from iris_camera.inspection.model_error import ModelError
from iris_camera.inspection.settings import InspectionSettings

PICTURE = np.zeros((480, 640, 3), np.uint8)
PLACE = Box(200, 200, 100, 80)


class Clock:
    """A clock that stands still until the test moves it."""

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


def test_the_verdict_without_a_classifier_is_the_detectors_own_label_and_score():
    inspector = Inspector(FoundInAdvance(seen()), None)
    verdicts = [pair for number in range(10) for pair in inspector.inspect(PICTURE, number).verdicts]
    assert [verdict for _, verdict in verdicts] == [Verdict("nut", 0.9)]


def test_a_part_that_fills_the_picture_is_judged_without_a_classifier_and_never_with_one():
    whole = seen(Box(0, 0, 640, 480))
    for classifier, times in ((None, 1), (JudgedInAdvance(), 0)):
        inspector = Inspector(FoundInAdvance(whole), classifier)
        verdicts = [pair for number in range(30) for pair in inspector.inspect(PICTURE, number).verdicts]
        assert len(verdicts) == times


def test_the_same_place_shows_a_new_part_with_a_new_verdict_after_a_reset():
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


def test_the_times_of_detecting_and_of_judging_are_distinguished():
    clock = Clock()
    detector = FoundInAdvance(seen(), seen(Box(400, 100, 50, 60)), clock=clock, takes_s=0.25)
    inspector = Inspector(detector, JudgedInAdvance(clock, 0.125), clock=clock)
    first, second = inspector.inspect(PICTURE, 0), inspector.inspect(PICTURE, 1)
    assert (first.detect_s, first.classify_s) == (0.25, 0.0)
    assert len(second.verdicts) == 2
    assert (second.detect_s, second.classify_s) == (0.25, 0.25)


def test_the_inspector_names_its_detector_and_its_device():
    inspector = Inspector(FoundInAdvance(), None)
    assert (inspector.detector, inspector.provider) == ("found in advance", "nothing")


def test_a_models_failure_is_raised_to_the_caller():
    with pytest.raises(ModelError, match="failed"):
        Inspector(BrokenModel(), None).inspect(PICTURE, 0)


class JudgedByTurns:
    """A classifier that answers for the part at each x with the next label of its list; the last one repeats."""

    def __init__(self, **labels):
        self.labels = {int(x.removeprefix("x")): list(said) for x, said in labels.items()}
        self.calls = []

    def classify(self, image, box):
        self.calls.append(int(box.x))
        said = self.labels[int(box.x)]
        return Verdict(said.pop(0) if len(said) > 1 else said[0], 0.9)


def verdicts_of(inspector, pictures=10):
    """Each verdict that is news, as (picture, part, label, revised, turned bad)."""
    return [
        (number, news.part.part_id, news.verdict.label, news.revised, news.turned_bad)
        for number in range(pictures)
        for news in inspector.inspect(PICTURE, number).news
    ]


SCRATCH_LATER = ["good", "good", "defect", "good", "defect", "good"]


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        ("first", [(1, 1, "good", False, False)]),
        ("worst", [(1, 1, "good", False, False), (3, 1, "defect", True, True)]),
        (
            "last",
            [
                (1, 1, "good", False, False),
                (3, 1, "defect", True, True),
                (4, 1, "good", True, False),
                (5, 1, "defect", True, False),
                (6, 1, "good", True, False),
            ],
        ),
    ],
)
def test_a_scratch_that_shows_later_counts_as_the_rule_says_and_turns_bad_once(verdict, expected):
    classifier = JudgedByTurns(x200=SCRATCH_LATER)
    inspector = Inspector(FoundInAdvance(seen()), classifier, InspectionSettings(verdict=verdict))
    assert verdicts_of(inspector) == expected


def test_the_worst_verdict_counts_by_default():
    assert InspectionSettings().verdict == "worst"
    assert verdicts_of(Inspector(FoundInAdvance(seen()), JudgedByTurns(x200=SCRATCH_LATER)))[-1][2] == "defect"


@pytest.mark.parametrize(("verdict", "calls"), [("first", [1, 1]), ("worst", [2, 9]), ("last", [9, 9])])
def test_a_part_in_view_costs_at_most_one_judgement_a_picture(verdict, calls):
    classifier = JudgedByTurns(x200=["good", "defect"], x400=["good"])
    detector = FoundInAdvance(seen(), seen(Box(400, 100, 50, 60)))
    verdicts_of(Inspector(detector, classifier, InspectionSettings(verdict=verdict)))
    assert [classifier.calls.count(200), classifier.calls.count(400)] == calls


@pytest.mark.parametrize("defects", [("scratch", "dent"), ("dent", "scratch")])
def test_one_kind_of_defect_does_not_take_the_place_of_another(defects):
    classifier = JudgedByTurns(x200=["good", *defects])
    settings = InspectionSettings(defect_labels=("scratch", "dent"))
    assert [news[2] for news in verdicts_of(Inspector(FoundInAdvance(seen()), classifier, settings))] == [
        "good",
        defects[0],
    ]


def test_a_detectors_own_label_is_judged_again_too():
    detector = FoundInAdvance(seen(label="nut"))
    inspector = Inspector(detector, None, InspectionSettings(defect_labels=("broken nut",)))
    assert [label for _, _, label, _, _ in verdicts_of(inspector, 3)] == ["nut"]
    detector.detections = [seen(label="broken nut")]
    news = [news for number in (3, 4, 5) for news in inspector.inspect(PICTURE, number).news]
    assert [(each.part.part_id, each.verdict.label, each.turned_bad) for each in news] == [(1, "broken nut", True)]


def test_the_memory_of_a_part_ends_with_it():
    classifier = JudgedByTurns(x200=["defect"])
    detector = FoundInAdvance(seen())
    inspector = Inspector(detector, classifier)
    assert [news[1] for news in verdicts_of(inspector, 5)] == [1]
    inspector.reset()
    assert [news[1] for news in verdicts_of(inspector, 5)] == [2]
    assert len(classifier.calls) == 2


# Stills


def test_each_of_six_stills_is_judged_though_all_show_a_part_at_the_same_place():
    classifier = JudgedByTurns(x200=["good", "good", "good", "defect", "good", "good"])
    inspector = Inspector(FoundInAdvance(seen()), classifier, stills=True)
    results = [inspector.inspect(PICTURE, number) for number in range(6)]
    assert [(part.part_id, verdict.label) for result in results for part, verdict in result.verdicts] == [
        (1, "good"),
        (2, "good"),
        (3, "good"),
        (4, "defect"),
        (5, "good"),
        (6, "good"),
    ]
    assert [result.picture.label for result in results] == ["good", "good", "good", "defect", "good", "good"]
    assert [news.turned_bad for result in results for news in result.news] == [False] * 3 + [True] + [False] * 2


def test_a_single_still_is_judged_at_once():
    inspector = Inspector(FoundInAdvance(seen()), JudgedInAdvance(), stills=True)
    assert inspector.inspect(PICTURE, 0).picture == Verdict("defect", 0.75)


@pytest.mark.parametrize("box", [Box(-20, 100, 100, 80), Box(0, 0, 640, 480)], ids=["cut off", "all of it"])
def test_a_part_that_is_not_wholly_in_a_still_is_judged(box):
    inspector = Inspector(FoundInAdvance(seen(box)), JudgedInAdvance(), stills=True)
    assert len(inspector.inspect(PICTURE, 0).verdicts) == 1


def test_stills_of_different_sizes_give_no_id_twice():
    inspector = Inspector(FoundInAdvance(seen(), seen(Box(300, 100, 50, 60))), None, stills=True)
    sizes = [(480, 640), (720, 1280), (480, 640), (200, 450)]
    ids = [
        [part.part_id for part in inspector.inspect(np.zeros((*size, 3), np.uint8), number).parts]
        for number, size in enumerate(sizes)
    ]
    assert ids == [[1, 2], [3, 4], [5, 6], [7, 8]]
    inspector.reset()
    assert [part.part_id for part in inspector.inspect(PICTURE, 0).parts] == [9, 10]


def test_the_verdict_on_a_still_is_that_of_its_worst_part():
    labels = {"x0": ["good"], "x100": ["scratch"], "x200": ["fine"]}
    scores = {0: 0.7, 100: 0.6, 200: 0.5}

    class Scored(JudgedByTurns):
        def classify(self, image, box):
            return Verdict(super().classify(image, box).label, scores[int(box.x)])

    def picture(*places):
        detector = FoundInAdvance(*(seen(Box(x, 0, 50, 50)) for x in places))
        settings = InspectionSettings(defect_labels=("scratch",))
        return Inspector(detector, Scored(**labels), settings, stills=True).inspect(PICTURE, 0).picture

    assert picture(0, 100, 200) == Verdict("scratch", 0.6)
    assert picture(0, 200) == Verdict("fine", 0.5)
    assert picture() == Verdict(NOTHING, 0.0)
