"""The reasons that concern the two folders that Iris writes: whether it may write, and how much space is left.

A disk is full when it has no bytes or no inodes left. Health warns before anything is lost; the part that loses
something counts and reports it itself.
"""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from iris_camera.health.conditions import Reason
from iris_camera.health.facts import DiskFacts, FolderFacts, HealthLimits
from iris_communication.runtime.amounts import size

REMOVED = (
    "the folder of the outbox was removed or is not mounted any more: put it back as it was, or restart Iris, "
    "which makes another"
)
READ_ONLY = "it is on a disk that is mounted read-only"


def folder_facts(folder: Path | None) -> FolderFacts:
    """Only `is_missing` for a folder that does not exist: the part that makes it reports why that failed."""
    if folder is None:
        return FolderFacts()
    try:
        facts = os.statvfs(folder)
    except FileNotFoundError:
        return FolderFacts(is_missing=True)
    except OSError:
        return FolderFacts()
    inodes = facts.f_favail if facts.f_files else None  # a file system that allocates inodes on demand reports 0
    return FolderFacts(facts.f_bavail * facts.f_frsize, inodes, _not_writable(folder, facts.f_flag))


def _not_writable(folder: Path, flags: int) -> str | None:
    if flags & os.ST_RDONLY:
        return READ_ONLY
    if not os.path.isdir(folder):  # noqa: PTH112  # raises nothing
        return "it is no folder"
    return None if os.access(folder, os.W_OK | os.X_OK) else "this user may not write there"


def room_reasons(name: str, folder: Path, reserve_bytes: int) -> list[Reason]:
    """Of one folder (outbox, records), for a check before anything runs."""
    return storage_reasons(
        replace(DiskFacts(), **{name: folder_facts(folder)}), HealthLimits(disk_reserve_bytes=reserve_bytes)
    )


def storage_reasons(disk: DiskFacts, limits: HealthLimits, *, outbox_is_open: bool = False) -> list[Reason]:
    """Only a missing outbox folder is a reason: an open outbox without its folder loses everything at the end. The
    records' folder is made again with the next row, and the recorder reports the files that were in it."""
    return [
        *([Reason("folder not writable", "outbox", REMOVED)] if outbox_is_open and disk.outbox.is_missing else ()),
        *_folder("outbox", disk.outbox, limits, 0),
        *_folder("records", disk.records, limits, limits.disk_reserve_bytes),
    ]


def _folder(name: str, folder: FolderFacts, limits: HealthLimits, reserve_bytes: int) -> Iterator[Reason]:
    if folder.not_writable:
        text = f"nothing can be written into the folder of the {name}: {folder.not_writable}"
        yield Reason("folder not writable", name, text)
    if folder.free_inodes is not None and folder.free_inodes < limits.inodes_low:
        yield _inodes(name, folder.free_inodes, limits)
    if folder.free_bytes is not None and (reason := _room(name, folder.free_bytes, limits, reserve_bytes)):
        yield reason


def _inodes(name: str, free: int, limits: HealthLimits) -> Reason:
    on = f"the disk of the {name} has room for"
    if free < limits.inodes_full:
        return Reason("no inodes", name, f"{on} {free or 'no'} more files (inodes): remove some there")
    return Reason("inodes low", name, f"{on} only {free} more files (inodes): remove some there")


def _room(name: str, free_bytes: int, limits: HealthLimits, reserve_bytes: int) -> Reason | None:
    disk, left = f"the disk of the {name}", f"{size(free_bytes)} left"
    if free_bytes < 1024**2:
        return Reason("disk full", name, f"{disk} is full: free some space there")
    if free_bytes <= limits.disk_full_bytes:
        return Reason("disk nearly full", name, f"{disk} is nearly full ({left}): free some space there")
    if free_bytes < reserve_bytes:
        text = f"{disk} has {left}, less than the reserve of {size(reserve_bytes)}"
        return Reason("disk reserve reached", name, f"{text}: no evidence pictures are written until there is room")
    if free_bytes <= limits.disk_low_bytes:
        return Reason("disk low", name, f"{disk} has only {left}")
    return None
