"""What a camera is to the rest of Iris: something that is opened, read frame by frame, and closed.

One thread owns a source and calls `open` and `read`; only `close` may come from another one. `live` decides which
handover follows the source: a live line does not wait for Iris, so only its latest frame matters; a file does wait, so
none of its frames may be lost.

A fault of the camera (it is unplugged, refuses a password, sends nothing) is a `SourceError`; any other exception of a
source is a bug. A source that failed may be closed and opened again: a folder then goes on where it was, any other
source begins anew.
"""

from typing import Protocol

from iris_camera.camera.frame import Frame
from iris_communication.plain_text import ERROR_TEXT_MAX, clean


class SourceError(Exception):
    """What happened to a camera, as a sentence without any credential in it, and what to do about it (`hint`).

    `final`: opening it again would only give the same frames once more, so it is not tried.
    """

    def __init__(self, reason: str, hint: str = "", *, final: bool = False) -> None:
        self.reason = clean(reason, ERROR_TEXT_MAX)  # parts of it are a camera's own text
        super().__init__(self.reason)
        self.hint = hint
        self.final = final


class Source(Protocol):
    """A camera, a file, a folder or the synthetic line.

    `name` is for people and file names, `live` chooses the handover, `frame_rate` is the frames a second aimed at
    (None: not known, or not before `open`).
    """

    name: str
    live: bool

    @property
    def frame_rate(self) -> float | None:
        """Frames a second aimed at."""

    def open(self) -> None:
        """Make ready to read; a source that was closed may be opened again. Raises SourceError when it cannot be."""

    def read(self) -> Frame | None:
        """The next frame, waited for; None when the source has ended or was closed.

        `number` and `opening` of its frames count from 0 at each `open`. Raises SourceError when the camera is lost.
        """

    def close(self) -> None:
        """End the source, from any thread and more than once; a blocked `read` then returns None soon."""
