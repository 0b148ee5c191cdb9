"""What may be configured of inspection: which detector, which classifier, on what they run.

Everything that a model's file does not declare is a setting here: the picture it expects (`PictureInputSettings`) and
the meaning of its numbers (`ModelOutputSettings`). What the file declares, such as names, types and sizes, is read from
it, and "auto" or None leaves a choice to it; docs/models.md says what is guessed from what. A value that contradicts
another is a ValueError here; one that contradicts the model is a ModelError when the model is loaded.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Style = Literal["auto", "yolov5", "yolov8", "end-to-end", "ssd-tensorflow", "ssd", "boxes"]
Layout = Literal["auto", "NCHW", "NHWC", "HWC"]
Colour = Literal["auto", "rgb", "bgr"]
Scaling = Literal["auto", "0-255", "0-1", "mean-std"]
Fit = Literal["letterbox", "stretch"]
BoxOrder = Literal["auto", "x-y-width-height", "centre-width-height", "x1y1x2y2", "y1x1y2x2"]
BoxUnits = Literal["auto", "pixels", "normalised"]

VerdictRule = Literal["first", "last", "worst"]

SIDE_MAX = 16384
THREADS_MAX = 64


@dataclass(frozen=True, slots=True)
class PictureInputSettings:
    """The picture that a model expects."""

    width: int | None = field(
        default=None, metadata={"doc": "pixels; only for a model that leaves its input's width open"}
    )
    height: int | None = field(
        default=None, metadata={"doc": "pixels; only for a model that leaves its input's height open"}
    )
    layout: Layout = field(
        default="auto", metadata={"doc": "order of batch, channels, rows, columns; auto: where the 3 channels are"}
    )
    colour: Colour = field(
        default="auto", metadata={"doc": "order of the channels; auto: rgb, and bgr for a model of layout HWC"}
    )
    scaling: Scaling = field(
        default="auto", metadata={"doc": "values a model takes; auto: 0-255 for a uint8 input, 0-1 for a float one"}
    )
    mean: tuple[float, float, float] = field(
        default=(0.0, 0.0, 0.0),
        metadata={"doc": "of mean-std, one a channel in the model's order, in pixel values 0 to 255"},
    )
    std: tuple[float, float, float] = field(
        default=(1.0, 1.0, 1.0),
        metadata={"doc": "of mean-std, what (pixel - mean) is divided by, one a channel, in pixel values"},
    )
    fit: Fit = field(
        default="letterbox",
        metadata={"doc": "letterbox keeps the proportions and fills up with grey; stretch fills the input"},
    )

    def __post_init__(self) -> None:
        for name, side in (("width", self.width), ("height", self.height)):
            if side is not None and not 1 <= side <= SIDE_MAX:
                raise ValueError(f"input {name} is {side}: give 1 to {SIDE_MAX} pixels")
        if (self.width is None) != (self.height is None):
            raise ValueError(f"input width is {self.width} and height {self.height}: give both or neither")
        self._check_mean_and_std()

    def _check_mean_and_std(self) -> None:
        given = (self.mean, self.std) != ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
        if self.scaling != "mean-std":
            if given:
                raise ValueError(f'mean and std are given, but scaling is "{self.scaling}": give scaling = "mean-std"')
            return
        if not given:
            raise ValueError('scaling is "mean-std", but neither mean nor std is given')
        if min(self.std) <= 0:
            raise ValueError(f"std is {self.std}: each has to be above 0")
        if max(self.std) < 1.0 and max(map(abs, self.mean)) <= 1.0:
            raise ValueError(
                f"mean {self.mean} and std {self.std} look like those of values 0 to 1: give them for pixel values, "
                "that is, times 255"
            )


@dataclass(frozen=True, slots=True)
class ModelOutputSettings:
    """What a detector's numbers mean."""

    style: Style = field(
        default="auto", metadata={"doc": "the family of its outputs, see docs/models.md; auto: derived from the shapes"}
    )
    names: tuple[str, ...] = field(
        default=(),
        metadata={
            "doc": "outputs that hold boxes, scores, classes, count, in this order; none: derived from their own names"
        },
    )
    box_order: BoxOrder = field(default="auto", metadata={"doc": "what a box's four numbers are; auto: the style's"})
    box_units: BoxUnits = field(
        default="auto", metadata={"doc": "pixels of the model's input, or 0 to 1 of it; auto: the style's"}
    )
    first_class: int | None = field(
        default=None, metadata={"doc": "number of the class the labels begin with; none: 1 for the ssd styles, else 0"}
    )

    def __post_init__(self) -> None:
        if self.first_class is not None and not 0 <= self.first_class <= 1:
            raise ValueError(f"first_class is {self.first_class}: give 0, or 1 when class 0 is the background")
        if len(set(self.names)) != len(self.names):
            raise ValueError(f"output names {self.names}: one is given twice")
        if len(self.names) > 4:
            raise ValueError(
                f"output names {self.names}: give those of boxes, scores, classes and count, in this order"
            )


