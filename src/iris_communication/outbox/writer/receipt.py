"""What a caller holds after submitting a file: it may wait for durability and for delivery, or drop the receipt.

Only its caller keeps a receipt alive; a receipt that nobody holds costs nothing.
"""

import threading

from iris_communication.errors import IrisError, LinkTimeout
from iris_communication.item import Delivered


class Receipt:
    """`id` names the item in logs, ledger and outbox. Made when the item is durable."""

    def __init__(self, item_id: str) -> None:
        self.id = item_id
        self._done = threading.Event()
        self._outcome: Delivered | IrisError | None = None

    @property
    def outcome(self) -> Delivered | IrisError | None:
        """None while the item is owed; then its delivery, or the error that ended it."""
        return self._outcome

    def wait_durable(self, timeout_s: float | None = None) -> None:
        """Return once the item survives a power cut. Acceptance waits for that commit, so this never blocks."""

    def wait_delivered(self, timeout_s: float | None = None) -> Delivered:
        """Raises the error that ended the item, or LinkTimeout when it is still owed after `timeout_s`."""
        self._done.wait(timeout_s)
        outcome = self._outcome
        if isinstance(outcome, Delivered):
            return outcome
        if outcome is None:  # not yet, or it was dead and has just been retried
            after = "" if timeout_s is None else f" after {timeout_s:g} s"
            raise LinkTimeout(f"{self.id} is not delivered{after}; it stays in the queue")
        raise outcome

    def settle(self, outcome: Delivered | IrisError) -> None:
        """Called by the writer, once the outcome is committed."""
        self._outcome = outcome
        self._done.set()

    def owe_again(self) -> None:
        """Called by the writer: the dead item waits again."""
        self._done.clear()
        self._outcome = None
