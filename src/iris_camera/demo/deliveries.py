"""What the ledger tells of a run: what had to be tried again, what travelled together, and in which order the backlog
of an outage arrived.

Order is told by pairs: of each picture of a defect and each record file that waited for the same outage's end, which
arrived first? The share of pairs in which the picture did is 1 where all evidence came first, and 0.5 where nobody
cared.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath
from typing import Any, NamedTuple


class Outage(NamedTuple):
    """Unix times."""

    began_s: float
    ended_s: float


@dataclass(frozen=True, slots=True)
class Deliveries:
    """`attempts_repeated`: of single files, refused by the server and tried again. The backlog is what was accepted
    during an outage and arrived after it; `backlog_evidence_first` is None where one of the kinds is missing."""

    attempts_repeated: int
    archives: int
    files_in_archives: int
    backlog_evidence: int
    backlog_csv: int
    backlog_evidence_first: float | None


def deliveries_from(
    ledger: Iterable[Mapping[str, Any]], records_dir: PurePath, outages: Sequence[Outage]
) -> Deliveries:
    """Of the lines (`Audit.ledger()`) of files below `records_dir`: an outbox that is kept holds other runs' too."""
    lines = [line for line in ledger if PurePath(line["source"]).is_relative_to(records_dir)]
    batches = [line["batch"] for line in lines if line["batch"] is not None]
    pictures = records = pairs = right = 0
    for outage in outages:
        waiting = [_is_picture(line) for line in lines if _waited_for_the_end_of(line, outage)]
        before = 0
        for is_picture in waiting:
            before += is_picture
            right += 0 if is_picture else before
        of_outage = sum(waiting)
        pictures, records = pictures + of_outage, records + len(waiting) - of_outage
        pairs += of_outage * (len(waiting) - of_outage)
    return Deliveries(
        attempts_repeated=sum(line["attempts"] for line in lines),
        archives=len(set(batches)),
        files_in_archives=len(batches),
        backlog_evidence=pictures,
        backlog_csv=records,
        backlog_evidence_first=round(right / pairs, 3) if pairs else None,
    )


def _is_picture(line: Mapping[str, Any]) -> bool:
    return PurePath(line["source"]).suffix != ".csv"


def _waited_for_the_end_of(line: Mapping[str, Any], outage: Outage) -> bool:
    accepted_s, delivered_s = (datetime.fromisoformat(line[word]).timestamp() for word in ("accepted", "delivered"))
    return outage.began_s <= accepted_s <= outage.ended_s <= delivered_s
