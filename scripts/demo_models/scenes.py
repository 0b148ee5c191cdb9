"""Frames of made-up lines with what is true of them; which seeds train, and which are only measured on."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from iris_camera.camera.synthetic import SyntheticLine, TruePart
from iris_camera.inspection.findings import Box, Detection

TRAINING_SEEDS = range(10_000, 10_048)
HELD_OUT_SEEDS = range(40_000, 40_024)
FRAME_STEP = 50  # frames after which everything in the picture is new
PICTURE = (720, 1280)


class Scene(NamedTuple):
    """One frame of some line, and what is true of it."""

    line: SyntheticLine
    image: npt.NDArray[np.uint8]
    truth: list[TruePart]


def scenes(seeds: range, frames: int, defect_share: float = 0.15) -> Iterator[Scene]:
    """`frames` frames of each seed's line, far enough apart that no part is in two of them."""
    for seed in seeds:
        line = SyntheticLine(seed, defect_share=defect_share)
        for number in range(0, frames * FRAME_STEP, FRAME_STEP):
            yield Scene(line, line.picture(number), line.truth(number))


def share_visible(scene: Scene, part: TruePart) -> float:
    """How much of the part's box is in the picture."""
    plan = scene.line.plan(part.part_id)
    assert plan is not None
    return part.box.width / (2 * plan.half_extent[0])


def matched(scene: Scene, detections: list[Detection]) -> list[tuple[TruePart, Detection]]:
    """True parts and the detections that show them, best score first, at an IoU of 0.5 or more."""
    pairs, left = [], list(scene.truth)
    for detection in detections:
        best = max(left, key=lambda part: Box(*part.box).iou(detection.box), default=None)
        if best is not None and Box(*best.box).iou(detection.box) >= 0.5:
            pairs.append((best, detection))
            left.remove(best)
    return pairs
