"""Drawing one part of the synthetic belt: twice as large and upright, then turned into place.

Drawn once as the part comes into view and then only copied, so it may cost a millisecond or two.
"""

import cv2
import numpy as np
import numpy.typing as npt

from iris_camera.camera.part_plan import Hole, PartPlan
from iris_camera.image import Image

Colour = tuple[float, float, float]
Floats = npt.NDArray[np.float32]

_OVERSAMPLING = 2
_MARGIN = 4.0
_HOLE_COLOUR = (26.0, 28.0, 25.0)
_SHADOW_STRENGTH = 0.5


class _Canvas:
    """The enlarged upright part: colours, outline, and the conversion from its measures to pixels."""

    def __init__(self, plan: PartPlan, scale: float) -> None:
        self.zoom = scale * _OVERSAMPLING
        self.width = int((plan.length + 2 * _MARGIN) * self.zoom)
        self.height = int((plan.breadth + 2 * _MARGIN) * self.zoom)
        self.colours: Floats = np.empty((self.height, self.width, 3), np.float32)
        self.outline: Image = np.zeros((self.height, self.width), np.uint8)

    def point(self, x: float, y: float) -> tuple[int, int]:
        return round(self.width / 2 + x * self.zoom), round(self.height / 2 + y * self.zoom)

    def length(self, value: float) -> int:
        return max(1, round(value * self.zoom))


def draw_part(plan: PartPlan, seed: int, scale: float, belt: Image, top: int) -> None:
    """Draw the part and its shadow onto `belt`, its place's stretch of belt, whose first row is the picture's `top`.

    `scale` is pixels for a pixel of a picture 720 high; `seed` is the line's.
    """
    canvas = _Canvas(plan, scale)
    random = np.random.default_rng([seed, plan.place, 1])
    _draw_outline(canvas, plan)
    _draw_metal(canvas, plan, random)
    _draw_markings(canvas, plan)
    for hole in plan.holes:
        _draw_hole(canvas, hole)
    _lay_onto(belt, canvas, plan, scale, top)


def _draw_outline(canvas: _Canvas, plan: PartPlan) -> None:
    if plan.shape == "flange":
        cv2.circle(canvas.outline, canvas.point(0, 0), canvas.length(plan.length / 2), 255, -1)
    else:
        x, y = plan.length / 2 - plan.corner_radius, plan.breadth / 2 - plan.corner_radius
        radius = canvas.length(plan.corner_radius)
        cv2.rectangle(
            canvas.outline, canvas.point(-x, -y - plan.corner_radius), canvas.point(x, y + plan.corner_radius), 255, -1
        )
        cv2.rectangle(
            canvas.outline, canvas.point(-x - plan.corner_radius, -y), canvas.point(x + plan.corner_radius, y), 255, -1
        )
        for corner in ((-x, -y), (x, -y), (-x, y), (x, y)):
            cv2.circle(canvas.outline, canvas.point(*corner), radius, 255, -1)
    if plan.chip is not None:
        cv2.circle(canvas.outline, canvas.point(plan.chip.x, plan.chip.y), canvas.length(plan.chip.radius), 0, -1)


def _draw_metal(canvas: _Canvas, plan: PartPlan, random: np.random.Generator) -> None:
    """Brushed metal, lit from the upper left, with a bevel along its edge."""
    grain = random.normal(0.0, 1.0, (canvas.height, canvas.width)).astype(np.float32)
    streaks = cv2.blur(grain, (canvas.length(22), 1)) * float(3.2 * np.sqrt(canvas.length(22)))
    slope = (
        np.linspace(9, -9, canvas.width, dtype=np.float32)
        + np.linspace(7, -7, canvas.height, dtype=np.float32)[:, None]
    )
    solid = canvas.outline.astype(np.float32) / 255
    bevel = canvas.length(1.6)
    lit = solid - np.roll(solid, (bevel, bevel), (0, 1))
    shade = solid - np.roll(solid, (-bevel, -bevel), (0, 1))
    relief = streaks + slope + 34 * np.maximum(lit, 0) - 46 * np.maximum(shade, 0)
    if plan.smudge is not None:
        relief -= _soft_spot(canvas, plan.smudge) * 22
    canvas.colours[:] = relief[:, :, None]
    canvas.colours += np.asarray(plan.metal, np.float32)


