"""A camera that sends Motion JPEG over HTTP, read without OpenCV.

OpenCV could read it, but it gives no reason when that fails, and it can hardly open a camera that sends a picture every
few seconds, because FFmpeg analyses many pictures first. So the response is read here: the reason for a refusal stands
in its first line, the credentials stay out of the address, and closing ends a waiting read at once.

Every picture is received; when several have piled up only the newest is decoded, the others are gaps in the numbers. A
picture that is torn or cannot be decoded is skipped. A camera without a good picture for `read_timeout_s` is lost, also
when single bytes still come.
"""

import logging
import socket
import threading
from contextlib import suppress
from http.client import HTTPException

from iris_camera.camera.authorization import Login
from iris_camera.camera.clock import SYSTEM_CLOCK, CameraClock
from iris_camera.camera.decoding import PictureDecoder
from iris_camera.camera.frame import Frame
from iris_camera.camera.handle import ResourceHandle
from iris_camera.camera.http_stream import HttpStream, open_stream
from iris_camera.camera.image_completeness import is_complete
from iris_camera.camera.link_errors import link_error
from iris_camera.camera.multipart import Multipart, NotMultipart, boundary_of
from iris_camera.camera.picture import NoPicture
from iris_camera.camera.settings import SourceSettings
from iris_camera.camera.source import SourceError
from iris_camera.camera.thinning import Thinning
from iris_communication.runtime.repeats import Repeats

log = logging.getLogger(__name__)

RECEIVE_BYTES = 262_144


class MjpegCamera:
    """A `Source` that is live, at an http or https address."""

    live = True

    def __init__(self, settings: SourceSettings, *, name: str, clock: CameraClock = SYSTEM_CLOCK) -> None:
        self.name = name
        self.frame_rate = settings.frame_rate
        self._address = settings.address
        self._login = Login(settings.username, settings.password)
        self._open_timeout_s, self._read_timeout_s = settings.open_timeout_s, settings.read_timeout_s
        self._clock = clock
        self._decoder = PictureDecoder(name, pixels_max=settings.pixels_max, bit_depth=settings.bit_depth)
        self._thinning = Thinning(settings.frame_rate)
        self._repeats = Repeats(log, clock.monotonic)  # over all openings: a bad camera is opened again and again
        self._closed = threading.Event()
        self._connected: socket.socket | None = None
        self._stream: ResourceHandle[HttpStream] | None = None

    def open(self) -> None:
        """Connect and ask for the stream. Raises SourceError."""
        self._closed.clear()
        self._number = 0
        stream = open_stream(
            self._address,
            self._login,
            open_timeout_s=self._open_timeout_s,
            read_timeout_s=self._read_timeout_s,
            on_connected=self._note_connected,
        )
        self._stream = ResourceHandle(stream, HttpStream.release)
        try:
            self._parts = Multipart(boundary_of(stream.content_type))
        except NotMultipart as error:
            self._stream.close()
            raise SourceError(
                f"{self._address.place} sends no Motion JPEG: {error}",
                "The camera's manual gives the address of its MJPEG stream.",
            ) from None
        self._since_s = self._clock.monotonic()
        if self._closed.is_set():
            self._stream.close()

    def read(self) -> Frame | None:
        """The newest picture that has come and is wanted. Raises SourceError when the camera is lost."""
        if self._stream is None:
            raise RuntimeError(f"the camera {self.name!r} was read before it was opened")
        while not self._closed.is_set():
            pictures = self._receive(self._stream)
            wall_s, monotonic_s = self._clock.wall(), self._clock.monotonic()
            if pictures and not self._thinning.wants(monotonic_s):
                self._since_s = monotonic_s
            elif pictures:
                self._number += len(pictures)
                frame = self._decoded(pictures[-1], wall_s, monotonic_s)
                if frame is not None:
                    self._since_s = monotonic_s
                    return frame
            if monotonic_s - self._since_s > self._read_timeout_s and not self._closed.is_set():
                raise self._silent()
        return None

    def close(self) -> None:
        """End it; a `read` or `open` that waits for the camera ends at once."""
        self._closed.set()
        connected, stream = self._connected, self._stream
        if connected is not None:
            with suppress(OSError):
                connected.shutdown(socket.SHUT_RDWR)
        if stream is not None:
            stream.close()

    def _note_connected(self, connected: socket.socket) -> None:
        self._connected = connected

    def _receive(self, stream: ResourceHandle[HttpStream]) -> list[bytes]:
        """The pictures that the next bytes complete; none when they hold only half of one, or when it was closed."""
        place = self._address.place
        try:
            received = stream.use(lambda opened: opened.receive(RECEIVE_BYTES))
            pictures = self._parts.feed(received or b"")
        except TimeoutError:
            error = self._silent()
        except NotMultipart as why:
            error = SourceError(f"{place} sends what is no Motion JPEG: {why}")
        except OSError as why:
            error = link_error(why, self._address, self._read_timeout_s)
        except HTTPException:
            error = SourceError(f"{place} broke its stream off", "Look whether the camera restarts.")
        else:
            if received or self._closed.is_set():
                return pictures
            error = SourceError("it has stopped sending pictures", "Look whether the camera restarts.")
        if self._closed.is_set():
            return []
        raise error

    def _silent(self) -> SourceError:
        return SourceError(f"no picture for {self._read_timeout_s:g} s", "Check the camera and its network.")

    def _decoded(self, picture: bytes, wall_s: float, monotonic_s: float) -> Frame | None:
        """The frame; None when the picture is torn or cannot be decoded."""
        number = self._number - 1
        what = "torn"
        try:
            if is_complete(picture):
                return Frame(self._decoder.decoded(picture), number, wall_s, monotonic_s)
        except NoPicture as error:
            what = str(error)
        text = "camera %s: picture %d is skipped: %s"
        self._repeats.log("left out", logging.WARNING, text, self.name, number, what)
        return None
