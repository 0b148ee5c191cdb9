"""From settings to an inspector: the one place that picks detector and classifier."""

import logging

import cv2

from iris_camera.inspection.classifier import SHIPPED as SHIPPED_CLASSIFIER
from iris_camera.inspection.classifier import OnnxClassifier
from iris_camera.inspection.detector import Detector
from iris_camera.inspection.haar import HaarDetector
from iris_camera.inspection.hog import HogDetector
from iris_camera.inspection.inspector import Inspector
from iris_camera.inspection.model import Running
from iris_camera.inspection.onnx import SHIPPED as SHIPPED_DETECTOR
from iris_camera.inspection.onnx import OnnxDetector
from iris_camera.inspection.settings import DetectorSettings, InspectionSettings

log = logging.getLogger(__name__)


def make_inspector(settings: InspectionSettings) -> Inspector:
    """Loads the models. Raises ModelError when one does not load or does not fit.

    OpenCV's threads are the whole process's, so `settings.threads` is told to OpenCV too, and the last inspector made
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
    return Inspector(detector, classifier)


def make_detector(settings: DetectorSettings, running: Running | None = None) -> Detector:
    """Raises ModelError."""
    if settings.kind == "haar":
        return HaarDetector(settings)
    if settings.kind == "hog":
        return HogDetector(settings)
    return OnnxDetector(settings.model or SHIPPED_DETECTOR, settings, running)


def _classifier(settings: InspectionSettings, running: Running) -> OnnxClassifier | None:
    """The demo's classifier knows the demo's parts and nothing else, so it comes unasked only with its detector."""
    chosen, detector = settings.classifier, settings.detector
    shipped_detector = detector.kind == "onnx" and detector.model is None
    if chosen.kind == "none" or (chosen.kind == "auto" and chosen.model is None and not shipped_detector):
        return None
    return OnnxClassifier(chosen.model or SHIPPED_CLASSIFIER, chosen, running)
