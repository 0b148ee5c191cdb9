"""What a camera is to the rest of Iris: something that is opened, read frame by frame, and closed.

One thread owns a source and calls `open` and `read`; only `close` may come from another one. A source says whether
it is live, and with that which handover belongs behind it: a live line does not wait for us, so only its latest
frame matters; a file does wait, so none of its frames may be lost.
"""

from typing import Protocol

from iris_camera.camera.frame import Frame


class Source(Protocol):
    """A camera, a file or a made-up line.

    `name` is for people and file names, `live` chooses the handover, `frame_rate` is the frames a second aimed at.
    """

    name: str
    live: bool
    frame_rate: float

    def open(self) -> None:
        """Make ready to read; a source that was closed may be opened again."""

    def read(self) -> Frame | None:
        """The next frame, waited for; None when the source has ended or was closed."""

    def close(self) -> None:
        """End the source, from any thread and more than once; a blocked `read` then returns None soon."""
