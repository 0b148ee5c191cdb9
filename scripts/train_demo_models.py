"""Trains the two models the demo ships, exports them, and measures them on lines they never saw.

Run from the checkout: `OPENBLAS_NUM_THREADS=1 python scripts/train_demo_models.py` (about three minutes; `--measure`
only measures the models that are there). Everything comes from seeds. With one thread for numpy's matrix products the
same machine and library versions give the same files, byte for byte; elsewhere sums are taken in another order and the
last digits of the figures may differ.

Seeds 10,000 and up train, seeds 30,000 and up served to choose sizes and rates, and the figures are of seeds 40,000 and
up, which served for nothing else.
"""

import argparse
import hashlib
from pathlib import Path

import cv2
import numpy as np
import onnx
from demo_models.classifier import classifier_model, train_classifier
from demo_models.detector import detector_model, train_detector
from demo_models.figures import measure_costs, measure_lines, measure_pictures

from iris_camera.inspection.classifier import OnnxClassifier
from iris_camera.inspection.onnx import WEIGHTS, OnnxDetector


def save(model: onnx.ModelProto, path: Path) -> None:
    data = model.SerializeToString(deterministic=True)
    path.write_bytes(data)
    print(f"{path.name}: {len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()}")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--measure", action="store_true", help="only measure the models in --folder")
    arguments.add_argument("--folder", type=Path, default=WEIGHTS, help="where the two models are (%(default)s)")
    given = arguments.parse_args()
    cv2.setNumThreads(1)
    detector_path, classifier_path = given.folder / "detector.onnx", given.folder / "classifier.onnx"
    if not given.measure:
        given.folder.mkdir(parents=True, exist_ok=True)
        save(detector_model(train_detector(np.random.default_rng(1))), detector_path)
        signs, judgement = train_classifier(np.random.default_rng(2), OnnxDetector(detector_path))
        save(classifier_model(signs, judgement), classifier_path)
    detector, classifier = OnnxDetector(detector_path), OnnxClassifier(classifier_path)
    measure_pictures(detector, classifier)
    measure_lines(detector, classifier)
    measure_costs(detector, classifier)


if __name__ == "__main__":
    main()
