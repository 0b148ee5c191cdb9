"""From a camera's picture to what a model takes, and from the model's pixels back to the picture's.

A model's input is read from the file as far as the file declares it: its type, where the channels are, its size.
Declared settings have to agree with that. A picture of another size is fitted in (letterbox: proportions kept, the rest
grey; or stretched), never refused: cameras differ, and a model trained for 640x640 has to work with all of them. A
`Placement` keeps where the picture lies in the input, so that boxes can be mapped back to the picture's pixels.

A model of layout HWC takes the picture in OpenCV's layout, so blue-green-red uint8 of its size is passed without a
copy. For the others the channels are ordered, scaled and written into the tensor in one pass each: 0.4 ms for 640x640,
where the usual chain of transposing, copying and dividing takes 3.
"""

from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from iris_camera.image import Image
from iris_camera.inspection.findings import Box
from iris_camera.inspection.model import Numbers, Shape, Tensor, misfit
from iris_camera.inspection.settings import Fit, PictureInputSettings

DTYPES: dict[str, type[np.generic]] = {
    "tensor(uint8)": np.uint8,
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
}
GREY = 114
"""The fill of a letterbox: the value YOLO models are trained with."""
PIXELS_MAX = 1 << 24  # of an input, whose memory is allocated for every picture: 200 MB of float
_LAYOUTS = {"NCHW": (1, 2, 3), "NHWC": (3, 1, 2), "HWC": (2, 0, 1)}  # where channels, rows and columns are


class Placement(NamedTuple):
    """Where a picture of `width` by `height` pixels lies in a model's input; `scale` is the input's pixels per its."""

    width: int
    height: int
    x_scale: float = 1.0
    y_scale: float = 1.0
    left: float = 0.0
    top: float = 0.0

    def back(self, corners: tuple[float, float, float, float]) -> Box:
        """Corners x1, y1, x2, y2 in the input's pixels as a box in the picture's, clipped to it; empty if outside."""
        x = min(max((corners[0] - self.left) / self.x_scale, 0.0), self.width)
        y = min(max((corners[1] - self.top) / self.y_scale, 0.0), self.height)
        right = min(max((corners[2] - self.left) / self.x_scale, 0.0), self.width)
        bottom = min(max((corners[3] - self.top) / self.y_scale, 0.0), self.height)
        return Box(x, y, right - x, bottom - y)


class PictureInput:
    """The input format of one model. `size` is (width, height), None when it takes any.

    Raises ModelError when the model's input is no picture, or is not what the settings declare.
    """

    def __init__(self, tensor: Tensor, settings: PictureInputSettings, path: Path) -> None:
        if tensor.type not in DTYPES:
            raise misfit(path, f"an input of {' or '.join(DTYPES)}", tensor)
        self.dtype = DTYPES[tensor.type]
        self.layout = _layout(tensor, settings, path)
        self.size = _size(tensor, self.layout, settings, path)
        if self.size is not None and self.size[0] * self.size[1] > PIXELS_MAX:
            found = f"{self.size[0]}x{self.size[1]}"
            raise misfit(path, f"an input of {PIXELS_MAX:,} pixels at most", found)
        self.fit = settings.fit
        self.colour = _resolved(settings.colour, "bgr" if self.layout == "HWC" else "rgb")
        self.scaling = _resolved(settings.scaling, "0-255" if self.dtype == np.uint8 else "0-1")
        if self.dtype == np.uint8 and self.scaling != "0-255":
            raise misfit(path, f"a float input for the scaling {self.scaling}", tensor)
        self._channels = (2, 1, 0) if self.colour == "rgb" else (0, 1, 2)
        self._factors, self._offsets = _scaled(self.scaling, settings)

    def __str__(self) -> str:
        size = "any size" if self.size is None else f"{self.size[0]}x{self.size[1]} ({self.fit})"
        return f"{self.layout} {np.dtype(self.dtype).name}, {size}, {self.colour}, values {self.scaling}"

    def prepared(self, image: Image) -> tuple[Numbers, Placement]:
        """The model's input for a (height, width, 3) blue-green-red picture, and where the picture lies in it."""
        fitted, placement = fitted_in(image, self.size, self.fit)
        if self.layout == "HWC" and self.dtype == np.uint8 and self.colour == "bgr":
            return fitted, placement
        height, width = fitted.shape[:2]
        # The channels are written one by one into a view that has them first, whatever the tensor's own layout.
        tensor = np.empty((1, 3, height, width) if self.layout == "NCHW" else (1, height, width, 3), self.dtype)
        by_channel = tensor[0] if self.layout == "NCHW" else np.moveaxis(tensor[0], 2, 0)
        for target, source, factor, offset in zip(
            by_channel, self._channels, self._factors, self._offsets, strict=True
        ):
            self._write(target, fitted[:, :, source], factor, offset)
        return tensor[0] if self.layout == "HWC" else tensor, placement

    def _write(self, target: Numbers, channel: Image, factor: float, offset: float) -> None:
        if self.dtype == np.uint8:
            target[...] = channel
        elif self.dtype == np.float32:
            np.multiply(channel, np.float32(factor), out=target, dtype=np.float32)
            if offset:
                np.add(target, np.float32(offset), out=target)
        else:  # computed in 32 bits and rounded once
            target[...] = np.multiply(channel, np.float32(factor), dtype=np.float32) + np.float32(offset)


