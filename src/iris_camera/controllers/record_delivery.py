"""From a finished record file to the uploader, in order, and never dropped.

A file is handed over for good (`take="move"`): once the outbox holds it durably it is unlinked from `ready/`, in that
order, so after a crash it is in one place or the other and never in neither. A file that is refused stays in `ready/`
and is offered again, behind nothing but those that were refused before it; the pauses between offers grow, so that an
outbox that is full for hours does not fill the log.
"""

import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from iris_camera.records.csv_file import FinishedCsv
from iris_communication.errors import IrisError

log = logging.getLogger(__name__)

PAUSE_FIRST_S = 1.0
PAUSE_MAX_S = 30.0


class Uploader(Protocol):
    def queue_upload(
        self,
        sftp_server_info: str | Mapping[str, Any],
        file_path: Path,
        project_settings: str | Mapping[str, Any],
        folder_type: str,
        *,
        take: str = "copy",
    ) -> bool: ...


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a camera's records go: a server (its info or its configured name) and the project's settings."""

    sftp_server_info: str | Mapping[str, Any]
    project_settings: Mapping[str, Any]


class RecordDelivery:
    """Belongs to one thread; `waiting` may be read by any."""

    def __init__(self, uploader: Uploader, destination: Destination, monotonic: Callable[[], float]) -> None:
        self._uploader = uploader
        self._destination = destination
        self._monotonic = monotonic
        self._waiting: deque[FinishedCsv] = deque()
        self._offer_after_s = 0.0
        self._pause_s = PAUSE_FIRST_S
        self._told: str | None = None

    @property
    def waiting(self) -> int:
        """Finished files that the outbox has not accepted yet."""
        return len(self._waiting)

    def add(self, finished: FinishedCsv) -> None:
        """Offer a newly finished file, after those that wait already."""
        self._waiting.append(finished)
        self.offer()

    def offer(self, *, now: bool = False) -> None:
        """Hand over what waits, in order, until one is refused; a refusal is followed by a pause unless `now`."""
        if not self._waiting or (not now and self._monotonic() < self._offer_after_s):
            return
        while self._waiting:
            if not self._accepted(self._waiting[0]):
                self._offer_after_s = self._monotonic() + self._pause_s
                self._pause_s = min(PAUSE_MAX_S, 2 * self._pause_s)
                return
            self._waiting.popleft()
        self._pause_s, self._told = PAUSE_FIRST_S, None

    def _accepted(self, finished: FinishedCsv) -> bool:
        if not finished.path.exists():  # accepted before a crash, and unlinked when the outbox was opened
            log.warning("%s is gone from %s: it is not offered any more", finished.path.name, finished.path.parent)
            return True
        try:
            return self._uploader.queue_upload(
                sftp_server_info=self._destination.sftp_server_info,
                file_path=finished.path,
                project_settings=self._destination.project_settings,
                folder_type=finished.kind,
                take="move",
            )
        except IrisError as error:
            if str(error) != self._told:  # once, not at every offer
                self._told = str(error)
                log.error("%s stays in %s: %s. %s", finished.path.name, finished.path.parent, error, error.hint)
            return False
