"""All files of a folder that may have to be offered, and which of them to look at next.

Pure: the time is given. However often a file is written to, it has one place in the order of looks, so a flood of
events costs a dictionary entry each and no memory.
"""

import heapq
from collections.abc import Iterator
from dataclasses import replace

from iris_camera.watch.completion import (
    Candidate,
    Completion,
    FileState,
    Notice,
    Version,
    events_lost,
    found,
    judged,
    noticed,
)


class Candidates:
    def __init__(self, quiet_s: float) -> None:
        self._quiet_s = quiet_s
        self._known: dict[str, Candidate] = {}
        self._order: list[tuple[float, str]] = []
        self._placed: dict[str, float] = {}  # each path's only valid entry in the order

    def __len__(self) -> int:
        return len(self._known)

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def hear(self, path: str, notice: Notice, now_s: float) -> None:
        self._put(path, noticed(self._known.get(path), notice, now_s, self._quiet_s))

    def list(self, path: str, version: Version, remembered: Version | None, now_s: float) -> None:
        """The path is in the folder's listing."""
        candidate = found(self._known.get(path), version, remembered, now_s, self._quiet_s)
        if candidate is not None:
            self._put(path, candidate)

    def gone(self, path: str) -> None:
        self._known.pop(path, None)

    def events_were_lost(self) -> None:
        self._known = {path: events_lost(candidate) for path, candidate in self._known.items()}

    def due(self, now_s: float) -> str | None:
        """One path to look at now; the caller answers with `judge` or `later`."""
        while self._order and self._order[0][0] <= now_s:
            at_s, path = heapq.heappop(self._order)
            if self._placed.get(path) != at_s:
                continue
            del self._placed[path]
            candidate = self._known.get(path)
            if candidate is None:
                continue
            if candidate.look_at_s <= now_s:
                return path
            self._put(path, candidate)
        return None

    def next_s(self) -> float | None:
        """When there is something to look at, or earlier."""
        return self._order[0][0] if self._order else None

    def judge(self, path: str, look: FileState | None, remembered: Version | None, now_s: float) -> Completion:
        """A path that is to be offered stays a candidate until `gone`: accepted, or refused for good."""
        verdict, candidate = judged(self._known[path], look, remembered, now_s, self._quiet_s)
        if verdict is Completion.LEAVE:
            self.gone(path)
        else:
            self._put(path, candidate)
        return verdict

    def later(self, path: str, at_s: float) -> None:
        """Look again at that time."""
        candidate = self._known[path]
        self._put(path, replace(candidate, look_at_s=at_s))

    def _put(self, path: str, candidate: Candidate) -> None:
        self._known[path] = candidate
        if candidate.look_at_s < self._placed.get(path, float("inf")):
            self._placed[path] = candidate.look_at_s
            heapq.heappush(self._order, (candidate.look_at_s, path))
