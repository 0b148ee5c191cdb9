"""Through a fake capture device: see tests/servers/capture_device.py for what that can show and what it cannot."""

import os

import cv2
import numpy as np
import pytest

from iris_camera.camera.capture import Capture
from iris_camera.camera.decoding import PictureDecoder
from iris_camera.camera.live_video import LiveVideo
from iris_camera.camera.settings import SourceSettings
from iris_camera.camera.source import SourceError
from iris_camera.camera.usb import open_usb
from tests.servers.capture_device import UsbBus
from tests.unit.iris_camera.camera.watching import StateChanges, wait_until

SOON_S = 20.0
FRONT, REAR = 60, 180


@pytest.fixture
def bus(tmp_path):
    bus = UsbBus(tmp_path / "dev")
    yield bus
    bus.unhang.set()


def camera(bus, place, **settings):
    asked = SourceSettings(f"usb:{place}", **settings)
    return LiveVideo(
        lambda: open_usb(asked, bus.open_capture, bus.devices),
        name="line-1",
        read_timeout_s=asked.read_timeout_s,
        frame_rate=asked.frame_rate,
    )


def brightness(frame):
    return int(frame.image[0, 0, 0])


def test_a_camera_by_index_is_that_device(bus):
    bus.plug_in(0, FRONT)
    bus.plug_in(1, REAR)
    source = camera(bus, "1")
    source.open()
    assert brightness(source.read()) == REAR
    source.close()


def test_a_camera_by_name_is_found_where_it_is_now(bus):
    """After a replug its old index is another camera's."""
    bus.plug_in(0, FRONT, "front")
    source = camera(bus, bus.by_id / "front")
    source.open()
    assert brightness(source.read()) == FRONT
    bus.unplug(0)
    with pytest.raises(SourceError, match="it has stopped sending pictures"):
        source.read()
    bus.plug_in(0, REAR, "rear")
    bus.plug_in(2, FRONT, "front")
    source.close()
    source.open()
    assert brightness(source.read()) == FRONT
    source.close()


def test_an_unplugged_camera_is_reported_as_not_there(bus):
    bus.plug_in(0, FRONT, "front")
    bus.unplug(0)
    with pytest.raises(SourceError, match=r"there is no camera .*by-id/front") as caught:
        camera(bus, bus.by_id / "front").open()
    assert "plugged in" in caught.value.hint


def test_a_camera_in_use_by_another_program_gives_no_pictures(bus):
    bus.plug_in(0, FRONT)
    bus.refuses = True
    with pytest.raises(SourceError, match=r"video0 gives no pictures") as caught:
        camera(bus, "0").open()
    assert "another program" in caught.value.hint


def test_a_camera_without_permission_is_reported_with_how_to_change_that(bus, monkeypatch):
    bus.plug_in(0, FRONT)
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may use everything
    with pytest.raises(SourceError, match="no permission to use") as caught:
        camera(bus, "0").open()
    assert "group video" in caught.value.hint


def test_size_and_rate_are_asked_of_the_device(bus):
    bus.plug_in(0, FRONT)
    source = camera(bus, "0", width=1920, height=1080, frame_rate=50.0)
    source.open()
    assert bus.opened[0].asked_for == {
        cv2.CAP_PROP_FRAME_WIDTH: 1920,
        cv2.CAP_PROP_FRAME_HEIGHT: 1080,
        cv2.CAP_PROP_FPS: 50.0,
    }
    source.close()


def test_every_picture_is_grabbed_and_only_those_wanted_are_decoded(bus):
    bus.plug_in(0, FRONT)
    source = camera(bus, "0", frame_rate=20.0)
    source.open()
    assert [source.read().number for _ in range(4)] == [0, 1, 2, 3]
    device = bus.opened[0]
    assert device.retrieved == 4
    assert device.grabbed > device.retrieved
    source.close()


