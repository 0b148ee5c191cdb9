"""Draws the marks of a picture on it, and makes a JPEG of it."""

import cv2
from cv2.typing import MatLike

from iris_camera.web.picture import DrawnMark, Picture

JPEG_QUALITY = 80
# Blue, green, red. Bright enough on a dark belt, and distinguishable for people who see no red or no green; text and
# line thickness show the same without colour.
CALM_COLOUR = (230, 200, 60)
ALARM_COLOUR = (40, 90, 255)
TEXT_COLOUR = (20, 20, 20)


def encode(picture: Picture, width: int) -> bytes:
    """The picture as a JPEG with its marks drawn, at most `width` pixels wide; the given image is not changed."""
    image_height, image_width = picture.image.shape[:2]
    scale = min(1.0, width / image_width)
    canvas = _smaller(picture.image, width) if scale < 1.0 else picture.image.copy()
    for mark in sorted(picture.marks, key=lambda mark: mark.alarm):  # alarms are drawn on top
        _draw(canvas, mark, scale)
    encoded, jpeg = cv2.imencode(".jpg", canvas, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not encoded:
        raise ValueError(f"frame {picture.number} of {image_width} x {image_height} pixels could not be made a JPEG")
    return jpeg.tobytes()


def _smaller(image: MatLike, width: int) -> MatLike:
    """First by a whole factor with means of pixels, then the rest by interpolation: several times as fast as means
    throughout, and fine lines still do not flicker from frame to frame."""
    height, image_width = image.shape[:2]
    times = image_width // width
    if times > 1:
        size = (image_width // times, max(1, height // times))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return cv2.resize(image, (width, max(1, round(height * width / image_width))), interpolation=cv2.INTER_LINEAR)


def _draw(canvas: MatLike, mark: DrawnMark, scale: float) -> None:
    colour = ALARM_COLOUR if mark.alarm else CALM_COLOUR
    thickness = 4 if mark.alarm else 2
    left, top = round(mark.x * scale), round(mark.y * scale)
    right, bottom = round((mark.x + mark.width) * scale), round((mark.y + mark.height) * scale)
    cv2.rectangle(canvas, (left, top), (right, bottom), colour, thickness, cv2.LINE_AA)
    # The font knows ASCII only and draws "??" for the rest, two for each letter; one "?" reads better.
    text = mark.text.encode("ascii", "replace").decode("ascii")
    if not text:
        return
    (text_width, text_height), baseline = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.6, 2)
    label_height = text_height + baseline + 6
    # Above the box; inside it if there is no room above. Shifted left if it would leave the picture.
    label_top = top - label_height if top >= label_height else top
    label_left = max(0, min(left - thickness // 2, canvas.shape[1] - text_width - 10))
    label_end = (label_left + text_width + 10, label_top + label_height)
    cv2.rectangle(canvas, (label_left, label_top), label_end, colour, cv2.FILLED)
    at = (label_left + 5, label_top + text_height + 4)
    cv2.putText(canvas, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.6, TEXT_COLOUR, 2, cv2.LINE_AA)
