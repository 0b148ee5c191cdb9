"""What inspection finds in a picture, as values: where something is, which part it is, what is wrong with it.

Boxes are in pixels, from the picture's upper left corner, and may be fractions; x grows to the right, y downwards.
"""

from dataclasses import dataclass

PART = "part"
"""The label of all finds of a detector that distinguishes no kinds."""


@dataclass(frozen=True, slots=True)
class Box:
    """An upright rectangle; `x` and `y` are its upper left corner."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def bottom(self) -> float:
        return self.y + self.height

    @property
    def centre(self) -> tuple[float, float]:
        return self.x + self.width / 2, self.y + self.height / 2

    def iou(self, other: "Box") -> float:
        """Intersection over union, 0 to 1; 0 when either is empty."""
        # Most boxes lie side by side, and this runs for each pair: the first axis that separates them is enough.
        width = min(self.x + self.width, other.x + other.width) - max(self.x, other.x)
        if width <= 0:
            return 0.0
        height = min(self.y + self.height, other.y + other.height) - max(self.y, other.y)
        if height <= 0:
            return 0.0
        shared = width * height
        return shared / (self.width * self.height + other.width * other.height - shared)

    def shifted(self, x: float, y: float) -> "Box":
        return Box(self.x + x, self.y + y, self.width, self.height)

    def grown(self, share: float) -> "Box":
        """The box about the same centre, wider and higher by `share` of itself."""
        extra_x, extra_y = self.width * share, self.height * share
        return Box(self.x - extra_x / 2, self.y - extra_y / 2, self.width + extra_x, self.height + extra_y)

    def clipped(self, width: float, height: float) -> "Box":
        """Its part inside a picture of this size; width or height is 0 when there is none."""
        x, y = min(max(self.x, 0.0), width), min(max(self.y, 0.0), height)
        right, bottom = min(max(self.right, 0.0), width), min(max(self.bottom, 0.0), height)
        return Box(x, y, max(right - x, 0.0), max(bottom - y, 0.0))

    def within(self, width: float, height: float, margin: float = 0.0) -> bool:
        """Whether it lies in a picture of this size, `margin` pixels away from each edge."""
        return self.x >= margin and self.y >= margin and self.right <= width - margin and self.bottom <= height - margin


@dataclass(frozen=True, slots=True)
class Detection:
    """Something a detector found; `score` is 0 to 1, `label` the detector's own name for its kind."""

    box: Box
    score: float
    label: str = PART


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a classifier says of one part; `score` is how sure it is of `label`, 0 to 1."""

    label: str
    score: float


@dataclass(frozen=True, slots=True)
class Part:
    """A detection that was given the id of the part it shows."""

    part_id: int
    box: Box
    score: float
    label: str = PART


def without_overlaps(detections: list[Detection], iou_max: float) -> list[Detection]:
    """The detections, best first, without those that overlap a better one of their label by more than `iou_max`."""
    kept: list[Detection] = []
    for detection in sorted(detections, key=lambda each: each.score, reverse=True):
        box, label = detection.box, detection.label
        if all(better.label != label or box.iou(better.box) <= iou_max for better in kept):
            kept.append(detection)
    return kept
