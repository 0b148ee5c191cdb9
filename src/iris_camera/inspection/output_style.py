"""Which family a detector's outputs belong to, and so what its numbers mean.

Exported detectors use a few output formats that look alike: (1, 25200, 6) is a YOLOv5 with one class, (1, 300, 6)
an end-to-end model. A wrong guess finds nothing, or boxes that are nearly right, so a guess is made only where the
shapes or names leave one possibility: the number of candidates of a YOLO follows from its input's size, and the names
of TensorFlow and of the model zoo are unique. Any other style has to be declared, and the error lists the choices.
"""

from dataclasses import dataclass
from pathlib import Path

from iris_camera.inspection.model import Shape, Tensor, misfit
from iris_camera.inspection.model_task import unlike_a_detector
from iris_camera.inspection.settings import BoxOrder, BoxUnits, ModelOutputSettings, Style

ROLES = ("boxes", "scores", "classes", "count")
_WORDS = {"boxes": ("box",), "scores": ("score", "conf"), "classes": ("class", "label"), "count": ("num", "count")}
_OTHERS = ("raw_", "multiclass", "anchor")  # further outputs of TensorFlow's models
YOLO = {"yolov5", "yolov8"}
_STRIDES = (8, 16, 32)
_END_TO_END_MAX = 1000  # they return their best few hundred; more is a YOLO of other strides with one class
_NUMBERS = {"tensor(float)", "tensor(float16)", "tensor(double)", "tensor(int64)", "tensor(int32)", "tensor(uint8)"}
_DEFAULTS: dict[str, tuple[BoxOrder, BoxUnits, int]] = {
    "yolov5": ("centre-width-height", "pixels", 0),
    "yolov8": ("centre-width-height", "pixels", 0),
    "end-to-end": ("x1y1x2y2", "pixels", 0),
    "ssd-tensorflow": ("y1x1y2x2", "normalised", 1),
    "ssd": ("x1y1x2y2", "normalised", 1),
    "boxes": ("x-y-width-height", "pixels", 0),
}
_ROLES_OF = {"ssd-tensorflow": 3, "ssd": 3, "boxes": 2}
_COLUMNS_MIN = {"yolov5": 5, "yolov8": 5, "end-to-end": 6}


@dataclass(frozen=True, slots=True)
class OutputStyle:
    """What a detector's outputs mean.

    `names`: of the outputs to read, one, or those of boxes, scores, classes and count as far as the style has them.
    `classes`: how many the model distinguishes, None when unknown from its outputs. `guessed_from`: empty if declared.
    """

    style: Style
    names: tuple[str, ...]
    box_order: BoxOrder
    box_units: BoxUnits
    first_class: int
    classes: int | None
    guessed_from: str = ""

    def __str__(self) -> str:
        origin = f"guessed from {self.guessed_from}" if self.guessed_from else "declared"
        classes = "" if self.classes is None else f", classes: {self.classes}"
        return (
            f"{self.style} ({origin}): {', '.join(self.names)}; boxes {self.box_order} in {self.box_units}, "
            f"first class {self.first_class}{classes}"
        )


def style_of(
    outputs: tuple[Tensor, ...], size: tuple[int, int] | None, settings: ModelOutputSettings, path: Path
) -> OutputStyle:
    """`size` is the model's input's (width, height), if it has one. Raises ModelError."""
    outputs = tuple(each for each in outputs if each.type in _NUMBERS)
    _check_names(outputs, settings.names, path)
    style, guessed_from = settings.style, ""
    if style == "auto":
        style, guessed_from = _guessed(outputs, size, settings.names, path)
    named = _by_role(outputs, settings.names)
    if style in _ROLES_OF:
        chosen = _of_several(named, style, outputs, path)
        classes = None if style != "boxes" else 1
    else:
        chosen, classes = _of_one(outputs, style, settings.names, path)
    order, units, first_class = _DEFAULTS[style]
    return OutputStyle(
        style,
        tuple(each.name for each in chosen),
        order if settings.box_order == "auto" else settings.box_order,
        units if settings.box_units == "auto" else settings.box_units,
        first_class if settings.first_class is None else settings.first_class,
        classes,
        guessed_from,
    )


def bare(shape: Shape) -> Shape:
    """The shape without the axis of the batch, which is one picture: (1, n, 6) and (any, n, 6) are (n, 6)."""
    return shape[1:] if len(shape) == 3 and shape[0] in {1, None} else shape


def _check_names(outputs: tuple[Tensor, ...], names: tuple[str, ...], path: Path) -> None:
    missing = [name for name in names if name not in {each.name for each in outputs}]
    if missing:
        raise misfit(path, f"an output {' and '.join(missing)}, as declared", _listed(outputs))


