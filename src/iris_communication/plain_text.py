"""Text of strangers, made fit to be stored, logged and shown: cut, on one line, without terminal control characters.

Servers, cameras, browsers, file names and file contents may hold any text of any length. Each such text passes through
here where it comes in, with the limit stated below, and everything written for people passes through here again on its
way out. An escape stays as it is, so passing twice changes nothing.

Escaped are control characters (the 32 of ASCII, DEL, the 32 beyond), line and paragraph separators, marks that turn
the direction of what follows them, invisible tags, and halves of surrogate pairs: a path's byte that is no UTF-8 is
one, and neither SQLite nor a strict stream takes it.
"""

import re

# Characters, after escaping; docs/text-from-outside.md has the table.
PEER_TEXT_MAX = 300  # one text of a peer: a STATUS, a line of a greeting, a banner, a prompt, a reason, a header
PEER_NAME_MAX = 100  # what a peer is or calls something: its software, an extension, a label
ERROR_TEXT_MAX = 2_000  # a whole error: ours with a peer's in it, and the paths it is about
ELLIPSIS = "..."

_CONTROLS = r"\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"
_UNFIT = re.compile(rf"[{_CONTROLS}\ud800-\udfff]")
_UNFIT_BUT_LINES = re.compile(r"(?![\n\t])" + _UNFIT.pattern)
_UNFIT_BUT_BYTES = re.compile(rf"[{_CONTROLS}\ud800-\udc9f\udd00-\udfff]")


def clean(text: str, limit: int | None = None, *, lines_stay: bool = False, bytes_stay: bool = False) -> str:
    """The text with escapes for unfit characters, cut to `limit` characters. `bytes_stay` is for writing a path byte
    for byte, `lines_stay` for a text of several lines."""
    beginning = text if limit is None else text[: limit + 1]
    unfit = _UNFIT_BUT_LINES if lines_stay else _UNFIT_BUT_BYTES if bytes_stay else _UNFIT
    return cut(unfit.sub(_escaped, beginning), limit)


def cut(text: str, limit: int | None) -> str:
    return text if limit is None or len(text) <= limit else text[: limit - len(ELLIPSIS)] + ELLIPSIS


def text_of(error: BaseException) -> str:
    """The text of an exception that is not ours; making it may fail in turn."""
    try:
        return str(error)
    except BaseException as failed:  # noqa: BLE001 - code that is not ours
        return f"(its text cannot be had: {type(failed).__name__})"


def of_bytes(text: bytes, limit: int) -> str:
    """A peer's text in whatever charset, cleaned."""
    return clean(text[: 4 * limit + 4].decode("utf-8", "replace"), limit)


def _escaped(found: re.Match[str]) -> str:
    character = found.group()
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02x}"  # the byte that it stands for
    return character.encode("unicode_escape").decode("ascii")
