"""How many bytes of files may go to a server now, under its bandwidth limit.

Tokens are bytes. They come in at the rate and are spent as data is sent; what is not used within half a second is
lost, so that after a pause the link is not filled at once. A file goes in grains of a quarter of a second, which makes
the flow smooth: a larger grain would have to wait for its tokens and would then go in one burst.
"""

SAVED_S = 0.5  # of the rate, at most
GRAIN_S = 0.25
SHORTEST_WAIT_S = 0.001  # a shorter one could be lost in the rounding of a large clock reading


class TokenBucket:
    """Shared by all connections to one server. `now_s` is monotonic time and never goes back."""

    def __init__(self, bytes_per_s: float, now_s: float) -> None:
        self.bytes_per_s = bytes_per_s
        self._saved_bytes = bytes_per_s * GRAIN_S
        self._at_s = now_s

    @property
    def grain_bytes(self) -> int:
        """The most to be sent in one piece."""
        return max(1, int(self.bytes_per_s * GRAIN_S))

    def room_bytes(self, now_s: float) -> int:
        self._fill(now_s)
        return int(self._saved_bytes)

    def spend(self, size_bytes: int) -> None:
        self._saved_bytes -= size_bytes

    def wait_s(self, size_bytes: int, now_s: float) -> float:
        """Until there is room for a piece of that size."""
        self._fill(now_s)
        return max(SHORTEST_WAIT_S, (size_bytes - self._saved_bytes) / self.bytes_per_s)

    def _fill(self, now_s: float) -> None:
        came_bytes = (now_s - self._at_s) * self.bytes_per_s
        self._saved_bytes = min(max(1.0, self.bytes_per_s * SAVED_S), self._saved_bytes + came_bytes)
        self._at_s = now_s
