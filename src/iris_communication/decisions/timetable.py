"""Delivery windows: whether a server may be sent files now, in the local time of its plant.

Sending is allowed when any of the windows allows it; no window at all means always.

Rules.
- The end is outside: "18:00-24:00" and "00:00-06:00" touch and leave no gap.
- Local time is given as a value, so that the caller decides about time zones. It jumps twice a year and whenever
  somebody sets the clock: "how long until" is then wrong by the jump, so a waiting caller asks again within the minute.
"""

from collections.abc import Iterable
from typing import NamedTuple

from iris_communication.delivery_window import DAY_S, DAYS, WEEK_S, DeliveryWindow, parse

__all__ = [
    "DAYS",
    "DAY_S",
    "WEEK_S",
    "DeliveryWindow",
    "Local",
    "closed_text",
    "is_open",
    "parse",
    "seconds_until_change",
]


class Local(NamedTuple):
    """A moment as the plant's clock shows it."""

    weekday: int  # Monday is 0
    second_of_day: float

    @property
    def second_of_week(self) -> float:
        return self.weekday * DAY_S + self.second_of_day


def is_open(windows: Iterable[DeliveryWindow], now: Local) -> bool:
    """Whether files may be sent."""
    windows = tuple(windows)
    return not windows or _is_within(windows, now.second_of_week)


def seconds_until_change(windows: Iterable[DeliveryWindow], now: Local) -> float | None:
    """Until the server may be sent files, or may not any more; None: neither ever happens."""
    windows = tuple(windows)
    if not windows:
        return None
    at_s = now.second_of_week
    opened = _is_within(windows, at_s)
    edges = {(day * DAY_S + edge_s) % WEEK_S for days, *both in windows for day in days for edge_s in both}
    for wait_s in sorted((edge_s - at_s) % WEEK_S for edge_s in edges):
        if _is_within(windows, (at_s + wait_s) % WEEK_S) != opened:
            return wait_s
    return None


def closed_text(windows: Iterable[DeliveryWindow], now: Local) -> str:
    """Why the server is sent nothing now, for people; empty while it may be sent files."""
    windows = tuple(windows)
    wait_s = seconds_until_change(windows, now)
    if wait_s is None or is_open(windows, now):
        return ""
    at_s = round(now.second_of_week + wait_s) % WEEK_S
    day, second = divmod(at_s, DAY_S)
    when = f"{second // 3600:02}:{second % 3600 // 60:02}"
    return f"outside its delivery window until {when if wait_s <= DAY_S else f'{DAYS[day]} {when}'}"


def _is_within(windows: tuple[DeliveryWindow, ...], second_of_week: float) -> bool:
    return any(
        (second_of_week - day * DAY_S - start_s) % WEEK_S < end_s - start_s
        for days, start_s, end_s in windows
        for day in days
    )
