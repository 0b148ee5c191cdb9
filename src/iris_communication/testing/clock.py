"""A clock that stands still until a test moves it.

Its three times start odd and far apart, so that code which takes one for another computes nonsense and is seen.
"""


class FakeClock:
    """Keeps the contract `iris_communication.clock.Clock`."""

    def __init__(self, boot_id: str = "first boot") -> None:
        self.boot_id = boot_id
        self._wall_s = 1_700_000_123.25
        self._monotonic_s = 40_001.5
        self._boot_s = 9_000_777.75

    def wall_s(self) -> float:
        return self._wall_s

    def monotonic_s(self) -> float:
        return self._monotonic_s

    def boot_s(self) -> float:
        return self._boot_s

    def advance(self, seconds: float) -> None:
        """Time passes, on all three."""
        self._wall_s += seconds
        self._monotonic_s += seconds
        self._boot_s += seconds

    def jump_wall(self, seconds: float) -> None:
        """Somebody sets the clock, forward or back; no time passes."""
        self._wall_s += seconds
