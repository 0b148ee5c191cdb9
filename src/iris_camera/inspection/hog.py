"""OpenCV's detector of upright people: histograms of oriented gradients and a linear classifier, without a download.

Its result for a window is a distance from the plane between people and the rest; above 0 is a person, and 1 a sure
one. The score is the logistic function of it, so 0.5 is the plane itself: it orders the finds and is no probability.
It finds people who stand or walk, whole, at least 96 pixels high; it misses most who ride bicycles, are cut off, or are
seen from above.
"""

import math

import cv2
import numpy as np

from iris_camera.image import Image
from iris_camera.inspection.findings import Box, Detection, without_overlaps
from iris_camera.inspection.model_error import ModelError
from iris_camera.inspection.onnx import IOU_MAX
from iris_camera.inspection.settings import DetectorSettings

WINDOW = (64, 128)  # width and height it was trained with, margins included


class HogDetector:
    """A `Detector` of people."""

    provider = "OpenCV"
    name = "hog"

    def __init__(self, settings: DetectorSettings) -> None:
        self._hog = cv2.HOGDescriptor()
        self._hog.setSVMDetector(np.asarray(cv2.HOGDescriptor.getDefaultPeopleDetector(), np.float32))
        self._label = settings.own_label or self.name
        self._score_min = settings.score_min
        self._iou_max = IOU_MAX if settings.iou_max is None else settings.iou_max

    def detect(self, image: Image) -> list[Detection]:
        """Finds nothing in a picture smaller than its window. Raises ModelError when OpenCV fails."""
        height, width = image.shape[:2]
        if width < WINDOW[0] or height < WINDOW[1]:
            return []
        try:
            boxes, distances = self._hog.detectMultiScale(image, winStride=(8, 8), padding=(8, 8), scale=1.05)
        except cv2.error as error:
            raise ModelError(
                f"hog failed on a picture of {image.shape}: OpenCV refused it (code {error.code})"
            ) from error
        found = [
            Detection(Box(*map(float, box)), score, self._label)
            for box, distance in zip(np.asarray(boxes).tolist(), np.ravel(distances).tolist(), strict=True)
            if (score := 1 / (1 + math.exp(-distance))) >= self._score_min
        ]
        return without_overlaps(found, self._iou_max)
