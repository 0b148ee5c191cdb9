"""Which pictures of a live camera are kept when it gives more than are wanted."""


class Thinning:
    """At most `frame_rate` pictures a second (None: all), evenly: the pace does not drift with the camera's own."""

    def __init__(self, frame_rate: float | None) -> None:
        self._period_s = 0.0 if frame_rate is None else 1 / frame_rate
        self._due_s = float("-inf")

    def wants(self, now_s: float) -> bool:
        """Whether the picture that came at `now_s` is one of them."""
        if now_s < self._due_s - 0.05 * self._period_s:  # a camera's own pace has jitter
            return False
        behind_s = now_s - self._due_s
        self._due_s = (self._due_s if behind_s < self._period_s else now_s) + self._period_s
        return True
