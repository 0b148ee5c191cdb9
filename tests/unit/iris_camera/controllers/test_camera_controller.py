"""One camera, from frames to queued files, with a source and models that do as they are told."""

import csv
import logging
import threading

import numpy as np
import pytest

from iris_camera.camera.frame import Frame
from iris_camera.controllers import camera_controller
from iris_camera.controllers.camera_controller import Camera, RecordSettings
from iris_camera.controllers.record_delivery import Destination
from iris_camera.inspection.findings import Box, Detection, Verdict
from iris_camera.inspection.inspector import Inspector
from iris_camera.records.csv_name import new_run
from iris_camera.records.rotation import RotationLimits
from iris_communication import sftp_uploader_thread

LIMITS = RotationLimits(rows_max=10, size_bytes_max=100_000, age_s_max=3600.0)
WAIT_S = 10.0


class ListSource:
    """So many frames, then the end; a live one or a file."""

    name = "line-1"
    frame_rate = 25.0

    def __init__(self, frames, *, live=False):
        self.live = live
        self._frames = [_frame(number) for number in range(frames)]
        self.closed = threading.Event()

    def open(self):
        pass

    def read(self):
        return self._frames.pop(0) if self._frames and not self.closed.is_set() else None

    def close(self):
        self.closed.set()


class EndlessSource(ListSource):
    """Shows one frame, then waits until it is closed."""

    def __init__(self):
        super().__init__(1)

    def read(self):
        frame = super().read()
        if frame is None:
            self.closed.wait(WAIT_S)
        return frame


class BrokenSource(ListSource):
    """Fails while it is read."""

    def __init__(self):
        super().__init__(0)

    def read(self):
        raise OSError("cable pulled")


class OnePart:
    """Sees one part, in the same place, always; raises on the frames it is told to."""

    def __init__(self, failing_calls=()):
        self.calls = 0
        self.failing_calls = failing_calls

    def detect(self, image):
        self.calls += 1
        if self.calls in self.failing_calls:
            raise ValueError("model failed")
        return [Detection(Box(30.0, 20.0, 20.0, 20.0), 0.9)]


class AlwaysDefect:
    def classify(self, image, box):
        return Verdict("defect", 0.8)


class AcceptingUploader:
    """Takes every file over, as the outbox does, and keeps what was in it."""

    def __init__(self):
        self.queued = []

    def queue_upload(self, *, file_path, folder_type, **_):
        self.queued.append((folder_type, file_path.name, list(csv.DictReader(file_path.read_text().splitlines()))))
        file_path.unlink()
        return True


def _frame(number):
    image = np.zeros((80, 120, 3), np.uint8)
    image.flags.writeable = False
    return Frame(image, number, 1_700_000_000.0 + number / 25, 50.0 + number / 25)


@pytest.fixture
def uploader():
    return AcceptingUploader()


@pytest.fixture
def camera_on(tmp_path, uploader):
    cameras = []

    def make(source, detector=None, **observers):
        camera = Camera(
            source,
            Inspector(detector or OnePart(), AlwaysDefect()),
            uploader,
            Destination({}, {"project": "p"}),
            RecordSettings(tmp_path / "records", new_run(), LIMITS),
            monotonic=lambda: 50.0,
            **observers,
        )
        cameras.append(camera)
        return camera

    yield make
    for camera in cameras:
        assert camera.stop(WAIT_S)


def run_to_the_end(camera):
    """For a source that ends: a file's frames are all inspected before the camera has ended."""
    camera.start()
    for thread in (camera._capture, camera._inspection):
        thread.join(WAIT_S)
    assert camera.stop(WAIT_S)


def test_every_detection_and_every_part_becomes_one_row_of_a_queued_file(camera_on, uploader):
    run_to_the_end(camera_on(ListSource(25)))
    model = [row for kind, _, rows in uploader.queued if kind == "model" for row in rows]
    classifier = [row for kind, _, rows in uploader.queued if kind == "classifier" for row in rows]
    assert [row["frame"] for row in model] == [str(number) for number in range(25)]
    assert [(row["part_id"], row["label"]) for row in classifier] == [("1", "defect")]