def test_a_closed_device_is_released(bus):
    bus.plug_in(0, FRONT)
    source = camera(bus, "0")
    source.open()
    source.close()
    assert bus.opened[0].released


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_grey_camera_gives_three_channels(bus, dtype):
    bus.plug_in(0, FRONT)
    shift = 0 if dtype == np.uint8 else 8
    bus.picture = lambda mark: np.full((48, 64), mark << shift, dtype)
    source = camera(bus, "0")
    source.open()
    frame = source.read()
    assert frame.image.shape == (48, 64, 3)
    assert brightness(frame) == FRONT
    source.close()


def test_a_picture_that_cannot_be_decoded_is_left_out_and_counted_in_the_numbers(bus, caplog):
    bus.plug_in(0, FRONT)
    good = bus.picture
    calls = iter(range(1000))
    bus.picture = lambda mark: None if next(calls) % 2 else good(mark)
    source = camera(bus, "0")
    source.open()
    assert [source.read().number for _ in range(4)] == [0, 2, 4, 6]
    assert "left out" in caplog.text
    source.close()


def test_a_camera_that_gives_nothing_but_rubbish_is_lost(bus):
    bus.plug_in(0, FRONT)
    bus.picture = lambda mark: None
    source = camera(bus, "0", read_timeout_s=0.1)
    source.open()
    with pytest.raises(SourceError, match="its pictures cannot be decoded: an empty picture"):
        source.read()
    source.close()


def test_a_mistake_inside_opencv_is_a_lost_camera(bus):
    def explode(mark):
        raise cv2.error("rtsp://admin:secret@camera failed")

    bus.plug_in(0, FRONT)
    bus.picture = explode
    source = camera(bus, "0")
    source.open()
    with pytest.raises(SourceError, match="OpenCV failed while reading it") as caught:
        source.read()
    assert "secret" not in str(caught.value)
    source.close()


# End to end: watched by a capture


@pytest.fixture
def changes():
    return StateChanges()


@pytest.fixture
def capturing(bus, changes):
    settings = SourceSettings(
        f"usb:{bus.by_id / 'front'}",
        offline_after_s=0.5,
        open_timeout_s=0.1,
        read_timeout_s=0.2,
        hung_after_s=0.4,
    )

    def make():
        return LiveVideo(lambda: open_usb(settings, bus.open_capture, bus.devices), name="line-1", read_timeout_s=0.2)

    bus.plug_in(0, FRONT, "front")
    capture = Capture("line-1", make, settings, on_change=changes, pause_s=lambda failures: 0.01)
    capture.start()
    yield capture
    bus.unhang.set()
    capture.close()
    assert capture.join(SOON_S)


def test_an_unplugged_camera_goes_offline_and_is_back_when_replugged_under_another_index(bus, changes, capturing):
    changes.wait_for("online")
    bus.unplug(0)
    assert "there is no camera" in changes.wait_for("offline").reason
    bus.plug_in(0, REAR, "rear")
    bus.plug_in(5, FRONT, "front")
    changes.wait_for("online", 2)
    assert brightness(bus_frame(capturing)) == FRONT
    assert capturing.status().reconnects == 1


def test_a_read_that_blocks_for_ever_is_left_behind_and_the_camera_is_opened_afresh(bus, changes, capturing):
    changes.wait_for("online")
    bus.hangs.set()
    assert bus.hanging.wait(SOON_S)
    wait_until(lambda: capturing.status().hung == 1)
    bus.hangs.clear()
    wait_until(lambda: capturing.status().reconnects == 1)
    assert len(bus.opened) == 2
    assert not bus.opened[0].released
    bus.unhang.set()
    wait_until(lambda: bus.opened[0].released)
    assert not bus.opened[1].released


def bus_frame(capture):
    """The latest frame, once those from before are taken."""
    capture.handover.get(SOON_S)
    return capture.handover.get(SOON_S)


def test_a_camera_whose_frames_are_larger_than_allowed_is_released_before_one_is_read(bus):
    bus.plug_in(0, FRONT)
    asked = SourceSettings("usb:0")
    source = LiveVideo(
        lambda: open_usb(asked, bus.open_capture, bus.devices),
        name="line-1",
        read_timeout_s=1.0,
        decoder=PictureDecoder("line-1", pixels_max=100),
    )
    with pytest.raises(SourceError, match=r"its frames are too large: a picture of \d+ x \d+ pixels: more than 100 "):
        source.open()
