"""Where are parts in this picture? The contract; `onnx.py` keeps it with a trained model."""

from typing import Protocol

from iris_camera.inspection.findings import Detection, Image


class Detector(Protocol):
    """Finds parts; one thread uses it."""

    def detect(self, image: Image) -> list[Detection]:
        """The parts in a (height, width, 3) blue-green-red picture, best score first; the picture is not changed."""
