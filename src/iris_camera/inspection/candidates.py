"""A detector's numbers as candidates: corners in the model's input's pixels, a score and a class each.

Candidates below the threshold are dropped before anything is computed of them: a YOLO returns thousands of candidates,
a picture holds a few things. For those few, plain numbers are faster than arrays. The scores are checked first: one
that is NaN, or not 0 to 1, comes from a model that was exported without its last layer, or that is damaged, and would
otherwise look like a picture with nothing in it.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from iris_camera.inspection.model import Numbers, described, misfit
from iris_camera.inspection.output_style import OutputStyle, bare

Corners = tuple[float, float, float, float]
"""x1, y1, x2, y2"""
Candidate = tuple[Corners, float, int]
"""Corners, score, and class counted from 0."""

_CLOSE_TO_1 = 1.01  # half precision rounds
_NORMALISED_MAX = 2.0  # a box may reach over the edge, but not by the whole picture
_KEPT_MAX = 1000  # the likeliest; more are never real, and comparing all pairs is slow


def candidates(
    outputs: Sequence[Numbers], style: OutputStyle, size: tuple[int, int], score_min: float, path: Path
) -> Iterator[Candidate]:
    """Each candidate that is likely enough, in no order.

    `outputs` are a model's, in the order of `style.names`, for an input of `size` (width, height). Raises ModelError
    when they are not what the style says.
    """
    boxes, scores, classes = _READERS[style.style]([np.asarray(each) for each in outputs], score_min, path)
    if len(scores) > _KEPT_MAX:
        likeliest = np.argpartition(scores, -_KEPT_MAX)[-_KEPT_MAX:]
        boxes, scores = boxes[likeliest], scores[likeliest]
        classes = None if classes is None else classes[likeliest]
    numbers: list[Any] = [style.first_class] * len(scores) if classes is None else classes.tolist()
    if classes is not None and not np.isfinite(classes).all():
        raise misfit(path, "a class for each box", "one that is not a number")
    corners_of = _CORNERS[style.box_order]
    width, height = size if style.box_units == "normalised" else (1, 1)
    for box, score, number in zip(boxes.tolist(), scores.tolist(), numbers, strict=True):
        if score < score_min or number < style.first_class:  # below the first class is the background
            continue
        left, top, right, bottom = corners_of(*box)
        if style.box_units == "normalised" and not max(right, bottom) <= _NORMALISED_MAX:
            raise misfit(path, "boxes of 0 to 1 (box_units normalised)", f"one that reaches to {right:g}, {bottom:g}")
        yield (
            (left * width, top * height, right * width, bottom * height),
            min(score, 1.0),
            int(number) - style.first_class,
        )


_CORNERS: dict[str, Callable[[float, float, float, float], Corners]] = {
    "x1y1x2y2": lambda x1, y1, x2, y2: (x1, y1, x2, y2),
    "y1x1y2x2": lambda y1, x1, y2, x2: (x1, y1, x2, y2),
    "x-y-width-height": lambda x, y, width, height: (x, y, x + width, y + height),
    "centre-width-height": lambda x, y, width, height: (x - width / 2, y - height / 2, x + width / 2, y + height / 2),
}

# Boxes, scores and, unless there is only one, classes: at least of the candidates that are likely enough.
_Read = tuple[Numbers, Numbers, Numbers | None]


def _yolov5(outputs: list[Numbers], score_min: float, path: Path) -> _Read:
    table = _table(outputs[0], 5, path)
    _check_scores(table[:, 4], path)
    table = table[table[:, 4] >= score_min]  # the product is never above the objectness
    if table.shape[1] == 5:
        return table[:, :4], table[:, 4], None
    _check_scores(table[:, 5:], path)
    classes = table[:, 5:].argmax(axis=1)
    scores = table[:, 4].astype(np.float32) * table[np.arange(len(table)), 5 + classes]
    likely = scores >= score_min
    return table[likely, :4], scores[likely], classes[likely]


def _yolov8(outputs: list[Numbers], score_min: float, path: Path) -> _Read:
    table = _table(outputs[0], None, path)
    if len(table) < 5:
        raise misfit(path, "an output of (1, 4 + classes, n)", described(outputs[0].shape))
    best = table[4:].max(axis=0)
    _check_scores(best, path)
    likely = np.flatnonzero(best >= score_min)
    return table[:4, likely].T, best[likely], table[4:, likely].argmax(axis=0)


def _end_to_end(outputs: list[Numbers], score_min: float, path: Path) -> _Read:
    table = _table(outputs[0], 6, path)
    _check_scores(table[:, 4], path)
    table = table[table[:, 4] >= score_min]
    return table[:, :4], table[:, 4], table[:, 5]


def _several(outputs: list[Numbers], _score_min: float, path: Path) -> _Read:
    """Boxes and scores, and classes and their count where the style has them."""
    boxes = outputs[0].reshape(-1, 4) if outputs[0].shape[-1:] == (4,) else outputs[0]
    scores = outputs[1].reshape(-1)
    classes = outputs[2].reshape(-1) if len(outputs) > 2 else None
    if boxes.shape != (len(scores), 4) or (classes is not None and len(classes) != len(scores)):
        found = ", ".join(described(each.shape) for each in outputs)
        raise misfit(path, "as many scores and classes as boxes, in batches of one", found)
    if len(outputs) > 3:
        count = min(max(int(np.nan_to_num(outputs[3]).sum()), 0), len(scores))  # one number
        boxes, scores, classes = boxes[:count], scores[:count], None if classes is None else classes[:count]
    _check_scores(scores, path)
    return boxes, scores, classes


_READERS = {
    "yolov5": _yolov5,
    "yolov8": _yolov8,
    "end-to-end": _end_to_end,
    "ssd-tensorflow": _several,
    "ssd": _several,
    "boxes": _several,
}


def _table(output: Numbers, columns_min: int | None, path: Path) -> Numbers:
    table = output[0] if len(bare(output.shape)) < output.ndim else output
    if table.ndim != 2 or (columns_min is not None and table.shape[1] < columns_min):
        raise misfit(path, f"an output of (1, n, {columns_min or 'any'})", described(output.shape))
    return table


def _check_scores(scores: Numbers, path: Path) -> None:
    """NaN compares as false with everything, so the check asks for good scores, not for bad ones."""
    if scores.size and not (scores.min() >= 1 - _CLOSE_TO_1 and scores.max() <= _CLOSE_TO_1):
        raise misfit(path, "scores of 0 to 1", f"{float(scores.min()):.6g} to {float(scores.max()):.6g}")
