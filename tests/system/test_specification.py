"""The six tests the users recommend, on the application as it is started: `python app.py` in a process of its own,
delivering to a real SFTP server."""

import json
import signal
import sys
import time
from types import SimpleNamespace

import pytest

from iris_camera.demo.sftp_server import DemoServer
from iris_communication.sftp_uploader_thread import SftpUploaderThread
from tests.system.iris_process import WAIT_S, IrisProcess


class RunningApplication(IrisProcess):
    """`python app.py` with its page on a free port."""

    def __init__(self, folder, server_info):
        server_file = folder / "server.json"
        server_file.write_text(json.dumps(server_info))
        environment = {
            "IRIS_SERVER": str(server_file),
            "IRIS_OUTBOX": str(folder / "outbox"),
            "IRIS_RECORDS": str(folder / "records"),
        }
        super().__init__([], environment=environment, command=(sys.executable, "app.py"))

    def camera(self):
        (camera,) = self.cameras().values()
        return camera

    def interrupt(self):
        status, _ = self.end(signal.SIGINT)
        return status


@pytest.fixture
def server(tmp_path):
    with DemoServer(tmp_path / "received") as server:
        yield SimpleNamespace(access=server.start(), outage=server.outage, recover=server.recover)


@pytest.fixture
def application(tmp_path, server):
    running = RunningApplication(tmp_path, server.access.server_info("/incoming"))
    yield running
    running.close()


def test_starting_the_application_starts_the_uploader_thread(application):
    assert application.stats()["running"] is True


def test_frames_are_processed_while_uploads_are_queued_without_blocking(application, tmp_path):
    application.wait_until(lambda: application.camera()["frames"] > 50)
    camera = application.camera()
    assert camera["state"] == "online"
    assert camera["frame_age_s"] < 2.0
    assert application.interrupt() == 0
    assert list((tmp_path / "received").rglob("*_model_*.csv"))
    assert list((tmp_path / "received").rglob("*_classifier_*.csv"))


def test_the_statistics_endpoint_answers_exactly_what_was_agreed(application):
    answer = application.stats()
    assert set(answer) == {"running", "stats"}
    assert set(answer["stats"]) == {"total_queued", "total_uploaded", "total_failed", "queue_size"}
    stats = answer["stats"]
    assert stats["total_queued"] == stats["total_uploaded"] + stats["total_failed"] + stats["queue_size"]


def test_ctrl_c_shuts_down_gracefully_and_delivers_what_was_recorded(application, tmp_path):
    application.wait_until(lambda: application.camera()["frames"] > 25)
    assert application.interrupt() == 0
    waiting = [path for place in ("open", "ready") for path in (tmp_path / "records").glob(f"*/{place}/*")]
    assert waiting == []
    assert list((tmp_path / "outbox" / "spool").iterdir()) == []
    assert list((tmp_path / "received").rglob("*.csv"))


def test_a_hundred_and_more_uploads_are_queued_refused_when_full_and_all_accepted_ones_delivered(tmp_path, server):
    server.outage()
    uploader = SftpUploaderThread(tmp_path / "outbox")  # at most 100, by default
    uploader.start()
    accepted = []
    for number in range(130):
        path = tmp_path / f"{number:03d}.csv"
        path.write_text(f"row {number}\n")
        if uploader.queue_upload(server.access.server_info("/incoming"), path, {"project": "line-1"}, "model"):
            accepted.append(path.name)
    assert len(accepted) == 100
    assert uploader.get_stats() == {"total_queued": 100, "total_uploaded": 0, "total_failed": 0, "queue_size": 100}
    server.recover()
    deadline_s = time.monotonic() + WAIT_S
    while uploader.get_stats()["queue_size"] and time.monotonic() < deadline_s:
        time.sleep(0.05)
    uploader.close()
    received = tmp_path / "received" / "incoming" / "line-1" / "model"
    assert sorted(path.name for path in received.iterdir()) == accepted


def test_camera_processing_goes_on_during_sftp_errors(application, server):
    application.wait_until(lambda: application.camera()["frames"] > 25)
    server.outage()
    before = application.camera()["frames"]
    application.wait_until(lambda: application.camera()["frames"] >= before + 75)
    server.recover()
