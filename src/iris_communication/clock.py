"""Three clocks, because one cannot do: wall time for people, monotonic for durations, boot time for what is stored.

Wall time jumps (NTP, operators, flat batteries), so nothing is ever scheduled by it. A due time that is stored in the
outbox is boot time: it goes on during suspend, survives a restart of the process, and is worthless after a reboot; the
boot id stored beside it shows that.
"""

import time
import uuid
from pathlib import Path
from typing import Protocol


class Clock(Protocol):
    boot_id: str

    def wall_s(self) -> float:
        """Unix time in seconds: to show, never to schedule by."""

    def monotonic_s(self) -> float:
        """Seconds within this process: for deadlines and durations."""

    def boot_s(self) -> float:
        """Seconds since boot, suspend included: for due times that are stored."""


class SystemClock:
    def __init__(self) -> None:
        try:
            self.boot_id = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        except OSError:  # not Linux: each process counts as a boot of its own, so stored due times are due at once
            self.boot_id = uuid.uuid4().hex

    def wall_s(self) -> float:
        return time.time()

    def monotonic_s(self) -> float:
        return time.monotonic()

    def boot_s(self) -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)