def fitted_in(image: Image, size: tuple[int, int] | None, fit: Fit) -> tuple[Image, Placement]:
    """The picture in one of `size` (width, height); the same one, uncopied, when it has that size already."""
    height, width = image.shape[:2]
    if size is None or size == (width, height):
        return image, Placement(width, height)
    if fit == "stretch":
        stretched = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), np.uint8)
        return stretched, Placement(width, height, size[0] / width, size[1] / height)
    scale = min(size[0] / width, size[1] / height)
    inner = (max(1, round(width * scale)), max(1, round(height * scale)))
    left, top = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    boxed = np.full((size[1], size[0], 3), GREY, np.uint8)
    boxed[top : top + inner[1], left : left + inner[0]] = cv2.resize(image, inner, interpolation=cv2.INTER_LINEAR)
    return boxed, Placement(width, height, inner[0] / width, inner[1] / height, left, top)


def _layout(tensor: Tensor, settings: PictureInputSettings, path: Path) -> str:
    """Where the three channels are, as declared or as the shape says."""
    possible = [layout for layout in _LAYOUTS if _is_picture(tensor.shape, layout)]
    if settings.layout in possible:
        return settings.layout
    if settings.layout != "auto" or not possible:
        wanted = "(1, 3, height, width), (1, height, width, 3) or (height, width, 3)"
        if settings.layout != "auto":
            wanted = f"layout {settings.layout}"
        raise misfit(path, f"a picture of three channels, {wanted}", tensor)
    certain = [layout for layout in possible if tensor.shape[_LAYOUTS[layout][0]] == 3]
    possible = certain or possible
    if len(possible) > 1:
        raise misfit(path, f"a declared layout, {' or '.join(possible)}, since the shape fits both", tensor)
    return possible[0]


def _is_picture(shape: Shape, layout: str) -> bool:
    if len(shape) != len(layout) or (layout[0] == "N" and shape[0] not in {1, None}):
        return False
    return shape[_LAYOUTS[layout][0]] in {3, None}


def _size(tensor: Tensor, layout: str, settings: PictureInputSettings, path: Path) -> tuple[int, int] | None:
    _, rows, columns = _LAYOUTS[layout]
    height, width = tensor.shape[rows], tensor.shape[columns]
    if settings.width is not None and settings.height is not None:
        if width not in {None, settings.width} or height not in {None, settings.height}:
            raise misfit(path, f"an input of the declared {settings.width}x{settings.height} pixels", tensor)
        return settings.width, settings.height
    if width is not None and height is not None:
        return width, height
    if layout == "NCHW":  # convolution pyramids fail on most sizes, far from the cause; the others resize inside
        raise misfit(path, "an input of fixed size, or a declared width and height (often 640 and 640)", tensor)
    if (width, height) != (None, None):
        raise misfit(path, "an input whose width and height are both fixed or both open, or declared", tensor)
    return None


def _resolved(declared: str, otherwise: str) -> str:
    return otherwise if declared == "auto" else declared


def _scaled(scaling: str, settings: PictureInputSettings) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """(factor, offset) a channel in the model's order: its input is pixel * factor + offset."""
    if scaling == "mean-std":
        pairs: Any = zip(settings.mean, settings.std, strict=True)
        return tuple(1 / std for std in settings.std), tuple(-mean / std for mean, std in pairs)
    return (1 / 255 if scaling == "0-1" else 1.0,) * 3, (0.0,) * 3
