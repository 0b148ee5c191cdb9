"""What a server says in words of its own while we connect, whichever transport hears it."""

import re
from typing import Any

from iris_communication.plain_text import PEER_TEXT_MAX, of_bytes

GREETING_MAX = 4096  # bytes that are kept of what comes before a server's name
GREETING_LINES_MAX = 2  # and lines that are shown: the last ones
NAME = re.compile(rb"^SSH-", re.MULTILINE)

# Servers say this as they end the connection, with the reason code of a protocol error: OpenSSH, Apache's and Go's.
REFUSES_US = re.compile(r"[Tt]oo many authentication (failures|attempts)|Authentication failed")


class Greeting:
    """Hears what a server says before its name, such as why it turns us away: asyncssh passes over these lines.

    Neither asyncssh nor asyncio has a public word for it. A loop that has looked up `data_received` before (uvloop)
    calls that one, and then the words are merely not known."""

    def __init__(self) -> None:
        self._heard = b""

    def listen_to(self, connection: Any) -> None:
        pass_on = connection.data_received

        def hear(data: bytes, *more: Any) -> None:
            self._heard += data
            if NAME.search(self._heard) or len(self._heard) > GREETING_MAX:
                del connection.data_received  # what follows goes the short way
            pass_on(data, *more)

        connection.data_received = hear

    @property
    def words(self) -> list[str]:
        before = NAME.split(self._heard[:GREETING_MAX])[0]
        lines = [readable(line) for line in before.splitlines()]
        return [line for line in lines if line][-GREETING_LINES_MAX:]


def readable(line: bytes, limit: int = PEER_TEXT_MAX) -> str:
    return of_bytes(line.strip().replace(b"\t", b" "), limit)
