"""The demo's figures, against truths that are easy to count."""

from types import SimpleNamespace

from iris_camera.camera.synthetic import TrueBox, TruePart
from iris_camera.demo.score import Rates, Score
from iris_camera.inspection.findings import Box, Part, Verdict
from iris_camera.inspection.inspector import Inspected
from iris_camera.inspection.verdicts import News


class KnownLine:
    """Two parts wholly in view, one of them defective, and one that is still coming in."""

    def truth(self, number):
        return [
            TruePart(1, TrueBox(0, 0, 100, 100), "good", True, "none"),
            TruePart(2, TrueBox(200, 0, 100, 100), "defect", True, "scratch"),
            TruePart(3, TrueBox(400, 0, 20, 100), "good", False, "none"),
        ]


FRAME = SimpleNamespace(number=0)


def part(x, part_id=1):
    return Part(part_id, Box(x, 0, 100, 100), 0.9)


def scored(*inspected):
    score = Score(KnownLine())
    for each in inspected:
        score.count(FRAME, each)
    return score


def test_recall_counts_wholly_visible_parts_that_were_found():
    assert scored(Inspected([part(0), part(200)], [])).detector_recall == 1.0
    assert scored(Inspected([part(10)], [])).detector_recall == 0.5
    assert scored(Inspected([part(60)], [])).detector_recall == 0.0


def test_accuracy_compares_a_verdict_with_the_part_it_lies_on():
    right = News(part(0), Verdict("good", 0.9))
    wrong = News(part(200), Verdict("good", 0.9))
    assert scored(Inspected([], [right])).classifier_accuracy == 1.0
    assert scored(Inspected([], [right, wrong])).classifier_accuracy == 0.5


def test_a_verdict_that_takes_anothers_place_counts_alone():
    wrong = News(part(200), Verdict("good", 0.9))
    right = News(part(200), Verdict("defect", 0.9), revised=True, turned_bad=True)
    score = scored(Inspected([], [wrong]), Inspected([], [right]))
    assert (score.parts, score.defects, score.classifier_accuracy) == (1, 1, 1.0)
    score = scored(Inspected([], [right._replace(revised=False)]), Inspected([], [wrong._replace(revised=True)]))
    assert (score.parts, score.defects, score.classifier_accuracy) == (1, 1, 0.0)


def test_a_verdict_on_nothing_is_wrong():
    assert scored(Inspected([], [News(part(700), Verdict("good", 0.9))])).classifier_accuracy == 0.0


def test_a_score_of_no_parts_has_no_figures():
    score = scored()
    assert score.detector_recall is None
    assert score.classifier_accuracy is None


def test_frames_are_counted_in_and_out_of_the_outage():
    score = scored(Inspected([], []))
    score.in_outage = True
    score.count(FRAME, Inspected([], []))
    assert (score.frames, score.frames_in_outage) == (2, 1)


def test_rates_are_per_second_of_each_time():
    rates = Rates(seconds=20.0, outage_seconds=5.0, frames=480, frames_in_outage=120)
    assert (rates.outside, rates.during_outage) == (24.0, 24.0)
    assert Rates(20.0, 0.0, 500, 0).during_outage is None
