"""Checks the template of a remote path before a file needs it: one that cannot be filled would fail every file."""

import difflib
import functools
import posixpath
import re
import string
from collections.abc import Collection

from iris_communication.errors import InvalidRequest

ALWAYS_KNOWN = ("remote_directory", "folder_type", "file_name")


@functools.lru_cache(maxsize=64)  # an uploader may be given the server with each file
def check_template(template: str, names: tuple[str, ...] | None = None) -> None:
    """Raises InvalidRequest for one that cannot be filled. `names` are those that are known besides `ALWAYS_KNOWN`;
    None: a caller's project settings may hold any."""
    try:
        parts = [(name, form or "") for _, name, form, _ in string.Formatter().parse(template) if name is not None]
    except ValueError as error:
        raise InvalidRequest(f"remote_path is {template!r}, which is not a template: {error}") from None
    known = (*ALWAYS_KNOWN, *(names or ()))
    for field, form in parts:
        if "{" in form or re.search(r"\d{4}", form):  # filled in, it would be of any length
            raise InvalidRequest(
                f"remote_path is {template!r}, where {{{field}}} is padded to more than a name can hold"
            )
        if not field or field.isdigit():
            raise InvalidRequest(f"remote_path is {template!r}, where {{{field}}} has no name", hint=_known(known))
        if names is not None and field not in known:
            close = difflib.get_close_matches(field, known, n=1)
            meant = f"; did you mean {{{close[0]}}}?" if close else ""
            text = f"remote_path is {template!r}, but there is no {{{field}}}{meant or '; ' + _known(known)}"
            raise InvalidRequest(text, hint=_known(known))
    if posixpath.basename(template) in ("", ".", ".."):
        raise InvalidRequest(f"remote_path is {template!r}, which names no file", hint="end it with {file_name}")
    if names is not None:
        try:
            template.format(**dict.fromkeys(known, "x"))
        except (ValueError, LookupError, AttributeError, TypeError) as error:
            raise InvalidRequest(f"remote_path is {template!r}, which cannot be filled: {error}") from None


def _known(names: Collection[str]) -> str:
    return f"known are {', '.join(f'{{{name}}}' for name in names)}"
