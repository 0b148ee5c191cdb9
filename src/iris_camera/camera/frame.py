"""One picture with its number and the instant it was taken.

A frame is handed from the capture thread to the inspection thread and to the page without a copy: that is safe
only because nobody may write into it. Whoever makes a frame marks its image read-only.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture as a source took it.

    `image` is (height, width, 3), blue-green-red, read-only; `number` counts from 0 as the source counts, so a gap
    is frames nobody took; `wall_s` (Unix time) and `monotonic_s` are the same instant on two clocks, in seconds.
    """

    image: Image
    number: int
    wall_s: float
    monotonic_s: float


def read_only(image: Image) -> Image:
    """The same picture, marked so that a write into it raises ValueError."""
    image.flags.writeable = False
    return image
