"""A camera of each kind that can be disturbed, ended after the test."""

import pytest

from tests.integration.live_sources.cameras import DisturbedMjpegCamera, DisturbedRtspCamera
from tests.servers.rtsp_server import need_rtsp_server


@pytest.fixture(params=[DisturbedRtspCamera, DisturbedMjpegCamera], ids=["rtsp", "http"])
def new_camera(request, need_program):
    """Starts a camera of each kind, and ends it after the test."""
    if request.param is DisturbedRtspCamera:
        need_rtsp_server(need_program)
    cameras = []

    def start(**options):
        cameras.append(request.param(**options))
        cameras[-1].start()
        return cameras[-1]

    yield start
    for camera in cameras:
        camera.close()


@pytest.fixture
def camera(new_camera):
    return new_camera()
