"""Whether a server may be sent anything now: not while it is paused, nor outside its delivery windows."""

import functools
import time
from typing import NamedTuple

from iris_communication.decisions import timetable
from iris_communication.errors import InvalidRequest
from iris_communication.outbox.store.contract import ServerState
from iris_communication.settings import Server

FAR_S = 3600.0  # time alone changes nothing
CLOCK_LOOK_S = 60.0  # between checks of delivery windows: the wall clock may have been set meanwhile


class Hold(NamedTuple):
    """Whether a server may be sent anything, and in how many seconds to ask again."""

    why_not: str  # a sentence; empty: it may
    ask_again_s: float = FAR_S


def hold_of(server: Server | None, state: ServerState, wall_s: float) -> Hold:
    """Windows are in the local time of this machine. Those that cannot be parsed, in an outbox edited by hand, are
    never open: the hold says why, and nothing is sent at a wrong time."""
    if state.paused:
        return Hold("paused: nothing is sent until it is resumed")
    if server is None or not server.windows:
        return Hold("")
    hours = _at(server.windows, int(wall_s))
    return Hold(hours.why_not, hours.ask_again_s - wall_s % 1.0)


@functools.lru_cache(maxsize=64)  # it is called in each turn of the loop, and changes with the minute
def _at(windows: tuple[str, ...], wall_s: int) -> Hold:
    then = time.localtime(wall_s)
    local = timetable.Local(then.tm_wday, then.tm_hour * 3600 + then.tm_min * 60 + then.tm_sec)
    try:
        parsed = timetable.parse(windows)
    except InvalidRequest as error:
        return Hold(f"nothing is sent: {error}")
    change_s = timetable.seconds_until_change(parsed, local)
    return Hold(timetable.closed_text(parsed, local), min(CLOCK_LOOK_S, change_s or CLOCK_LOOK_S))
