"""What has to be reached, and whether it was: ratios between rows of one run, and a few figures of our own.

A goal whose rows are not of this run is left out; one that could not be measured is marked so.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from benchmarks.peers import PEERS, STREAMS_CLIENT
from benchmarks.table import ClientRow

OTHERS = ("openssh-sftp", "rclone-4", "rclone-16", "lftp-4", "lftp-16")  # written in C and Go
MIB = 1 << 20


class Goal(NamedTuple):
    """On the work of that name `client` is to be at least `ratio` times as fast as each of `peers`."""

    work: str
    client: str
    ratio: float
    peers: tuple[str, ...]
    same_span: bool = False  # both from the first file to the last, without starting and ending


class Ceiling(NamedTuple):
    """On the work of that name a figure of `client` is to be at most so much."""

    work: str
    client: str
    most: float
    unit: str
    figure: Callable[[ClientRow], float | None]


class GoalVerdict(NamedTuple):
    what: str
    wanted: str
    found: str
    said: str


def own_us(row: ClientRow) -> float | None:
    return row.times.own_us


def above_idle_mib(row: ClientRow) -> float | None:
    return None if row.times.above_idle_bytes is None else row.times.above_idle_bytes / MIB


GOALS = (
    Goal("small-0", "iris-engine", 3.0, OTHERS),
    Goal("small-0", "iris-engine", 4.0, ("paramiko", "asyncssh")),
    Goal("small-0", "iris", 0.4, ("iris-engine",)),
    Goal("small-0", "iris", 0.4, ("iris-engine",), same_span=True),
    Goal("many-0", "iris-engine", 3.0, ("openssh-sftp", "rclone-16", "lftp-16", "asyncssh")),
    Goal("steady", "iris-engine", 0.3, ("bare-pipe",)),
    Goal("small-20", "iris-engine", 25.0, ("openssh-sftp",)),
    Goal("small-20", "iris-engine", 1.4, ("asyncssh",)),
    Goal("small-20", "iris", 0.9, ("iris-engine",)),
    Goal("small-20", "iris", 0.9, ("iris-engine",), same_span=True),
    Goal("small-100", "iris-engine", 80.0, ("openssh-sftp",)),
    Goal("small-100", "iris-engine", 25.0, ("rclone-16",)),
    Goal("small-100", "iris-engine", 6.0, ("lftp-16",)),
    Goal("small-100", "iris-engine", 2.5, ("asyncssh",)),
    Goal("small-100", "iris", 0.9, ("iris-engine",)),
    Goal("small-100", "iris", 0.9, ("iris-engine",), same_span=True),
    Goal("large-0", "iris-engine-ssh", 1.0, ("openssh-sftp",)),
    Goal("large-0", "iris-engine", 0.6, ("openssh-sftp",)),
    Goal("large-100", STREAMS_CLIENT, 2.8, tuple(PEERS)),
)
CEILINGS = (
    Ceiling("steady", "iris-engine", 250, "us CPU a file", own_us),
    Ceiling("steady", "iris-engine-ssh", 90, "us CPU a file", own_us),
    Ceiling("small-0", "iris-engine", 250, "us CPU a file", own_us),
    Ceiling("small-0", "iris-engine-ssh", 90, "us CPU a file", own_us),
    Ceiling("large-0", "iris-engine", 32, "MiB above idle", above_idle_mib),
    Ceiling("large-0", "iris-engine-ssh", 32, "MiB above idle", above_idle_mib),
)


def verdicts(rows: Sequence[ClientRow]) -> list[GoalVerdict]:
    """On all goals that concern these rows."""
    found = {(row.name, row.client): row for row in rows}
    return [*_ratios(found), *_figures(found)]


def _ratios(rows: dict[tuple[str, str], ClientRow]) -> Iterator[GoalVerdict]:
    for goal in GOALS:
        ours = rows.get((goal.work, goal.client))
        for peer in goal.peers:
            theirs = rows.get((goal.work, peer))
            if ours is None or theirs is None:
                continue
            aside = ", start and end aside" if goal.same_span else ""
            what = f"{_of(ours)}: {ours.client} to {peer}{aside}"
            wanted = f"at least {goal.ratio:g}x"
            reached = _ratio(ours, theirs, same_span=goal.same_span)
            if reached is None:
                yield GoalVerdict(what, wanted, "-", _absent(ours, theirs))
            else:
                short = 1 - reached / goal.ratio
                yield GoalVerdict(what, wanted, f"{reached:.2f}x", _said(short, "short"))


def _figures(rows: dict[tuple[str, str], ClientRow]) -> Iterator[GoalVerdict]:
    for ceiling in CEILINGS:
        row = rows.get((ceiling.work, ceiling.client))
        if row is None:
            continue
        what, wanted = f"{_of(row)}: {row.client}", f"at most {ceiling.most:g} {ceiling.unit}"
        figure = ceiling.figure(row) if row.note is None else None
        if figure is None:
            yield GoalVerdict(what, wanted, "-", _absent(row))
        else:
            yield GoalVerdict(what, wanted, f"{figure:.0f}", _said(figure / ceiling.most - 1, "over"))


def _ratio(ours: ClientRow, theirs: ClientRow, *, same_span: bool) -> float | None:
    if ours.note is not None or theirs.note is not None:
        return None
    if not same_span:
        return theirs.times.seconds / ours.times.seconds
    if ours.times.span_s is None or theirs.times.span_s is None:
        return None
    return theirs.times.span_s / ours.times.span_s


def _of(row: ClientRow) -> str:
    return f"{row.work}, RTT {row.rtt_ms:g} ms"


def _absent(*rows: ClientRow) -> str:
    return "not measured: " + "; ".join(row.note for row in rows if row.note is not None)


def _said(missed_by: float, word: str) -> str:
    """Figures are shown rounded, so a goal that is missed by less than half a hundredth is reached."""
    return "reached" if missed_by < 0.005 else f"{missed_by * 100:.0f} % {word}"
