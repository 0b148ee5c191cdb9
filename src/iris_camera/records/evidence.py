"""Pictures of defects: one of the part and its surroundings, one of the whole frame, as JPEG files in `ready/`.

A picture is written whole or not at all: under its name in `open/`, then renamed. Nothing is fsynced, as with rows.
A JPEG comment states what it shows, so that a picture that lost its name can still be identified.

A file on disk is believed when it begins and ends as a JPEG does and no stretch of it is zeros: the encoder never
writes so many (its tables give every block a bit that is set), but a power cut leaves such stretches where data did
not reach the disk.
"""

import hashlib
import math
import os
from contextlib import suppress
from pathlib import Path
from typing import Literal, NamedTuple

from iris_camera.image import Image
from iris_camera.records.csv_file import OPEN_FOLDER, READY_FOLDER, NotARecordError, utc_time
from iris_camera.records.csv_name import check_camera, check_run
from iris_camera.records.evidence_name import EvidenceName, View
from iris_camera.records.open_file import open_locked
from iris_camera.records.settings import EvidenceSettings

_START, _COMMENT, _END = b"\xff\xd8", b"\xff\xfe", b"\xff\xd9"
_LOST_BYTES = 512  # so many zeros in a row are a hole: file systems lose nothing smaller


class Area(NamedTuple):
    """An upright rectangle in pixels of the frame, from its upper left corner."""

    x: float
    y: float
    width: float
    height: float


class Defect(NamedTuple):
    """One part that was judged a defect, on the frame it was judged on (read-only, blue-green-red)."""

    image: Image
    frame: int
    wall_s: float  # Unix time at which the frame was taken
    part_id: int
    area: Area
    label: str
    score: float
    sequence: int  # of the defects of this camera in this run
    file: str = ""  # that the frame came in, if it had one of its own


class FinishedPicture(NamedTuple):
    """A picture in the folder `ready`, as the outbox wants to know it."""

    path: Path
    kind: Literal["evidence"]
    size_bytes: int
    sha256: str


class NoPictureError(Exception):
    """Nothing of the area lies in the frame, or the picture cannot be encoded."""


class Evidence:
    """Writes the pictures of one camera's defects into `folder`, the camera's own; belongs to one thread."""

    def __init__(self, folder: Path, camera: str, run: str, settings: EvidenceSettings) -> None:
        self._folder = folder
        self._camera = check_camera(camera)
        self._run = check_run(run)
        self._settings = settings
        wanted: tuple[tuple[View, bool], ...] = (("crop", settings.crop), ("frame", settings.whole_frame))
        self.views: tuple[View, ...] = tuple(view for view, on in wanted if on and settings.enabled)

    def write(self, defect: Defect, view: View) -> FinishedPicture:
        """Encode one view of the defect and write it; 5 to 15 ms of a core for a frame of some megapixels.

        Raises NoPictureError, and OSError when it cannot be written; then nothing is left of it.
        """
        image = defect.image if view == "frame" else crop(defect.image, defect.area, self._settings.crop_context)
        data = encode_jpeg(image, self._settings.jpeg_quality, self._comment(defect))
        taken_at = utc_time(defect.wall_s)
        name = EvidenceName(self._camera, view, taken_at, self._run, defect.sequence, defect.frame, defect.part_id)
        path = _write_whole(self._folder, str(name), data)
        return FinishedPicture(path, "evidence", len(data), hashlib.sha256(data).hexdigest())

    def _comment(self, defect: Defect) -> str:
        file = f" file={defect.file}" if defect.file else ""
        return (
            f"camera={self._camera} run={self._run} frame={defect.frame} part_id={defect.part_id} "
            f"label={defect.label} score={defect.score:.4f}{file}"
        )


def crop(image: Image, area: Area, context: float) -> Image:
    """What the image shows of the area, wider and higher by the share `context`; a view, not a copy.

    Raises NoPictureError when nothing of the area lies in the image.
    """
    height, width = image.shape[:2]
    if not all(map(math.isfinite, area)):
        raise NoPictureError(f"its box is {tuple(area)}, in a picture of {width}x{height} pixels")
    extra_x, extra_y = area.width * context / 2, area.height * context / 2
    left, right = math.floor(area.x - extra_x), math.ceil(area.x + area.width + extra_x)
    top, bottom = math.floor(area.y - extra_y), math.ceil(area.y + area.height + extra_y)
    inside = image[max(0, top) : max(0, bottom), max(0, left) : max(0, right)]
    if inside.size == 0:
        raise NoPictureError(f"its box {tuple(area)} lies outside the picture of {width}x{height} pixels")
    return inside


def encode_jpeg(image: Image, quality: int, comment: str) -> bytes:
    """The image as a JPEG file that holds `comment`. Raises NoPictureError."""
    import cv2  # noqa: PLC0415 - what earlier runs left is handed over without OpenCV

    try:
        encoded, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    except cv2.error as error:
        raise NoPictureError(f"OpenCV cannot encode it: {error}") from error
    if not encoded:
        raise NoPictureError(f"OpenCV cannot encode a picture of shape {image.shape}")
    text = comment.encode("utf-8", "backslashreplace").replace(b"\0", b"\\0")[:60_000]
    return b"".join((_START, _COMMENT, (len(text) + 2).to_bytes(2, "big"), text, data[len(_START) :].data))


def is_whole_jpeg(data: bytes) -> bool:
    """Whether these bytes are a whole picture; False for what a crash or a power cut left of one.

    Raises NotARecordError for what never was one.
    """
    beginning = data[: len(_START)].rstrip(b"\0")
    if not _START.startswith(beginning):
        raise NotARecordError("it does not begin as a JPEG does")
    return data.startswith(_START) and data.endswith(_END) and bytes(_LOST_BYTES) not in data


def _write_whole(folder: Path, name: str, data: bytes) -> Path:
    path, target = folder / OPEN_FOLDER / name, folder / READY_FOLDER / name
    for parent in (path.parent, target.parent):
        parent.mkdir(parents=True, exist_ok=True)
    descriptor = open_locked(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
        finally:
            os.close(descriptor)
        path.rename(target)
    except OSError:
        with suppress(OSError):
            path.unlink()
        raise
    return target
