"""The name of a picture of a defect, which leads to the row it proves, and is found from it.

    {camera}_{view}_{UTC}_{run}_{sequence}_f{frame}_p{part}.jpg
    line-1_crop_20261123T210533.123Z_9f3c01ab_000007_f1234_p12.jpg

`view` is `crop` (the part and what is about it) or `frame` (all of it). The rest is the classifier row's: `UTC` is its
column `utc` without - and :, `frame` its column `frame`, `part` its column `part_id` as they stand there, and `run` is
in the name of its file. So the row's pictures are `{camera}_*_{run}_*_f{frame}_p{part}.jpg`, and the picture's row is
in a file `{camera}_classifier_*_{run}_*.csv`, with that frame and part.

`sequence` counts the defects of a camera in a run: it keeps names apart where a source begins to count its frames
anew, and orders them whatever the clock does. The two views of a defect share it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from iris_camera.records.csv_name import read_stamp, stamp

View = Literal["crop", "frame"]
VIEWS: tuple[View, ...] = get_args(View)

_NAME = re.compile(
    r"(?P<camera>[A-Za-z0-9][A-Za-z0-9_-]{0,63})_(?P<view>crop|frame)_(?P<taken>[0-9]{8}T[0-9]{6}\.[0-9]{3}Z)_"
    r"(?P<run>[0-9a-f]{8})_(?P<sequence>[0-9]{6,18})_f(?P<frame>[0-9]{1,18})_p(?P<part>[0-9]{1,18})\.jpg"
)


@dataclass(frozen=True, slots=True)
class EvidenceName:
    """What the name of a picture says. `taken_at` is when its frame was taken, in UTC, to the millisecond."""

    camera: str
    view: View
    taken_at: datetime
    run: str
    sequence: int
    frame: int
    part_id: int

    def __str__(self) -> str:
        place = f"{self.sequence:06d}_f{self.frame}_p{self.part_id}"
        return f"{self.camera}_{self.view}_{stamp(self.taken_at)}_{self.run}_{place}.jpg"


def pictures_in_order(names: Iterable[EvidenceName]) -> list[EvidenceName]:
    """Run after run, by the time of the first picture of each; within a run by sequence, whatever the clock did."""
    by_sequence = sorted(names, key=lambda name: (name.sequence, name.view))
    first_taken: dict[str, datetime] = {}
    for name in by_sequence:
        first_taken.setdefault(name.run, name.taken_at)
    return sorted(by_sequence, key=lambda name: (first_taken[name.run], name.run))


def parse_evidence_name(file_name: str) -> EvidenceName | None:
    """Read the name of a picture; None for any other name."""
    match = _NAME.fullmatch(file_name)
    taken_at = read_stamp(match["taken"]) if match else None
    if match is None or taken_at is None:
        return None
    view: View = "crop" if match["view"] == "crop" else "frame"
    numbers = int(match["sequence"]), int(match["frame"]), int(match["part"])
    name = EvidenceName(match["camera"], view, taken_at, match["run"], *numbers)
    return name if str(name) == file_name else None
