"""The second part of docs/faults.md, from the table; the first part, "Situations", is written by hand."""

from pathlib import Path

from iris_communication.item import Event
from tests.unit.iris_communication.faults.table import FAULTS, Fault, name_of, text_of

PAGE = Path(__file__).parents[4] / "docs" / "faults.md"
HEAD = """## What servers do wrong

What servers do wrong, and what becomes of the files. Each line is a test: five files of 100,000 bytes travel at once to
a server with this fault, attempt after attempt, and after every request the folder is looked at. Whatever the fault, no
file is ever seen in part under its final name, and none is lost.

The servers are in `iris_communication.testing`, for your own tests too; each class's docstring is its fault. This part
is generated from the table that the tests assert (`tests/unit/iris_communication/faults/table.py`). A link that is cut
after every single byte, in either direction, is shown by
`tests/unit/iris_communication/sftp/conversations/test_put_cut_anywhere.py`, and [servers.md](servers.md) shows real
servers.

*Tried again* costs the file nothing: the server or the link is to blame, and is left alone for a while first. *An
attempt* is the file's own, of which it has `attempts_max`; here four.

| fault | the server | what is noticed at first | decision | in the end |
| --- | --- | --- | --- | --- |
"""
DECISIONS = {None: "", Event.RELEASE: "tried again", Event.FAIL: "an attempt"}
FILES = {0: "", 1: ", for one file", 5: ", for each"}


def page() -> str:
    """The whole page: what is written by hand stays as it is."""
    by_hand = PAGE.read_text(encoding="utf-8").partition(HEAD.splitlines()[0])[0]
    return by_hand + HEAD + "".join(map(_line, FAULTS))


def _line(fault: Fault) -> str:
    noticed = "nothing" if fault.error is None else f"`{fault.error.__name__}`: ... {fault.says.replace('|', ' ')} ..."
    decision = DECISIONS[fault.event] + FILES[fault.files]
    counts = {end: fault.ends.count(end) for end in sorted(set(fault.ends))}
    ends = ", ".join(f"all {end}" if count == len(fault.ends) else f"{count} {end}" for end, count in counts.items())
    ends = ends.replace("all waits", "all wait")
    return f"| {text_of(fault)} | `{name_of(fault)}` | {noticed} | {decision} | {ends} |\n"