@dataclass(frozen=True, slots=True)
class DetectorSettings:
    """What finds things in a picture."""

    kind: Literal["onnx", "haar", "hog"] = field(
        default="onnx",
        metadata={"doc": "onnx: a model file; haar: a cascade of OpenCV's; hog: OpenCV's detector of upright people"},
    )
    model: Path | None = field(default=None, metadata={"doc": "of onnx: the model file; none: the demo's own"})
    labels: Path | None = field(
        default=None, metadata={"doc": "of onnx: a text file, one label a line; none: those in the model file, if any"}
    )
    label: str = field(
        default="", metadata={"doc": "what to call what a detector without classes finds; empty: its own word"}
    )
    score_min: float = field(default=0.5, metadata={"doc": "0 to 1, what is less likely is left out"})
    iou_max: float | None = field(
        default=None,
        metadata={"doc": "0 to 1, of two of a class that overlap more, the better stays; none: 0.45 (the demo's: 0.1)"},
    )
    input: PictureInputSettings = field(
        default=PictureInputSettings(), metadata={"doc": "of onnx: how the model wants its picture"}
    )
    output: ModelOutputSettings = field(
        default=ModelOutputSettings(), metadata={"doc": "of onnx: what the model's numbers mean"}
    )
    cascade: str = field(
        default="frontalface_default",
        metadata={"doc": "of haar: the name of one of OpenCV's cascades, or the path of an .xml file"},
    )
    neighbours_min: int = field(
        default=3, metadata={"doc": "of haar: how many overlapping finds make one; fewer finds more, also of nothing"}
    )
    smallest: int = field(default=0, metadata={"doc": "of haar: what is less wide, in pixels, is not looked for"})

    def __post_init__(self) -> None:
        for name, share in (("score_min", self.score_min), ("iou_max", self.iou_max)):
            if share is not None and not 0.0 <= share <= 1.0:
                raise ValueError(f"{name} is {share}: give 0 to 1")
        if self.kind != "onnx":
            given = [name for name in ("model", "labels") if getattr(self, name) is not None]
            if given:
                belongs = "belongs" if len(given) == 1 else "belong"
                raise ValueError(f'{" and ".join(given)} {belongs} to kind "onnx", but kind is "{self.kind}"')
        if not self.cascade:
            raise ValueError("cascade is empty: give a name such as frontalface_default, or the path of an .xml file")
        if self.neighbours_min < 0:
            raise ValueError(f"neighbours_min is {self.neighbours_min}: give 0 or more")
        if self.smallest < 0:
            raise ValueError(f"smallest is {self.smallest}: give 0 or more pixels")

    @property
    def own_label(self) -> str | None:
        """The one label of its finds; None: its model has classes of its own."""
        if self.label or self.kind == "onnx":
            return self.label or None
        word = Path(self.cascade).stem.removeprefix("haarcascade_").split("_")[0]
        return word if self.kind == "haar" else "person"


@dataclass(frozen=True, slots=True)
class ClassifierSettings:
    """What judges each part by its crop."""

    kind: Literal["auto", "onnx", "none"] = field(
        default="auto",
        metadata={
            "doc": "onnx: a model file; none: a part's verdict is the detector's own label and score; "
            "auto: onnx if a model is named or the detector is the demo's, else none"
        },
    )
    model: Path | None = field(default=None, metadata={"doc": "of onnx: the model file; none: the demo's own"})
    labels: Path | None = field(
        default=None, metadata={"doc": "a text file, one label a line; none: those in the model file"}
    )
    input: PictureInputSettings = field(
        default=PictureInputSettings(fit="stretch"), metadata={"doc": "how the model wants the crop"}
    )
    scores: Literal["auto", "probabilities", "logits"] = field(
        default="auto",
        metadata={"doc": "what it answers; logits go through softmax; auto: logits unless 0 to 1 with the sum 1"},
    )
    context: float | None = field(
        default=None,
        metadata={"doc": "how much wider and higher than the part the crop is, as a share; none: 0 (the demo's: 0.35)"},
    )

    def __post_init__(self) -> None:
        if self.kind == "none" and (self.model is not None or self.labels is not None):
            raise ValueError('a model or labels of a classifier belong to kind "onnx", but kind is "none"')
        if self.context is not None and not 0.0 <= self.context <= 10.0:
            raise ValueError(f"context is {self.context}: give 0 to 10")


@dataclass(frozen=True, slots=True)
class InspectionSettings:
    """Detector, classifier and the rule for verdicts of one camera."""

    detector: DetectorSettings = field(default=DetectorSettings(), metadata={"doc": "what finds things in a picture"})
    classifier: ClassifierSettings = field(
        default=ClassifierSettings(), metadata={"doc": "what judges each part by its crop"}
    )
    defect_labels: tuple[str, ...] = field(
        default=("defect",), metadata={"doc": "verdicts that count as a defect and are kept as evidence"}
    )
    verdict: VerdictRule = field(
        default="worst",
        metadata={
            "doc": "of a part that is seen on several frames, which verdict counts: first judges it once, last and "
            "worst judge it on each frame; with worst a part that was a defect once stays one"
        },
    )
    provider: str = field(
        default="CPUExecutionProvider",
        metadata={"doc": "what onnxruntime runs models on; one that the installed onnxruntime has"},
    )
    threads: int = field(
        default=1, metadata={"doc": "that one model may use at a time; more is faster and leaves less for the rest"}
    )

    def __post_init__(self) -> None:
        if not 1 <= self.threads <= THREADS_MAX:
            raise ValueError(f"threads is {self.threads}: give 1 to {THREADS_MAX}")
        if not self.provider:
            raise ValueError("provider is empty: give CPUExecutionProvider")
        if any(not label for label in self.defect_labels):
            raise ValueError(f"defect_labels are {self.defect_labels}: one is empty")
        if self.classifier.labels is not None and not self.has_classifier:
            finder = self.detector.kind if self.detector.model is None else self.detector.model
            raise ValueError(
                f'labels of a classifier are given, but no model classifies what "{finder}" finds: give its model too'
            )

    @property
    def has_classifier(self) -> bool:
        """The demo's classifier knows only the demo's parts, so it is the default only with the demo's detector."""
        if self.classifier.kind == "auto":
            shipped_detector = self.detector.kind == "onnx" and self.detector.model is None
            return self.classifier.model is not None or shipped_detector
        return self.classifier.kind == "onnx"
