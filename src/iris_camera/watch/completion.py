"""Decides when a file in a watched folder is complete, from its events, a look at it, and the time.

Any program writes there, and none reports "done". Three things count as that report: the file was renamed into the
folder, or its writer closed it, or nothing about it has changed for a while (the only one of the three that a file
system without events leaves). An event only says when to look; the look decides what is offered, for the event may be
long past.

- A file that is known to be open for writing is never offered, whatever its events.
- A file that was seen being written is offered once it is closed. Quiet counts instead only where the kernel reports
  that no process has it open, for a close may have been lost.
- An empty file that was closed counts by quiet alone: many programs make the file first and write later.
- A version that was offered and accepted is remembered and not offered again, unless something was written since: two
  writes within one tick of the clock leave the same facts behind.

What goes wrong. Events were lost: each file counts as found by listing, and quiet decides, until its next event. A file
vanishes between event and look: nothing is owed. The outbox is full: the file stays a candidate.
"""

from dataclasses import dataclass, replace
from enum import Enum


class Notice(Enum):
    """The latest event of a file."""

    FOUND = "found"  # by listing the folder: how it came there is unknown
    CREATED = "created"  # a new name: by open, or by link, which nothing else follows
    WRITTEN = "written"  # its content changed, and no close followed yet
    CLOSED = "closed"  # by a process that had it open for writing
    ARRIVED = "arrived"  # by rename


@dataclass(frozen=True, slots=True)
class Version:
    """What distinguishes two contents of one name. No device number: of network and mapped disks it differs from one
    boot to the next."""

    inode: int
    size_bytes: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class FileState:
    """At a regular file that can be read. `is_open`: whether a process has it open for writing; None: unknown."""

    version: Version
    is_open: bool | None
    identity: tuple[int, int] = (0, 0)  # device and inode, valid until the next boot


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that may have to be offered. Times are monotonic seconds."""

    notice: Notice
    changed: bool  # written or arrived since the last offer: equal facts do not mean equal bytes
    version: Version | None  # at the last look
    still_since_s: float
    look_at_s: float


class Completion(Enum):
    OFFER = "offer"
    WAIT = "wait"
    LEAVE = "leave"  # nothing is owed: gone, or offered before as it is


def noticed(candidate: Candidate | None, notice: Notice, now_s: float, quiet_s: float) -> Candidate:
    """The candidate after an event. A folder's listing goes to `found`."""
    says_done = notice in (Notice.CLOSED, Notice.ARRIVED)
    return Candidate(
        notice=notice,
        changed=notice is not Notice.CLOSED or (candidate is not None and candidate.changed),
        version=candidate.version if candidate else None,
        still_since_s=now_s,
        look_at_s=now_s if says_done else now_s + quiet_s,
    )


def found(
    candidate: Candidate | None, version: Version, remembered: Version | None, now_s: float, quiet_s: float
) -> Candidate | None:
    """The candidate after its name was listed; None: nothing is owed."""
    if candidate is None:
        if version == remembered:
            return None
        return Candidate(Notice.FOUND, changed=False, version=version, still_since_s=now_s, look_at_s=now_s + quiet_s)
    if version == candidate.version:
        return candidate
    return replace(candidate, version=version, still_since_s=now_s)


def events_lost(candidate: Candidate) -> Candidate:
    """Its close may be among the lost events: its last notice no longer holds."""
    return replace(candidate, notice=Notice.FOUND)


def judged(
    candidate: Candidate, look: FileState | None, remembered: Version | None, now_s: float, quiet_s: float
) -> tuple[Completion, Candidate]:
    """What to do with the file as the look shows it (None: there is none any more), and the candidate after it."""
    if look is None or (look.version == remembered and not candidate.changed):
        return Completion.LEAVE, candidate
    if candidate.version is not None and look.version != candidate.version:
        candidate = replace(candidate, still_since_s=now_s)
    candidate = replace(candidate, version=look.version, look_at_s=now_s + quiet_s)
    if look.is_open or _is_still_written(candidate.notice, look):
        return Completion.WAIT, candidate
    if candidate.notice is Notice.ARRIVED or (candidate.notice is Notice.CLOSED and look.version.size_bytes):
        return Completion.OFFER, candidate
    quiet_at_s = candidate.still_since_s + quiet_s
    if now_s >= quiet_at_s:
        return Completion.OFFER, candidate
    return Completion.WAIT, replace(candidate, look_at_s=quiet_at_s)


def _is_still_written(notice: Notice, look: FileState) -> bool:
    """By its events, where no lease gives the answer."""
    if look.is_open is not None:
        return False
    return notice is Notice.WRITTEN or (notice is Notice.CREATED and look.version.size_bytes == 0)
