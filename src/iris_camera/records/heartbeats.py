"""Distinguishes "nothing seen" from "not running": now and then a row for a frame on which nothing was found."""

from collections.abc import Sequence

from iris_camera.records.csv_file import HeartbeatRow, ModelRow


class Heartbeats:
    """Belongs to one thread. `every_s` None: there are none.

    A row of any kind is a sign of life, so a heartbeat comes only when the last row is `every_s` seconds old, and with
    the first frame if that shows nothing. Seconds are monotonic: a clock that jumps makes no heartbeats.
    """

    def __init__(self, every_s: float | None) -> None:
        self._every_s = every_s
        self._last_row_s: float | None = None

    def rows(self, found: Sequence[ModelRow], frame: int, monotonic_s: float) -> Sequence[ModelRow | HeartbeatRow]:
        """The rows of one frame: what was found, else a heartbeat if one is due, else none."""
        if self._every_s is None:
            return found
        due = self._last_row_s is None or monotonic_s - self._last_row_s >= self._every_s
        if found or due:
            self._last_row_s = monotonic_s
        return found if found or not due else [HeartbeatRow(frame)]
