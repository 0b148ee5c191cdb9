"""A camera's latest picture, and what is drawn on it."""

from collections.abc import Callable
from dataclasses import dataclass

from iris_camera.image import Image


@dataclass(frozen=True, slots=True)
class DrawnMark:
    """One box to draw, in pixels of the image, with a short text; `alarm`: drawn conspicuously."""

    x: float
    y: float
    width: float
    height: float
    text: str
    alarm: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """A camera's latest picture: a read-only (height, width, 3) uint8 BGR image, its frame number, what to draw."""

    number: int
    image: Image
    marks: tuple[DrawnMark, ...] = ()


PictureSource = Callable[[], Picture | None]
