"""The latest picture with its boxes, as a JPEG, made only on request.

Drawing and encoding take some milliseconds; they must not run on the inspection thread, nor on the web loop, whose
other pages would wait. So one thread encodes, started by the first request.

The rules:
- One frame in one size is encoded once, however many pages request it: requests that come meanwhile get the same bytes.
- Each camera is queued at most once for each size, so that twelve cameras are encoded in turn, however often each is
  requested.
- After each picture the thread rests three times as long as it has worked: all pages together take at most a quarter
  of a core, and see fewer pictures a second instead.
- A page requests the size it shows; three sizes are made, so that pages share them.
- The list of cameras is read at each request: they come and go while Iris runs.
"""

import asyncio
import time
import weakref
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.typing import NDArray

JPEG_QUALITY = 80
# A page is rarely wider; at full size a 4K camera would cost five times the bytes, with nothing more to see.
LARGEST_WIDTH = 1600
WIDTHS = (480, 960, LARGEST_WIDTH)
SHARE_OF_A_CORE = 0.25
# Blue, green, red. Bright enough on a dark belt, and distinguishable for people who see no red or no green; text and
# line thickness show the same without colour.
CALM_COLOUR = (230, 200, 60)
ALARM_COLOUR = (40, 90, 255)
TEXT_COLOUR = (20, 20, 20)


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
    image: NDArray[np.uint8]
    marks: tuple[DrawnMark, ...] = ()


PictureSource = Callable[[], Picture | None]


class UnknownCamera(LookupError):
    """No camera of that name."""


class PictureEncoder:
    """Hands out JPEGs of the cameras' latest pictures; `pictures()` maps each camera's name to its source now."""

    def __init__(
        self,
        pictures: Callable[[], Mapping[str, PictureSource]],
        *,
        worked_s: Callable[[], float] = time.thread_time,
        monotonic: Callable[[], float] = time.monotonic,
        rest: Callable[[float], None] = time.sleep,
    ) -> None:
        self._pictures = pictures
        self._encoded: dict[tuple[str, int], _Encoded] = {}
        self._asked: dict[tuple[str, int], asyncio.Future[bytes | None]] = {}
        self._worked_s = worked_s
        self._monotonic = monotonic
        self._rest = rest
        self._rested_at_s = 0.0
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="iris-pictures")

    @property
    def names(self) -> list[str]:
        return list(self._pictures())

    async def jpeg(self, name: str, width: int = LARGEST_WIDTH) -> bytes | None:
        """A JPEG, at least `width` pixels wide if the camera's picture and the largest size allow it; None while that
        camera has no picture yet. On the web loop. Raises UnknownCamera."""
        if name not in self._pictures():
            raise UnknownCamera(name)
        key = (name, next((known for known in WIDTHS if known >= width), LARGEST_WIDTH))
        asked = self._asked.get(key)
        if asked is None:
            asked = asyncio.get_running_loop().run_in_executor(self._thread, self._latest, key)
            self._asked[key] = asked
            asked.add_done_callback(lambda _: self._asked.pop(key, None))
        # A cancelled request must not cancel the picture of the others.
        return await asyncio.shield(asked)

    def _latest(self, key: tuple[str, int]) -> bytes | None:
        sources = self._pictures()
        for old in [old for old in self._encoded if old[0] not in sources]:
            del self._encoded[old]
        name, width = key
        picture = sources[name]() if name in sources else None
        if picture is None:
            return None
        known = self._encoded.get(key)
        # By the image, not by its number: a camera made anew counts from the beginning.
        if known is None or known.image() is not picture.image:
            known = _Encoded(weakref.ref(picture.image), self._encode_and_owe_rest(picture, width))
            self._encoded[key] = known
        return known.jpeg

    def _encode_and_owe_rest(self, picture: Picture, width: int) -> bytes:
        """The rest is taken before the next picture, not before this one is returned."""
        owed_s = self._rested_at_s - self._monotonic()
        if owed_s > 0:
            self._rest(owed_s)
        began_s = self._worked_s()
        jpeg = encode(picture, width)
        took_s = self._worked_s() - began_s
        self._rested_at_s = self._monotonic() + took_s * (1 / SHARE_OF_A_CORE - 1)
        return jpeg


@dataclass(frozen=True, slots=True)
class _Encoded:
    """A JPEG and a weak reference to the image it was made of."""

    image: "weakref.ref[NDArray[np.uint8]]"
    jpeg: bytes


def encode(picture: Picture, width: int = LARGEST_WIDTH) -> bytes:
    """The picture as a JPEG with its marks drawn, at most `width` pixels wide; the given image is not changed."""
    image_height, image_width = picture.image.shape[:2]
    scale = min(1.0, width / image_width)
    canvas = _smaller(picture.image, width) if scale < 1.0 else picture.image.copy()
    for mark in sorted(picture.marks, key=lambda mark: mark.alarm):  # alarms are drawn on top
        _draw(canvas, mark, scale)
    encoded, jpeg = cv2.imencode(".jpg", canvas, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not encoded:
        raise ValueError(f"frame {picture.number} of {image_width} x {image_height} pixels could not be made a JPEG")
    return jpeg.tobytes()


def _smaller(image: MatLike, width: int) -> MatLike:
    """First by a whole factor with means of pixels, then the rest by interpolation: several times as fast as means
    throughout, and fine lines still do not flicker from frame to frame."""
    height, image_width = image.shape[:2]
    times = image_width // width
    if times > 1:
        size = (image_width // times, max(1, height // times))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return cv2.resize(image, (width, max(1, round(height * width / image_width))), interpolation=cv2.INTER_LINEAR)


def _draw(canvas: MatLike, mark: DrawnMark, scale: float) -> None:
    colour = ALARM_COLOUR if mark.alarm else CALM_COLOUR
    thickness = 4 if mark.alarm else 2
    left, top = round(mark.x * scale), round(mark.y * scale)
    right, bottom = round((mark.x + mark.width) * scale), round((mark.y + mark.height) * scale)
    cv2.rectangle(canvas, (left, top), (right, bottom), colour, thickness, cv2.LINE_AA)
    # The font knows ASCII only and draws "??" for the rest, two for each letter; one "?" reads better.
    text = mark.text.encode("ascii", "replace").decode("ascii")
    if not text:
        return
    (text_width, text_height), baseline = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.6, 2)
    label_height = text_height + baseline + 6
    # Above the box; inside it if there is no room above. Shifted left if it would leave the picture.
    label_top = top - label_height if top >= label_height else top
    label_left = max(0, min(left - thickness // 2, canvas.shape[1] - text_width - 10))
    label_end = (label_left + text_width + 10, label_top + label_height)
    cv2.rectangle(canvas, (label_left, label_top), label_end, colour, cv2.FILLED)
    at = (label_left + 5, label_top + text_height + 4)
    cv2.putText(canvas, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.6, TEXT_COLOUR, 2, cv2.LINE_AA)
