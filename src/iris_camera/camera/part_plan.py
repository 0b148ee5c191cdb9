"""Which part lies in which place of the synthetic belt, and what is wrong with it: a pure function of seed and place.

The belt is cut into places of equal length, numbered in the order in which they pass the camera; a place holds one
part or none. No place depends on the one before, so the truth of any frame can be computed without drawing it and
without the frames before. Lengths are in the pixels of a picture 720 high.

The flaws are as hard to see as real ones: a scratch may be faint, and good parts carry lot marks and smudges that
resemble one. No classifier can be always right here.
"""

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np

Shape = Literal["plate", "flange"]
Flaw = Literal["none", "missing hole", "scratch", "chipped edge"]
Point = tuple[float, float]

PLACE_LENGTH = 200.0
BELT_TOP, BELT_BOTTOM = 96.0, 624.0
EMPTY_SHARE = 0.07
_FLAWS: tuple[Flaw, ...] = ("missing hole", "scratch", "chipped edge")
_MARK_LETTERS = "ABCEHKLMNPRT"


class Hole(NamedTuple):
    """A drilled hole, relative to the middle of its part, before the part is turned."""

    x: float
    y: float
    radius: float


class LotMark(NamedTuple):
    """A stamped lot mark: its text and where it begins, relative to the middle of the part."""

    text: str
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class PartPlan:
    """One part: its outline, its details, its flaw; `x` from the left end of its place, `y` from the picture's top.

    `length` and `breadth` are those of the upright part (a flange's are its diameter), `angle_deg` turns it;
    `metal` is its colour, blue-green-red; `scratch` and `chip` are where that flaw is, relative to the middle.
    """

    place: int
    shape: Shape
    x: float
    y: float
    length: float
    breadth: float
    corner_radius: float
    angle_deg: float
    metal: tuple[float, float, float]
    holes: tuple[Hole, ...]
    mark: LotMark | None
    smudge: Hole | None
    flaw: Flaw
    scratch: tuple[Point, ...]
    scratch_contrast: float
    chip: Hole | None

    @property
    def half_extent(self) -> Point:
        """Half the width and half the height of the upright box round the turned part, exactly."""
        cosine = abs(math.cos(math.radians(self.angle_deg)))
        sine = abs(math.sin(math.radians(self.angle_deg)))
        straight_x = self.length / 2 - self.corner_radius
        straight_y = self.breadth / 2 - self.corner_radius
        return (
            straight_x * cosine + straight_y * sine + self.corner_radius,
            straight_x * sine + straight_y * cosine + self.corner_radius,
        )


@lru_cache(maxsize=64)
def plan_part(seed: int, place: int, defect_share: float) -> PartPlan | None:
    """The part in this place of this seed's belt; None where the belt is empty. `defect_share` of them are flawed."""
    random = np.random.default_rng([seed, place])
    if random.random() < EMPTY_SHARE:
        return None
    shape: Shape = "plate" if random.random() < 0.6 else "flange"
    length = random.uniform(88, 148) if shape == "plate" else random.uniform(84, 136)
    breadth = random.uniform(0.62, 0.92) * length if shape == "plate" else length
    corner_radius = random.uniform(6, 16) if shape == "plate" else length / 2
    angle_deg = random.uniform(-15, 15) + (90 if random.random() < 0.3 else 0)
    holes = _holes(random, shape, length, breadth)
    flaw: Flaw = "none"
    if random.random() < defect_share:
        flaw = _FLAWS[int(random.integers(len(_FLAWS)))]
    if flaw == "missing hole":
        holes = _without_one(random, holes)
    plan = PartPlan(
        place=place,
        shape=shape,
        x=0.0,
        y=0.0,
        length=length,
        breadth=breadth,
        corner_radius=corner_radius,
        angle_deg=angle_deg,
        metal=_metal(random),
        holes=holes,
        mark=_mark(random, length, breadth) if random.random() < 0.55 else None,
        smudge=_smudge(random, length, breadth) if random.random() < 0.3 else None,
        flaw=flaw,
        scratch=_scratch(random, length, breadth) if flaw == "scratch" else (),
        scratch_contrast=float(random.uniform(20, 64) * random.choice((-1, 1))),
        chip=_chip(random, shape, length, breadth) if flaw == "chipped edge" else None,
    )
    return _laid_down(random, plan)


