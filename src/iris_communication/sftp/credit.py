"""How much may be in flight on one session.

Bytes: enough for the server's 2 MiB channel window and the pipe behind it; more only fills memory. Requests: a bound
on what is unanswered, so that a server that answers slowly is not overloaded. Files: open handles are a server's
scarcest resource; some allow 64, one allows a single one, and few of them say so.
"""

from dataclasses import dataclass

# The smallest that is worth its packet, and the largest that every known server takes.
SMALL_WRITE_SIZE = 32 * 1024
BYTES_IN_FLIGHT = 4 * 1024 * 1024
REQUESTS_IN_FLIGHT = 1024


@dataclass(slots=True)
class Credit:
    bytes_max: int = BYTES_IN_FLIGHT
    requests_max: int = REQUESTS_IN_FLIGHT
    bytes_used: int = 0
    requests_used: int = 0
    was_full: bool = False  # something waited for bytes; its owner resets it

    def allows(self, size_bytes: int) -> bool:
        """A request larger than all credit goes when nothing else is in flight, or it never would."""
        if self.requests_used >= self.requests_max:
            return False
        if self.bytes_used == 0 or self.bytes_used + size_bytes <= self.bytes_max:
            return True
        self.was_full = True
        return False

    def spend(self, size_bytes: int) -> None:
        self.bytes_used += size_bytes
        self.requests_used += 1

    def regain(self, size_bytes: int) -> None:
        self.bytes_used -= size_bytes
        self.requests_used -= 1


def paced_write_size(acknowledged_bytes: int, seconds: float, deadline_s: float, most_bytes: int) -> int:
    """The size of the next WRITEs, from how many bytes were acknowledged in how many seconds: what the link carries in
    an eighth of the deadline. On a slow link the answer to a larger one would come too late."""
    if seconds <= 0.0:
        return most_bytes
    return int(min(most_bytes, max(SMALL_WRITE_SIZE, acknowledged_bytes / seconds * deadline_s / 8)))


@dataclass(slots=True)
class Handles:
    """How many files a server lets us hold open, learned from what it refuses.

    It says no more than FAILURE or PERMISSION_DENIED when it has no handle left, which is also what it says of a file
    that may not be opened at all. So a refusal with more files open than were ever granted before is doubted: nothing
    beyond the number then open is asked for, and that OPEN goes once more when fewer are. Refused even then, it was
    the file's own fault, and the limit falls again.
    """

    asked: int = 0  # OPENs on their way
    open: int = 0  # granted, and their CLOSE not answered
    proven: int = 0  # the most that were ever open at once
    limit: int | None = None
    most: int | None = None  # never more than this, whatever it grants

    def allow(self) -> bool:
        in_use = self.asked + self.open
        return (self.limit is None or in_use < self.limit) and (self.most is None or in_use < self.most)

    def granted(self) -> None:
        self.asked -= 1
        self.open += 1
        self.proven = max(self.proven, self.open)
        if self.limit is not None:
            self.limit = max(self.limit, self.open)

    def refused(self, refused_at: int | None) -> bool:
        """Whether the refusal is doubted. `refused_at`: how many were open when this OPEN was refused before."""
        self.asked -= 1
        if self.open > 0 and self.open == self.proven and (refused_at is None or self.open >= refused_at):
            self.limit = self.open
            return True
        self.limit = None
        return False
