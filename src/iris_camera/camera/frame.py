"""One picture with its number and the instant it was taken.

A frame is handed from the capture thread to the inspection thread and to the page without a copy: that is safe
only because its image is read-only. The source that makes a frame marks it so.
"""

from dataclasses import dataclass

from iris_camera.image import Image


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture as a source took it.

    `image` is (height, width, 3), blue-green-red, read-only; `number` counts from 0 as the source counts: a gap
    is frames nobody took, and it never decreases. `wall_s` is when it was taken (Unix time, seconds; a frame of a file
    by the file's own clock, a picture of a folder by its file's date), `monotonic_s` when it was due or read here,
    which for a camera is the same instant. `opening` counts how often the source began anew: frames of different
    openings do not follow one another, so a tracker forgets its parts when it changes. `file` is the name of the
    picture's file within its folder; empty when it has no file of its own.
    """

    image: Image
    number: int
    wall_s: float
    monotonic_s: float
    opening: int = 0
    file: str = ""


def read_only(image: Image) -> Image:
    """The same picture, marked so that a write into it raises ValueError."""
    image.flags.writeable = False
    return image