def _soft_spot(canvas: _Canvas, spot: Hole) -> Floats:
    picture = np.zeros((canvas.height, canvas.width), np.float32)
    radius = canvas.length(spot.radius)
    cv2.circle(picture, canvas.point(spot.x, spot.y), radius, 1.0, -1)
    return np.asarray(cv2.blur(picture, (radius, radius)), np.float32)


def _draw_hole(canvas: _Canvas, hole: Hole) -> None:
    middle, radius = canvas.point(hole.x, hole.y), canvas.length(hole.radius)
    rim = canvas.colours[min(middle[1] + radius, canvas.height - 1), middle[0]]
    bright = [min(250.0, float(value) * 1.22) for value in rim]
    cv2.circle(canvas.colours, middle, radius + canvas.length(0.9), bright, canvas.length(0.8), cv2.LINE_AA)
    cv2.circle(canvas.colours, middle, radius, _HOLE_COLOUR, -1)
    inner = (middle[0] + canvas.length(0.8), middle[1] + canvas.length(0.8))
    cv2.circle(canvas.colours, inner, max(1, radius - canvas.length(1.2)), (40, 43, 39), -1)


def _draw_markings(canvas: _Canvas, plan: PartPlan) -> None:
    """The stamped mark, and the scratch across it."""
    if plan.mark is not None:
        stamped = [value - 42 for value in plan.metal]
        size = 0.0062 * plan.breadth * canvas.zoom / 2
        place = canvas.point(plan.mark.x, plan.mark.y)
        cv2.putText(canvas.colours, plan.mark.text, place, cv2.FONT_HERSHEY_SIMPLEX, size, stamped, canvas.length(0.8))
    if plan.scratch:
        colour = [value + plan.scratch_contrast for value in plan.metal]
        points = np.array([canvas.point(*point) for point in plan.scratch], np.int32)
        cv2.polylines(canvas.colours, [points], False, colour, canvas.length(0.9), cv2.LINE_8)  # noqa: FBT003 - cv2 takes it by position


def _lay_onto(belt: Image, canvas: _Canvas, plan: PartPlan, scale: float, top: int) -> None:
    """Turn the canvas into the belt's pixels, darken the belt by the part's shadow, and cover it with the part."""
    half_width, half_height = plan.half_extent
    left = max(0, int((plan.x - half_width - _MARGIN) * scale))
    upper = max(0, int((plan.y - half_height - _MARGIN) * scale) - top)
    right = min(belt.shape[1], int((plan.x + half_width + 3 * _MARGIN) * scale))
    lower = min(belt.shape[0], int((plan.y + half_height + 3 * _MARGIN) * scale) - top)
    patch = belt[upper:lower, left:right]
    turn = cv2.getRotationMatrix2D((canvas.width / 2, canvas.height / 2), -plan.angle_deg, 1 / _OVERSAMPLING)
    turn[0, 2] += plan.x * scale - left - canvas.width / 2
    turn[1, 2] += plan.y * scale - top - upper - canvas.height / 2
    size = (patch.shape[1], patch.shape[0])
    cover = np.asarray(cv2.warpAffine(canvas.outline, turn, size), np.float32)[:, :, None] / 255
    colours = np.asarray(cv2.warpAffine(canvas.colours, turn, size, borderMode=cv2.BORDER_REPLICATE), np.float32)
    drop = max(1, round(5 * scale))
    shadow = cv2.blur(np.roll(cover[:, :, 0], (drop, drop), (0, 1)), (2 * drop + 1, 2 * drop + 1))[:, :, None]
    ground = patch * (1 - _SHADOW_STRENGTH * shadow)
    patch[:] = np.clip(ground + (colours - ground) * cover, 0, 255).astype(np.uint8)
