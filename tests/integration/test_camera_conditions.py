"""Faults of cameras, their inspection and Iris as a whole, made for real, and how each is reported."""

import threading

import pytest
from onnx import TensorProto, helper

from iris_camera.config import CameraSettings
from iris_camera.controllers.observers import Observers
from iris_camera.health.facts import HealthLimits
from iris_camera.inspection.settings import DetectorSettings, InspectionSettings
from iris_camera.web.server import WebServer, create_app
from iris_communication.sftp_uploader_thread import SftpUploaderThread
from tests.integration.health_site import BEING_OPENED, LONG_S, OFF, SLOW_LINE, Site
from tests.servers.mjpeg_server import MjpegServer
from tests.unit.iris_camera.inspection.made_models import SIDE, constant, save

MORE_THAN_ANY_DISK = 1 << 60


@pytest.fixture
def network_camera():
    with MjpegServer() as opened:
        yield opened


def of(network_camera, **settings):
    return CameraSettings(source=network_camera.url("/line"), stalled_after_s=0.3, **settings)


def test_iris_is_starting_before_its_start(tmp_path):
    site = Site(tmp_path)
    app = site.app
    page = create_app(snapshot=app.snapshot, health=app.health.snapshot, pictures=dict, live=app.sockets)
    site.app.web = WebServer(page, port=0)
    site.app.web.start()
    try:
        site.is_in("starting", "Iris is starting.", look=False)
    finally:
        site.app.cleanup_threads()


def test_a_camera_that_does_not_answer_is_being_opened_and_no_failure_yet(network_camera, tmp_path):
    network_camera.mute()
    with Site(tmp_path, camera=of(network_camera)) as site:
        status, answer = site.until_said(BEING_OPENED)
    assert (status, answer["ready"]) == (503, False)
    assert answer["severity"] != "failed"


def test_a_camera_that_does_not_answer_for_long_is_without_picture(network_camera, tmp_path):
    network_camera.mute()
    camera = of(network_camera, open_timeout_s=LONG_S, hung_after_s=2 * LONG_S)
    with Site(tmp_path, camera=camera, limits=HealthLimits(starting_s=0.5)) as site:
        site.is_in("camera without picture", "camera line has given no picture yet")


def test_a_camera_that_falls_silent_is_stalled_and_works_again(network_camera, tmp_path):
    camera = of(network_camera, read_timeout_s=LONG_S, hung_after_s=2 * LONG_S)
    with Site(tmp_path, camera=camera, limits=HealthLimits(stalled_after_s=0.5)) as site:
        site.until_writing()
        network_camera.stall()
        site.is_in("camera stalled", "camera line has given no new picture for")
        network_camera.sending.set()
        _, answer = site.until_said("Iris works")
        assert "no new picture" not in answer["sentence"]


def test_one_of_two_cameras_that_is_not_there_is_named_beside_how_many_work(network_camera, tmp_path):
    network_camera.cut()
    with Site(tmp_path, cameras={"line": SLOW_LINE, "second": of(network_camera)}) as site:
        site.is_in("cameras at work", "1 of 2 cameras works", "camera second has been offline")


def test_one_of_two_cameras_that_is_switched_off_is_a_remark(tmp_path):
    with Site(tmp_path, cameras={"line": SLOW_LINE, "second": OFF}) as site:
        _, answer = site.until_said("no server is configured")
    (remark,) = [text for text in answer["reasons"] if "second" in text]
    assert remark == "camera second is disabled (it is switched off in the settings)"


def test_no_camera_at_all_is_reported(tmp_path):
    with Site(tmp_path, cameras={}) as site:
        site.is_in("no camera", "there is no camera to inspect")


def test_the_inspection_of_a_film_that_cannot_be_read_has_stopped_while_another_camera_goes_on(tmp_path):
    (tmp_path / "cut.mp4").write_bytes(b"\0\0\0\x20ftypisom" + bytes(4096))
    film = CameraSettings(source=f"file:{tmp_path / 'cut.mp4'}")
    with Site(tmp_path, cameras={"line": SLOW_LINE, "film": film}) as site:
        site.is_in("inspection stopped", "camera film is not inspected: its inspection has stopped")


