"""What one picture comes to: detect, follow, and judge each part once."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from iris_camera.inspection.classifier import Classifier
from iris_camera.inspection.detector import Detector
from iris_camera.inspection.findings import Image, Part, Verdict
from iris_camera.inspection.tracker import Tracker


@dataclass(frozen=True, slots=True)
class Inspected:
    """The parts seen in a picture, the verdicts passed on it (each part is judged once in its life), and what
    detecting and judging took, in seconds."""

    parts: list[Part]
    verdicts: list[tuple[Part, Verdict]]
    detect_s: float = 0.0
    classify_s: float = 0.0


class Inspector:
    """Belongs to one thread: detector, tracker and classifier are used from it alone.

    Without a classifier the verdict on a part is the detector's own label and score; and a part need not be wholly in
    the picture for it, as it has to be for a classifier, which would judge what is cut off as broken.
    """

    def __init__(
        self, detector: Detector, classifier: Classifier | None, *, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._detector = detector
        self._classifier = classifier
        self._clock = clock
        self._tracker: Tracker | None = None  # made for the size of the frames that come
        self._size: tuple[int, int] | None = None
        self._next_id = 1

    @property
    def detector(self) -> str:
        """What detects, for people."""
        return self._detector.name

    @property
    def provider(self) -> str:
        """What the detector really runs on."""
        return self._detector.provider

    def reset(self) -> None:
        """Forget the parts in view, for the source began anew; no id is given twice."""
        if self._tracker is not None:
            self._next_id = self._tracker.next_id
        self._tracker = None

    def inspect(self, image: Image, number: int) -> Inspected:
        """`image` is (height, width, 3), blue-green-red; `number` its frame's, gaps included. Raises ModelError."""
        tracker = self._tracker_for(image)
        begun_s = self._clock()
        detections = self._detector.detect(image)
        detected_s = self._clock()
        tracked = tracker.update(detections, number)
        tracked_s = self._clock()
        verdicts = [(part, self._judged(image, part)) for part in tracked.ready]
        return Inspected(tracked.parts, verdicts, detected_s - begun_s, self._clock() - tracked_s)

    def _tracker_for(self, image: Image) -> Tracker:
        """A camera that comes back with another size shows other places: what was in view is forgotten."""
        height, width = image.shape[:2]
        if self._tracker is None or self._size != (width, height):
            self.reset()
            self._size = (width, height)
            self._tracker = Tracker(width, height, first_id=self._next_id, judges_cut_off=self._classifier is None)
        return self._tracker

    def _judged(self, image: Image, part: Part) -> Verdict:
        if self._classifier is None:
            return Verdict(part.label, part.score)
        return self._classifier.classify(image, part.box)
