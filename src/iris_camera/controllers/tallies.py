"""What the inspection thread counts of its camera; read by any thread, as figures for the page."""

import logging
from collections import deque
from statistics import quantiles
from typing import Any

from iris_camera.camera.frame_tally import rate_per_s
from iris_camera.inspection.inspector import Inspected
from iris_communication.runtime.repeats import is_one_to_log

log = logging.getLogger(__name__)

RECENT = 512  # frames that rates and percentiles are taken over at most


class Tallies:
    """One thread counts. Reading copies what it needs in one step of the interpreter, so it takes no lock."""

    def __init__(self, camera: str, defect_labels: tuple[str, ...]) -> None:
        self._camera = camera
        self._defect_labels = frozenset(defect_labels)
        self.frames = self.parts = self.defects = self.csv_files = self.errors = 0
        self.latest_error: str | None = None
        self._taken_s: deque[float] = deque(maxlen=RECENT)
        self._inference_s: deque[float] = deque(maxlen=RECENT)

    def count(self, inspected: Inspected, now_s: float) -> None:
        self.frames += 1
        self.parts += sum(not news.revised for news in inspected.news)
        self.defects += sum(news.turned_bad for news in inspected.news)
        self._taken_s.append(now_s)
        self._inference_s.append(inspected.detect_s + inspected.classify_s)

    def is_defect(self, label: str) -> bool:
        return label in self._defect_labels

    def trouble(self, what: str, *, traceback: bool = False) -> None:
        """Most errors come back on every frame: each is counted, and they are logged ever more rarely."""
        self.errors += 1
        self.latest_error = what
        if is_one_to_log(self.errors):
            log.error("camera %s, error %d: %s", self._camera, self.errors, what, exc_info=traceback)

    def frames_per_s(self, now_s: float) -> float:
        """Inspected frames a second over the last three."""
        return rate_per_s(self._taken_s, now_s)

    def inference_ms(self) -> dict[str, float] | None:
        """Detecting and classifying one frame: `{"p50", "p99"}` over the last frames; None before there are two."""
        recent = self._inference_s.copy()
        if len(recent) < 2:
            return None
        cuts = quantiles(recent, n=100, method="inclusive")
        return {"p50": round(1e3 * cuts[49], 2), "p99": round(1e3 * cuts[98], 2)}

    def snapshot(self, now_s: float) -> dict[str, Any]:
        """The counts, and rate and age of the latest inspected frame."""
        return {
            "frames": self.frames,
            "frames_per_s": self.frames_per_s(now_s),
            "frame_age_s": max(0.0, now_s - self._taken_s[-1]) if self._taken_s else None,
            "parts": self.parts,
            "defects": self.defects,
            "csv_files": self.csv_files,
            "errors": self.errors,
            "error": self.latest_error,
        }
