"""A video file as a source: every frame of it, at its own rate or as fast as it can be inspected.

A file waits, so no frame is lost; a reader that is late at the file's own rate catches up. The time of a frame is the
file's: the instant of opening plus the frame's place in the film. At its own rate that is also when it is due; as fast
as it can be inspected, an hour may be over in ten minutes, and the records still state the times within the film.

What goes wrong. OpenCV reports nothing when a file is damaged or cut off: it reads as if the film were over. So it is
asked to read some more times, which may lead it past a damaged place to the frames behind it: a frame after a failed
read shows that the decoder lost something. That, and a file that is cut off (`film_structure.py`), is damage, and is
reported at the end. The number of frames that a container announces is not used: with an edit list (`-ss -c copy`) or
frames of different length (WebM) a whole film has fewer. Undecodable data in front of the first picture is no damage
either: a stream may be cut where no picture begins. Files without time stamps get those of their frame rate; files
without a frame rate get 25 frames a second.
"""

import logging
import math
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2

from iris_camera.camera.clock import SYSTEM_CLOCK, CameraClock
from iris_camera.camera.decoding import PictureDecoder, TooLarge
from iris_camera.camera.film_structure import broken_off
from iris_camera.camera.frame import Frame
from iris_camera.camera.handle import ResourceHandle
from iris_camera.camera.picture import NoPicture
from iris_camera.camera.settings import Pace
from iris_camera.camera.source import SourceError
from iris_camera.opencv_path import NotUtf8, opencv_path
from iris_communication.runtime.amounts import counted

log = logging.getLogger(__name__)

RATE_IF_UNKNOWN = 25.0
TRIES_AT_DAMAGE = 1000  # a few milliseconds, at the end of each film
TEXT_DRAWERS = {b"ansi", b"bint", b"xbin", b"idf\0"}  # decoders of FFmpeg's that make a film of any text


