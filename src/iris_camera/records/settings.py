"""What may be set about records and evidence: frozen values, checked when they are made."""

import math
from dataclasses import dataclass, field
from pathlib import Path

from iris_camera.records.retention import KeepLimits
from iris_camera.records.rotation import RotationLimits


@dataclass(frozen=True, slots=True)
class RecordSettings:
    """The record files of every camera, and what stays on this machine after they were delivered.

    Raises ValueError for a value that cannot be used.
    """

    folder: Path | None = field(
        default=None, metadata={"doc": "folder of the records, one folder in it per camera; default: beside the outbox"}
    )
    rows_max: int = field(default=10_000, metadata={"doc": "rows after which a record file is finished"})
    size_bytes_max: int = field(default=1_000_000, metadata={"doc": "bytes after which a record file is finished"})
    age_s_max: float = field(default=60.0, metadata={"doc": "seconds after which a record file is finished"})
    heartbeat_s: float | None = field(
        default=None,
        metadata={"doc": "at most every so many seconds a row for a frame on which nothing was found; default: none"},
    )
    keep_bytes_max: int = field(
        default=0, metadata={"doc": "bytes of delivered files kept on this machine, all cameras together; 0: none"}
    )
    keep_age_s_max: float | None = field(
        default=None, metadata={"doc": "seconds a delivered file is kept at most; default: as long as there is room"}
    )
    disk_reserve_bytes: int = field(
        default=100_000_000,
        metadata={"doc": "bytes left free on the disk: below, kept files are removed and no evidence is written"},
    )

    def __post_init__(self) -> None:
        RotationLimits(self.rows_max, self.size_bytes_max, self.age_s_max)  # raises for one that is out of range
        _check_positive("heartbeat_s", self.heartbeat_s)
        _check_positive("keep_age_s_max", self.keep_age_s_max)
        _check_not_negative("keep_bytes_max", self.keep_bytes_max)
        _check_not_negative("disk_reserve_bytes", self.disk_reserve_bytes)
        if self.keep_age_s_max is not None and self.keep_bytes_max == 0:
            raise ValueError(
                f"keep_age_s_max is {self.keep_age_s_max} but keep_bytes_max is 0, so nothing is kept: "
                "set keep_bytes_max too, or neither"
            )

    @property
    def limits(self) -> RotationLimits:
        """When a record file is finished."""
        return RotationLimits(self.rows_max, self.size_bytes_max, self.age_s_max)

    @property
    def keep_limits(self) -> KeepLimits:
        """What of the delivered files stays."""
        return KeepLimits(self.keep_bytes_max, self.keep_age_s_max, self.disk_reserve_bytes)


@dataclass(frozen=True, slots=True)
class EvidenceSettings:
    """The pictures of each defect. Raises ValueError for a value that cannot be used."""

    enabled: bool = field(default=True, metadata={"doc": "write pictures of each defect"})
    crop: bool = field(default=True, metadata={"doc": "a picture of the defective part"})
    whole_frame: bool = field(default=True, metadata={"doc": "a picture of the whole frame it was seen on"})
    crop_context: float = field(
        default=0.3, metadata={"doc": "how much wider and higher than the part its picture is, as a share of the part"}
    )
    jpeg_quality: int = field(default=90, metadata={"doc": "quality of the pictures, 1 to 100"})
    frames_held_max: int = field(
        default=8, metadata={"doc": "frames held in memory until their pictures are written; beyond, they are skipped"}
    )

    def __post_init__(self) -> None:
        _check_not_negative("crop_context", self.crop_context)
        if not 1 <= self.jpeg_quality <= 100:
            raise ValueError(f"jpeg_quality is {self.jpeg_quality}: expected a whole number from 1 to 100")
        if self.frames_held_max < 1:
            raise ValueError(f"frames_held_max is {self.frames_held_max}: expected at least 1")
        if self.enabled and not (self.crop or self.whole_frame):
            raise ValueError(
                "evidence is enabled, but neither crop nor whole_frame is: enable one of them, or set enabled to false"
            )


def _check_positive(name: str, value: float | None) -> None:
    if value is not None and not (math.isfinite(value) and value > 0):
        raise ValueError(f"{name} is {value}: expected a number above 0")


def _check_not_negative(name: str, value: float) -> None:
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"{name} is {value}: expected 0 or more")
