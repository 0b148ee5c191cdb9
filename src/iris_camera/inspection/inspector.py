"""What one picture comes to: detect, follow, and judge each part once."""

from dataclasses import dataclass

from iris_camera.inspection.classifier import Classifier
from iris_camera.inspection.detector import Detector
from iris_camera.inspection.findings import Image, Part, Verdict
from iris_camera.inspection.tracker import Tracker


@dataclass(frozen=True, slots=True)
class Inspected:
    """The parts seen in a picture, and the verdicts passed on it (each part is judged once in its life)."""

    parts: list[Part]
    verdicts: list[tuple[Part, Verdict]]


class Inspector:
    """Belongs to one thread: detector, tracker and classifier are used from it alone."""

    def __init__(self, detector: Detector, classifier: Classifier) -> None:
        self._detector = detector
        self._classifier = classifier
        self._tracker: Tracker | None = None  # made for the first frame's size

    def inspect(self, image: Image, number: int) -> Inspected:
        """`image` is (height, width, 3), blue-green-red; `number` its frame's, gaps included."""
        if self._tracker is None:
            height, width = image.shape[:2]
            self._tracker = Tracker(width, height)
        tracked = self._tracker.update(self._detector.detect(image), number)
        verdicts = [(part, self._classifier.classify(image, part.box)) for part in tracked.ready]
        return Inspected(tracked.parts, verdicts)
