"""`iris model`: what a model finds in a picture, before a line depends on it."""

import statistics
import time
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer

from iris_camera.camera.decoding import PictureDecoder
from iris_camera.camera.picture_file import read_regular
from iris_camera.camera.picture_size import is_still
from iris_camera.cli.terminal import complain, say
from iris_camera.image import Image
from iris_camera.inspection.contract import Detector
from iris_camera.inspection.findings import Detection
from iris_camera.inspection.making import make_detector
from iris_camera.inspection.model import CPU, Model, Running
from iris_camera.inspection.model_error import ModelError
from iris_camera.inspection.onnx import OnnxDetector
from iris_camera.inspection.settings import (
    BoxOrder,
    BoxUnits,
    Colour,
    DetectorSettings,
    Fit,
    Layout,
    ModelOutputSettings,
    PictureInputSettings,
    Scaling,
    Style,
)
from iris_camera.opencv_path import opencv_path
from iris_camera.web.drawing import encode
from iris_camera.web.picture import DrawnMark, Picture
from iris_camera.web.picture_encoder import LARGEST_WIDTH
from iris_communication.runtime.amounts import counted

EXIT_DOES_NOT_FIT = 2
GREY_SIZE = (720, 1280)
TINY_PIXELS = 2.0

application = typer.Typer(help="Inspect models.", no_args_is_help=True)


@application.callback()
def model() -> None:
    """Inspect models."""


def _three(text: str) -> tuple[float, float, float]:
    try:
        first, second, third = (float(each) for each in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not three numbers such as 123.7,116.3,103.5") from None
    return first, second, third


Option = typer.Option
File = Annotated[str, typer.Argument(help="An .onnx file, haar:NAME (haar:frontalface_default, haar:my.xml), or hog.")]
PictureFile = Annotated[
    Path | None, Option("--picture", help="A picture or a video; without one, an empty grey picture.")
]
Frame = Annotated[int, Option(min=0, help="Which frame of a video, from 0.")]
Output = Annotated[Path | None, Option(help="Write the picture with its boxes here, as a JPEG.")]
Runs = Annotated[int, Option(min=1, max=1000, help="How many runs to time.")]
LabelsFile = Annotated[Path | None, Option("--labels", help="A text file with one label per line.")]
LabelOption = Annotated[str, Option("--label", help="The label for what a detector without classes finds.")]
ScoreMin = Annotated[float, Option(help="Ignore findings with a lower score, 0 to 1.")]
IouMax = Annotated[
    float | None, Option(help="Of two findings of one label that overlap more than this, keep the better one, 0 to 1.")
]
StyleOption = Annotated[Style, Option("--style", help="The layout of the model's outputs.")]
Names = Annotated[str, Option("--outputs", help="Names of the model's outputs: boxes,scores,classes,count.")]
BoxOrderOption = Annotated[BoxOrder, Option("--box-order", help="The meaning of a box's four numbers.")]
BoxUnitsOption = Annotated[BoxUnits, Option("--box-units", help="The unit of a box: pixels of the input, or 0 to 1.")]
FirstClass = Annotated[int | None, Option(help="The number of the first label's class, 0 or 1.")]
Width = Annotated[int | None, Option(help="Width in pixels, for a model whose input has no fixed width.")]
Height = Annotated[int | None, Option(help="Height in pixels, for a model whose input has no fixed height.")]
LayoutOption = Annotated[Layout, Option("--layout", help="Order of batch, channels, rows, columns.")]
ColourOption = Annotated[Colour, Option("--colour", help="Order of the channels.")]
ScalingOption = Annotated[Scaling, Option("--scaling", help="How pixel values are scaled for the model.")]
Mean = Annotated[str, Option(help="With --scaling mean-std: three pixel values, 0 to 255.")]
Std = Annotated[str, Option(help="With --scaling mean-std: three pixel values, 0 to 255.")]
FitOption = Annotated[Fit, Option("--fit", help="How a picture of another size is fitted to the input.")]
Provider = Annotated[str, Option(help="The execution provider of onnxruntime.")]
Threads = Annotated[int, Option(min=1, help="How many threads the model may use.")]


@application.command()
def check(  # noqa: PLR0913, PLR0917 - one parameter an option, and typer calls it by name
    file: File,
    picture: PictureFile = None,
    frame: Frame = 0,
    output: Output = None,
    runs: Runs = 20,
    labels: LabelsFile = None,
    label: LabelOption = "",
    score_min: ScoreMin = 0.5,
    iou_max: IouMax = None,
    style: StyleOption = "auto",
    outputs: Names = "",
    box_order: BoxOrderOption = "auto",
    box_units: BoxUnitsOption = "auto",
    first_class: FirstClass = None,
    width: Width = None,
    height: Height = None,
    layout: LayoutOption = "auto",
    colour: ColourOption = "auto",
    scaling: ScalingOption = "auto",
    mean: Mean = "0,0,0",
    std: Std = "1,1,1",
    fit: FitOption = "letterbox",
    provider: Provider = CPU,
    threads: Threads = 1,
) -> None:
    """Run a detector on a picture: what it takes and answers, what is made of that, what it finds, how long it takes.

    Exit status 0 if it fits, 2 if it does not load or does not fit.
    """
    names = tuple(name.strip() for name in outputs.split(",") if name.strip())
    try:
        inputs = PictureInputSettings(width, height, layout, colour, scaling, _three(mean), _three(std), fit)
        meaning = ModelOutputSettings(style, names, box_order, box_units, first_class)
        settings = _settings(file, labels, label, score_min, iou_max, inputs, meaning)
        cv2.setNumThreads(threads)
        running = Running(provider, threads)
        say(f"model       {file}")
        _show_declared(settings, running)
        detector = make_detector(settings, running)
        _show_made(detector, threads)
        image = _image(picture, frame)
        found, times_s = _run(detector, image, runs)
        _show_found(found, times_s)
        _show_tiny(detector, image)
        if output is not None:
            output.write_bytes(encode(Picture(frame, image, tuple(map(_mark, found))), LARGEST_WIDTH))
            say(f"written     {output}")
    except (ModelError, ValueError, OSError) as error:
        complain(f"iris model check: {error}")
        raise typer.Exit(EXIT_DOES_NOT_FIT) from None


def _settings(
    file: str,
    labels: Path | None,
    label: str,
    score_min: float,
    iou_max: float | None,
    inputs: PictureInputSettings,
    meaning: ModelOutputSettings,
) -> DetectorSettings:
    if file == "hog":
        return DetectorSettings("hog", None, labels, label, score_min, iou_max)
    if file.startswith("haar:"):
        cascade = file.removeprefix("haar:")
        return DetectorSettings("haar", None, labels, label, score_min, iou_max, cascade=cascade)
    return DetectorSettings("onnx", Path(file), labels, label, score_min, iou_max, inputs, meaning)


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
