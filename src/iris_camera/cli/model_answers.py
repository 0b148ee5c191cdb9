"""What `iris model check` prints of a model: what it takes and answers, and what it finds in a picture."""

import statistics
import time
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from iris_camera.camera.decoding import PictureDecoder
from iris_camera.camera.picture_file import read_regular
from iris_camera.camera.picture_size import is_still
from iris_camera.cli.terminal import say
from iris_camera.image import Image
from iris_camera.inspection.contract import Detector
from iris_camera.inspection.findings import Detection
from iris_camera.inspection.making import make_detector
from iris_camera.inspection.model import Model, Running
from iris_camera.inspection.onnx import OnnxDetector
from iris_camera.inspection.settings import DetectorSettings
from iris_camera.opencv_path import opencv_path
from iris_camera.web.drawing import encode
from iris_camera.web.picture import DrawnMark, Picture
from iris_camera.web.picture_encoder import LARGEST_WIDTH
from iris_communication.runtime.amounts import counted

GREY_SIZE = (720, 1280)
TINY_PIXELS = 2.0


class TriedPicture(NamedTuple):
    """A picture or a video's frame, for so many timed runs; `output`: where it is written with its boxes."""

    path: Path | None
    frame: int
    output: Path | None
    runs: int


def show(file: str, settings: DetectorSettings, provider: str, threads: int, tried: TriedPicture) -> None:
    """Raises ModelError, ValueError, OSError."""
    cv2.setNumThreads(threads)
    running = Running(provider, threads)
    say(f"model       {file}")
    _show_declared(settings, running)
    detector = make_detector(settings, running)
    _show_made(detector, threads)
    image = _image(tried.path, tried.frame)
    found, times_s = _run(detector, image, tried.runs)
    _show_found(found, times_s)
    _show_tiny(detector, image)
    if tried.output is not None:
        marked = Picture(tried.frame, image, tuple(map(_mark, found)))
        tried.output.write_bytes(encode(marked, LARGEST_WIDTH))
        say(f"written     {tried.output}")


def _image(path: Path | None, frame: int) -> Image:
    """Raises OSError when the file is no picture and no video, or has no such frame."""
    if path is None:
        say("picture     an empty grey one of 1280x720: give --picture to see what it finds")
        return np.full((*GREY_SIZE, 3), 128, np.uint8)
    if not path.is_file():
        raise FileNotFoundError(f"there is no picture or video at {path}")
    image = _still(path)
    if image is None:
        image = _frame_of(path, frame)
    if image is None:
        raise OSError(f"{path} is not a picture or video that OpenCV can read, or has no frame {frame}")
    say(f"picture     {path}, {image.shape[1]}x{image.shape[0]}")
    return image


def _still(path: Path) -> Image | None:
    """None when the file is not a picture of one image. Raises TooLarge."""
    with path.open("rb") as file:
        if not is_still(file.read(16)):
            return None
    decoder = PictureDecoder("the picture")
    return decoder.decoded(read_regular(path, decoder.bytes_max))


def _frame_of(path: Path, frame: int) -> Image | None:
    video = cv2.VideoCapture(opencv_path(path))
    try:
        PictureDecoder("the video").check_capture(video)
        image = None
        for _ in range(frame + 1):  # seeking lands on key frames in some formats; reading does not
            read, image = video.read()
            if not read:
                return None
        return None if image is None else np.asarray(image, np.uint8)
    finally:
        video.release()


def _run(detector: Detector, image: Image, runs: int) -> tuple[list[Detection], list[float]]:
    """What the detector found, and the seconds of each run; an extra first run, which allocates, does not count."""
    times_s = []
    found: list[Detection] = []
    for _ in range(runs + 1):
        begun_s = time.perf_counter()
        found = detector.detect(image)
        times_s.append(time.perf_counter() - begun_s)
    return found, times_s[1:]


def _show_declared(settings: DetectorSettings, running: Running) -> None:
    """The inputs and outputs that the file declares, printed before any check: the user needs them for the options."""
    if settings.model is None:
        return
    declared = Model(settings.model, running)
    say(f"input       {declared.input}")
    for each in declared.outputs:
        say(f"output      {each}")


def _show_made(detector: Detector, threads: int) -> None:
    if isinstance(detector, OnnxDetector):
        say(f"takes       {detector.input}")
        say(f"answers     {detector.style}")
        names = detector.labels.names
        shown = ", ".join(names[:8]) + (" .." if len(names) > 8 else "")
        say(f"labels      {f'{len(names)} from {detector.labels.origin}: {shown}' if names else 'none'}")
    say(f"runs on     {detector.provider}, {counted(threads, 'thread')}")


def _show_found(found: list[Detection], times_s: list[float]) -> None:
    say(f"found       {len(found) or 'nothing'}")
    for each in found:
        box = each.box
        place = f"x {box.x:.1f} y {box.y:.1f} width {box.width:.1f} height {box.height:.1f}"
        say(f"  {each.label:20} {each.score:.3f}  {place}")
    median_ms = 1e3 * statistics.median(times_s)
    say(f"time        {median_ms:.2f} ms a picture, median of {len(times_s)}, preparing and decoding included")


def _show_tiny(detector: Detector, image: Image) -> None:
    """Boxes from 0 to 1 that are read as pixels lie in the input's corner, grey in a letterbox: nothing is found."""
    if not isinstance(detector, OnnxDetector):
        return
    corners = [corners for corners, _, _ in detector.candidates(image)[0]]
    if corners and max(map(max, corners)) < TINY_PIXELS:
        say(f"  every box ends before pixel {TINY_PIXELS:g}: if they are 0 to 1, give --box-units normalised")


def _mark(detection: Detection) -> DrawnMark:
    box = detection.box
    return DrawnMark(box.x, box.y, box.width, box.height, f"{detection.label} {detection.score:.2f}")
