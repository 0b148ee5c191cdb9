"""What the ledger shows of a run: repeated attempts, files in archives, and the order in which the backlog of an outage
arrived.

Order is measured in pairs: of each picture of a defect and each record file that waited for the same outage's end,
which arrived first? The share of pairs with the picture first is 1 if all evidence came first, and 0.5 for a random
order.
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
    """`attempts_repeated`: of single files, refused by the server and tried again. The backlog are the files accepted
    during an outage and delivered after it; `backlog_evidence_first` is None if it lacks one of the two kinds."""

    attempts_repeated: int
    archives: int
    files_in_archives: int
    backlog_evidence: int
    backlog_csv: int
    backlog_evidence_first: float | None


def deliveries_from(
    ledger: Iterable[Mapping[str, Any]], records_dir: PurePath, outages: Sequence[Outage]
) -> Deliveries:
    """From the lines (`Audit.ledger()`) of files below `records_dir`: an outbox that is kept holds other runs' too."""
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
