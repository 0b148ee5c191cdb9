from pathlib import Path

import pytest

from iris_camera.camera.settings import SourceSettings

SECRET = "s3cr3t-Horse"


@pytest.mark.parametrize(
    ("source", "kind", "live"),
    [
        ("synthetic", "synthetic", True),
        ("file:belt.mp4", "file", False),
        ("dir:/var/images", "dir", False),
        ("usb:0", "usb", True),
        ("usb:/dev/v4l/by-id/usb-Acme-video-index0", "usb", True),
        ("rtsp://camera/stream", "rtsp", True),
        ("http://camera/mjpeg", "http", True),
        ("https://camera/mjpeg", "http", True),
    ],
)
def test_the_kinds_of_source(source, kind, live):
    settings = SourceSettings(source)
    assert (settings.kind, settings.live) == (kind, live)


def test_a_path_may_hold_any_character_of_a_path():
    assert SourceSettings("file:/films/line: 1@night.mp4").path == Path("/films/line: 1@night.mp4")


def test_a_usb_camera_has_an_index_or_a_name():
    assert SourceSettings("usb:12").usb_index == 12
    assert SourceSettings("usb:/dev/v4l/by-id/acme").usb_index is None


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"source": "ftp://camera"}, "kind of source 'ftp' is not known"),
        ({"source": ""}, "is not known"),
        ({"source": "synthetic:7"}, "expected synthetic"),
        ({"source": "file:"}, "expected file: and the place"),
        ({"source": "usb:front"}, "expected usb:0"),
        ({"source": "rtsp://admin:secret@camera/x"}, "username and password"),
        ({"username": "admin", "password": "x"}, "this source is synthetic"),
        ({"source": "rtsp://camera/x", "password": "x"}, "without a username"),
        ({"frame_rate": 0.0}, "frame_rate is 0"),
        ({"frame_rate": float("nan")}, "frame_rate is nan"),
        ({"pace": "slow"}, "expected own or fast"),
        ({"width": 10}, "width is 10"),
        ({"seed": -1}, "seed is -1"),
        ({"read_timeout_s": -1.0}, "read_timeout_s is -1"),
        ({"open_timeout_s": 20.0}, "hung_after_s is 15: expected more than open_timeout_s"),
    ],
)
def test_settings_that_cannot_be_used_are_refused_with_what_was_expected(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        SourceSettings(**settings)


def test_the_password_is_not_in_the_settings_text():
    settings = SourceSettings("rtsp://camera/x", username="admin", password=SECRET)
    assert SECRET not in repr(settings)
    assert SECRET not in str(settings)
    assert SECRET not in settings.source


def test_each_setting_says_what_it_means():
    for name, field in SourceSettings.__dataclass_fields__.items():
        assert field.metadata.get("doc"), name


@pytest.mark.parametrize(
    ("source", "path", "with_subfolders"),
    [
        ("dir:/shots", "/shots", False),
        ("dir:/shots/**", "/shots", True),
        ("dir:/shots/**/", "/shots", True),
        ("dir:shots/**", "shots", True),
        ("dir:**", ".", True),
        ("file:/films/**", "/films/**", False),
    ],
)
def test_a_folder_may_be_asked_for_with_the_folders_in_it(source, path, with_subfolders):
    settings = SourceSettings(source)
    assert (str(settings.path), settings.with_subfolders) == (path, with_subfolders)


@pytest.mark.parametrize(
    "wrong", [{"pixels_max": 0}, {"pixels_max": 1 << 31}, {"bit_depth": 7}, {"bit_depth": 17}], ids=str
)
def test_limits_of_pictures_that_make_no_sense_are_refused(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(ValueError, match=f"{name} is {value}: expected"):
        SourceSettings(**wrong)
