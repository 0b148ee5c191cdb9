"""The latest picture with its boxes, as a JPEG, made only when somebody asks.

Drawing and encoding cost some ten milliseconds; the inspection thread must not pay them, and neither should the web
loop, whose other pages would wait. So one thread encodes, started by the first request. Being one, it keeps pages
from taking more than one core from the inspection, and it makes the cache simple: requests queue before it, and the
second for the same frame number finds the bytes of the first.
"""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.typing import NDArray

JPEG_QUALITY = 80
# A page is rarely wider; a 4K camera would send five times the bytes for no more to see.
LARGEST_WIDTH = 1600
# Blue, green, red. Bright enough on a dark belt, and told apart by people who see no red or no green; the words
# and the thickness say the same without colour.
CALM_COLOUR = (230, 200, 60)
ALARM_COLOUR = (40, 90, 255)
TEXT_COLOUR = (20, 20, 20)


@dataclass(frozen=True, slots=True)
class Mark:
    """One box to draw, in pixels of the image, with a few words; `alarm` for what should catch the eye."""

    x: float
    y: float
    width: float
    height: float
    words: str
    alarm: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """What a camera saw last: a read-only (height, width, 3) uint8 BGR image, its frame number, what to draw."""

    number: int
    image: NDArray[np.uint8]
    marks: tuple[Mark, ...] = ()


PictureSource = Callable[[], Picture | None]


class UnknownCamera(LookupError):
    """No camera of that name."""


class PictureDesk:
    """Hands out JPEGs of the cameras' latest pictures; `pictures` maps a camera's name to its source."""

    def __init__(self, pictures: Mapping[str, PictureSource]) -> None:
        self._sources = dict(pictures)
        self._encoded: dict[str, tuple[int, bytes]] = {}
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="iris-pictures")

    @property
    def names(self) -> list[str]:
        return list(self._sources)

    async def jpeg(self, name: str) -> bytes | None:
        """The bytes; None while that camera has no picture yet. Raises UnknownCamera."""
        if name not in self._sources:
            raise UnknownCamera(name)
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._encode_latest, name)

    def _encode_latest(self, name: str) -> bytes | None:
        picture = self._sources[name]()
        if picture is None:
            return None
        number, jpeg = self._encoded.get(name, (None, b""))
        if number != picture.number:
            jpeg = encode(picture)
            self._encoded[name] = (picture.number, jpeg)
        return jpeg


def encode(picture: Picture) -> bytes:
    """The picture as a JPEG with its marks drawn, at most 1600 pixels wide; the image given is left as it is."""
    height, width = picture.image.shape[:2]
    scale = min(1.0, LARGEST_WIDTH / width)
    if scale < 1.0:
        size = (LARGEST_WIDTH, max(1, round(height * scale)))
        canvas = cv2.resize(picture.image, size, interpolation=cv2.INTER_AREA)
    else:
        canvas = picture.image.copy()
    for mark in sorted(picture.marks, key=lambda mark: mark.alarm):  # what alarms lies on top
        _draw(canvas, mark, scale)
    encoded, jpeg = cv2.imencode(".jpg", canvas, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not encoded:
        raise ValueError(f"frame {picture.number} of {width} x {height} pixels could not be made a JPEG")
    return jpeg.tobytes()


def _draw(canvas: MatLike, mark: Mark, scale: float) -> None:
    colour = ALARM_COLOUR if mark.alarm else CALM_COLOUR
    thickness = 4 if mark.alarm else 2
    left, top = round(mark.x * scale), round(mark.y * scale)
    right, bottom = round((mark.x + mark.width) * scale), round((mark.y + mark.height) * scale)
    cv2.rectangle(canvas, (left, top), (right, bottom), colour, thickness, cv2.LINE_AA)
    # The font knows ASCII only and draws "??" for the rest, two for each letter; one "?" reads better.
    words = mark.words.encode("ascii", "replace").decode("ascii")
    if not words:
        return
    (text_width, text_height), baseline = cv2.getTextSize(words, cv2.FONT_HERSHEY_SIMPLEX, 0.6, 2)
    label_height = text_height + baseline + 6
    # Above the box; inside it where there is no room above. Pushed left where it would leave the picture.
    label_top = top - label_height if top >= label_height else top
    label_left = max(0, min(left - thickness // 2, canvas.shape[1] - text_width - 10))
    label_end = (label_left + text_width + 10, label_top + label_height)
    cv2.rectangle(canvas, (label_left, label_top), label_end, colour, cv2.FILLED)
    at = (label_left + 5, label_top + text_height + 4)
    cv2.putText(canvas, words, at, cv2.FONT_HERSHEY_SIMPLEX, 0.6, TEXT_COLOUR, 2, cv2.LINE_AA)
