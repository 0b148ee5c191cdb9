"""Where are parts in this picture? The contract; `onnx.py`, `haar.py` and `hog.py` keep it."""

from typing import Protocol

from iris_camera.inspection.findings import Detection, Image


class Detector(Protocol):
    """Finds parts; one thread uses it."""

    @property
    def name(self) -> str:
        """What it is, for people: its kind and the model it uses."""

    @property
    def provider(self) -> str:
        """What it really runs on, as its runtime names it."""

    def detect(self, image: Image) -> list[Detection]:
        """The parts in a (height, width, 3) blue-green-red picture, best score first; the picture is not changed."""
