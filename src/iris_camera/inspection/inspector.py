"""The inspection of one picture: detect, track, classify; or, for stills, detect and classify."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from iris_camera.image import Image
from iris_camera.inspection.contract import Classifier, Detector
from iris_camera.inspection.findings import Part, Verdict
from iris_camera.inspection.settings import InspectionSettings
from iris_camera.inspection.tracker import Tracker
from iris_camera.inspection.verdicts import News, Verdicts

NOTHING = "nothing"
"""The verdict on a still in which no part was found."""


@dataclass(frozen=True, slots=True)
class Inspected:
    """The parts seen in a picture, the verdicts that are news, the one on the whole picture if it is a still, and the
    time of detecting and classifying, in seconds."""

    parts: list[Part]
    news: list[News] = field(default_factory=list)
    picture: Verdict | None = None
    detect_s: float = 0.0
    classify_s: float = 0.0

    @property
    def verdicts(self) -> list[tuple[Part, Verdict]]:
        """A part's first verdict, and each that replaces it."""
        return [(news.part, news.verdict) for news in self.news]


class Inspector:
    """Belongs to one thread: detector, tracker and classifier are used from it alone.

    Without a classifier the verdict on a part is the detector's own label and score, and the part need not be wholly in
    the picture. For a classifier it has to be, because it would judge a part that is cut off as broken.

    `stills`: each picture stands alone, so every part in it is judged, cut off or not: there is no other picture of it.
    """

    def __init__(
        self,
        detector: Detector,
        classifier: Classifier | None,
        settings: InspectionSettings | None = None,
        *,
        stills: bool = False,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        settings = settings or InspectionSettings()
        self._detector = detector
        self._classifier = classifier
        self._verdicts = Verdicts(settings.verdict, settings.defect_labels)
        self._stills = stills
        self._clock = clock
        self._tracker: Tracker | None = None  # made for the size of the frames that come
        self._size: tuple[int, int] | None = None
        self._next_id = 1

    @property
    def detector(self) -> str:
        """The detector's name, for people."""
        return self._detector.name

    @property
    def provider(self) -> str:
        """What the detector really runs on."""
        return self._detector.provider

    @property
    def next_id(self) -> int:
        """The id that the next new part gets."""
        return self._next_id if self._tracker is None else self._tracker.next_id

    def count_from(self, next_id: int) -> None:
        """Before the first picture: go on where another inspector ended, so that no id is given twice."""
        self._next_id = next_id

    def reset(self) -> None:
        """Forget the parts in view, because the source began anew; no id is given twice."""
        self._next_id = self.next_id
        self._tracker = None
        self._verdicts.forget_all()

    def inspect(self, image: Image, number: int) -> Inspected:
        """`image` is (height, width, 3), blue-green-red; `number` its frame's, gaps included. Raises ModelError."""
        if self._stills:
            return self._inspect_still(image)
        tracker = self._tracker_for(image)
        begun_s = self._clock()
        detections = self._detector.detect(image)
        detected_s = self._clock()
        tracked = tracker.update(detections, number)
        tracked_s = self._clock()
        news = self._judged(image, self._verdicts.to_judge(tracked))
        self._verdicts.forget(tracked.finished)
        return Inspected(tracked.parts, news, None, detected_s - begun_s, self._clock() - tracked_s)

    def _inspect_still(self, image: Image) -> Inspected:
        begun_s = self._clock()
        detections = self._detector.detect(image)
        detected_s = self._clock()
        parts = [Part(self._next_id + n, each.box, each.score, each.label) for n, each in enumerate(detections)]
        self._next_id += len(parts)
        news = self._judged(image, parts)
        self._verdicts.forget_all()
        picture = self._verdicts.worst(news) or Verdict(NOTHING, 0.0)
        return Inspected(parts, news, picture, detected_s - begun_s, self._clock() - detected_s)

    def _tracker_for(self, image: Image) -> Tracker:
        """A new one when the size changes: the camera then shows other places, and the parts in view are forgotten."""
        height, width = image.shape[:2]
        if self._tracker is None or self._size != (width, height):
            self.reset()
            self._size = (width, height)
            self._tracker = Tracker(width, height, first_id=self._next_id, judges_cut_off=self._classifier is None)
        return self._tracker

    def _judged(self, image: Image, parts: list[Part]) -> list[News]:
        """The verdicts that are news."""
        found = [self._verdicts.news(part, self._verdict(image, part)) for part in parts]
        return [news for news in found if news is not None]

    def _verdict(self, image: Image, part: Part) -> Verdict:
        if self._classifier is None:
            return Verdict(part.label, part.score)
        return self._classifier.classify(image, part.box)