def _laid_down(random: np.random.Generator, plan: PartPlan) -> PartPlan:
    """The part put somewhere in its place, wholly inside it, with room for its shadow."""
    half_width, half_height = plan.half_extent
    x = random.uniform(7 + half_width, PLACE_LENGTH - 14 - half_width)
    y = random.uniform(BELT_TOP + 14 + half_height, BELT_BOTTOM - 18 - half_height)
    return replace(plan, x=x, y=y)


def _metal(random: np.random.Generator) -> tuple[float, float, float]:
    """Steel of some brightness, now and then with a tinge of brass."""
    brightness = random.uniform(118, 196)
    tinge = random.uniform(0.0, 0.05) if random.random() < 0.75 else random.uniform(0.12, 0.22)
    return (brightness * (1 - tinge), brightness * (1 - tinge / 4), brightness * (1 + tinge / 4))


def _holes(random: np.random.Generator, shape: Shape, length: float, breadth: float) -> tuple[Hole, ...]:
    """The bore in the middle and the screw holes round it: four in a plate's corners, four or six in a flange."""
    smaller = min(length, breadth)
    bore = Hole(0.0, 0.0, random.uniform(0.15, 0.21) * smaller)
    if shape == "plate":
        radius = random.uniform(0.05, 0.07) * smaller
        inset = random.uniform(0.13, 0.16) * smaller
        x, y = length / 2 - inset, breadth / 2 - inset
        return (bore, *(Hole(sx * x, sy * y, radius) for sx in (-1, 1) for sy in (-1, 1)))
    count = 4 if random.random() < 0.5 else 6
    radius = random.uniform(0.045, 0.06) * smaller
    ring = random.uniform(0.35, 0.38) * smaller
    turns = [2 * math.pi * (number + 0.25) / count for number in range(count)]
    return (bore, *(Hole(ring * math.cos(turn), ring * math.sin(turn), radius) for turn in turns))


def _without_one(random: np.random.Generator, holes: tuple[Hole, ...]) -> tuple[Hole, ...]:
    missing = int(random.integers(1, len(holes)))
    return holes[:missing] + holes[missing + 1 :]


def _mark(random: np.random.Generator, length: float, breadth: float) -> LotMark:
    letter = _MARK_LETTERS[int(random.integers(len(_MARK_LETTERS)))]
    side = 1 if random.random() < 0.5 else -1
    return LotMark(f"{letter}{random.integers(10, 100)}", -0.15 * length, side * 0.3 * breadth + 0.06 * breadth)


def _smudge(random: np.random.Generator, length: float, breadth: float) -> Hole:
    x, y = random.uniform(-0.3, 0.3) * length, random.uniform(-0.3, 0.3) * breadth
    return Hole(x, y, random.uniform(0.08, 0.2) * breadth)


def _scratch(random: np.random.Generator, length: float, breadth: float) -> tuple[Point, ...]:
    """A slightly bent line, a quarter to two thirds of the part long, that stays off the bore's middle."""
    turn = random.uniform(0, 2 * math.pi)
    middle_x = 0.27 * length * math.cos(turn)
    middle_y = 0.27 * breadth * math.sin(turn)
    reach = random.uniform(0.13, 0.32) * length
    heading = random.uniform(0, math.pi)
    bend = random.uniform(-0.3, 0.3)
    points = []
    for step in (-1.0, -0.5, 0.0, 0.5, 1.0):
        along, aside = step * reach, bend * reach * (1 - step * step)
        x = middle_x + along * math.cos(heading) - aside * math.sin(heading)
        y = middle_y + along * math.sin(heading) + aside * math.cos(heading)
        points.append((x, y))
    return tuple(points)


def _chip(random: np.random.Generator, shape: Shape, length: float, breadth: float) -> Hole:
    """A bite out of the edge: where its middle lies on the outline, and its size."""
    radius = random.uniform(0.055, 0.11) * min(length, breadth)
    if shape == "flange":
        turn = random.uniform(0, 2 * math.pi)
        return Hole(length / 2 * math.cos(turn), length / 2 * math.sin(turn), radius)
    along = random.uniform(-0.36, 0.36)
    side = 1 if random.random() < 0.5 else -1
    if random.random() < 0.5:
        return Hole(along * length, side * breadth / 2, radius)
    return Hole(side * length / 2, along * breadth, radius)
