"""The conveyor the parts lie on: rubber, dirt, rails, the lamp over it and the noise of the sensor.

All that moves with the belt is drawn once for each stretch of it and then only copied; all that stands still (the
rails, the lamp's fall-off) is made once. A picture then costs copying, one multiplication and one addition over its
bytes: about two milliseconds, because the camera shares two cores with everything else.
"""

import cv2
import numpy as np

from iris_camera.camera.part_drawing import draw_part
from iris_camera.camera.part_plan import BELT_BOTTOM, BELT_TOP, PLACE_LENGTH, PartPlan, plan_part
from iris_camera.image import Image

REFERENCE_HEIGHT = 720
_TEXTURE_PLACES = 8  # the rubber repeats after so many places: 1,600 pixels, more than a picture shows
_NOISE_SPARE = 128  # rows and columns by which the noise is larger than the picture: as many offsets to choose from
_NOISE_MEAN, _NOISE_DEVIATION = 14.0, 4.0


class Belt:
    """One seed's line, drawn for pictures of `width` by `height` pixels."""

    def __init__(self, seed: int, width: int, height: int, defect_share: float) -> None:
        self.scale = height / REFERENCE_HEIGHT
        self.place_length = round(PLACE_LENGTH * self.scale)
        self.top, self.bottom = round(BELT_TOP * self.scale), round(BELT_BOTTOM * self.scale)
        self._seed, self._defect_share = seed, defect_share
        random = np.random.default_rng([seed, 0, 2])
        self._rubber = _rubber(random, self.place_length * _TEXTURE_PLACES, self.bottom - self.top, self.scale)
        self.surroundings = _surroundings(random, width, height, self.top, self.bottom, self.scale)
        self._light = _light(random, width, height)
        spare = (height + _NOISE_SPARE, width + _NOISE_SPARE, 3)
        grain = random.standard_normal(spare, np.float32) * _NOISE_DEVIATION + _NOISE_MEAN
        self._noise: Image = np.clip(grain, 0, 255).astype(np.uint8)

    def plan(self, place: int) -> PartPlan | None:
        """The part in one place of the belt, or None."""
        return plan_part(self._seed, place, self._defect_share)

    def stretch(self, place: int) -> Image:
        """One place of the belt with what lies in it: (bottom - top, place_length, 3), drawn anew at each call."""
        section = (-place - 1) % _TEXTURE_PLACES * self.place_length
        stretch: Image = self._rubber[:, section : section + self.place_length].copy()
        random = np.random.default_rng([self._seed, place, 3])
        _drop_dirt(random, stretch, self.scale)
        plan = self.plan(place)
        if plan is not None:
            draw_part(plan, self._seed, self.scale, stretch, self.top)
        return stretch

    def expose(self, scene: Image, number: int) -> None:
        """Turn a scene into what the sensor saw, in place: the lamp's light, flickering a little, and noise."""
        random = np.random.default_rng([self._seed, number, 4])
        height, width = scene.shape[:2]
        row, column = random.integers(0, _NOISE_SPARE, 2)
        cv2.multiply(scene, self._light, scene, random.uniform(0.97, 1.03) / 255)
        cv2.add(scene, self._noise[row : row + height, column : column + width], scene)


def _rubber(random: np.random.Generator, length: int, breadth: int, scale: float) -> Image:
    """A woven dark belt whose two ends fit together."""
    colour = np.array([random.uniform(50, 66), random.uniform(54, 68), random.uniform(44, 58)], np.float32)
    weave = 2.5 * np.sin(np.arange(length) * 2 * np.pi * 200 / length)[None, :]
    weave = weave * np.sin(np.arange(breadth) * 2 * np.pi / (8 * scale))[:, None]
    grain = random.normal(0, 3.0, (breadth, length))
    cloud = random.normal(0, 1.0, (8, 24)).astype(np.float32)
    cloud = np.concatenate([cloud, cloud, cloud], axis=1)
    clouds = np.asarray(cv2.resize(cloud, (3 * length, breadth), interpolation=cv2.INTER_CUBIC))
    picture = weave + grain + 3.5 * clouds[:, length : 2 * length]
    rubber: Image = np.clip(picture[:, :, None] + colour, 0, 255).astype(np.uint8)
    return rubber


