"""One camera, from frames to queued files, with a scripted source and scripted models."""

import logging
import threading

import pytest

from iris_camera.camera.settings import SourceSettings
from iris_camera.controllers import camera_controller
from iris_camera.controllers.camera_controller import Camera, CameraSetup
from iris_camera.controllers.handing_over import DeliveryTarget
from iris_camera.controllers.observers import NOBODY, Observers
from iris_camera.inspection.inspector import Inspector
from iris_camera.inspection.model_error import ModelError
from iris_camera.inspection.settings import InspectionSettings
from iris_camera.records.settings import EvidenceSettings, RecordSettings
from iris_communication import sftp_uploader_thread
from tests.own_process import in_a_process_of_its_own
from tests.unit.iris_camera.camera.watching import wait_until
from tests.unit.iris_camera.controllers.parts import (
    WAIT_S,
    AcceptingUploader,
    AlwaysDefect,
    EndlessSource,
    ListSource,
    OnePart,
)


@pytest.fixture
def uploader():
    return AcceptingUploader()


@pytest.fixture
def camera_on(tmp_path, uploader):
    cameras = []

    def make(source, detector=None, *, observers=NOBODY, uploader=uploader, enabled=True):
        setup = CameraSetup(
            "line-1",
            SourceSettings(source="synthetic" if source.live else "file:frames"),
            InspectionSettings(),
            RecordSettings(folder=tmp_path / "records", rows_max=10),
            EvidenceSettings(crop=False),
            DeliveryTarget("plant", {"project": "p"}),
            tmp_path / "records" / "line-1",
            enabled,
        )
        camera = Camera(
            setup,
            uploader,
            observers=observers,
            make=lambda name, settings: source,
            inspector=lambda settings, stills: Inspector(detector or OnePart(), AlwaysDefect()),
        )
        cameras.append(camera)
        return camera

    yield make
    for camera in cameras:
        assert camera.stop(WAIT_S)


def run_to_the_end(camera):
    """For a source that ends: a file's frames are all inspected before the camera has ended."""
    camera.start()
    wait_until(lambda: camera.ended)
    assert camera.quiesce(WAIT_S)


def test_every_detection_and_every_part_becomes_one_row_of_a_queued_file(camera_on, uploader):
    run_to_the_end(camera_on(ListSource(25)))
    assert [row["frame"] for row in uploader.rows("model")] == [str(number) for number in range(25)]
    assert [(row["part_id"], row["label"]) for row in uploader.rows("classifier")] == [("1", "defect")]


def test_a_defect_is_kept_as_a_picture(camera_on, uploader):
    run_to_the_end(camera_on(ListSource(25)))
    assert [name.endswith(".jpg") for kind, name, _ in uploader.queued if kind == "evidence"] == [True]


def test_files_rotate_while_the_line_runs_and_the_open_one_is_queued_at_the_end(camera_on, uploader):
    run_to_the_end(camera_on(ListSource(25)))
    assert [len(rows) for kind, _, rows in uploader.queued if kind == "model"] == [10, 10, 5]
    names = [name for kind, name, _ in uploader.queued if kind == "model"]
    assert names == sorted(names)


def test_a_file_that_an_earlier_run_left_is_queued(camera_on, uploader, tmp_path):
    ready = tmp_path / "records" / "line-1" / "ready"
    ready.mkdir(parents=True)
    left = "line-1_model_20260101T000000.000Z_deadbeef_000003.csv"
    (ready / left).write_text(
        "schema_version,frame,utc,monotonic_s,part_id,x_px,y_px,width_px,height_px,score\n"
        "1,0,2026-01-01T00:00:00.000Z,1.000000,1,1.0,1.0,2.0,2.0,0.9000\n"
    )
    run_to_the_end(camera_on(ListSource(3)))
    assert left in [name for _, name, _ in uploader.queued]


def test_a_camera_has_ended_when_its_source_has_and_all_of_it_is_recorded(camera_on):
    camera = camera_on(ListSource(25))
    assert not camera.ended
    run_to_the_end(camera)
    assert camera.ended
    assert camera.ended_in_trouble is None


def test_a_camera_that_was_closed_has_not_ended(camera_on):
    camera = camera_on(EndlessSource())
    camera.start()
    assert camera.quiesce(WAIT_S)
    assert not camera.ended


