"""What one server refused lately: those files wait for their next attempt, and an operator should know now.

A server may refuse some files, for their names, or all of them. It refuses all files when new ones are refused one
after another and none is delivered in between; old ones that are refused again and again say nothing about that.
"""

from dataclasses import dataclass
from typing import Any

from iris_communication.errors import IrisError


@dataclass(slots=True)
class ServerRefusals:
    """Of one server, in this process."""

    latest: IrisError | None = None
    at_s: float = 0.0  # wall time of `latest`
    new_in_a_row: int = 0  # files refused at their first attempt since the last delivery

    def refused(self, error: IrisError, wall_s: float, *, is_new: bool) -> None:
        self.latest, self.at_s = error, wall_s
        self.new_in_a_row += is_new

    def delivered(self) -> None:
        self.new_in_a_row = 0

    def details(self) -> dict[str, Any] | None:
        """None: this process has seen no refusal, only earlier ones have."""
        if self.latest is None:
            return None
        return {
            "message": str(self.latest),
            "hint": self.latest.hint,
            "at_s": self.at_s,
            "new_in_a_row": self.new_in_a_row,
        }
