"""An uploader with a script, and finished files and defects to hand over."""

import threading

import numpy as np

from iris_camera.camera.frame import Frame
from iris_camera.controllers.handing_over import DeliveryTarget
from iris_camera.inspection.findings import Box, Part, Verdict
from iris_camera.records.csv_file import ClassifierRow
from iris_camera.records.recorder import Recorder
from iris_camera.records.rotation import RotationLimits
from tests.unit.iris_camera.controllers.parts import each_by_itself

RUN = "9f3c01ab"
WALL_S = 1795467933.0
LONG_S = 20.0
DESTINATION = DeliveryTarget("plant", {"project": "line-1"})
NO_RESERVE = {"disk_reserve_bytes": 0}


class ScriptedUploader:
    """Answers by its script, then True, and takes what it accepts; an exception in the script is raised."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.offered = []
        self.together = []  # how many were offered in one call, of those that were more than one
        self.news = threading.Condition()

    def queue_upload(self, **request):
        with self.news:
            self.offered.append(request)
            self.news.notify_all()
            answer = self.answers.pop(0) if self.answers else True
        if isinstance(answer, Exception):
            raise answer
        if answer:
            request["file_path"].unlink()
        return answer

    def queue_uploads(self, requests):
        self.together.append(len(requests))
        return each_by_itself(self, requests)

    def wait_offered(self, count):
        with self.news:
            assert self.news.wait_for(lambda: len(self.offered) >= count, LONG_S), f"{self.names} offered"

    @property
    def names(self):
        return [request["file_path"].name for request in self.offered]

    @property
    def kinds(self):
        return [request["folder_type"] for request in self.offered]


class HangingUploader(ScriptedUploader):
    """The outbox's disk hangs: from the n-th file on, queue_upload returns when `let` is set, and not before."""

    def __init__(self, after=0):
        super().__init__()
        self.after, self.let, self.hangs = after, threading.Event(), threading.Event()

    def queue_upload(self, **request):
        if len(self.offered) >= self.after:
            self.hangs.set()
            self.let.wait(30.0)
        return super().queue_upload(**request)


def standing_clock():
    """No pause ever ends by itself."""
    return 100.0


def ended(handing_over):
    handing_over.close()
    assert handing_over.join(LONG_S)


def finished(folder, run=RUN, label="good"):
    """A record file with one row, as a recorder leaves it."""
    recorder = finished.recorders.setdefault(
        (folder, run), Recorder(folder, "line-1", "classifier", run, RotationLimits(rows_max=1))
    )
    return recorder.append([ClassifierRow(1, 1, label, 0.9)], WALL_S, 0.0, now_s=0.0)


def frame(number=1234, wall_s=WALL_S):
    image = np.full((120, 160, 3), 90, np.uint8)
    image.flags.writeable = False
    return Frame(image, number, wall_s, 5.0 + number)


def part(part_id=12, x=40.0):
    return Part(part_id=part_id, box=Box(x, 30.0, 50.0, 40.0), score=0.9)


DEFECT = Verdict("defect", 0.98)


def ready(folder):
    return sorted(path.name for path in (folder / "ready").glob("*"))
