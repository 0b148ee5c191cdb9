"""Formats items for people: a table as wide as the terminal, an item's history as lines. Pure: it returns texts.

Control characters from servers and file names are escaped: a terminal would execute them.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from iris_communication.errors import Scope, scope_of
from iris_communication.plain_text import clean
from iris_communication.runtime.amounts import counted, scaled

WIDE = 110  # columns from which on a whole id and a server fit beside a path
SHORT_ID = 19  # characters: milliseconds, and enough of the random part to be unique
WHOLE_ID = 29
SERVER = 24
INDENT = "    "
NOT_SHOWN_AGAIN = ("id", "error", "history", "trace", "delivery")

EVENTS = {
    "accept": "accepted",
    "claim": "sent",
    "fail": "failed",
    "release": "broken off through no fault of the file",
    "give_up": "given up: dead",
    "retry": "waits again",
    "drop": "dropped",
    "expire": "expired",
    "cancel": "cancelled",
    "deliver": "delivered",
}


def table(items: Iterable[dict[str, Any]], now: datetime, width: int | None) -> Iterator[str]:
    """A heading, and a line or two for each item; `width` None: nothing is cut off."""
    wide = width is None or width >= WIDE
    for number, item in enumerate(items):
        if number == 0:
            yield _row(wide, width, "ID", "STATE", "AGE", "SIZE", "PRI", "TRIES", "SERVER", "REMOTE PATH")
        yield _row(
            wide,
            width,
            item["id"],
            item["state"].replace("_", " "),
            age(item["accepted"], now),
            size(item["size_bytes"]),
            "-" if item["priority"] is None else item["priority"],
            item["attempts"],
            item["server"],
            item["remote_path"],
        )
        beside = [] if wide else [item["server"]]
        if below := "  ".join([*beside, *_trouble(item)]):
            yield _cut(INDENT + printable(below), width)


def story(item: dict[str, Any]) -> Iterator[str]:
    """Everything that is known of one item, the latest at the end."""
    yield item["id"]
    for name, value in item.items():
        if name not in NOT_SHOWN_AGAIN and value is not None and value is not False and value != "":
            yield f"  {name.replace('_', ' '):17} {printable(_fact(value))}"
    yield ""
    for _, repeated in groupby(item["history"], lambda event: {**event, "at": None}):
        yield from _event(list(repeated), item)
    if item["trace"]:
        yield ""
        yield "the latest that was said to its server, and by it"
        yield from (f"  {printable(line)}" for line in item["trace"].splitlines())


def halted(state: dict[str, Any]) -> str:
    """Why nothing is sent to a server just now, and what to do."""
    key, error = state["server"], state["error"]
    reason = f": {error['error']}: {error['message']}" if error else ""
    if state["held"]:
        text = f"{key} waits for its operator{reason}: {error['hint']}; then: iris queue resume {key}"
    elif state["paused"]:
        text = f"{key} is paused: iris queue resume {key}"
    elif error and scope_of(error["error"]) is Scope.SERVER:  # the link is up
        text = f"{key} takes nothing, and is tried again by itself{reason}: {error['hint']}"
    else:
        text = f"{key} does not answer, and is tried again by itself{reason}"
    return printable(text)


def age(accepted: str, now: datetime) -> str:
    """How long ago, in at most four characters for ten years."""
    seconds = max(0, int((now - datetime.fromisoformat(accepted)).total_seconds()))
    for unit, length, until in (("s", 1, 60), ("m", 60, 3600), ("h", 3600, 48 * 3600)):
        if seconds < until:
            return f"{seconds // length}{unit}"
    return f"{seconds // 86400}d"


def size(size_bytes: int | None) -> str:
    if size_bytes is None:
        return "-"
    amount, prefix = scaled(size_bytes)
    return f"{amount:.1f}{prefix}" if prefix and amount < 99.95 else f"{amount:.0f}{prefix or 'B'}"


def printable(text: str) -> str:
    """The text with control characters escaped; bytes that are not UTF-8 stay, for the function that writes them."""
    return clean(text, bytes_stay=True)


def _row(wide: bool, width: int | None, *cells: Any) -> str:
    item_id, state, since, size_, priority, tries, server, path = map(str, cells)
    start = (
        f"{item_id[: WHOLE_ID if wide else SHORT_ID]:{WHOLE_ID if wide else SHORT_ID}} {state:9} {since:>4} {size_:>6}"
    )
    start += f" {priority:>3} {tries:>5} "
    if wide:
        server = printable(server)
        start += f"{server if width is None else _cut(server, SERVER):{SERVER}} "
    path = printable(path)
    room = None if width is None else max(1, width - len(start))
    return start + (path if room is None or len(path) <= room else "…" + path[-room + 1 :] if room > 1 else "…")


def _trouble(item: dict[str, Any]) -> list[str]:
    error = item["error"]
    parts = [f"{error['error']}: {error['message']}"] if error else []
    if item["reason"]:
        parts.append(item["reason"])
    if item["may_have_arrived"]:
        parts.append("it may have arrived all the same")
    return parts


def _event(repeated: list[dict[str, Any]], item: dict[str, Any]) -> Iterator[str]:
    """One event, or the same event repeated, as in an outage."""
    event, last = repeated[0], repeated[-1]
    what = EVENTS.get(event["event"], event["event"])
    if event["event"] in ("fail", "give_up") and event["attempt"]:
        what = (
            f"attempt {event['attempt']} {what}"
            if event["event"] == "fail"
            else f"{what} after attempt {event['attempt']}"
        )
    if event["event"] == "deliver":
        proof = item["delivery"]
        what = f"delivered as {proof['final_path']}, {proof['size_bytes']} bytes, SHA-256 {proof['sha256']}"
    error = event["error"]
    if error:
        what += f": {error['error']}: {error['message']}"
    yield f"  {_time(event['at'])}  {printable(what)}"
    if last is not event:
        yield f"{'':27}({counted(len(repeated), 'time')}, the last at {_time(last['at'])})"
    if error and error["hint"]:
        yield f"{'':27}{printable(error['hint'])}"


def _time(at: str) -> str:
    return f"{datetime.fromisoformat(at).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _fact(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {each}" for name, each in value.items())
    if isinstance(value, float):
        return f"{value:.1f}"
    return "yes" if value is True else str(value).replace("in_flight", "in flight")


def _cut(text: str, width: int | None) -> str:
    return text if width is None or len(text) <= width else text[: width - 1] + "…"