def _by_role(outputs: tuple[Tensor, ...], names: tuple[str, ...]) -> dict[str, Tensor]:
    if len(names) > 1:
        by_name = {each.name: each for each in outputs}
        return {role: by_name[name] for role, name in zip(ROLES, names, strict=False)}
    found: dict[str, Tensor] = {}
    for output in outputs:
        name = output.name.lower()
        if any(word in name for word in _OTHERS):
            continue
        # A number of classes is a count, not classes: the last role whose word is in the name wins.
        for role in reversed(ROLES):
            if any(word in name for word in _WORDS[role]):
                found.setdefault(role, output)
                break
    return found


def _guessed(
    outputs: tuple[Tensor, ...], size: tuple[int, int] | None, names: tuple[str, ...], path: Path
) -> tuple[Style, str]:
    named = _by_role(outputs, names)
    if {"boxes", "scores", "classes"} <= named.keys():
        if named["boxes"].name.startswith("detection_boxes"):
            return "ssd-tensorflow", f"the name {named['boxes'].name}"
        if named["classes"].name == "labels":
            return "ssd", "the names of boxes, labels and scores"
    elif named.keys() == {"boxes", "scores"} and len(outputs) == 2:
        return "boxes", "the names of boxes and scores"
    else:
        tables = [each for each in outputs if len(bare(each.shape)) == 2 and each.name in (names or {each.name})]
        if len(tables) == 1 and (style := _guessed_of_table(bare(tables[0].shape), size)):
            return style, f"the shape of {tables[0]}"
    expected = "outputs of a known style, or a declared one: "
    if size is not None:
        cells = _cells(size)
        expected += (
            f"for an input of {size[0]}x{size[1]} yolov5 answers (1, {3 * cells}, 5 + classes) and "
            f"yolov8 (1, 4 + classes, {cells}), "
        )
    expected += "end-to-end (1, n, 6), ssd-tensorflow detection_boxes .., ssd boxes, labels and scores"
    raise misfit(path, expected, _listed(outputs) + unlike_a_detector(outputs))


def _guessed_of_table(shape: Shape, size: tuple[int, int] | None) -> Style | None:
    rows, columns = shape
    if size is None or rows is None or columns is None:
        return None
    cells = _cells(size)
    if rows == 3 * cells and columns >= 5:
        return "yolov5"
    if columns == cells and rows >= 5:
        return "yolov8"
    return "end-to-end" if columns == 6 and rows != cells and rows <= _END_TO_END_MAX else None


def _cells(size: tuple[int, int]) -> int:
    """How many grid cells a YOLO has for an input of this size; version 5 has three candidates in each."""
    return sum(-(-size[0] // stride) * -(-size[1] // stride) for stride in _STRIDES)


def _of_one(
    outputs: tuple[Tensor, ...], style: Style, names: tuple[str, ...], path: Path
) -> tuple[list[Tensor], int | None]:
    chosen = [each for each in outputs if each.name in names] or [
        each for each in outputs if len(bare(each.shape)) == 2
    ]
    wanted = {"yolov5": "(1, n, 5 + classes)", "yolov8": "(1, 4 + classes, n)", "end-to-end": "(1, n, 6)"}[style]
    if len(chosen) != 1:
        raise misfit(path, f"one output of {wanted} for the style {style}", _listed(outputs))
    shape = bare(chosen[0].shape)
    numbers = shape[0 if style == "yolov8" else -1] if len(shape) == 2 else 0
    least = _COLUMNS_MIN[style]
    fits = numbers is None or (numbers == least if style == "end-to-end" else numbers >= least)
    if not fits:
        raise misfit(path, f"an output of {wanted} for the style {style}", chosen[0])
    if numbers is None or style == "end-to-end":
        return chosen, None
    return chosen, max(1, numbers - (4 if style == "yolov8" else 5))


def _of_several(named: dict[str, Tensor], style: Style, outputs: tuple[Tensor, ...], path: Path) -> list[Tensor]:
    roles = ROLES[: _ROLES_OF[style]]
    chosen = [named[role] for role in roles if role in named]
    if len(chosen) < len(roles):
        raise misfit(path, f"outputs for {', '.join(roles)}, or their declared names, for {style}", _listed(outputs))
    boxes = bare(chosen[0].shape)
    if len(boxes) != 2 or boxes[1] not in {4, None}:
        raise misfit(path, f"boxes of (1, n, 4) or (n, 4) for {style}", chosen[0])
    for output in chosen[1:]:
        if len(output.shape) - len(chosen[0].shape) != -1:
            raise misfit(path, f"as many {output.name} as boxes, one number each, for {style}", _listed(chosen))
    if "count" in named and style == "ssd-tensorflow":
        chosen.append(named["count"])
    return chosen


def _listed(outputs: tuple[Tensor, ...] | list[Tensor]) -> str:
    return ", ".join(map(str, outputs)) or "none"
