"""A folder that is read as images, by a clock that a test moves."""

import cv2
import numpy as np

from iris_camera.camera.clock import CameraClock
from iris_camera.camera.image_folder import ImageFolder


def image(brightness, suffix=".jpg", shape=(48, 64, 3), dtype=np.uint8):
    return bytes(cv2.imencode(suffix, np.full(shape, brightness, dtype))[1])


class Watched:
    """A folder being read, by a clock that passes only while the reader waits; `later` sets what happens in the
    folder meanwhile. The reader is closed after `give_up_s` without an image."""

    def __init__(self, path, give_up_s=100.0, **options):
        self.path = path
        self.now_s = 1000.0
        self.give_up_s = give_up_s
        self.waited_s = 0.0
        self.happenings = []
        self.source = ImageFolder(
            path, name="line-1", clock=CameraClock(lambda: self.now_s, lambda: self.now_s, self._wait), **options
        )
        self.source.open()

    def later(self, after_s, happening):
        self.happenings.append((self.now_s + after_s, happening))

    def read(self):
        """The brightness of the next image; None when there was none for so long."""
        self.waited_s = 0.0
        frame = self.source.read()
        return None if frame is None else int(frame.image[0, 0, 0])

    def read_all(self):
        found = []
        while (brightness := self.read()) is not None:
            found.append(brightness)
        return found

    def _wait(self, event, timeout_s):
        self.now_s += timeout_s
        self.waited_s += timeout_s
        for due in [due for due in self.happenings if due[0] <= self.now_s]:
            self.happenings.remove(due)
            due[1]()
        if self.waited_s >= self.give_up_s:
            self.source.close()
        return event.is_set()
