"""The last line of a run: what is left for the next start, and why."""

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from iris_camera.health.delivery import why_files_wait
from iris_camera.health.facts import USUAL, Around, DiskFacts
from iris_camera.health.gathering import gather, losses
from iris_camera.health.sentences import given_up_text, removed_text, wait
from iris_camera.health.storage import folder_facts
from iris_communication.runtime.amounts import files


def what_is_left(details: Mapping[str, Any], outbox: Path, around: Around, cameras: Iterable[Mapping[str, Any]]) -> str:
    """`details` are the uploader's, `outbox` its folder, `cameras` each camera's snapshot."""
    stats = details["stats"]
    waiting, dead = stats["queue_size"], details.get("dead_files", len(details["dead"]))
    left = [_in_the_outbox(waiting, outbox)] if waiting else []
    if dead:
        left.append(f"{files(dead)} could not be delivered; `iris queue list` says why")
    if (given_up := stats["total_failed"] - dead) > 0:
        left.append(given_up_text(given_up))
    if around.to_accept:
        left.append(f"{wait(around.to_accept)} in {around.records_folder}")
    if waiting or around.to_accept:
        facts = gather((), details, DiskFacts(), around, lambda counter: 0)
        left += [reason.text for reason in why_files_wait(facts, time.time(), USUAL)]
    if around.removed:
        left.append(removed_text(around.removed, around.records_folder))
    left += around.left_behind
    left += [reason.text for camera in cameras for reason in losses(camera)]
    return "; ".join(left) or "every accepted file is delivered"


def _in_the_outbox(waiting: int, folder: Path) -> str:
    if folder_facts(folder).is_missing:
        return f"{files(waiting)} waited in {folder}, which was removed: put it back, or they are lost"
    return f"{wait(waiting)} in {folder}, for the next start"
