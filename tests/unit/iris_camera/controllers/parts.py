"""Scripted parts of a camera: frames, a source, detectors, a classifier, an uploader."""

import csv
import threading
import time

import numpy as np

from iris_camera.camera.frame import Frame
from iris_camera.inspection.findings import Box, Detection, Verdict

WAIT_S = 20.0


def frame(number, opening=0):
    image = np.zeros((80, 120, 3), np.uint8)
    image.flags.writeable = False
    return Frame(image, number, 1_700_000_000.0 + number / 25, time.monotonic(), opening)


class ListSource:
    """So many frames, then the end, as a file has them."""

    name = "line-1"
    frame_rate = 25.0
    live = False

    def __init__(self, frames):
        self.unread = [frame(number) for number in range(frames)]
        self.closed = threading.Event()

    def open(self):
        self.closed.clear()

    def read(self):
        return self.unread.pop(0) if self.unread and not self.closed.is_set() else None

    def close(self):
        self.closed.set()


class EndlessSource(ListSource):
    """Shows one frame, then waits until it is closed, as a camera before which nothing moves."""

    live = True

    def __init__(self):
        super().__init__(1)

    def read(self):
        found = super().read()
        if found is None:
            self.closed.wait(WAIT_S)
        return found


class OnePart:
    """Sees one part, in the same place, always; raises `error` at the calls given."""

    name = "one part"
    provider = "made up"

    def __init__(self, failing_calls=(), error=None):
        self.calls = 0
        self.failing_calls = failing_calls
        self.error = error or ValueError("model failed")

    def detect(self, image):
        self.calls += 1
        if self.calls in self.failing_calls:
            raise self.error
        return [Detection(Box(30.0, 20.0, 20.0, 20.0), 0.9)]


class AlwaysDefect:
    def classify(self, image, box):
        return Verdict("defect", 0.8)


def each_by_itself(uploader, requests):
    """The answers of one that takes single files."""
    keys = ("sftp_server_info", "file_path", "project_settings", "folder_type", "take")
    return [uploader.queue_upload(**{key: getattr(request, key) for key in keys}) for request in requests]


class AcceptingUploader:
    """Takes every file over, as the outbox does, and keeps what was in it."""

    def __init__(self):
        self.queued = []

    def queue_upload(self, *, file_path, folder_type, **_):
        rows = list(csv.DictReader(file_path.read_text().splitlines())) if file_path.suffix == ".csv" else []
        self.queued.append((folder_type, file_path.name, rows))
        file_path.unlink()
        return True

    def queue_uploads(self, requests):
        return each_by_itself(self, requests)

    def owed_names(self):
        return frozenset()

    def rows(self, kind):
        return [row for folder_type, _, rows in self.queued if folder_type == kind for row in rows]
