"""Any picture in the one form behind a source: (height, width, 3), 8 bits, blue-green-red, read-only."""

import cv2
import numpy as np
import numpy.typing as npt

from iris_camera.camera.frame import read_only
from iris_camera.image import Image


class NoPicture(ValueError):
    """The data is not a picture; the text says what it is."""


def as_picture(pixels: npt.NDArray[np.generic] | None) -> Image:
    """A camera's or decoder's array of 8 bits as a picture: grey becomes grey in three channels, transparency is
    dropped. Raises NoPicture for anything else."""
    if pixels is None or pixels.size == 0:
        raise NoPicture("an empty picture")
    channels = 1 if pixels.ndim == 2 else pixels.shape[-1]
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or channels not in (1, 3, 4):
        raise NoPicture(f"an array {pixels.shape} of {pixels.dtype}")
    image: Image = pixels  # type: ignore[assignment]  # its dtype was just checked
    if channels == 1:
        image = np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR), np.uint8)
    elif channels == 4:
        image = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGRA2BGR), np.uint8)
    return read_only(image)
