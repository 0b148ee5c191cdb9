"""From a camera's settings to its source: the one place that makes each kind; `settings.py` says which there are."""

import os
from typing import assert_never

import cv2

from iris_camera.camera.authorization import Login, basic_word
from iris_camera.camera.decoding import PictureDecoder
from iris_camera.camera.image_folder import ImageFolder
from iris_camera.camera.live_video import LiveVideo
from iris_camera.camera.mjpeg import MjpegCamera
from iris_camera.camera.rtsp import open_rtsp
from iris_camera.camera.settings import SourceSettings
from iris_camera.camera.source import Source
from iris_camera.camera.synthetic import SyntheticLine
from iris_camera.camera.usb import open_usb
from iris_camera.camera.video_file import VideoFile
from iris_camera.logs import hide

FFMPEG_SILENT = "-8"
OPENCV_SILENT = 0


def silence_ffmpeg() -> None:
    """FFmpeg and OpenCV write lines of their own to standard error, past the log; Iris logs their faults itself.
    A user who sets OPENCV_LOG_LEVEL wants to see them."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", FFMPEG_SILENT)
    if "OPENCV_LOG_LEVEL" not in os.environ:
        cv2.utils.logging.setLogLevel(OPENCV_SILENT)


def make_source(name: str, settings: SourceSettings) -> Source:
    """The source a camera called `name` has; nothing is opened. Its password is hidden from the log from now on."""
    if settings.password:
        hide(settings.password)
        hide(basic_word(Login(settings.username, settings.password)))
    kind = settings.kind
    decoder = PictureDecoder(name, pixels_max=settings.pixels_max, bit_depth=settings.bit_depth)
    if kind == "file":
        return VideoFile(
            settings.path,
            name=name,
            frame_rate=settings.frame_rate,
            pace=settings.pace,
            repeat=settings.repeat,
            decoder=decoder,
        )
    if kind == "dir":
        return ImageFolder(
            settings.path,
            name=name,
            frame_rate=settings.frame_rate,
            with_subfolders=settings.with_subfolders,
            decoder=decoder,
        )
    if kind == "http":
        return MjpegCamera(settings, name=name)
    if kind == "usb" or kind == "rtsp":  # noqa: PLR1714 - the type checker narrows no `in`
        open_device = open_usb if kind == "usb" else open_rtsp
        return LiveVideo(
            lambda: open_device(settings),
            name=name,
            read_timeout_s=settings.read_timeout_s,
            frame_rate=settings.frame_rate,
            decoder=decoder,
        )
    if kind == "synthetic":
        rate, width, height = settings.frame_rate or 25.0, settings.width or 1280, settings.height or 720
        return SyntheticLine(settings.seed, rate, width, height, name=name)
    assert_never(kind)
