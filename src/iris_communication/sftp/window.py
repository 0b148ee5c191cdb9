"""How much is in flight on a connection, adapted to what the server and the link can take.

Idea. Enough to hide the round trips, and no more: what lies in buffers is sent no sooner and costs memory. The initial
size is twice what most servers' channels take (2 MiB). Whether a server takes more is found by experiment: a window
that was full all the time is doubled, and stays so only if that was faster.

Rules.
- Growing is an experiment of one epoch. If it brought less than a tenth, the smaller size comes back and stays for a
  while.
- Trouble (a connection lost with requests unanswered) halves everything, down to what the slowest server takes, and
  forbids growing for a while. What was learned outlives the connection.
- After trouble the window doubles again after each quiet period, up to the initial size, without an experiment: with
  small files the bytes in flight are never the limit, so no experiment would ever begin.
- A server that refuses a WRITE gets small ones from then on: it may have announced more than it takes.
- A file that was cut short although every WRITE was acknowledged was spoiled by WRITEs that got in each other's way:
  from then on each waits for the one before. That is kept, over restarts too; while many files are under way it costs
  little.
"""

from dataclasses import dataclass, replace

from iris_communication.sftp.credit import BYTES_IN_FLIGHT, REQUESTS_IN_FLIGHT

BYTES_MOST = 4 * BYTES_IN_FLIGHT
BYTES_LEAST = 256 * 1024
REQUESTS_LEAST = 16
FILES_LEAST = 4
WORTH_IT = 1.1  # times as fast, or a larger window is not kept
SETTLED_S = 60.0  # without another experiment
QUIET_S = 10.0  # after trouble, before the window doubles again
EPOCH_LEAST_S = 0.5
EPOCH_WINDOWS = 4  # of bytes acknowledged


@dataclass(frozen=True, slots=True)
class RequestWindow:
    """`bytes_per_s`: the rate with the size before, while a larger one is tried. It does not grow before
    `settled_until_s`; after trouble it doubles again from `returns_at_s` on (None: it has its initial size)."""

    bytes_max: int = BYTES_IN_FLIGHT
    requests_max: int = REQUESTS_IN_FLIGHT
    files_max: int | None = None
    one_write: bool = False
    small_writes: bool = False
    bytes_per_s: float | None = None
    settled_until_s: float = 0.0
    returns_at_s: float | None = None


def after_quiet(window: RequestWindow, now_s: float) -> RequestWindow:
    """After trouble, back towards the initial size. To be called now and then."""
    if window.returns_at_s is None or now_s < window.returns_at_s:
        return window
    bytes_max = max(window.bytes_max, min(BYTES_IN_FLIGHT, 2 * window.bytes_max))
    requests_max = min(REQUESTS_IN_FLIGHT, 2 * window.requests_max)
    files_max = None if window.files_max is None else 2 * window.files_max
    if files_max is not None and files_max >= REQUESTS_IN_FLIGHT:  # as many files as requests is no limit
        files_max = None
    is_whole = bytes_max >= BYTES_IN_FLIGHT and requests_max == REQUESTS_IN_FLIGHT and files_max is None
    return replace(
        window,
        bytes_max=bytes_max,
        requests_max=requests_max,
        files_max=files_max,
        returns_at_s=None if is_whole else now_s + QUIET_S,
    )


def is_epoch_over(window: RequestWindow, acknowledged_bytes: int, seconds: float) -> bool:
    return seconds >= EPOCH_LEAST_S and acknowledged_bytes >= EPOCH_WINDOWS * window.bytes_max


def after_epoch(window: RequestWindow, bytes_per_s: float, *, was_full: bool, now_s: float) -> RequestWindow:
    """`was_full`: something waited for room in it."""
    if window.bytes_per_s is not None:
        if was_full and bytes_per_s < WORTH_IT * window.bytes_per_s:
            smaller = max(BYTES_LEAST, window.bytes_max // 2)
            return replace(window, bytes_max=smaller, bytes_per_s=None, settled_until_s=now_s + SETTLED_S)
        window = replace(window, bytes_per_s=None)
    if not was_full or now_s < window.settled_until_s or window.bytes_max >= BYTES_MOST:
        return window
    return replace(window, bytes_max=min(BYTES_MOST, 2 * window.bytes_max), bytes_per_s=bytes_per_s)


def after_trouble(window: RequestWindow, files_in_flight: int, now_s: float) -> RequestWindow:
    """`files_in_flight`: as many as were allowed when the trouble came."""
    return replace(
        window,
        bytes_max=max(BYTES_LEAST, window.bytes_max // 2),
        requests_max=max(REQUESTS_LEAST, window.requests_max // 2),
        files_max=max(FILES_LEAST, files_in_flight // 2),
        bytes_per_s=None,
        settled_until_s=now_s + SETTLED_S,
        returns_at_s=now_s + QUIET_S,
    )


def after_refused_write(window: RequestWindow) -> RequestWindow:
    return replace(window, small_writes=True)


def after_cut_short(window: RequestWindow) -> RequestWindow:
    return replace(window, one_write=True)
