"""OpenCV's cascades of Haar features: faces, eyes, plates, without a download.

A cascade gives no probability. It returns the sum of its last stage (the level's weight), on a scale of its own: 2 to
10 for frontalface_default, 54 to 56 for frontalface_alt2. Comparable between cascades is how far above the stage's
threshold that sum is, as a share of the largest possible distance; the cascade's file holds both ends. On real footage
real faces came to 0.05 to 0.25 of it and most false ones to less than 0.07, so the score is 1 - exp(-share / 0.1): 0 at
the threshold, 0.5 at 0.07, rising towards 1. It orders the finds and separates many of the false from the true; it is
no probability. The body cascades were trained with a last threshold far below any sum, and their scores are all near 1.
"""

import difflib
import math
import os
from pathlib import Path

import cv2
import numpy as np

from iris_camera.image import Image
from iris_camera.inspection.findings import Box, Detection, without_overlaps
from iris_camera.inspection.model_error import ModelError
from iris_camera.inspection.model_file import no_model
from iris_camera.inspection.onnx import IOU_MAX
from iris_camera.inspection.settings import DetectorSettings
from iris_camera.opencv_path import NotUtf8, opencv_path

SCALE_STEP = 1.1  # OpenCV's own default: each size looked for is larger by a tenth
_TYPICAL_SHARE = 0.1
_PREFIX = "haarcascade_"


class HaarDetector:
    """A `Detector` of the objects its cascade was trained for. Raises ModelError when there is none of that name, or
    the file is no cascade for which OpenCV returns scores."""

    provider = "OpenCV"

    def __init__(self, settings: DetectorSettings) -> None:
        path = cascade_path(settings.cascade)
        self._threshold, self._best = _last_stage(path)
        self._cascade = cv2.CascadeClassifier(opencv_path(path))
        if self._cascade.empty():
            raise ModelError(f"{path} is not a cascade that OpenCV can load")
        word = path.stem.removeprefix(_PREFIX)
        self.name = f"haar {word}"
        self._label = settings.own_label or word
        self._settings = settings
        self._iou_max = IOU_MAX if settings.iou_max is None else settings.iou_max

    def detect(self, image: Image) -> list[Detection]:
        """Raises ModelError when OpenCV fails."""
        settings = self._settings
        try:
            boxes, _, weights = self._cascade.detectMultiScale3(
                cv2.cvtColor(image, cv2.COLOR_BGR2GRAY),
                scaleFactor=SCALE_STEP,
                minNeighbors=settings.neighbours_min,
                minSize=(settings.smallest, settings.smallest),
                outputRejectLevels=True,
            )
        except cv2.error as error:
            raise ModelError(
                f"{self.name} failed on a picture of {image.shape}: OpenCV refused it (code {error.code})"
            ) from error
        found = [
            Detection(Box(*map(float, box)), score, self._label)
            for box, weight in zip(np.asarray(boxes).tolist(), np.ravel(weights).tolist(), strict=True)
            if (score := self._score(weight)) >= settings.score_min
        ]
        return without_overlaps(found, self._iou_max)

    def _score(self, weight: float) -> float:
        share = (weight - self._threshold) / (self._best - self._threshold)
        return -math.expm1(-max(share, 0.0) / _TYPICAL_SHARE)


def cascade_names() -> list[str]:
    """The cascades that come with OpenCV."""
    return sorted(path.stem.removeprefix(_PREFIX) for path in _folder().glob(f"{_PREFIX}*.xml"))


def cascade_path(cascade: str) -> Path:
    """The file of a cascade given by name or path. Raises ModelError naming those there are."""
    if cascade.endswith(".xml"):
        path = Path(cascade)
        if os.path.isfile(path):  # noqa: PTH113  # `Path.is_file` raises where this user may not look
            return path
        raise ModelError(f"there is no cascade at {cascade}: name an .xml file, or one of {', '.join(cascade_names())}")
    if cascade in cascade_names():
        return _folder() / f"{_PREFIX}{cascade}.xml"
    close = difflib.get_close_matches(cascade, cascade_names(), n=3)
    meant = f"did you mean {' or '.join(close)}? " if close else ""
    raise ModelError(f"OpenCV has no cascade {cascade}: {meant}It has {', '.join(cascade_names())}")


def _folder() -> Path:
    return Path(cv2.__file__).with_name("data")


def _what_it_is(path: Path) -> str:
    """What the file is, as a text; OpenCV's own error only quotes its source code."""
    try:
        return f"it is {no_model(path) or 'damaged, cut off, or XML of another kind'}"
    except OSError as error:
        return f"it cannot be read: {error.strerror}"


def _last_stage(path: Path) -> tuple[float, float]:
    """The last stage's threshold, and the largest sum its weak classifiers can come to."""
    try:
        storage = cv2.FileStorage(opencv_path(path), cv2.FILE_STORAGE_READ)
        stages = storage.getNode("cascade").getNode("stages")
        last = stages.at(stages.size() - 1)
        weak = last.getNode("weakClassifiers")
        leaves = [weak.at(each).getNode("leafValues") for each in range(weak.size())]
        best = sum(max(values.at(leaf).real() for leaf in range(values.size())) for values in leaves)
        threshold = last.getNode("stageThreshold").real()
    except NotUtf8 as error:
        raise ModelError(str(error)) from error
    except (cv2.error, SystemError, ValueError) as error:
        raise ModelError(f"{path} is not a cascade that OpenCV can load: {_what_it_is(path)}") from error
    if not leaves or best <= threshold:
        raise ModelError(
            f"{path} does not fit: expected a cascade in the format opencv_traincascade writes, with stages and "
            "leaf values; found none (those of opencv_haartraining have no score)"
        )
    return threshold, best
