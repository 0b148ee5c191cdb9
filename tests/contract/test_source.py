"""One suite, every kind of source."""

import threading
import time
from itertools import pairwise

import numpy as np
import pytest

from iris_camera.camera.live_video import LiveVideo
from iris_camera.camera.settings import SourceSettings
from iris_camera.camera.source import SourceError
from iris_camera.camera.sources import make_source
from iris_camera.camera.usb import open_usb
from tests.footage import footage
from tests.servers.capture_device import UsbBus
from tests.servers.mjpeg_server import MjpegServer, picture
from tests.servers.rtsp_server import RtspServer, need_rtsp_server

SOON_S = 60.0
PROMPT_S = 10.0  # what is not waited for


class SourceContract:
    """`make` gives a source of which `frames` frames can be read at once; `block` sees to it that no more come;
    `missing` gives one whose camera is not there."""

    live = True
    frames = 3
    counts_from_0_again = True

    @pytest.fixture
    def source(self):
        source = self.make()
        source.open()
        yield source
        source.close()

    def test_the_source_has_its_name_its_kind_and_its_frame_rate(self, source):
        assert source.name == "line-1"
        assert source.live is self.live
        assert source.frame_rate is None or source.frame_rate > 0

    def test_a_frame_is_a_read_only_picture_in_blue_green_red(self, source):
        image = source.read().image
        assert image.dtype == np.uint8
        assert image.ndim == 3
        assert image.shape[2] == 3
        with pytest.raises(ValueError, match="read-only"):
            image[0, 0, 0] = 1

    def test_frames_are_numbered_from_0_and_never_backwards(self, source):
        numbers = [source.read().number for _ in range(self.frames)]
        assert numbers[0] >= 0
        assert numbers == sorted(set(numbers))

    def test_time_goes_forward_from_frame_to_frame(self, source):
        frames = [source.read() for _ in range(self.frames)]
        assert [frame.monotonic_s for frame in frames] == sorted(frame.monotonic_s for frame in frames)
        assert all(before.wall_s <= after.wall_s for before, after in pairwise(frames))

    def test_one_frame_does_not_change_when_the_next_is_read(self, source):
        first = source.read()
        before = first.image.copy()
        source.read()
        assert np.array_equal(first.image, before)

    def test_a_read_that_waits_returns_none_soon_after_it_is_closed_from_another_thread(self):
        source = self.make()
        source.open()
        source.read()
        self.block()
        last = []
        reader = threading.Thread(target=lambda: last.append(_read_to_the_end(source)), daemon=True)
        reader.start()
        began_s = time.monotonic()
        source.close()
        reader.join(SOON_S)
        assert last == [None]
        assert time.monotonic() - began_s < PROMPT_S

    def test_a_closed_source_gives_no_frame_and_may_be_closed_again(self, source):
        source.read()
        source.close()
        source.close()
        assert source.read() is None

    def test_a_closed_source_can_be_opened_again(self, source):
        source.read()
        source.close()
        source.open()
        again = source.read()
        assert again is not None
        assert again.opening == 0
        if self.counts_from_0_again:
            assert again.number <= 1

    def test_a_read_before_the_source_is_opened_is_a_mistake_in_the_program(self):
        with pytest.raises(RuntimeError, match="before it was opened"):
            self.make().read()

    def test_a_source_may_be_closed_before_it_is_opened(self):
        self.make().close()

    def test_a_camera_that_is_not_there_is_an_error_with_a_sentence(self):
        source = self.missing()
        with pytest.raises(SourceError) as caught:
            source.open()
        assert caught.value.reason
        assert not caught.value.final
        source.close()


def _read_to_the_end(source):
    """What the last read gives, once no more frames come: None, or the error."""
    while True:
        try:
            frame = source.read()
        except SourceError as error:
            return error
        if frame is None:
            return None


class TestSyntheticLine(SourceContract):
    def make(self):
        return make_source("line-1", SourceSettings(frame_rate=25.0, width=320, height=180))

    def block(self):
        """It never stands still, and waits for its next frame most of the time."""

    test_a_camera_that_is_not_there_is_an_error_with_a_sentence = None  # it is always there


class TestVideoFile(SourceContract):
    live = False

    def make(self):
        return make_source("line-1", SourceSettings(f"file:{footage('bikes.mp4')}", frame_rate=20.0))

    def block(self):
        """A film at its own rate waits for its next frame most of the time."""

    def missing(self):
        return make_source("line-1", SourceSettings("file:/nowhere/film.mp4"))


class TestVideoFileAsFastAsItCanBeRead(TestVideoFile):
    def make(self):
        return make_source("line-1", SourceSettings(f"file:{footage('bikes.mp4')}", pace="fast"))


class TestImageFolder(SourceContract):
    live = False
    counts_from_0_again = False

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path):
        self.folder = tmp_path
        for number in range(6):
            (tmp_path / f"{number:03}.jpg").write_bytes(picture(number))

    def make(self):
        return make_source("line-1", SourceSettings(f"dir:{self.folder}"))

    def block(self):
        """After the images that are there it waits for more."""

    def missing(self):
        return make_source("line-1", SourceSettings("dir:/nowhere/images"))


class TestUsbCamera(SourceContract):
    """Through a fake capture device: no camera is plugged into a test machine."""

    @pytest.fixture(autouse=True)
    def _bus(self, tmp_path):
        self.bus = UsbBus(tmp_path / "dev")
        self.bus.plug_in(0, 90)

    def make(self, place="0"):
        settings = SourceSettings(f"usb:{place}")
        return LiveVideo(
            lambda: open_usb(settings, self.bus.open_capture, self.bus.devices), name="line-1", read_timeout_s=0.3
        )

    def block(self):
        self.bus.silent.set()

    def missing(self):
        return self.make("7")


class TestMjpegCamera(SourceContract):
    @pytest.fixture(autouse=True)
    def _server(self):
        with MjpegServer() as self.server:
            yield

    def make(self, path="/line"):
        return make_source("line-1", SourceSettings(self.server.url(path)))

    def block(self):
        self.server.stall()

    def missing(self):
        return self.make("/nowhere")


@pytest.fixture(scope="module")
def rtsp_server(need_program):
    need_rtsp_server(need_program)
    with RtspServer(footage("bikes.mp4")) as server:
        yield server


class TestRtspCamera(SourceContract):
    @pytest.fixture(autouse=True)
    def _server(self, rtsp_server):
        self.server = rtsp_server
        yield
        self.server.go_on()

    def make(self, path="/line"):
        return make_source("line-1", SourceSettings(self.server.url(path), open_timeout_s=4.0, read_timeout_s=1.0))

    def block(self):
        self.server.stall()

    def missing(self):
        return self.make("/nowhere")
