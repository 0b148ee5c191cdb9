import logging

import pytest

from iris_camera.camera.image_folder import ImageFolder
from iris_camera.camera.live_video import LiveVideo
from iris_camera.camera.mjpeg import MjpegCamera
from iris_camera.camera.settings import SourceSettings
from iris_camera.camera.sources import make_source
from iris_camera.camera.synthetic import SyntheticLine
from iris_camera.camera.video_file import VideoFile
from iris_camera.logs import without_secrets

SECRET = "s3cr3t-Horse"


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("synthetic", SyntheticLine),
        ("file:belt.mp4", VideoFile),
        ("dir:images", ImageFolder),
        ("usb:0", LiveVideo),
        ("rtsp://camera/stream", LiveVideo),
        ("http://camera/mjpeg", MjpegCamera),
        ("https://camera/mjpeg", MjpegCamera),
    ],
)
def test_each_kind_of_source_is_made_and_nothing_is_opened(source, kind):
    settings = SourceSettings(source)
    made = make_source("line-1", settings)
    assert isinstance(made, kind)
    assert made.name == "line-1"
    assert made.live is settings.live


def test_the_synthetic_line_has_the_settings_size_and_rate():
    made = make_source("line-1", SourceSettings(width=320, height=180, frame_rate=10.0))
    made.open()
    assert made.read().image.shape == (180, 320, 3)
    assert made.frame_rate == 10.0
    made.close()


def test_a_cameras_password_is_hidden_from_the_log_from_then_on():
    logging.getLogger(__name__)
    make_source("line-1", SourceSettings("rtsp://camera/x", username="admin", password=SECRET))
    assert SECRET not in without_secrets(f"somebody says {SECRET}")
