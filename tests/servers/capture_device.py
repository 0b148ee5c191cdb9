"""USB cameras that are not there: device nodes in a folder, and what `cv2.VideoCapture` would give for them.

This stands in for hardware, so what it shows is how Iris treats a capture device, not that a driver behaves so. What it
imitates: a node per camera, a stable name that is a link to it, a grab that blocks until the next picture, that fails
when the camera is unplugged, or that never comes back.
"""

import threading
from pathlib import Path

import cv2
import numpy as np

PERIOD_S = 0.01
NEVER_S = 25.0  # longer than any test waits, shorter than the test run's own patience


class CaptureDevice:
    """One opened device; `brightness` is the camera's mark in its pictures."""

    def __init__(self, bus: "UsbBus", node: Path, brightness: int) -> None:
        self._bus, self._node, self._brightness = bus, node, brightness
        self.asked_for: dict[int, float] = {}
        self.released = False
        self.grabbed = self.retrieved = 0

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return True

    def set(self, what: int, value: float) -> bool:
        self.asked_for[what] = value
        return True

    def get(self, what: int) -> float:
        return {cv2.CAP_PROP_FRAME_WIDTH: 64.0, cv2.CAP_PROP_FRAME_HEIGHT: 48.0}.get(what, -1.0)

    def grab(self) -> bool:
        """Fails once the camera this was opened for is not at this node any more."""
        if self._bus.hangs.is_set():
            self._bus.hanging.set()
            self._bus.unhang.wait(NEVER_S)
            return False
        if self._bus.silent.is_set():
            self._bus.speaks.wait(0.3)  # the driver's own time-out
            return False
        threading.Event().wait(PERIOD_S)
        self.grabbed += 1
        return self._bus.cameras.get(self._node) == self._brightness

    def retrieve(self):
        self.retrieved += 1
        return True, self._bus.picture(self._brightness)

    def release(self) -> None:
        self.released = True


class NoDevice:
    """What OpenCV gives when the device cannot be opened."""

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return False

    def release(self) -> None:
        """There is nothing to release."""


class UsbBus:
    """A folder with `video0`, `video1` ... and `by-id/NAME`; `open_capture` takes the place of `cv2.VideoCapture`."""

    def __init__(self, folder: Path) -> None:
        self.devices = folder
        self.by_id = folder / "by-id"
        self.by_id.mkdir(parents=True)
        self.cameras: dict[Path, int] = {}
        self.opened: list[CaptureDevice] = []
        self.hangs, self.hanging, self.unhang = threading.Event(), threading.Event(), threading.Event()
        self.silent, self.speaks = threading.Event(), threading.Event()
        self.refuses = False
        self.picture = lambda brightness: np.full((48, 64, 3), brightness, np.uint8)

    def plug_in(self, index: int, brightness: int, name: str | None = None) -> None:
        node = self.devices / f"video{index}"
        node.touch()
        self.cameras[node] = brightness
        if name is not None:
            link = self.by_id / name
            link.unlink(missing_ok=True)
            link.symlink_to(node)

    def unplug(self, index: int) -> None:
        """The names that lead to it go with it, as udev has it."""
        node = self.devices / f"video{index}"
        for link in self.by_id.iterdir():
            if link.readlink() == node:
                link.unlink()
        node.unlink()
        del self.cameras[node]

    def open_capture(self, device: str, backend: int) -> CaptureDevice | NoDevice:
        node = Path(device)
        if self.refuses or node not in self.cameras:
            return NoDevice()
        self.opened.append(CaptureDevice(self, node, self.cameras[node]))
        return self.opened[-1]
