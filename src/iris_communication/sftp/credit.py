"""How much may be in flight on one session.

Bytes: enough for the server's 2 MiB channel window and the pipe behind it; more only fills memory. Requests: a bound
on what is unanswered, so that a server that answers slowly is not buried. Files: open handles are a server's scarcest
good.
"""

from dataclasses import dataclass

BYTES_IN_FLIGHT = 4 * 1024 * 1024
REQUESTS_IN_FLIGHT = 1024


@dataclass(slots=True)
class Credit:
    bytes_max: int = BYTES_IN_FLIGHT
    requests_max: int = REQUESTS_IN_FLIGHT
    bytes_used: int = 0
    requests_used: int = 0

    def allows(self, size_bytes: int) -> bool:
        """A request larger than all credit goes when nothing else is in flight, or it never would."""
        if self.requests_used >= self.requests_max:
            return False
        return self.bytes_used == 0 or self.bytes_used + size_bytes <= self.bytes_max

    def spend(self, size_bytes: int) -> None:
        self.bytes_used += size_bytes
        self.requests_used += 1

    def regain(self, size_bytes: int) -> None:
        self.bytes_used -= size_bytes
        self.requests_used -= 1
