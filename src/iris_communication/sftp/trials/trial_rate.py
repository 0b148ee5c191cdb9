"""How fast one file is written to a server, as a conversation.

Idea. A file that is written in small pieces, each awaited, measures the round-trip time and not the rate. Here a piece
is four times as large as the one before, the first of a few KiB, until one takes long enough for its round trip to
count little: that piece is the measure. It goes as large files go, through the window of the connection.

Pieces are not sent ahead of one another, and none is begun once one has taken long enough. So a slow link is never sent
more than it carries in some seconds, and breaking off need not wait for much that was sent already.
"""

from collections.abc import Callable

from iris_communication.sftp import wire
from iris_communication.sftp.conversations.conversation import Talk
from iris_communication.sftp.status import StatusError
from iris_communication.sftp.trials.trial import Findings, open_new

FIRST_BYTES = 8 * 1024
GROWTH = 4
PIECE_BYTES_MAX = FIRST_BYTES * GROWTH**6  # 32 MiB; all pieces together are a third more
LONG_ENOUGH_S = 0.5


def rate(found: Findings, path: bytes, piece_bytes_max: int, now_s: Callable[[], float]) -> Talk:
    """In bytes per second; None: it was refused, or nothing took any time. `now_s` is monotonic time. The file is there
    until it is cleared away. Its source is a `TrialContent`."""
    handle = yield from open_new(found, path)
    if handle is None:
        return None
    measured = yield from _measured(found, handle, piece_bytes_max, now_s)
    yield (wire.Close(handle),)
    return measured


def _measured(found: Findings, handle: bytes, piece_bytes_max: int, now_s: Callable[[], float]) -> Talk:
    offset, size_bytes, seconds = 0, 0, 0.0
    while size_bytes < piece_bytes_max and seconds < LONG_ENOUGH_S and not found.broken_off:
        size_bytes = min(piece_bytes_max, max(FIRST_BYTES, GROWTH * size_bytes))
        begun_s = now_s()
        (written,) = yield (wire.Write(handle, offset, size_bytes),)
        if isinstance(written, StatusError):
            return None
        offset, seconds = offset + size_bytes, now_s() - begun_s
    return size_bytes / seconds if seconds > 0 else None