def test_files_rotate_while_the_line_runs_and_the_open_one_is_queued_at_the_end(camera_on, uploader):
    run_to_the_end(camera_on(ListSource(25)))
    assert [len(rows) for kind, _, rows in uploader.queued if kind == "model"] == [10, 10, 5]
    names = [name for kind, name, _ in uploader.queued if kind == "model"]
    assert names == sorted(names)


def test_what_earlier_runs_left_is_queued_before_anything_new(camera_on, uploader, tmp_path):
    ready = tmp_path / "records" / "ready"
    ready.mkdir(parents=True)
    left = "line-1_model_20260101T000000.000Z_deadbeef_000003.csv"
    (ready / left).write_text(
        "schema_version,frame,utc,monotonic_s,part_id,x_px,y_px,width_px,height_px,score\n"
        "1,0,2026-01-01T00:00:00.000Z,1.000000,1,1.0,1.0,2.0,2.0,0.9000\n"
    )
    run_to_the_end(camera_on(ListSource(3)))
    assert uploader.queued[0][1] == left


def test_an_inspection_that_raises_costs_that_frame_alone(camera_on, uploader, caplog):
    camera = camera_on(ListSource(10), OnePart(failing_calls=(4,)))
    with caplog.at_level(logging.ERROR):
        run_to_the_end(camera)
    assert camera.snapshot()["frames"] == 9
    assert camera.snapshot()["errors"] == 1
    assert "camera line-1, error 1: frame 3 could not be inspected" in caplog.text
    assert "model failed" in caplog.text


def test_a_source_that_fails_is_offline_and_told_with_its_traceback(camera_on, caplog):
    camera = camera_on(BrokenSource())
    with caplog.at_level(logging.ERROR):
        run_to_the_end(camera)
    assert "cable pulled" in caplog.text
    assert camera._offline == "OSError: cable pulled"


def test_quiescing_closes_the_source_and_queues_the_open_records(camera_on, uploader):
    inspected = threading.Event()
    camera = camera_on(EndlessSource(), on_inspected=lambda frame, found: inspected.set())
    camera.start()
    assert inspected.wait(WAIT_S)
    assert uploader.queued == []
    assert camera.snapshot()["state"] == "online"
    assert camera.quiesce(WAIT_S)
    assert [kind for kind, _, _ in uploader.queued] == ["model"]
    assert camera.snapshot()["state"] == "disabled"


def test_an_observer_that_raises_costs_nothing_else(camera_on, uploader, caplog):
    def failing(*news):
        raise RuntimeError("observer failed")

    camera = camera_on(ListSource(25), on_inspected=failing, on_finished=failing)
    with caplog.at_level(logging.ERROR):
        run_to_the_end(camera)
    assert camera.snapshot()["frames"] == 25
    assert len(uploader.queued) == 4
    assert "observer failed" in caplog.text


def test_the_page_gets_the_latest_frame_with_its_parts_and_verdicts_marked(camera_on):
    camera = camera_on(ListSource(5))
    assert camera.picture() is None
    run_to_the_end(camera)
    picture = camera.picture()
    assert picture.number == 4
    assert [(mark.words, mark.alarm) for mark in picture.marks] == [("1 defect", True)]


def test_the_controller_holds_the_process_uploader_and_fixes_none_of_its_options(monkeypatch, tmp_path):
    monkeypatch.setattr(sftp_uploader_thread, "_only", None)
    monkeypatch.setattr(sftp_uploader_thread, "_only_options", {})
    made = sftp_uploader_thread.get_sftp_uploader(outbox_dir=tmp_path / "outbox", max_queue_size=7)
    assert camera_controller.sftp_uploader is made


def test_the_statistics_endpoint_belongs_to_the_controllers_routes(monkeypatch, tmp_path):
    monkeypatch.setattr(sftp_uploader_thread, "_only", None)
    monkeypatch.setattr(sftp_uploader_thread, "_only_options", {})
    sftp_uploader_thread.get_sftp_uploader(outbox_dir=tmp_path / "outbox")
    assert [route.path for route in camera_controller.routes().routes] == ["/sftp-uploader-stats"]
