"""The parts that need OpenCV, numpy and onnxruntime: imported when a camera or a model is used, and not before.

They are the extra `camera` of the distribution. Whoever only delivers files installs Iris without it: then sending,
watching, looking, the page, a camera that is switched off and the records of earlier runs work, and what is here raises
CameraPartsMissing.
"""

# ruff: noqa: PLC0415 - as said above
from importlib.util import find_spec

from iris_camera.camera.settings import SourceSettings
from iris_camera.camera.source import Source
from iris_camera.inspection.inspector import Inspector
from iris_camera.inspection.model_error import ModelError
from iris_camera.inspection.settings import InspectionSettings

NAMES = {"cv2": "OpenCV", "numpy": "numpy", "onnxruntime": "onnxruntime"}
INSTALL = "pip install 'iris-edge[camera]'"


class CameraPartsMissing(ModelError):
    """A camera or a model cannot be used, because the extra `camera` is not installed."""


def check_installed() -> None:
    """Raises CameraPartsMissing."""
    missing = [name for module, name in NAMES.items() if find_spec(module) is None]
    if missing:
        lacking = f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed"
        raise CameraPartsMissing(f"{lacking}; cameras and models need them: {INSTALL}")


def make_source(name: str, settings: SourceSettings) -> Source:
    """See `camera.sources`. Raises CameraPartsMissing."""
    check_installed()
    from iris_camera.camera import sources

    sources.silence_ffmpeg()
    return sources.make_source(name, settings)


def make_inspector(settings: InspectionSettings, stills: bool = False) -> Inspector:
    """See `inspection.making`. Raises CameraPartsMissing, and ModelError when a model does not load or fit."""
    check_installed()
    from iris_camera.inspection import making

    return making.make_inspector(settings, stills)
