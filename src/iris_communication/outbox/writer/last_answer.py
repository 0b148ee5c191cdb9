"""The outbox's answer to the file that it was offered last: an outbox that refuses one file refuses all for now."""

from collections.abc import Sequence
from typing import Any

from iris_communication.errors import IrisError, OutboxFull, Scope


class LastAnswer:
    """Any thread may call `record` and read `refusal`, which is replaced whole: None, or `{"message", "hint",
    "is_full"}`."""

    def __init__(self) -> None:
        self.refusal: dict[str, Any] | None = None

    def record(self, outcomes: Sequence[object]) -> None:
        latest = outcomes[-1] if outcomes else None
        if not isinstance(latest, IrisError):
            self.refusal = None
        elif latest.scope is Scope.OUTBOX:
            is_full = isinstance(latest, OutboxFull)
            self.refusal = {"message": str(latest), "hint": latest.hint, "is_full": is_full}
