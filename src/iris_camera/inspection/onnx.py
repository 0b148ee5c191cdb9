"""A detector that is an ONNX file: the demo's own, or any other whose input and output are declared."""

from collections.abc import Iterator
from pathlib import Path

from iris_camera.image import Image
from iris_camera.inspection.candidates import Candidate, candidates
from iris_camera.inspection.findings import PART, Detection, without_overlaps
from iris_camera.inspection.labels import Labels, labels_of
from iris_camera.inspection.model import WEIGHTS, Model, Running
from iris_camera.inspection.model_error import ModelError
from iris_camera.inspection.model_task import check_detects, likely_kind
from iris_camera.inspection.output_style import YOLO, style_of
from iris_camera.inspection.picture_input import PictureInput, Placement
from iris_camera.inspection.settings import DetectorSettings

__all__ = ["WEIGHTS", "ModelError", "OnnxDetector"]

IOU_MAX = 0.45
SHIPPED = WEIGHTS / "detector.onnx"
SHIPPED_IOU_MAX = 0.1  # the demo's parts never overlap


class OnnxDetector:
    """A `Detector` that runs a model, by default the demo's own.

    Pictures may have any size: they are fitted into the model's input, and its boxes are mapped back. Raises
    ModelError when the file does not load, or its inputs, outputs or labels are not what `settings` declare.
    """

    def __init__(
        self, path: Path = SHIPPED, settings: DetectorSettings | None = None, running: Running | None = None
    ) -> None:
        settings = settings or DetectorSettings()
        self._model = Model(path, running)
        self._score_min = settings.score_min
        self._iou_max = (
            (SHIPPED_IOU_MAX if path == SHIPPED else IOU_MAX) if settings.iou_max is None else settings.iou_max
        )
        metadata = self._model.metadata()
        check_detects(self._model.outputs, metadata, settings.output.style != "auto", path)
        self.input = PictureInput(self._model.input, settings.input, path)
        self.style = style_of(self._model.outputs, self.input.size, settings.output, path)
        self._names = list(self.style.names)
        names, origin = labels_of(settings.labels, metadata, path)
        self.labels = Labels(names, origin, self.style.classes, self.style.first_class, settings.label or PART)
        more = (self.style.classes or 0) - len(names)
        self.labels.check(path, likely_kind(more) if self.style.style in YOLO else "")

    @property
    def name(self) -> str:
        return f"onnx {self._model.path.name}"

    @property
    def provider(self) -> str:
        return self._model.provider

    def detect(self, image: Image) -> list[Detection]:
        """The things in the picture, best first. Raises ModelError when the model fails or answers nonsense."""
        found, placement = self.candidates(image)
        placed = ((placement.back(corners), score, index) for corners, score, index in found)
        detections = [
            Detection(box, score, self.labels.of(index))
            for box, score, index in placed
            if box.width > 0 and box.height > 0
        ]
        return without_overlaps(detections, self._iou_max)

    def candidates(self, image: Image) -> tuple[Iterator[Candidate], Placement]:
        """The model's own candidates, overlaps included, in its input's pixels; and where the picture lies in those.

        Raises ModelError, also while the candidates are iterated.
        """
        tensor, placement = self.input.prepared(image)
        outputs = self._model.run(self._names, tensor)
        size = self.input.size or (placement.width, placement.height)
        return candidates(outputs, self.style, size, self._score_min, self._model.path), placement