def fails_on_pictures(path):
    """A detector that passes its trial on an empty picture, and on a real one indexes a row that it does not have."""
    nodes = [
        helper.make_node("ReduceMax", ["picture"], ["brightest"], keepdims=0),
        constant("many", 1e6),
        helper.make_node("Mul", ["brightest", "many"], ["far"]),
        helper.make_node("Cast", ["far"], ["which"], to=TensorProto.INT64),
        constant("one", [[0.0, 0.0, 9.0, 9.0]]),
        helper.make_node("Gather", ["one", "which"], ["row"], axis=0),
        constant("axis", [0], "int64"),
        helper.make_node("Unsqueeze", ["row", "axis"], ["boxes"]),
        constant("scores", [0.9]),
    ]
    inputs = {"picture": (TensorProto.FLOAT, [1, 3, SIDE, SIDE])}
    return save(path, nodes, inputs, {"boxes": (TensorProto.FLOAT, ["n", 4]), "scores": (TensorProto.FLOAT, ["n"])})


def test_an_inspection_that_fails_restarts_and_is_a_failure_once_it_does_so_again_and_again(tmp_path):
    model = DetectorSettings(model=fails_on_pictures(tmp_path / "fails.onnx"), label="part")
    inspecting = InspectionSettings(detector=model)
    with Site(tmp_path, inspection=inspecting, limits=HealthLimits(restarts_lately=2)) as site:
        _, answer = site.until_said("camera line restarts its inspection")
        assert answer["severity"] == "degraded"
        answer = site.is_in("inspection failing", "its inspection restarted 2 times in 5 min")
    assert "picture" not in answer["sentence"], "the camera gives pictures"


def test_pictures_that_wait_for_an_inspection_that_hangs_are_no_fault_of_the_camera(tmp_path):
    going_on = threading.Event()
    hangs = Observers(on_inspected=lambda frame, found: going_on.wait(LONG_S))
    with Site(tmp_path, observers=hangs, limits=HealthLimits(starting_s=0.5, stalled_after_s=1.0)) as site:
        try:
            site.is_in("inspection failing", "camera line is not inspected: no picture of it has been looked at for")
        finally:
            going_on.set()


def test_frames_that_come_faster_than_they_are_inspected_are_counted(tmp_path):
    inspected = Observers(on_inspected=lambda frame, found: threading.Event().wait(0.1))  # a model that takes so long
    fast = CameraSettings(frame_rate=50.0, width=320, height=180)
    with Site(tmp_path, camera=fast, observers=inspected, limits=HealthLimits(settled_after_s=0.0)) as site:
        site.is_in("frames skipped", "camera line is faster than its inspection", "were not inspected in 5 min")


def test_errors_of_an_observer_are_counted_and_the_line_goes_on(tmp_path):
    def fails(frame, found):
        raise RuntimeError("its display is gone")

    with Site(tmp_path, observers=Observers(on_inspected=fails)) as site:
        site.is_in("errors", "camera line had", "in 5 min (an observer failed")


def test_a_thread_that_ends_is_a_failure_until_it_is_started_again_and_remembered_then(tmp_path):
    exiting = threading.Event()
    exiting.set()

    def exits(frame, found):
        if exiting.is_set():
            raise SystemExit("as a script does")

    with Site(tmp_path, observers=Observers(on_inspected=exits)) as site:
        site.is_in("thread ended", "the thread iris-inspect-line has ended (SystemExit: as a script does)")
        exiting.clear()
        site.is_in("thread restarted", "the thread iris-inspect-line had to be started again")


def test_a_disk_down_to_its_reserve_costs_the_pictures_of_defects_which_is_reported(tmp_path):
    with Site(tmp_path, reserve_bytes=MORE_THAN_ANY_DISK, evidence=True) as site:
        site.is_in("disk reserve reached", "less than the reserve of")
        site.is_in("evidence skipped", "camera line: ", "no pictures since the start")


class DetailsHang(SftpUploaderThread):
    """Does not answer health's own thread, as when a disk hangs under it."""

    answers = threading.Event()

    def get_details(self):
        if threading.current_thread().name == "iris-health":
            self.answers.wait(LONG_S)
        return super().get_details()


def test_health_that_no_longer_checks_is_a_failure(tmp_path):
    with Site(tmp_path, uploader=DetailsHang, limits=HealthLimits(silent_after_s=0.5)) as site:
        try:
            site.is_in("health silent", "health has not looked for", look=False)
        finally:
            site.uploader.answers.set()