def _drop_dirt(random: np.random.Generator, stretch: Image, scale: float) -> None:
    """Oil stains and swarf: much smaller than a part, and nothing a detector should report."""
    height, width = stretch.shape[:2]
    if random.random() < 0.3:
        radius = random.uniform(12, 34) * scale
        stain = np.zeros((height, width), np.float32)
        middle = (int(random.uniform(0.3, 0.7) * width), int(random.uniform(0.1, 0.9) * height))
        axes = (max(1, int(radius)), max(1, int(radius * random.uniform(0.5, 1))))
        cv2.ellipse(stain, middle, axes, random.uniform(0, 180), 0, 360, 1.0, -1)
        soft = cv2.blur(stain, (axes[0] // 2 + 1, axes[0] // 2 + 1))
        stretch[:] = (stretch * (1 - random.uniform(0.2, 0.4) * soft[:, :, None])).astype(np.uint8)
    for _ in range(int(random.integers(0, 4))):
        middle_point = np.array([random.uniform(0.1, 0.9) * width, random.uniform(0.03, 0.97) * height])
        corners = middle_point + random.uniform(-9, 9, (4, 2)) * scale
        brightness = random.uniform(80, 190)
        cv2.fillConvexPoly(stretch, cv2.convexHull(corners.astype(np.int32)), (brightness,) * 3)


def _surroundings(random: np.random.Generator, width: int, height: int, top: int, bottom: int, scale: float) -> Image:
    """All that stands still: a rail above and below the belt, with bolts and a strip of warning paint."""
    picture = np.zeros((height, width, 3), np.float32)
    for first, last in ((0, top), (bottom, height)):
        across = np.linspace(-1, 1, last - first, dtype=np.float32)[:, None]
        steel = 104 - 34 * across**2 + cv2.blur(random.normal(0, 22, (last - first, width)), (81, 1))
        picture[first:last] = steel[:, :, None] * np.array([1.04, 1.0, 0.96])
    for x in range(round(70 * scale), width, max(1, round(160 * scale))):
        for y in (top // 2 - round(12 * scale), bottom + (height - bottom) // 2 + round(12 * scale)):
            cv2.circle(picture, (x, y), max(1, round(11 * scale)), (58, 60, 60), -1, cv2.LINE_AA)
            cv2.circle(picture, (x, y), max(1, round(8 * scale)), (138, 136, 132), -1, cv2.LINE_AA)
            cv2.circle(picture, (x, y), max(1, round(3 * scale)), (62, 62, 60), -1, cv2.LINE_AA)
    strip, stripe = max(2, round(14 * scale)), max(2, round(26 * scale))
    diagonal = (np.arange(width)[None, :] + np.arange(strip)[:, None]) // stripe % 2
    paint = np.where(diagonal[:, :, None] == 0, (38.0, 148.0, 172.0), (40.0, 40.0, 40.0))
    picture[top - strip : top] = paint
    picture[bottom : bottom + strip] = paint
    return np.clip(picture, 0, 255).astype(np.uint8)


def _light(random: np.random.Generator, width: int, height: int) -> Image:
    """How much of the lamp's light reaches each pixel, of 255: most near the middle, less in the corners."""
    x = np.linspace(-1, 1, width) - random.uniform(-0.25, 0.25)
    y = np.linspace(-1, 1, height)[:, None] - random.uniform(-0.25, 0.25)
    brightness = random.uniform(214, 252)
    fall_off = random.uniform(0.1, 0.2)
    light = brightness * (1 - fall_off * x * x) * (1 - 0.7 * fall_off * y * y)
    return np.repeat(np.clip(light, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)
