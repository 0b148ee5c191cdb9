"""Where a camera's pictures come from, and its time limits: what may be configured of one source.

The one text `source` says what kind it is. Credentials are settings of their own, because that text is stored and
shown. Times are in seconds and are given explicitly to the library that opens the camera: OpenCV's own default is 30.
"""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from iris_camera.camera.address import Address, parse_address

Kind = Literal["synthetic", "file", "dir", "usb", "rtsp", "http"]
Pace = Literal["own", "fast"]

EXPECTED = (
    "expected synthetic, file:PATH, dir:PATH (dir:PATH/** with its subfolders), usb:INDEX, "
    "usb:/dev/v4l/by-id/NAME, rtsp://HOST/PATH or http://HOST/PATH"
)
SUBFOLDERS = "**"
LONGEST_WAIT_S = 3600.0
PIXELS_MAX = 100_000_000
PIXELS_LIMIT = 1 << 30  # what OpenCV decodes at most


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """One camera's source. Raises ValueError for an unusable value, naming what was found and what was expected."""

    source: str = field(default="synthetic", metadata={"doc": f"where the pictures come from: {EXPECTED[9:]}"})
    username: str = field(default="", metadata={"doc": "of an rtsp or http camera; never in the address"})
    password: str = field(
        default="", repr=False, metadata={"doc": "of an rtsp or http camera; never in the address", "secret": True}
    )
    frame_rate: float | None = field(
        default=None,
        metadata={"doc": "frames a second: of a live camera at most so many, of a file played at so many (own: as is)"},
    )
    pace: Pace = field(
        default="own", metadata={"doc": "of a file: at its own rate (own), or as fast as it can be inspected (fast)"}
    )
    repeat: bool = field(default=False, metadata={"doc": "whether a file begins again at its end"})
    width: int | None = field(default=None, metadata={"doc": "picture width in pixels, of synthetic and usb"})
    height: int | None = field(default=None, metadata={"doc": "picture height in pixels, of synthetic and usb"})
    stills: bool | None = field(
        default=None,
        metadata={
            "doc": "true: each picture stands alone, with a verdict on each part in it and on the whole of it; false: "
            "parts are followed from picture to picture; if it is not given, true for dir, else false",
            "example": True,
        },
    )
    pixels_max: int = field(
        default=PIXELS_MAX,
        metadata={
            "doc": "pixels a picture may announce: one with more, or a file of more than 8 bytes for each, is left out "
            "before it is decoded"
        },
    )
    bit_depth: int | None = field(
        default=None,
        metadata={
            "doc": "bits that each sample of a picture of more than 8 really has; if it is not given, derived from "
            "the file or from the brightest sample so far"
        },
    )
    seed: int = field(default=1, metadata={"doc": "what the synthetic line is made from, 0 or more"})
    open_timeout_s: float = field(default=5.0, metadata={"doc": "seconds a network camera has to answer and begin"})
    read_timeout_s: float = field(
        default=5.0, metadata={"doc": "seconds without a picture after which Iris reconnects to a network camera"}
    )
    stalled_after_s: float = field(
        default=5.0, metadata={"doc": "seconds without a picture after which a live camera counts as stalled"}
    )
    offline_after_s: float = field(
        default=2.0, metadata={"doc": "seconds a camera has to be lost before that is an event; less is a blip"}
    )
    hung_after_s: float = field(
        default=15.0, metadata={"doc": "seconds after which a call into a live camera's driver is given up as hung"}
    )

    def __post_init__(self) -> None:
        _check_source(self.source)
        if (self.username or self.password) and self.kind not in ("rtsp", "http"):
            raise ValueError(f"username and password belong to an rtsp or http camera, and this source is {self.kind}")
        if self.password and not self.username:
            raise ValueError("a password was given without a username: expected both or none")
        _check_number("frame_rate", self.frame_rate, 1000.0)
        if self.pace not in get_args(Pace):
            raise ValueError(f"pace is {self.pace!r}: expected own or fast")
        for name in ("width", "height"):
            size = getattr(self, name)
            if size is not None and not 64 <= size <= 16384:
                raise ValueError(f"{name} is {size}: expected 64 to 16384 pixels")
        if not 1 <= self.pixels_max <= PIXELS_LIMIT:
            raise ValueError(f"pixels_max is {self.pixels_max}: expected 1 to {PIXELS_LIMIT}")
        if self.bit_depth is not None and not 8 <= self.bit_depth <= 16:
            raise ValueError(f"bit_depth is {self.bit_depth}: expected 8 to 16")
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}: expected 0 or more")
        for name in ("open_timeout_s", "read_timeout_s", "stalled_after_s", "offline_after_s", "hung_after_s"):
            _check_number(name, getattr(self, name), LONGEST_WAIT_S)
        if self.hung_after_s <= max(self.open_timeout_s, self.read_timeout_s):
            raise ValueError(
                f"hung_after_s is {self.hung_after_s:g}: expected more than open_timeout_s ({self.open_timeout_s:g}) "
                f"and read_timeout_s ({self.read_timeout_s:g}), or every slow answer would count as hung"
            )

    @property
    def kind(self) -> Kind:
        return _kind_of(self.source)

    @property
    def live(self) -> bool:
        """Whether the source does not wait for Iris: only the latest picture matters then."""
        return self.kind not in ("file", "dir")

    @property
    def are_stills(self) -> bool:
        """Whether each picture shows something else."""
        return self.kind == "dir" if self.stills is None else self.stills

    @property
    def path(self) -> Path:
        """Of a file, a folder, or a usb camera by name."""
        place = Path(self.source.partition(":")[2])
        return place.parent if self.with_subfolders else place

    @property
    def with_subfolders(self) -> bool:
        """Of a folder: whether those in it count too."""
        return self.kind == "dir" and Path(self.source.partition(":")[2]).name == SUBFOLDERS

    @property
    def usb_index(self) -> int | None:
        """Of a usb camera by index; None for one by name."""
        place = self.source.partition(":")[2]
        return int(place) if self.kind == "usb" and place.isdigit() else None

    @property
    def address(self) -> Address:
        """Of an rtsp or http camera."""
        return parse_address(self.source)


def _kind_of(source: str) -> Kind:
    head = source.partition(":")[0].lower()
    if head == "https":
        return "http"
    for kind in get_args(Kind):
        if head == kind:
            found: Kind = kind
            return found
    raise ValueError(f"the kind of source {head[:20]!r} is not known: {EXPECTED}")


def _check_source(source: str) -> None:
    """Raises ValueError for a text that names no source."""
    kind, place = _kind_of(source), source.partition(":")[2]
    if kind in ("rtsp", "http"):
        parse_address(source)
    elif kind == "synthetic":
        if source != "synthetic":
            raise ValueError(f"source is {source!r}: expected synthetic, with nothing after it")
    elif not place or "\x00" in place:
        raise ValueError(f"source is {source!r}: expected {kind}: and the place, without a space in between")
    elif kind == "usb" and not (place.isascii() and place.isdigit()) and not place.startswith("/"):
        raise ValueError(f"source is {source!r}: expected usb:0, usb:1 ... or usb:/dev/v4l/by-id/NAME")


def _check_number(name: str, value: float | None, most: float) -> None:
    if value is not None and not (math.isfinite(value) and 0 < value <= most):
        raise ValueError(f"{name} is {value:g}: expected more than 0 and at most {most:g}")
