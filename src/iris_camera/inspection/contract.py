"""What looks at a picture: a detector finds parts, a classifier judges each."""

from typing import Protocol

from iris_camera.image import Image
from iris_camera.inspection.findings import Box, Detection, Verdict


class Detector(Protocol):
    """Finds parts; one thread uses it. `onnx.py`, `haar.py` and `hog.py` keep this contract."""

    @property
    def name(self) -> str:
        """What it is, for people: its kind and the model it uses."""

    @property
    def provider(self) -> str:
        """What it really runs on, as its runtime names it."""

    def detect(self, image: Image) -> list[Detection]:
        """The parts in a (height, width, 3) blue-green-red picture, best score first; the picture is not changed."""


class Classifier(Protocol):
    """Judges parts; one thread uses it."""

    def classify(self, image: Image, box: Box) -> Verdict:
        """The verdict on the part in `box` of a (height, width, 3) blue-green-red picture."""
