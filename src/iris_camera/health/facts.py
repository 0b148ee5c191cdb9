"""The measured facts of one check of Iris, as values; ages in seconds, `since_s` in Unix time. Not judged yet."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class HealthLimits:
    """The thresholds from which an age, a size or a count is a condition."""

    starting_s: float = 10.0  # a camera that is opened for the first time may take so long
    stalled_after_s: float = 5.0
    stalled_after_frames: float = 3.0  # of a camera whose frames are further apart than that
    waiting_long_s: float = 600.0
    disk_low_bytes: int = 200 * 1024**2
    disk_full_bytes: int = 20 * 1024**2
    disk_reserve_bytes: int = 0  # of the records' disk: with less, no evidence is written
    inodes_low: int = 2_000
    inodes_full: int = 50
    refused_in_a_row: int = 3  # new files refused, and none taken: the server refuses everything
    restarts_lately: int = 3  # of an inspection, within `lately_s`: it restarts again and again
    skipped_share: float = 0.05  # of a live camera's frames, within `lately_s`
    settled_after_s: float = 60.0  # a camera that came up just now skips some while its inspection begins
    lately_s: float = 300.0
    silent_after_s: float = 10.0  # without a check: health itself hangs


USUAL = HealthLimits()


@dataclass(frozen=True, slots=True)
class CameraFacts:
    """One camera at one check. `frame_age_s`: of the picture inspected last, `captured_age_s`: of the one taken last.
    `frame_rate`: aimed at, None when unknown. `opening`: the first opening, which has neither worked nor failed yet.
    `ended`: its source came to its end, or Iris itself ended it, and all is well."""

    name: str
    state: str = "online"
    reason: str | None = None
    since_s: float | None = None
    frame_age_s: float | None = None
    frame_rate: float | None = None
    live: bool = True
    inspection: str = "running"
    inspection_reason: str | None = None
    restarts_lately: int = 0
    opening: bool = False
    ended: bool = False
    frames_lately: int = 0
    skipped_lately: int = 0
    rows_lost: int = 0  # since the start
    records_trouble: str | None = None  # why rows cannot be written, or files not be finished, just now
    losing_rows: bool = False  # that trouble costs rows
    evidence_skipped: int = 0  # defects without all of their pictures, since the start
    evidence_trouble: str | None = None  # the latest reason
    errors_lately: int = 0  # other ones
    error: str | None = None  # the latest
    captured_age_s: float | None = None
    not_kept: str | None = None  # why files are not kept beside their delivery, where they are to be


@dataclass(frozen=True, slots=True)
class LinkFacts:
    """One server. `since_s`: None when the link's state is known only from an earlier run. `held`: nothing is tried
    until a person acts. `refused`: files that it refused and that are tried again; `refused_in_a_row`: new ones, since
    it took one."""

    server: str
    link: str
    since_s: float | None
    reason: str | None
    waiting: int
    hint: str | None = None
    held: bool = False
    takes_nothing: bool = False  # the link is not down: the server answers and takes nothing
    paused: bool = False
    held_back: str | None = None
    refused: int = 0
    refusal: str | None = None
    refusal_hint: str | None = None
    refused_in_a_row: int = 0
    check: str | None = None  # what the latest health check has found wrong
    check_hint: str | None = None


@dataclass(frozen=True, slots=True)
class FolderFacts:
    """Of the disk behind a folder: what may still be written; None if unknown."""

    free_bytes: int | None = None
    free_inodes: int | None = None
    not_writable: str | None = None  # why nothing can be written into it
    is_missing: bool = False


@dataclass(frozen=True, slots=True)
class DiskFacts:
    outbox: FolderFacts = FolderFacts()
    records: FolderFacts = FolderFacts()


@dataclass(frozen=True, slots=True)
class ThreadFacts:
    """A thread that has to live as long as Iris runs. `reason`: why it last ended unexpectedly."""

    name: str
    running: bool = True
    reason: str | None = None
    restarts_lately: int = 0


@dataclass(frozen=True, slots=True)
class OutboxTrouble:
    """Why the outbox cannot be opened, or takes nothing more."""

    text: str
    hint: str = ""
    in_use: bool = False  # by another process
    is_full: bool = False  # it takes files again once others are delivered


@dataclass(frozen=True, slots=True)
class LongLog:
    """Of the outbox's database. `readers`: the programs seen to keep it, as `sqlite3 (process 4711)`."""

    size_bytes: int
    readers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Around:
    """What only the application knows. `to_accept`: files written and not accepted by the outbox, pictures that are
    not written yet included; `removed`: files that were gone before the outbox had them; `left_behind`: sentences about
    files of earlier runs that are not offered before the next start; `being_written`: files that still get rows."""

    servers_known: bool = True
    records_folder: str = "the records' folder"
    to_accept: int = 0
    removed: int = 0
    left_behind: tuple[str, ...] = ()
    being_written: int = 0
    not_opened: OutboxTrouble | None = None
    stopping: bool = False
    threads: tuple[ThreadFacts, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    cameras: tuple[CameraFacts, ...]
    uploader_running: bool
    uploader_state: str
    uploader_error: str | None
    links: tuple[LinkFacts, ...]
    waiting: int
    oldest_waiting_s: float | None
    dead: int
    undelivered: int = 0  # given up since the start, the dead included
    refusing: OutboxTrouble | None = None  # why the outbox refused the latest file
    long_log: LongLog | None = None
    disk: DiskFacts = DiskFacts()
    around: Around = field(default_factory=Around)
