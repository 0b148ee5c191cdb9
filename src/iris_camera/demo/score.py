"""What the demo measures while it runs: the inspection against the line's own truth, and its rate in and out of the
outage. Called on the inspection thread, so it only counts; read by the demo's main thread."""

from dataclasses import dataclass

from iris_camera.camera.frame import Frame
from iris_camera.camera.synthetic import SyntheticLine, TruePart
from iris_camera.inspection.findings import Box, Part
from iris_camera.inspection.inspector import Inspected

IOU_MIN = 0.5  # intersection over union from which a box counts as found


class Score:
    def __init__(self, line: SyntheticLine) -> None:
        self._line = line
        self.frames = 0
        self.frames_in_outage = 0
        self.parts = 0
        self.defects = 0
        self.in_outage = False  # set by the demo's main thread
        self._true_boxes = 0
        self._found_boxes = 0
        self._right_verdicts = 0

    def count(self, frame: Frame, inspected: Inspected) -> None:
        self.frames += 1
        self.frames_in_outage += self.in_outage
        truth = self._line.truth(frame.number)
        for real in truth:
            if real.fully_visible:
                self._true_boxes += 1
                self._found_boxes += any(_overlap(real, part) >= IOU_MIN for part in inspected.parts)
        for news in inspected.news:
            self.parts += not news.revised
            self.defects += news.turned_bad
            overlaps = [(_overlap(real, news.part), real.label) for real in truth]
            overlap, label = max(overlaps, default=(0.0, ""))
            # A part's truth does not change, so if a verdict replaces another, one of the two is right.
            right = overlap > 0 and label == news.verdict.label
            self._right_verdicts += right - (news.revised and not right)

    @property
    def detector_recall(self) -> float | None:
        """Share of the wholly visible parts, over all inspected frames, that were found; None before any was seen."""
        return round(self._found_boxes / self._true_boxes, 4) if self._true_boxes else None

    @property
    def classifier_accuracy(self) -> float | None:
        """Share of the verdicts that are true; a verdict on something that is no part counts as false."""
        return round(self._right_verdicts / self.parts, 4) if self.parts else None


@dataclass(slots=True)
class Rates:
    """Frames a second outside and during the outage, from counts and measured times."""

    seconds: float
    outage_seconds: float
    frames: int
    frames_in_outage: int

    @property
    def outside(self) -> float:
        return round((self.frames - self.frames_in_outage) / max(self.seconds - self.outage_seconds, 1e-9), 2)

    @property
    def during_outage(self) -> float | None:
        return round(self.frames_in_outage / self.outage_seconds, 2) if self.outage_seconds > 0 else None


def _overlap(real: TruePart, part: Part) -> float:
    return Box(*real.box).iou(part.box)