class VideoFile:
    """A `Source` that is not live. `frame_rate` plays it at another rate than its own; `repeat` begins again at the
    end, which is a new opening for the tracker."""

    live = False

    def __init__(
        self,
        path: Path,
        *,
        name: str,
        frame_rate: float | None = None,
        pace: Pace = "own",
        repeat: bool = False,
        decoder: PictureDecoder | None = None,
        clock: CameraClock = SYSTEM_CLOCK,
        open_capture: Callable[[str, int], Any] = cv2.VideoCapture,
    ) -> None:
        self.name = name
        self._path, self._wanted_rate, self._pace, self._repeat = path.absolute(), frame_rate, pace, repeat
        self._clock, self._open_capture = clock, open_capture
        self._decoder = decoder or PictureDecoder(name)
        self._capture: ResourceHandle[Any] | None = None
        self._closed = threading.Event()
        self._rate: float | None = None
        self._damage_logged = False

    @property
    def frame_rate(self) -> float | None:
        """Frames a second it is played at; None before the first opening when the file decides."""
        return self._wanted_rate or self._rate

    def open(self) -> None:
        """Begin at the first frame. Raises SourceError when there is no such file, which may still come, and a final
        one when it holds no film."""
        self._closed.clear()
        self._number = self._opening = 0
        self._begins_s = 0.0  # where this repetition begins, in the time of the whole
        self._opened_wall_s, self._opened_s = self._clock.wall(), self._clock.monotonic()
        self._begin()

    def read(self) -> Frame | None:
        """The next frame, when it is due. Raises SourceError, final, when the film was damaged."""
        if self._capture is None:
            raise RuntimeError(f"the file of {self.name!r} was read before it was opened")
        if self._closed.is_set():
            return None
        while (got := self._next_frame()) is None:
            if self._closed.is_set() or not self._comes_again():
                return None
        pixels, stamp_s = got
        position_s = self._position_s(stamp_s)
        due_s = self._opened_s + position_s
        if self._pace == "own" and not self._wait_until(due_s):
            return None
        read_s = due_s if self._pace == "own" else self._clock.monotonic()
        try:
            image = self._decoder.picture(pixels)
        except NoPicture as error:
            raise SourceError(f"frame {self._number} of {self._path} is {error}", final=True) from None
        frame = Frame(image, self._number, self._opened_wall_s + position_s, read_s, self._opening)
        self._number += 1
        self._in_film += 1
        return frame

    def close(self) -> None:
        """End it; a `read` that waits for a frame to be due returns None at once."""
        self._closed.set()
        self._release()

    def _begin(self) -> None:
        self._release()
        _must_be_a_file(self._path)
        try:
            capture = self._open_capture(opencv_path(self._path), cv2.CAP_FFMPEG)
        except NotUtf8 as error:
            raise SourceError(str(error), final=True) from None
        except cv2.error as error:
            raise SourceError(f"{self._path} cannot be opened: {error}", final=True) from None
        if not capture.isOpened() or _draws_text(capture):
            capture.release()
            raise SourceError(
                f"{self._path} cannot be read as a video: it {_why_it_is_no_film(self._path)}",
                "Try another player, or convert it to MP4 with H.264.",
                final=True,
            )
        try:
            self._decoder.check_capture(capture)
        except TooLarge as error:
            capture.release()
            raise SourceError(f"the frames of {self._path} are too large: {error}", final=True) from None
        self._capture = ResourceHandle[Any](capture, lambda opened: opened.release())
        self._rate = _sane(capture.get(cv2.CAP_PROP_FPS)) or RATE_IF_UNKNOWN
        self._in_film = self._gaps = 0
        self._first_s: float | None = None
        self._latest_s = -1.0

    def _next_frame(self) -> tuple[Any, float] | None:
        """Pixels and time stamp in seconds, behind a damaged place if need be; None at the end or when closed."""
        for tries in range(TRIES_AT_DAMAGE):
            got = self._capture.use(_next_frame) if self._capture is not None else None
            if got is not None and tries and self._in_film:
                self._gaps += 1
            if got is not None or self._closed.is_set():
                return got
        return None

    def _damage(self) -> str | None:
        """What was wrong with the film that has just ended, as a text."""
        if self._in_film == 0:
            return f"no picture of {self._path} can be decoded: it is damaged or cut off"
        after = f"{self._path} ended after {counted(self._in_film, 'frame')}"
        if (cut_in := broken_off(self._path)) is not None:
            return f"{after}: it is damaged or cut off, for the file breaks off in the middle of {cut_in}"
        if self._gaps:
            places = counted(self._gaps, "place")
            return f"{after}: it is damaged or cut off, for at {places} it could not be decoded"
        return None

    def _comes_again(self) -> bool:
        """At the end of the film: whether it has begun again. Raises SourceError, final, when it was damaged."""
        damage = self._damage()
        if not self._repeat or self._in_film == 0:
            if damage is not None:
                raise SourceError(damage, final=True)
            return False
        if damage is not None and not self._damage_logged:
            self._damage_logged = True
            log.warning("camera %s: %s; it starts again from the beginning", self.name, damage)
        self._begins_s += self._latest_s + 1 / (self._wanted_rate or self._rate or RATE_IF_UNKNOWN)
        self._opening += 1
        self._begin()
        return not self._closed.is_set()

    def _position_s(self, stamp_s: float) -> float:
        """Where the frame just read stands, in seconds from the first one; always later than the one before it."""
        rate = self._rate or RATE_IF_UNKNOWN
        if self._wanted_rate is not None:
            in_film_s = self._in_film / self._wanted_rate
        else:
            if self._first_s is None:
                self._first_s = stamp_s
            in_film_s = stamp_s - self._first_s
            if not math.isfinite(in_film_s) or in_film_s <= self._latest_s:
                in_film_s = 0.0 if self._in_film == 0 else self._latest_s + 1 / rate
        self._latest_s = in_film_s
        return self._begins_s + in_film_s

    def _wait_until(self, due_s: float) -> bool:
        """Wait; False when the source was closed meanwhile."""
        while (left_s := due_s - self._clock.monotonic()) > 0 and not self._closed.is_set():
            self._clock.wait(self._closed, left_s)
        return not self._closed.is_set()

    def _release(self) -> None:
        capture = self._capture
        if capture is not None:
            capture.close()


def _next_frame(capture: Any) -> tuple[Any, float] | None:
    """The next frame's pixels and its time stamp in seconds; None at the end, or where OpenCV cannot read on."""
    try:
        got, pixels = capture.read()
    except cv2.error:
        return None
    return (pixels, capture.get(cv2.CAP_PROP_POS_MSEC) / 1000) if got else None


def _draws_text(capture: Any) -> bool:
    codec = int(_sane(capture.get(cv2.CAP_PROP_FOURCC)))
    return codec.to_bytes(4, "little") in TEXT_DRAWERS


def _sane(value: float) -> float:
    """A number from the file's header, 0 if it is not plausible."""
    return value if math.isfinite(value) and 0 < value < 1 << 32 else 0.0


def _must_be_a_file(path: Path) -> None:
    """Raises SourceError when it is none; the error is not final only where nothing exists: a file may still come."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            hint = "Check the path; a relative path starts in the folder where Iris runs."
            raise SourceError(f"there is no file {path}", hint) from None
        raise SourceError(
            f"{path} cannot be examined: {error.strerror}", "Check the path and its permissions."
        ) from None
    if stat.S_ISDIR(mode):
        raise SourceError(
            f"{path} is a folder, not a video", f"To read the pictures in a folder, use dir:{path}", final=True
        )
    if not stat.S_ISREG(mode):
        raise SourceError(f"{path} is not a regular file", final=True)
    if not os.access(path, os.R_OK):
        raise SourceError(f"{path} is not readable by this user", f"Permit it: chmod a+r {path}", final=True)


def _why_it_is_no_film(path: Path) -> str:
    if path.stat().st_size == 0:
        return "is empty"
    return "is damaged, cut off, without pictures, or of a kind OpenCV does not know"
