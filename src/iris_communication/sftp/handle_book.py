"""Which handles a server has lent us, so that one it lends twice is noticed.

Idea. Everything that is written goes to a handle, so a server that answers two OPENs with the same one writes two files
into one another, acknowledges every byte, and often even keeps the right sizes: nothing else shows it. One real server
does that from the third open file on.

Rules.
- A handle is ours from the answer to its OPEN until the answer to its CLOSE. If it is lent again in between, neither
  file can be trusted, and `closed` says so for both.
- A server that works at several requests at once may answer a later OPEN before an earlier CLOSE, and lend the handle
  again rightly. Only an OPEN that was sent before that CLOSE proves anything.
"""

from dataclasses import dataclass

from iris_communication.errors import ProtocolViolation
from iris_communication.sftp import wire
from iris_communication.sftp.status import StatusError


@dataclass(slots=True)
class _Loan:
    files: int = 1  # opened under it, and their CLOSE not answered
    closing: int | None = None  # the request id of its CLOSE, once that was sent
    twice: bool = False


class HandleBook:
    def __init__(self) -> None:
        self._loans: dict[bytes, _Loan] = {}

    def lent(self, handle: bytes, open_id: int) -> bool:
        """False: it is in use already. `open_id` is the id of the request that it answers."""
        loan = self._loans.get(handle)
        if loan is None:
            self._loans[handle] = _Loan()
            return True
        loan.files += 1
        if loan.closing is not None and is_later(open_id, loan.closing):
            loan.closing = None
            return True
        loan.twice = True
        return False

    def closing(self, handle: bytes, close_id: int) -> None:
        if (loan := self._loans.get(handle)) is not None:
            loan.closing = close_id

    def closed(self, handle: bytes) -> bool:
        """False: what was written to it may be in another file."""
        loan = self._loans.get(handle)
        if loan is None:
            return True
        loan.files -= 1
        if not loan.files:
            del self._loans[handle]
        return not loan.twice


def is_later(request_id: int, other: int) -> bool:
    """Request ids begin again after 2**32."""
    return 0 < (request_id - other) & 0xFFFFFFFF < 1 << 31


def lent_twice() -> StatusError:
    refused = StatusError(wire.FX_FAILURE, "its handle was lent to another file as well")
    refused.__cause__ = ProtocolViolation(
        "the server lent one handle to two files at once, so what was sent may be in either",
        hint="Iris sends both again, and from now on one file at a time: update the server",
    )
    return refused
