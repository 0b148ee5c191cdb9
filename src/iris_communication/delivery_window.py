"""When a server may be sent files, as people write it: "22:00-06:00", "Mon-Fri 18:00-06:00", "Sat,Sun".

Windows are parsed together with the settings, so that a wrong one is refused then and not found at night, when nothing
is sent.

- A window belongs to the day on which it begins: "Fri 22:00-06:00" ends on Saturday morning.
- A window whose end is its beginning could be nothing or a whole day, so it is refused.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from iris_communication.errors import InvalidRequest

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
DAY_S = 24 * 3600
WEEK_S = 7 * DAY_S
HINT = 'write "22:00-06:00", "Mon-Fri 18:00-06:00" or "Sat,Sun", in local time'

_FORM = re.compile(
    r"(?P<days>[a-z,-](?:[a-z, -]*[a-z,-])?)?\s*(?:(?P<start>\d?\d:\d\d)\s*-\s*(?P<end>\d?\d:\d\d))?",
    re.IGNORECASE | re.ASCII,
)


class DeliveryWindow(NamedTuple):
    """The same hours on each of some days; `end_s` exceeds DAY_S where the window passes midnight."""

    days: tuple[int, ...]
    start_s: int
    end_s: int


def parse(texts: Iterable[str]) -> tuple[DeliveryWindow, ...]:
    """Raises InvalidRequest for a text that is no window."""
    return tuple(map(_window, texts))


def _window(text: str) -> DeliveryWindow:
    found = _FORM.fullmatch(text.strip())
    if found is None or not (found["days"] or found["start"]):
        raise InvalidRequest(f"{text!r} is not a delivery window", hint=HINT)
    days = _days(found["days"], text) if found["days"] else tuple(range(7))
    if not found["start"]:
        return DeliveryWindow(days, 0, DAY_S)
    start_s, end_s = _time_s(found["start"], text), _time_s(found["end"], text)
    if start_s in (end_s, DAY_S):
        why = "it begins and ends at the same time" if start_s == end_s else "a day begins at 00:00"
        raise InvalidRequest(f"{text!r} is not a delivery window: {why}", hint=HINT)
    return DeliveryWindow(days, start_s, end_s if end_s > start_s else end_s + DAY_S)


def _days(days_text: str, text: str) -> tuple[int, ...]:
    """ "Fri-Mon,Wed": the week has no end, so a range may go over Sunday."""
    days: set[int] = set()
    for part in days_text.split(","):
        first, *rest = (_day(word, text) for word in part.split("-", 1))
        last = rest[0] if rest else first
        days.update((first + step) % 7 for step in range((last - first) % 7 + 1))
    return tuple(sorted(days))


def _day(word: str, text: str) -> int:
    try:
        return DAYS.index(word.strip().capitalize())
    except ValueError:
        what = f"{text!r} is not a delivery window: {word.strip()!r} is not one of {', '.join(DAYS)}"
        raise InvalidRequest(what, hint=HINT) from None


def _time_s(word: str, text: str) -> int:
    hours, minutes = map(int, word.split(":"))
    if minutes > 59 or hours * 60 + minutes > 24 * 60:
        raise InvalidRequest(f"{text!r} is not a delivery window: {word} is not a time of day", hint=HINT)
    return hours * 3600 + minutes * 60
