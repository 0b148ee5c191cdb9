"""Whose records: a camera, one run of it, and the folder they lie in."""

from pathlib import Path
from typing import NamedTuple


class CameraRun(NamedTuple):
    """`folder` is the camera's own records folder, `run` the number that its files carry."""

    camera: str
    run: str
    folder: Path
