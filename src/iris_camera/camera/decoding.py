"""From the bytes of an image file, or of a camera's still, to a picture: one that is too large is refused before it is
decoded, and samples of more than 8 bits are scaled by their real depth."""

import logging
import math
from typing import Any

import cv2
import numpy as np

from iris_camera.camera.picture import NoPicture, as_picture
from iris_camera.camera.picture_size import announced
from iris_camera.camera.sample_depth import Pixels, SampleDepth
from iris_camera.camera.settings import PIXELS_MAX
from iris_camera.image import Image

log = logging.getLogger(__name__)

BYTES_A_PIXEL_MAX = 8  # a file has no more for each pixel, whatever its kind: three channels of 16 bits are 6


class TooLarge(NoPicture):
    """It is, or announces, more than may be decoded: reading it again will not help."""


class PictureDecoder:
    """Of one camera; belongs to one thread. A picture may have at most `pixels_max` pixels, and its file at most eight
    times as many bytes."""

    def __init__(self, camera: str, *, pixels_max: int = PIXELS_MAX, bit_depth: int | None = None) -> None:
        self.bytes_max = BYTES_A_PIXEL_MAX * pixels_max
        self._camera, self._pixels_max = camera, pixels_max
        self._several_logged = False
        self._depth = SampleDepth(camera, bit_depth)

    def decoded(self, data: bytes) -> Image:
        """The picture in the bytes of an image file, whatever its format. Raises NoPicture when there is none, or
        TooLarge."""
        self.check_bytes(len(data))
        about = announced(data)
        if about is None:
            raise NoPicture(f"not an image format that Iris reads: it begins with {data[:8]!r}" if data else "empty")
        self.check_pixels(about.width, about.height, about.pixels)
        if about.pictures > 1 and not self._several_logged:
            self._several_logged = True
            log.warning(
                "camera %s: a file holds %d pictures: Iris reads only the first one of such a file",
                self._camera,
                about.pictures,
            )
        try:
            # Not COLOR: grey TIFFs of real numbers are decoded as they are or not at all.
            pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH)
        except cv2.error as error:
            raise NoPicture(f"bytes that OpenCV refuses ({error.code})") from None
        if pixels is None:
            raise NoPicture("bytes that OpenCV cannot decode")
        return self.picture(pixels, about.brightest)

    def picture(self, pixels: Pixels | None, brightest: float | None = None) -> Image:
        """A device's or decoder's array as a picture; `brightest` is its announced maximum. Raises NoPicture."""
        if pixels is None or pixels.size == 0:
            raise NoPicture("an empty picture")
        return as_picture(self._depth.eight_bits(pixels, brightest))

    def check_bytes(self, size_bytes: int) -> None:
        """Raises TooLarge."""
        if size_bytes > self.bytes_max:
            raise TooLarge(
                f"{size_bytes:,} bytes: more than {self.bytes_max:,} (8 for each of pixels_max) are not read"
            )

    def check_pixels(self, width: int, height: int, pixels: int | None = None) -> None:
        """Raises TooLarge."""
        if (width * height if pixels is None else pixels) > self._pixels_max:
            raise TooLarge(
                f"a picture of {width} x {height} pixels: more than {self._pixels_max:,} (pixels_max) are not read"
            )

    def check_capture(self, capture: Any) -> None:
        """Raises TooLarge when the frames of OpenCV's capture are too large; 0 is a size that it does not know.

        Only useful before the first frame: OpenCV learns a changed size from a frame that it has decoded already.
        """
        sides = [capture.get(side) for side in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)]
        width, height = (int(side) if math.isfinite(side) else 0 for side in sides)
        self.check_pixels(width, height)
