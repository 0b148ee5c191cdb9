"""A synthetic inspection line with known truth: parts on a moving belt, some of them flawed, all from one seed.

It behaves as a live camera does. The line does not wait: frame n is due at start + n / frame_rate on the monotonic
clock, so the pace never drifts, and a late reader misses frames (the number jumps) while the belt moves on. The content
of a frame and its truth are pure functions of the seed and the frame's number; only its time depends on the clock.
"""

import math
import threading
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np

from iris_camera.camera.belt import REFERENCE_HEIGHT, Belt
from iris_camera.camera.clock import SYSTEM_CLOCK, CameraClock
from iris_camera.camera.frame import Frame, read_only
from iris_camera.camera.part_plan import Flaw, PartPlan
from iris_camera.image import Image

BELT_SPEED = 650.0
"""Pixels a second in a picture 720 high: 26 from one frame to the next, 3.0 parts a second."""


class TrueBox(NamedTuple):
    """Where a part is, in pixels from the picture's upper left corner; cut off at the picture's edge."""

    x: float
    y: float
    width: float
    height: float


class TruePart(NamedTuple):
    """What is true of one part in one frame.

    `part_id` is the same in all frames, `box` covers what is visible of it, `flaw` says why it is a "defect".
    """

    part_id: int
    box: TrueBox
    label: Literal["good", "defect"]
    fully_visible: bool
    flaw: Flaw


class SyntheticLine:
    """A `Source` that is live; parts move from left to right, and `defect_share` of them are flawed.

    Raises ValueError for a negative seed, or an impossible frame rate, picture size or share.
    """

    live = True

    def __init__(
        self,
        seed: int,
        frame_rate: float = 25.0,
        width: int = 1280,
        height: int = REFERENCE_HEIGHT,
        *,
        name: str = "synthetic",
        defect_share: float = 0.15,
        clock: CameraClock = SYSTEM_CLOCK,
    ) -> None:
        if seed < 0:
            raise ValueError(f"the seed of a synthetic line must be 0 or more, not {seed}")
        if not (math.isfinite(frame_rate) and frame_rate > 0):
            raise ValueError(f"a synthetic line needs a frame rate above 0, not {frame_rate}")
        if width < 64 or height < 64:
            raise ValueError(f"a synthetic line's picture must be 64x64 pixels or more, not {width}x{height}")
        if not 0 <= defect_share <= 1:
            raise ValueError(f"the share of defects on a synthetic line is 0 to 1, not {defect_share}")
        self.name = name
        self.frame_rate = frame_rate
        self._seed, self._width, self._height = seed, width, height
        self._clock = clock
        self._belt = Belt(seed, width, height, defect_share)
        self._stretch = lru_cache(maxsize=width // self._belt.place_length + 4)(self._belt.stretch)
        self._closed: threading.Event | None = None
        self._start_s = 0.0
        self._number = 0

    def open(self) -> None:
        """Start the line at frame 0, now."""
        self._start_s = self._clock.monotonic()
        self._number = 0
        self._closed = threading.Event()

    def read(self) -> Frame | None:
        """The frame that is due next, once it is due; None after `close`. Raises RuntimeError before `open`."""
        closed = self._closed
        if closed is None:
            raise RuntimeError(f"the synthetic line {self.name!r} was read before it was opened")
        now_s = self._clock.monotonic()
        self._number = max(self._number, self._number_at(now_s))
        due_s = self._start_s + self._number / self.frame_rate
        while now_s < due_s and not closed.is_set():
            self._clock.wait(closed, due_s - now_s)
            now_s = self._clock.monotonic()
        if closed.is_set():
            return None
        number, self._number = self._number, self._number + 1
        image = self.picture(number)
        age_s = self._clock.monotonic() - due_s
        return Frame(image, number, self._clock.wall() - age_s, due_s)

    def close(self) -> None:
        """Stop the line; a blocked `read` returns None at once."""
        if self._closed is not None:
            self._closed.set()

    def picture(self, number: int) -> Image:
        """What frame `number` shows: (height, width, 3), blue-green-red, read-only."""
        belt = self._belt
        scene: Image = np.empty((self._height, self._width, 3), np.uint8)
        scene[: belt.top] = belt.surroundings[: belt.top]
        scene[belt.bottom :] = belt.surroundings[belt.bottom :]
        for place, left in self._places(number):
            first, last = max(left, 0), min(left + belt.place_length, self._width)
            scene[belt.top : belt.bottom, first:last] = self._stretch(place)[:, first - left : last - left]
        belt.expose(scene, number)
        return read_only(scene)

    def truth(self, number: int) -> list[TruePart]:
        """Every part of which anything is visible in frame `number`, the one nearest the line's end first."""
        parts = []
        for place, left in self._places(number):
            plan = self._belt.plan(place)
            if plan is None:
                continue
            half_width, half_height = (half * self._belt.scale for half in plan.half_extent)
            x, y = left + plan.x * self._belt.scale, plan.y * self._belt.scale
            first, last = max(x - half_width, 0.0), min(x + half_width, float(self._width))
            if first >= last:
                continue
            box = TrueBox(first, y - half_height, last - first, 2 * half_height)
            fully_visible = x - half_width >= 0 and x + half_width <= self._width
            label: Literal["good", "defect"] = "good" if plan.flaw == "none" else "defect"
            parts.append(TruePart(place, box, label, fully_visible, plan.flaw))
        return parts

    def plan(self, part_id: int) -> PartPlan | None:
        """How a part is made: more than its box; None where the belt is empty."""
        return self._belt.plan(part_id)

    def _number_at(self, now_s: float) -> int:
        """The last frame that is due at `now_s`, tolerating the rounding of its due time."""
        return math.floor((now_s - self._start_s) * self.frame_rate + 1e-6)

    def _places(self, number: int) -> list[tuple[int, int]]:
        """Each place of the belt in sight, with its left end in the picture, from right to left."""
        length = self._belt.place_length
        travelled = round(number * BELT_SPEED * self._belt.scale / self.frame_rate)
        first = travelled // length
        last = (self._width + travelled - 1) // length
        return [(place, self._width + travelled - (place + 1) * length) for place in range(first, last + 1)]
