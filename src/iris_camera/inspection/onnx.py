"""A trained model, run by onnxruntime on one core.

Two things go wrong with models in the field, and both show late and far from their cause: the file is not the one
that was meant, and the runtime takes every core. So a model is held against what its user expects while it is
loaded, with both sides named in the error, and a session gets one thread that sleeps when there is nothing to do:
by default onnxruntime spins, which costs the capture and delivery threads a core for nothing.
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from iris_camera.inspection.findings import Box, Detection, Image, without_overlaps

WEIGHTS = Path(__file__).with_name("weights")
Shape = tuple[int | None, ...]


class ModelError(Exception):
    """A model file cannot be used; the text names the file, what is wrong, and what was expected."""


class Model:
    """An ONNX file with one uint8 input, checked while it is loaded.

    `inputs` and `outputs` are the expected shapes by name, None for any size. Raises ModelError when the file is
    missing, does not load, or has other inputs or outputs.
    """

    def __init__(self, path: Path, inputs: dict[str, Shape], outputs: dict[str, Shape]) -> None:
        self.path = path
        if not path.is_file():
            raise ModelError(f"there is no model at {path}: name the .onnx file that belongs here")
        try:
            self._session = onnxruntime.InferenceSession(path, session_options(), providers=["CPUExecutionProvider"])
        except Exception as error:  # the file is a stranger's, and the runtime's errors share no other base
            raise ModelError(f"{path} is not a model that onnxruntime can load: {error}") from error
        self.input_shapes = self._checked("input", self._session.get_inputs(), inputs, "tensor(uint8)")
        self._checked("output", self._session.get_outputs(), outputs, "tensor(float)")
        self._input_names, self._output_names = list(inputs), list(outputs)

    def run(self, image: Image) -> list[Any]:
        """The outputs for one input, in the order in which they were named. Raises ModelError for another shape."""
        name = self._input_names[0]
        expected = self.input_shapes[name]
        if not _fits(image.shape, expected) or image.dtype != np.uint8:
            raise ModelError(
                f"{self.path} expects pictures of {_described(expected)} uint8, "
                f"but was given {_described(image.shape)} {image.dtype}"
            )
        return list(self._session.run(self._output_names, {name: image}))

    def metadata(self) -> dict[str, str]:
        """The notes its exporter left in the file."""
        return dict(self._session.get_modelmeta().custom_metadata_map)

    def _checked(self, what: str, found: list[Any], expected: dict[str, Shape], kind: str) -> dict[str, Shape]:
        shapes: dict[str, Shape] = {
            each.name: tuple(size if isinstance(size, int) else None for size in each.shape) for each in found
        }
        fits = (
            shapes.keys() == expected.keys()
            and all(each.type == kind for each in found)
            and all(_fits(shapes[name], shape) for name, shape in expected.items())
        )
        if not fits:
            wanted = ", ".join(f"{name} {kind} {_described(shape)}" for name, shape in expected.items())
            got = ", ".join(f"{each.name} {each.type} {_described(shapes[each.name])}" for each in found)
            raise ModelError(f"{self.path} does not fit: expected {what} {wanted}; found {got or 'none'}")
        return shapes


class OnnxDetector:
    """A `Detector` whose model takes a whole picture and answers with candidates.

    The model's input is `image`, (height, width, 3) uint8 blue-green-red; its outputs are `boxes`, (n, 4) floats x, y,
    width, height in pixels, and `scores`, (n,) floats 0 to 1. Candidates below `score_min`, and those that overlap
    a better one by more than `iou_max`, are left out. Raises ModelError as `Model` does.
    """

    def __init__(self, path: Path = WEIGHTS / "detector.onnx", *, score_min: float = 0.5, iou_max: float = 0.1) -> None:
        self._model = Model(path, {"image": (None, None, 3)}, {"boxes": (None, 4), "scores": (None,)})
        self._score_min, self._iou_max = score_min, iou_max

    def detect(self, image: Image) -> list[Detection]:
        """The parts in the picture, best first. Raises ModelError when the picture is not of the model's size."""
        boxes, scores = self._model.run(image)
        height, width = image.shape[:2]
        found = [
            Detection(Box(*box).clipped(width, height), min(score, 1.0))
            for box, score in zip(boxes.tolist(), scores.tolist(), strict=True)
            if score >= self._score_min
        ]
        found = [each for each in found if each.box.width > 0 and each.box.height > 0]
        return without_overlaps(found, self._iou_max)


def session_options() -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.log_severity_level = 3  # errors only: they come as exceptions, the rest is for the model's maker
    return options


def _fits(found: Shape, expected: Shape) -> bool:
    return len(found) == len(expected) and all(
        size is None or wanted is None or size == wanted for size, wanted in zip(found, expected, strict=True)
    )


def _described(shape: Shape) -> str:
    return "(" + ", ".join("any" if size is None else str(size) for size in shape) + ")"