def test_a_line_that_iris_itself_ended_is_reported_as_ended_and_one_that_is_switched_off_is_not(camera_on):
    camera = camera_on(EndlessSource())
    camera.start()
    assert not camera.snapshot()["ended"]
    assert camera.stop(WAIT_S)
    assert camera.snapshot()["ended"]
    off = camera_on(EndlessSource(), enabled=False)
    off.close()
    assert not off.snapshot()["ended"]


class HangingUploader(AcceptingUploader):
    """Its disk hangs: queueing does not return until the test releases it."""

    def __init__(self):
        super().__init__()
        self.let_go = threading.Event()

    def queue_upload(self, **arguments):
        self.let_go.wait(WAIT_S)
        return super().queue_upload(**arguments)


def test_an_outbox_that_hangs_stops_no_frame(camera_on):
    uploader = HangingUploader()
    camera = camera_on(ListSource(100), uploader=uploader)
    camera.start()
    wait_until(lambda: camera.ended)
    seen = camera.snapshot()
    assert seen["frames"] == 100
    assert seen["waiting_records"] >= 10
    assert not camera.quiesce(0.05)
    uploader.let_go.set()


def test_quiescing_closes_the_source_and_queues_the_open_records(camera_on, uploader):
    inspected = threading.Event()
    camera = camera_on(EndlessSource(), observers=Observers(lambda frame, found: inspected.set()))
    camera.start()
    assert inspected.wait(WAIT_S)
    assert uploader.rows("model") == []
    assert camera.quiesce(WAIT_S)
    assert [kind for kind, _, _ in uploader.queued] == ["model"]


def test_a_camera_reports_all_that_page_and_health_read(camera_on):
    camera = camera_on(ListSource(25))
    run_to_the_end(camera)
    assert camera.stop(WAIT_S)
    seen = camera.snapshot()
    assert seen["name"] == "line-1"
    assert (seen["frames"], seen["parts"], seen["defects"], seen["csv_files"]) == (25, 1, 1, 4)
    assert (seen["evidence_files"], seen["evidence_skipped"], seen["waiting_records"]) == (1, 0, 0)
    assert seen["source"] == "file:frames"
    assert seen["inspection"]["provider"] == "made up"
    assert seen["inspection"]["detector"] == "one part"
    assert seen["events"]
    assert set(seen["events"][0]) == {"at_s", "state", "reason"}


def test_a_camera_that_is_switched_off_opens_nothing_and_reports_it(camera_on, caplog):
    source = ListSource(5)
    camera = camera_on(source, enabled=False)
    with caplog.at_level(logging.ERROR):
        camera.start()
    assert camera.snapshot()["state"] == "disabled"
    assert camera.snapshot()["reason"] == "it is switched off in the settings"
    assert camera.quiesce(0.0)
    assert camera.stop(0.0)
    assert len(source.unread) == 5


def test_a_model_that_cannot_be_used_is_reported_before_anything_starts(tmp_path, uploader):
    def no_model(settings, stills):
        raise ModelError("there is no model at belt.onnx")

    setup = CameraSetup(
        "line-1",
        SourceSettings(),
        InspectionSettings(),
        RecordSettings(),
        EvidenceSettings(),
        DeliveryTarget("plant", {"project": "p"}),
        tmp_path,
    )
    with pytest.raises(ModelError):
        Camera(setup, uploader, inspector=no_model)


def test_the_page_gets_the_latest_frame_with_its_parts_and_verdicts_marked(camera_on):
    camera = camera_on(ListSource(5))
    assert camera.picture() is None
    run_to_the_end(camera)
    picture = camera.picture()
    assert picture.number == 4
    assert [(mark.text, mark.alarm) for mark in picture.marks] == [("1 defect", True)]


@in_a_process_of_its_own
def test_the_controller_holds_the_process_uploader_and_fixes_none_of_its_options(tmp_path):
    made = sftp_uploader_thread.get_sftp_uploader(outbox_dir=tmp_path / "outbox", max_queue_size=7)
    assert camera_controller.sftp_uploader is made


@in_a_process_of_its_own
def test_the_statistics_endpoint_belongs_to_the_controllers_routes(tmp_path):
    sftp_uploader_thread.get_sftp_uploader(outbox_dir=tmp_path / "outbox")
    assert [route.path for route in camera_controller.routes().routes] == ["/sftp-uploader-stats"]
