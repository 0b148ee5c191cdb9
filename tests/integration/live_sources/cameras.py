"""Cameras that can be disturbed, and a capture that reads one: its changes of state, and why it is offline."""

from contextlib import contextmanager

from iris_camera.camera.capture import Capture
from iris_camera.camera.settings import SourceSettings
from iris_camera.camera.sources import make_source
from tests.footage import footage
from tests.servers.mjpeg_server import MjpegServer
from tests.servers.rtsp_server import RtspServer
from tests.unit.iris_camera.camera.watching import StateChanges

SOON_S = 60.0
PROMPT_S = 8.0  # for events that the test does not wait for
QUICK = {"open_timeout_s": 3.0, "read_timeout_s": 0.8, "stalled_after_s": 0.5, "offline_after_s": 0.3}
NAME, PASSWORD = "us er", "p@ss:w%rd/ü?#"


@contextmanager
def capturing(url, **settings):
    """A capture of the camera at an address, and its changes of state."""
    asked, changes = SourceSettings(url, **{**QUICK, **settings}), StateChanges()
    capture = Capture(
        "line-1", lambda: make_source("line-1", asked), asked, on_change=changes, pause_s=lambda failures: 0.05
    )
    capture.start()
    try:
        yield capture, changes
    finally:
        capture.close()
        assert capture.join(SOON_S)


def reason_of(url, **settings):
    """Why the camera at an address is offline."""
    with capturing(url, **settings) as (_, changes):
        return changes.wait_for("offline").reason


def open_and_read(source):
    """Its first frame."""
    source.open()
    return source.read()


def newest(capture):
    """A frame that came after now."""
    capture.handover.get(0.0)
    frame = capture.handover.get(SOON_S)
    assert frame is not None
    return frame


class DisturbedRtspCamera:
    """GStreamer's server, as a camera that can be disturbed."""

    path, size = "/line", (240, 320)

    def __init__(self, **options):
        self.server = RtspServer(footage("bikes.mp4"), **options)
        self.start, self.url = self.server.start, self.server.url
        self.stall, self.go_on, self.cut, self.close = (
            self.server.stall,
            self.server.go_on,
            self.server.kill,
            self.server.close,
        )

    def mute(self):
        self.server.stall()


class DisturbedMjpegCamera:
    """The HTTP server, as a camera that can be disturbed."""

    path, size = "/line", (120, 160)

    def __init__(self, **options):
        self.server = MjpegServer(slow_s=2.0, **options)
        self.start, self.url, self.stall, self.cut = (
            self.server.start,
            self.server.url,
            self.server.stall,
            self.server.cut,
        )
        self.mute, self.close, self.go_on = self.server.mute, self.server.close, self.server.sending.set
