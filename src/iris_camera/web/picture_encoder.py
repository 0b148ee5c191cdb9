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

from iris_camera.image import Image
from iris_camera.web.picture import Picture, PictureSource

# A page is rarely wider; at full size a 4K camera would cost five times the bytes, with nothing more to see.
LARGEST_WIDTH = 1600
WIDTHS = (480, 960, LARGEST_WIDTH)
SHARE_OF_A_CORE = 0.25


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
        from iris_camera.web import drawing  # noqa: PLC0415 - the page is served without OpenCV where no camera is

        began_s = self._worked_s()
        jpeg = drawing.encode(picture, width)
        took_s = self._worked_s() - began_s
        self._rested_at_s = self._monotonic() + took_s * (1 / SHARE_OF_A_CORE - 1)
        return jpeg


@dataclass(frozen=True, slots=True)
class _Encoded:
    """A JPEG and a weak reference to the image it was made of."""

    image: "weakref.ref[Image]"
    jpeg: bytes
