"""From settings to an inspector: the one place that picks detector and classifier."""

import logging

import cv2

from iris_camera.inspection.classifier import SHIPPED as SHIPPED_CLASSIFIER
from iris_camera.inspection.classifier import OnnxClassifier
from iris_camera.inspection.contract import Detector
from iris_camera.inspection.haar import HaarDetector
from iris_camera.inspection.hog import HogDetector
from iris_camera.inspection.inspector import Inspector
from iris_camera.inspection.model import Running
from iris_camera.inspection.onnx import SHIPPED as SHIPPED_DETECTOR
from iris_camera.inspection.onnx import OnnxDetector
from iris_camera.inspection.settings import DetectorSettings, InspectionSettings

log = logging.getLogger(__name__)


def make_inspector(settings: InspectionSettings, stills: bool = False) -> Inspector:
    """Loads the models. `stills`: each picture stands alone. Raises ModelError when a model does not load or fit.

    OpenCV has one number of threads for the whole process: `settings.threads` sets it, and the last inspector made
    decides.
    """
    cv2.setNumThreads(settings.threads)
    running = Running(settings.provider, settings.threads)
    detector = make_detector(settings.detector, running)
    classifier = _classifier(settings, running)
    if classifier is not None and not set(settings.defect_labels) & set(classifier.labels.names):
        log.warning(
            "no verdict of the classifier is a defect: defect_labels are %s, its labels %s",
            ", ".join(settings.defect_labels) or "none",
            ", ".join(classifier.labels.names) or "unknown",
        )
    return Inspector(detector, classifier, settings, stills=stills)


def make_detector(settings: DetectorSettings, running: Running | None = None) -> Detector:
    """Raises ModelError."""
    if settings.kind == "haar":
        return HaarDetector(settings)
    if settings.kind == "hog":
        return HogDetector(settings)
    return OnnxDetector(settings.model or SHIPPED_DETECTOR, settings, running)


def _classifier(settings: InspectionSettings, running: Running) -> OnnxClassifier | None:
    if not settings.has_classifier:
        return None
    return OnnxClassifier(settings.classifier.model or SHIPPED_CLASSIFIER, settings.classifier, running)
