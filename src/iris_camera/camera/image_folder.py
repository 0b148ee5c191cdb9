"""A folder of images as a source: each image once, in name order, and new ones as they appear, for ever.

No event says that an image has been written to its end. JPEG and PNG show it themselves and are read as soon as they
are whole; a file of another kind counts as whole when its size has not changed for `STILL_S`. A half-written one is
set aside and tried again, and nothing waits for it. One that has not changed for `UNFINISHED_AFTER_S` and still is not
whole, or cannot be decoded, is logged and skipped; a file that is not regular, or too large, is logged and skipped at
once. One that cannot be opened or read is logged, and tried again now and then: its permissions may be mended.

The names of images that were read are remembered as long as the file is there, also when the folder vanishes for a
while (a network share). An image that replaces another of the same name is therefore not read again.
"""

import logging
import os
import threading
from collections import deque
from pathlib import Path

from iris_camera.camera.clock import SYSTEM_CLOCK, CameraClock
from iris_camera.camera.decoding import PictureDecoder, TooLarge
from iris_camera.camera.folder_listing import Listing, listing, why_nothing
from iris_camera.camera.frame import Frame
from iris_camera.camera.image_completeness import is_complete, knows_its_end
from iris_camera.camera.picture import NoPicture
from iris_camera.camera.picture_file import NoRegularFile, about_regular, read_regular
from iris_camera.camera.source import SourceError
from iris_camera.image import Image
from iris_communication.runtime.repeats import Repeats

log = logging.getLogger(__name__)

SUFFIXES_WITH_AN_END = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng")
LOOK_S = 0.5
STILL_S = 1.0
UNFINISHED_AFTER_S = 30.0
DATES_S = (-30_610_224_000.0, 253_402_300_799.0)  # the years 1000 to 9999: a row and a name have four digits for one


