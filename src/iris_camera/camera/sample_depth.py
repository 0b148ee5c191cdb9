"""How bright a sample is, where a picture has more than 8 bits of each: what is white, and so what becomes 255.

A camera of 10, 12 or 14 bits delivers in containers of 16, mostly with its numbers as they are: scaled by the
container such a picture is nearly black. A few files state their brightest possible value; for the others, the
brightest sample since the start gives the number of bits. That number only grows: a first picture that is quite dark
comes out too bright. So the chosen range is logged, and the setting `bit_depth` fixes it.
"""

import logging

import numpy as np
import numpy.typing as npt

from iris_camera.image import Image

log = logging.getLogger(__name__)

DEPTHS = (8, 10, 12, 14, 16, 24, 32)
_MOVED_UP_MIN = 1 << 12  # from here on, samples whose lower byte is empty are 8 bits shifted up
Pixels = npt.NDArray[np.generic]


class SampleDepth:
    """Of one camera; `bits` None: inferred from its pictures. Belongs to one thread."""

    def __init__(self, camera: str, bits: int | None = None) -> None:
        self._camera = camera
        self._given = bits
        self._brightest = 0.0
        self._logged: float | None = None

    def eight_bits(self, pixels: Pixels, brightest: float | None = None) -> Image:
        """The picture in 8 bits; `brightest` is the maximum sample value its file states."""
        if pixels.dtype == np.uint8:
            image: Image = pixels  # type: ignore[assignment]  # its dtype was just checked
            if brightest is None or not 0 < brightest < 255:
                return image
            return np.asarray(np.minimum(image * np.float32(255 / brightest), 255), np.uint8)
        white = self._white(pixels, brightest)
        if pixels.dtype == np.uint16:
            shifted = pixels.view(np.uint16) >> max(0, int(white).bit_length() - 8)
            return np.asarray(np.minimum(shifted, 255), np.uint8)
        scaled = np.nan_to_num(pixels.astype(np.float32), posinf=white, neginf=0.0) * np.float32(255 / white)
        return np.asarray(np.clip(scaled, 0, 255), np.uint8)

    def _white(self, pixels: Pixels, announced: float | None) -> float:
        """The value that is white."""
        if self._given is not None:
            return self._log_range(float(2**self._given - 1), "as bit_depth says")
        finite = pixels[np.isfinite(pixels)] if pixels.dtype.kind == "f" else pixels
        seen = float(finite.max()) if finite.size else 0.0
        announced = announced if announced is not None and 0 < announced < 2.0 ** DEPTHS[-1] else 0.0
        if pixels.dtype == np.uint16 and seen >= _MOVED_UP_MIN and not (pixels.view(np.uint16) & 0xFF).any():
            seen = 0xFFFF
        self._brightest = max(self._brightest, seen, announced)
        if pixels.dtype.kind == "f" and self._brightest <= 1.0:
            return self._log_range(1.0, "derived from the brightest value so far")
        bits = next((bits for bits in DEPTHS if self._brightest < 2**bits), DEPTHS[-1])
        return self._log_range(float(2**bits - 1), "derived from the brightest value so far")

    def _log_range(self, white: float, why: str) -> float:
        if white != self._logged:
            before, self._logged = self._logged, white
            log_line = log.info if before is None else log.warning
            changed = "" if before is None else f" from now on, not as 0 to {before:.0f};"
            log_line(
                "camera %s: samples of more than 8 bits are taken as 0 to %.0f, %s;%s the setting bit_depth fixes it",
                self._camera,
                white,
                why,
                changed,
            )
        return white
