"""A live camera read through OpenCV: what usb and rtsp have in common.

Every picture is grabbed, so that the driver's queue never holds old ones; it is decoded only when it is wanted, which
most are not at a lower `frame_rate` than the camera's. OpenCV only reports that a grab failed, not whether the cable
was pulled or a time-out passed; the duration of the call distinguishes the two.

A picture that cannot be decoded is left out and counted in the frame numbers. When nothing else has come for
`read_timeout_s`, the camera is lost.
"""

import logging
import threading
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from iris_camera.camera.clock import SYSTEM_CLOCK, CameraClock
from iris_camera.camera.decoding import PictureDecoder, TooLarge
from iris_camera.camera.frame import Frame
from iris_camera.camera.handle import ResourceHandle
from iris_camera.camera.picture import NoPicture
from iris_camera.camera.source import SourceError
from iris_camera.camera.thinning import Thinning
from iris_communication.runtime.repeats import Repeats

log = logging.getLogger(__name__)

Pixels = npt.NDArray[np.generic]


class LiveVideo:
    """A `Source` that is live. `open_device` gives an opened capture or raises SourceError; `frame_rate` is the most
    frames a second that are wanted (None: all)."""

    live = True

    def __init__(
        self,
        open_device: Callable[[], Any],
        *,
        name: str,
        read_timeout_s: float,
        frame_rate: float | None = None,
        decoder: PictureDecoder | None = None,
        clock: CameraClock = SYSTEM_CLOCK,
    ) -> None:
        self.name = name
        self.frame_rate = frame_rate
        self._open_device, self._read_timeout_s, self._clock = open_device, read_timeout_s, clock
        self._decoder = decoder or PictureDecoder(name)
        self._thinning = Thinning(frame_rate)
        self._repeats = Repeats(log, clock.monotonic)
        self._closed = threading.Event()
        self._handle: ResourceHandle[Any] | None = None

    def open(self) -> None:
        """Connect, and begin at frame 0. Raises SourceError."""
        self._closed.clear()
        self._number = 0
        device = self._open_device()
        try:
            self._decoder.check_capture(device)
        except TooLarge as error:
            _release(device)
            raise SourceError(f"its frames are too large: {error}", "Set a smaller resolution in the camera.") from None
        handle = ResourceHandle[Any](device, _release)
        self._handle = handle
        if self._closed.is_set():
            handle.close()

    def read(self) -> Frame | None:
        """The next picture wanted. Raises SourceError when the camera is lost."""
        handle = self._handle
        if handle is None:
            raise RuntimeError(f"the camera {self.name!r} was read before it was opened")
        since_s = self._clock.monotonic()
        while True:
            began_s = self._clock.monotonic()
            got = handle.use(self._grab)
            if got is None or self._closed.is_set():
                return None
            grabbed, pixels, wall_s, monotonic_s = got
            if not grabbed:
                raise self._lost(self._clock.monotonic() - began_s)
            if pixels is not None:
                number, self._number = self._number, self._number + 1
                try:
                    return Frame(self._decoder.picture(pixels), number, wall_s, monotonic_s)
                except NoPicture as error:
                    self._left_out(number, str(error), monotonic_s - since_s)

    def close(self) -> None:
        """End it; a read in progress ends when OpenCV returns from it, at the latest after the read time-out."""
        self._closed.set()
        handle = self._handle
        if handle is not None:
            handle.close()

    def _grab(self, capture: Any) -> tuple[bool, Pixels | None, float, float]:
        """Whether anything came, the picture when it is wanted, and when it came."""
        try:
            if not capture.grab():
                return False, None, 0.0, 0.0
            wall_s, monotonic_s = self._clock.wall(), self._clock.monotonic()
            if not self._thinning.wants(monotonic_s):
                return True, None, wall_s, monotonic_s
            got, pixels = capture.retrieve()
        except cv2.error as error:
            raise SourceError(f"OpenCV failed while reading it (code {error.code})") from None
        return True, pixels if got and pixels is not None else np.empty(0, np.uint8), wall_s, monotonic_s

    def _lost(self, waited_s: float) -> SourceError:
        if waited_s >= 0.9 * self._read_timeout_s:
            seconds = max(self._read_timeout_s, round(waited_s))
            return SourceError(f"no picture for {seconds:g} s", "Check the camera and its network.")
        return SourceError("it has stopped sending pictures", "Check whether it restarts or was unplugged.")

    def _left_out(self, number: int, what: str, since_s: float) -> None:
        text = "camera %s: picture %d is left out, it is %s"
        self._repeats.log("left out", logging.WARNING, text, self.name, number, what)
        if since_s > self._read_timeout_s:
            raise SourceError(f"its pictures cannot be decoded: {what}")


def _release(capture: Any) -> None:
    capture.release()
