"""Is this part good? A trained model says so, which sees the part's crop."""

from pathlib import Path

import cv2
import numpy as np

from iris_camera.image import Image
from iris_camera.inspection.cropping import crop
from iris_camera.inspection.findings import Box, Verdict
from iris_camera.inspection.labels import Labels, labels_of
from iris_camera.inspection.model import WEIGHTS, Model, Numbers, Running, Shape, described, misfit
from iris_camera.inspection.model_task import check_classifies, unlike_a_classifier
from iris_camera.inspection.picture_input import PictureInput
from iris_camera.inspection.settings import ClassifierSettings
from iris_communication.runtime.amounts import counted

SHIPPED = WEIGHTS / "classifier.onnx"
LABELS = ("good", "defect")  # of the demo's, in its order
CONTEXT = 0.35
"""How much more than the part's box the demo's sees: so the edge and its surroundings, even if the box is a bit off."""

_SUM_TOLERANCE = 0.02  # half precision rounds each


class OnnxClassifier:
    """A `Classifier` that runs a model, by default the demo's own, on the part's crop.

    The model returns one number a class, (classes,) or (1, classes): probabilities, or logits, which go through
    softmax. Raises ModelError when the file does not load, or its input, output or labels are not what `settings`
    declare.
    """

    def __init__(
        self, path: Path = SHIPPED, settings: ClassifierSettings | None = None, running: Running | None = None
    ) -> None:
        settings = settings or ClassifierSettings()
        self._model = Model(path, running)
        self.input = PictureInput(self._model.input, settings.input, path)
        metadata = self._model.metadata()
        check_classifies(metadata, path)
        if self.input.size is None:
            raise misfit(path, "a crop of fixed size, or a declared width and height", self._model.input)
        found = ", ".join(map(str, self._model.outputs))
        if len(self._model.outputs) != 1 or (classes := _classes(self._model.outputs[0].shape)) == 0:
            raise misfit(
                path, "one output of (classes) or (1, classes)", found + unlike_a_classifier(self._model.outputs)
            )
        names, origin = labels_of(settings.labels, metadata, path)
        self.labels = Labels(names, origin, classes)
        self.labels.check(path)
        self._scores = settings.scores
        shipped_context = CONTEXT if path == SHIPPED else 0.0
        self._context = shipped_context if settings.context is None else settings.context

    @property
    def provider(self) -> str:
        return self._model.provider

    def classify(self, image: Image, box: Box) -> Verdict:
        """The verdict on the part in `box`. Raises ModelError, and ValueError when the box is outside the picture."""
        assert self.input.size is not None
        tensor, _ = self.input.prepared(model_crop(image, box, self.input.size, self._context))
        (answer,) = self._model.run([self._model.outputs[0].name], tensor)
        probabilities = self._probabilities(np.asarray(answer))
        best = int(np.argmax(probabilities))
        return Verdict(self.labels.of(best), float(probabilities[best]))

    def _probabilities(self, answer: Numbers) -> Numbers:
        numbers = answer.reshape(-1).astype(np.float32)
        if self.labels.names and len(numbers) != len(self.labels.names):
            classes = counted(len(self.labels.names), "class", "classes")
            raise misfit(self._model.path, f"{classes}, as labels", described(answer.shape))
        if not np.isfinite(numbers).all():
            raise misfit(self._model.path, "a number for each class", numbers.tolist())
        between = bool(numbers.min() >= 0 and numbers.max() <= 1 + _SUM_TOLERANCE)
        sums_to_1 = between and abs(float(numbers.sum()) - 1) <= _SUM_TOLERANCE
        if self._scores == "logits" or (self._scores == "auto" and not sums_to_1):
            powers = np.exp(numbers - numbers.max())
            return np.asarray(powers / powers.sum())
        if not between:  # several may be likely at once, where each class has a sigmoid of its own
            raise misfit(self._model.path, 'probabilities of 0 to 1, or scores = "logits"', numbers.tolist())
        return np.minimum(numbers, 1.0)


def model_crop(image: Image, box: Box, size: tuple[int, int], context: float = CONTEXT) -> Image:
    """The input of a classifier's model for a part: its box and some context, as a picture of `size` (width, height).

    Stretched: the verdict on a part seldom depends on its proportions.
    """
    resized = cv2.resize(crop(image, box.grown(context)), size, interpolation=cv2.INTER_AREA)
    return np.asarray(resized, np.uint8)


def _classes(shape: Shape) -> int | None:
    """How many classes an output of this shape distinguishes; None: only known at run time; 0: it is no such output."""
    if len(shape) == 1:
        return shape[0]
    return shape[1] if len(shape) == 2 and shape[0] in {1, None} else 0
