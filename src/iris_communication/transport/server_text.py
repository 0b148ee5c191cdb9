"""The text that a server sends for people while we connect, over either transport."""

import re
from collections.abc import Sequence
from typing import Any

from iris_communication.errors import LinkLost
from iris_communication.plain_text import ELLIPSIS, PEER_TEXT_MAX, clean, of_bytes
from iris_communication.settings import Secret

GREETING_MAX = 4096  # bytes that are kept of what comes before a server's name
GREETING_LINES_MAX = 2  # and lines that are shown: the last ones
HIDDEN = "(a secret)"
HIDDEN_MIN = 4  # characters
SAID_MAX = 4096  # bytes that are kept of what it says later
SAID_LINES_MAX = 4
SAID_SPLIT_MAX = 16  # lines that are examined, for some are empty
ENDED_HINT = (
    "the network works, but the program that the server runs for SFTP ended: read its message, and the server's log"
)
NAME = re.compile(rb"^SSH-", re.MULTILINE)

# Servers say this as they end the connection, with the reason code of a protocol error: OpenSSH, Apache's and Go's.
REFUSES_US = re.compile(r"[Tt]oo many authentication (failures|attempts)|Authentication failed")


class Greeting:
    """Reads what a server sends before its name, such as why it refuses us: asyncssh skips these lines.

    Neither asyncssh nor asyncio has a public interface for it. A loop that has looked up `data_received` before
    (uvloop) calls that one, and then the lines are merely not known."""

    def __init__(self) -> None:
        self._heard = b""

    def listen_to(self, connection: Any) -> None:
        pass_on = connection.data_received

        def hear(data: bytes, *more: Any) -> None:
            self._heard += data
            if NAME.search(self._heard) or len(self._heard) > GREETING_MAX:
                del connection.data_received  # what follows goes straight to asyncssh
            pass_on(data, *more)

        connection.data_received = hear

    @property
    def lines(self) -> list[str]:
        before = NAME.split(self._heard[:GREETING_MAX])[0]
        lines = [readable(line) for line in before.splitlines()]
        return [line for line in lines if line][-GREETING_LINES_MAX:]


def readable(line: bytes, limit: int = PEER_TEXT_MAX) -> str:
    return of_bytes(line.strip().replace(b"\t", b" "), limit)


def hidden_of(secret: Secret) -> tuple[str, ...]:
    """The secrets that a server might send back. Very short ones are left out: every word would hold them."""
    texts = (text for text in (secret.password, secret.passphrase) if text and len(text) >= HIDDEN_MIN)
    return tuple(clean(text, PEER_TEXT_MAX) for text in texts)


def without(hidden: Sequence[str], text: str) -> str:
    """`text` without the secrets, also without one that has lost its end where the text was cut."""
    for each in hidden:
        text = text.replace(each, HIDDEN)
        if text.endswith(ELLIPSIS):
            kept = text.removesuffix(ELLIPSIS)
            beginnings = (each[:length] for length in range(len(each) - 1, HIDDEN_MIN - 1, -1))
            half = next(filter(kept.endswith, beginnings), "")
            text = f"{kept.removesuffix(half)}{HIDDEN if half else ''}{ELLIPSIS}"
    return text


class ServerText:
    """The last lines of the text beside the protocol, however much it is and wherever it is split, without what is
    `hidden`."""

    def __init__(self, hidden: Sequence[str] = ()) -> None:
        self._hidden = hidden
        self._lines: list[str] = []
        self._rest = b""

    def hear(self, data: bytes) -> None:
        *whole, rest = (self._rest + data).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._rest = rest[-SAID_MAX:]
        lines = (readable(line) for line in whole[-SAID_SPLIT_MAX:])
        self._lines = [*self._lines, *filter(None, lines)][-SAID_LINES_MAX:]

    @property
    def lines(self) -> list[str]:
        rest = readable(self._rest)
        lines = [*self._lines, *([rest] if rest else [])][-SAID_LINES_MAX:]
        return [without(self._hidden, line) for line in lines]


def ended(server_key: str, said: Sequence[str], reason: str, end: str) -> LinkLost:
    """The error of a session that is over: `said` is the server's own text, `reason` is why the connection ended, if
    that was the cause, `end` how the server's program for us ended."""
    lines = "; ".join([*said, *filter(None, [reason])]) or "the server closed it"
    hint = ENDED_HINT if end and not reason else None
    return LinkLost(f"the connection to {server_key} ended: {lines}{f' ({end})' if end else ''}", hint=hint)
