"""A folder of images as a source: each image once, in name order, and new ones as they appear, for ever.

Nobody tells us when an image has been written to its end. JPEG and PNG show it themselves and are read as soon as they
are whole; of the other kinds a file counts as whole when it has stood still for `SETTLED_S`. A half-written one is set
aside and looked at again, and nothing waits for it. One that has stood still for `UNFINISHED_AFTER_S` and still is not
whole, or cannot be read or decoded, is reported and left out.

What was read is remembered by name for as long as the file is there, also when the folder vanishes for a while (a
network share). An image put in the place of another of the same name is therefore not read again. Names that begin with
a dot are somebody's temporary files.
"""

import logging
import os
import threading
from collections import deque
from pathlib import Path

from iris_camera.camera.clock import SYSTEM_CLOCK, Clock
from iris_camera.camera.frame import Frame, Image
from iris_camera.camera.image_completeness import is_complete, knows_its_end
from iris_camera.camera.picture import NoPicture, decoded
from iris_camera.camera.source import SourceError

log = logging.getLogger(__name__)

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm")
SUFFIXES_WITH_AN_END = (".jpg", ".jpeg", ".png")
LOOK_S = 0.5
SETTLED_S = 1.0
UNFINISHED_AFTER_S = 30.0


class ImageFolder:
    """A `Source` that is not live and never ends by itself. `frame_rate` spaces the images (None: as fast as they are
    taken); a frame's `wall_s` is its file's date."""

    live = False

    def __init__(
        self, folder: Path, *, name: str, frame_rate: float | None = None, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self.name = name
        self.frame_rate = frame_rate
        self._folder, self._clock = folder.absolute(), clock
        self._period_s = 0.0 if frame_rate is None else 1 / frame_rate
        self._closed = threading.Event()
        self._done: set[str] = set()
        self._next: deque[str] = deque()
        self._half: dict[str, tuple[int, float]] = {}  # of those set aside: size, and since when it is that
        self._opened = False
        self._number = 0
        self._due_s = float("-inf")

    def open(self) -> None:
        """Go on where it was. Raises SourceError when there is no such folder."""
        self._closed.clear()
        self._number = 0
        self._next.clear()
        self._look()
        self._opened = True

    def read(self) -> Frame | None:
        """The next whole image, waited for; None after `close`. Raises SourceError when the folder is gone."""
        if not self._opened:
            raise RuntimeError(f"the folder of {self.name!r} was read before it was opened")
        while not self._closed.is_set():
            if not self._next:
                self._look()
            while self._next and not self._closed.is_set():
                frame = self._read(self._next.popleft())
                if frame is not None:
                    return frame
            if not self._closed.is_set():
                self._clock.wait(self._closed, LOOK_S)
        return None

    def close(self) -> None:
        """End it; a `read` that waits returns None at once."""
        self._closed.set()

    def _look(self) -> None:
        try:
            with os.scandir(self._folder) as entries:  # not Path.iterdir: a hundred thousand paths cost seconds
                names = {entry.name for entry in entries if _is_image(entry.name)}
        except OSError as error:
            raise SourceError(
                f"the folder {self._folder} cannot be read: {error.strerror}", "Look whether it is mounted."
            ) from None
        self._done &= names
        self._half = {name: known for name, known in self._half.items() if name in names}
        self._next.extend(sorted(names - self._done))

    def _read(self, name: str) -> Frame | None:
        """The image, unless it is not whole yet, gone, or no image."""
        path = self._folder / name
        stood_still_s = 0.0
        try:
            about = path.stat()
            stood_still_s = self._stood_still_s(name, about.st_size)
            image = self._image(path, settled=stood_still_s >= SETTLED_S)
        except FileNotFoundError:
            return None
        except (OSError, NoPicture) as error:
            if stood_still_s >= UNFINISHED_AFTER_S:
                why = error.strerror if isinstance(error, OSError) else error
                log.warning("camera %s: %s is left out: %s", self.name, path, why)
                self._forget(name)
            return None
        if image is None or not self._wait_until_due():
            return None
        self._forget(name)
        number, self._number = self._number, self._number + 1
        return Frame(image, number, about.st_mtime, self._clock.monotonic())

    def _image(self, path: Path, *, settled: bool) -> Image | None:
        """The picture in a file; None when it may still be written to. Raises NoPicture when there is none in it."""
        if not settled and path.suffix.lower() not in SUFFIXES_WITH_AN_END:
            return None
        data = path.read_bytes()
        if not is_complete(data):
            raise NoPicture("it is cut off")
        return decoded(data) if settled or knows_its_end(data) else None

    def _stood_still_s(self, name: str, size_bytes: int) -> float:
        """How long it has had this size, as far as was seen here."""
        now_s = self._clock.monotonic()
        size_before, since_s = self._half.get(name, (-1, now_s))
        if size_bytes != size_before:
            since_s = now_s
        self._half[name] = size_bytes, since_s
        return now_s - since_s

    def _forget(self, name: str) -> None:
        self._done.add(name)
        self._half.pop(name, None)

    def _wait_until_due(self) -> bool:
        """Whether it is still wanted then."""
        while (left_s := self._due_s - self._clock.monotonic()) > 0 and not self._closed.is_set():
            self._clock.wait(self._closed, left_s)
        now_s = self._clock.monotonic()
        self._due_s = (self._due_s if now_s - self._due_s < self._period_s else now_s) + self._period_s
        return not self._closed.is_set()


def _is_image(name: str) -> bool:
    return not name.startswith(".") and name.lower().endswith(SUFFIXES)
