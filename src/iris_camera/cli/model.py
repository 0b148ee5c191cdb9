"""`iris model`: what a model finds in a picture, before a line depends on it."""

from pathlib import Path
from typing import Annotated

import typer

from iris_camera.cli.camera_extra import needs_camera_parts
from iris_camera.cli.terminal import complain
from iris_camera.inspection.model_error import ModelError
from iris_camera.inspection.settings import (
    BoxOrder,
    BoxUnits,
    Colour,
    DetectorSettings,
    Fit,
    InspectionSettings,
    Layout,
    ModelOutputSettings,
    PictureInputSettings,
    Scaling,
    Style,
)

EXIT_DOES_NOT_FIT = 2
CPU = InspectionSettings().provider

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
    needs_camera_parts("model check")
    from iris_camera.cli.model_answers import TriedPicture, show  # noqa: PLC0415 - `iris --help` imports this module

    names = tuple(name.strip() for name in outputs.split(",") if name.strip())
    try:
        inputs = PictureInputSettings(width, height, layout, colour, scaling, _three(mean), _three(std), fit)
        meaning = ModelOutputSettings(style, names, box_order, box_units, first_class)
        settings = _settings(file, labels, label, score_min, iou_max, inputs, meaning)
        show(file, settings, provider, threads, TriedPicture(picture, frame, output, runs))
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
