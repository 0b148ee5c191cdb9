"""Cuts the picture of one part out of the picture it is in."""

import math

import numpy as np

from iris_camera.image import Image
from iris_camera.inspection.findings import Box


def crop(image: Image, box: Box) -> Image:
    """What `image` shows inside `box`, to whole pixels outwards.

    Where the box reaches over the picture's edge the edge is repeated, so that a part near it is not stretched when
    the crop is resized; elsewhere the crop is a view, not a copy. Raises ValueError when the box lies outside.
    """
    height, width = image.shape[:2]
    left, right = math.floor(box.x), math.ceil(box.right)
    top, bottom = math.floor(box.y), math.ceil(box.bottom)
    if left >= width or right <= 0 or top >= height or bottom <= 0 or left >= right or top >= bottom:
        raise ValueError(f"{box} lies outside a picture of {width}x{height} pixels")
    inside = image[max(0, top) : bottom, max(0, left) : right]
    missing = ((max(0, -top), max(0, bottom - height)), (max(0, -left), max(0, right - width)), (0, 0))
    return np.pad(inside, missing, "edge") if any(map(any, missing)) else inside