class ImageFolder:
    """A `Source` that is not live and never ends by itself. `frame_rate` spaces the images (None: as fast as they are
    taken); a frame's `wall_s` is its file's date, `file` its name. `with_subfolders`: the folders in it count too."""

    live = False

    def __init__(
        self,
        folder: Path,
        *,
        name: str,
        frame_rate: float | None = None,
        with_subfolders: bool = False,
        decoder: PictureDecoder | None = None,
        clock: CameraClock = SYSTEM_CLOCK,
    ) -> None:
        self.name = name
        self.frame_rate = frame_rate
        self._folder, self._with_subfolders, self._clock = folder.absolute(), with_subfolders, clock
        self._decoder = decoder or PictureDecoder(name)
        self._period_s = 0.0 if frame_rate is None else 1 / frame_rate
        self._closed = threading.Event()
        self._done: set[str] = set()
        self._next: deque[str] = deque()
        self._half: dict[str, tuple[int, float]] = {}  # of those set aside: size, and since when it is unchanged
        self._unreadable: dict[str, tuple[float, float]] = {}  # since when, and when to try again
        self._repeats = Repeats(log, clock.monotonic)
        self._logged: set[str] = set()  # what of the folder was logged as not read
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
            found = listing(self._folder, with_subfolders=self._with_subfolders)
        except OSError as error:
            raise SourceError(
                f"the folder {self._folder} cannot be read: {error.strerror}", "Check whether it is mounted."
            ) from None
        self._log_what_is_not_read(found)
        hidden = {name for name in self._done if name.startswith(found.unreadable)} if found.unreadable else set()
        self._done &= found.names | hidden
        for set_aside in (self._half, self._unreadable):
            for name in set_aside.keys() - found.names:
                del set_aside[name]
        now_s = self._clock.monotonic()
        later = {name for name, (_, again_s) in self._unreadable.items() if again_s > now_s}
        self._next.extend(sorted(found.names - self._done - later))

    def _log_what_is_not_read(self, found: Listing) -> None:
        """Once each; why no file is a picture, as long as none was."""
        nothing = None if self._done else why_nothing(found, self._folder)
        if nothing is not None:
            self._log_once("nothing", nothing)
        for within in found.unreadable:
            self._log_once(within, f"the folder {self._folder / within} cannot be read, the others are")
        for ending in sorted(found.pictures_of_other_kinds):
            if nothing is None:
                text = f"files ending in {ending} are passed over: Iris cannot read pictures of that kind"
                self._log_once(ending, text)

    def _log_once(self, about: str, text: str) -> None:
        if about not in self._logged:
            self._logged.add(about)
            log.warning("camera %s: %s", self.name, text)

    def _read(self, name: str) -> Frame | None:
        """The image, unless it is not whole yet, gone, or no image."""
        path = self._folder / name
        stood_still_s = 0.0
        try:
            about = about_regular(path)
            stood_still_s = self._stood_still_s(name, about.st_size)
            self._decoder.check_bytes(about.st_size)
            image = self._image(path, is_still=stood_still_s >= STILL_S)
            self._unreadable.pop(name, None)
        except (NoRegularFile, TooLarge) as error:
            self._leave_out(name, type(error).__name__, str(error))
            return None
        except NoPicture as error:
            if stood_still_s >= UNFINISHED_AFTER_S:
                self._leave_out(name, type(error).__name__, str(error))
            return None
        except OSError as error:
            if not isinstance(error, FileNotFoundError) or os.path.lexists(path):
                self._cannot_read(name, error)
            return None
        if image is None or not self._wait_until_due():
            return None
        self._forget(name)
        number, self._number = self._number, self._number + 1
        return Frame(image, number, self._date_s(path, about.st_mtime), self._clock.monotonic(), file=name)

    def _date_s(self, path: Path, date_s: float) -> float:
        """The file's date, or now when it is out of range: its picture is inspected all the same."""
        if DATES_S[0] <= date_s <= DATES_S[1]:
            return date_s
        text = "camera %s: the date of %s is in no year from 1000 to 9999: the time at which it was read counts"
        self._repeats.log("date", logging.WARNING, text, self.name, path)
        return self._clock.wall()

    def _leave_out(self, name: str, kind: str, why: str) -> None:
        self._repeats.log(kind, logging.WARNING, "camera %s: %s is skipped: %s", self.name, self._folder / name, why)
        self._number += 1  # a gap: a picture that is not inspected
        self._forget(name)

    def _cannot_read(self, name: str, error: OSError) -> None:
        """The picture itself may be good, so it is tried again; logged once, and only when the error lasts."""
        now_s = self._clock.monotonic()
        since_s, again_s = self._unreadable.get(name, (now_s, now_s))
        if now_s - since_s >= UNFINISHED_AFTER_S:
            if again_s == since_s:
                why = "it is a link to nothing" if isinstance(error, FileNotFoundError) else error.strerror
                text = "camera %s: %s cannot be read: %s"
                self._repeats.log(error.errno, logging.WARNING, text, self.name, self._folder / name, why)
            again_s = now_s + UNFINISHED_AFTER_S
        self._unreadable[name] = since_s, again_s

    def _image(self, path: Path, *, is_still: bool) -> Image | None:
        """The picture in a file; None when a program may still be writing it. Raises NoPicture when it holds none."""
        if not is_still and path.suffix.lower() not in SUFFIXES_WITH_AN_END:
            return None
        data = read_regular(path, self._decoder.bytes_max)
        if not is_complete(data):
            raise NoPicture("it is cut off")
        return self._decoder.decoded(data) if is_still or knows_its_end(data) else None

    def _stood_still_s(self, name: str, size_bytes: int) -> float:
        """How long it has had this size, as far as observed here."""
        now_s = self._clock.monotonic()
        size_before, since_s = self._half.get(name, (-1, now_s))
        if size_bytes != size_before:
            since_s = now_s
        self._half[name] = size_bytes, since_s
        return now_s - since_s

    def _forget(self, name: str) -> None:
        self._done.add(name)
        self._half.pop(name, None)
        self._unreadable.pop(name, None)

    def _wait_until_due(self) -> bool:
        """Wait; False when the source was closed meanwhile."""
        while (left_s := self._due_s - self._clock.monotonic()) > 0 and not self._closed.is_set():
            self._clock.wait(self._closed, left_s)
        now_s = self._clock.monotonic()
        self._due_s = (self._due_s if now_s - self._due_s < self._period_s else now_s) + self._period_s
        return not self._closed.is_set()
