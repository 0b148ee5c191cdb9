"""Is this part good? The contract, and a trained model that keeps it by looking at the part's crop."""

from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from iris_camera.inspection.findings import Box, Image, Verdict, crop
from iris_camera.inspection.onnx import WEIGHTS, Model, ModelError

LABELS = ("good", "defect")
CONTEXT = 0.35
"""How much more than the part's box the model sees: the edge with what is outside it, though the box be a bit off."""


class Classifier(Protocol):
    """Judges parts; one thread uses it."""

    def classify(self, image: Image, box: Box) -> Verdict:
        """The verdict on the part in `box` of a (height, width, 3) blue-green-red picture."""


class OnnxClassifier:
    """A `Classifier` whose model takes the part's crop.

    The model's input is `crop`, (side, side, 3) uint8 blue-green-red; its output is `probabilities`, (2,) floats in
    the order of `LABELS`, which its metadata entry `labels` must name. Raises ModelError as `Model` does.
    """

    def __init__(self, path: Path = WEIGHTS / "classifier.onnx") -> None:
        self._model = Model(path, {"crop": (None, None, 3)}, {"probabilities": (len(LABELS),)})
        found = self._model.metadata().get("labels", "none")
        if found != ",".join(LABELS):
            raise ModelError(f"{path} does not fit: expected the labels {','.join(LABELS)}; found {found}")
        height, width = self._model.input_shapes["crop"][:2]
        if height is None or width is None:
            raise ModelError(f"{path} does not fit: expected a crop of fixed size; found any size")
        self._size = (width, height)

    def classify(self, image: Image, box: Box) -> Verdict:
        """The verdict on the part in `box`. Raises ValueError when the box lies outside the picture."""
        (probabilities,) = self._model.run(model_crop(image, box, self._size))
        best = int(np.argmax(probabilities))
        return Verdict(LABELS[best], float(probabilities[best]))


def model_crop(image: Image, box: Box, size: tuple[int, int]) -> Image:
    """What the classifier's model is shown of a part: its box and some context, as (height, width) of `size`."""
    resized = cv2.resize(crop(image, box.grown(CONTEXT)), size, interpolation=cv2.INTER_AREA)
    return np.asarray(resized, np.uint8)
