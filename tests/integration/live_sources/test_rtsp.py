"""Cameras over RTSP: a real server (GStreamer's) sends real H.264."""

import subprocess
import sys
import time

import pytest

from tests.footage import footage
from tests.integration.live_sources.cameras import SOON_S, capturing, newest
from tests.servers.mjpeg_server import MjpegServer
from tests.servers.rtsp_server import RtspServer, need_rtsp_server


@pytest.fixture
def rtsp(need_program):
    need_rtsp_server(need_program)
    with RtspServer(footage("carphone_pristine.mp4")) as server:
        yield server


def test_a_film_of_real_h264_comes_over_rtsp_and_at_its_end_the_camera_is_opened_again(rtsp):
    with capturing(rtsp.url("/film"), offline_after_s=30.0) as (capture, changes):
        changes.wait_for("online")
        assert newest(capture).image.shape == (144, 176, 3)
        deadline_s = time.monotonic() + 20
        while capture.status().reconnects == 0:
            assert time.monotonic() < deadline_s
            frame = capture.handover.get(1.0)
        assert changes.states == ["online"]
        assert capture.status().frames > 100
        assert newest(capture).opening >= 1
        assert frame is None or frame.number < newest(capture).number


def test_two_cameras_are_read_side_by_side_and_one_that_is_stalled_does_not_hold_the_other(rtsp):
    with (
        MjpegServer() as other,
        capturing(rtsp.url("/line"), read_timeout_s=3.0) as (stalled, changes),
        capturing(other.url("/line")) as (steady, changes_of_other),
    ):
        changes.wait_for("online")
        changes_of_other.wait_for("online")
        rtsp.stall()
        changes.wait_for("stalled")
        ages = [time.monotonic() - steady.handover.get(SOON_S).monotonic_s for _ in range(50)]
        assert max(ages) < 2.0
        assert changes_of_other.states == ["online"]
        rtsp.go_on()
    assert stalled.status().state == "disabled"


def test_no_password_stands_in_what_opencv_writes_to_standard_error(rtsp):
    """In a process of its own, whose standard error is all there is; with each way an opening can fail."""
    rtsp.close()
    with RtspServer(footage("bikes.mp4"), username="admin", password="right") as locked:
        script = f"""
from iris_camera.camera.settings import SourceSettings
from iris_camera.camera.source import SourceError
from iris_camera.camera.sources import make_source
for url in {[locked.url("/line"), locked.url("/nowhere"), "rtsp://127.0.0.1:1/x", "rtsp://camera.invalid/x"]!r}:
    source = make_source("a", SourceSettings(url, username="admin", password="s3cr3t", open_timeout_s=2.0))
    try:
        source.open()
    except Exception as error:
        print(type(error).__name__, error)
"""
        ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=170, check=True)
    assert ran.stdout.count("SourceError") == 4
    assert "s3cr3t" not in ran.stdout + ran.stderr
