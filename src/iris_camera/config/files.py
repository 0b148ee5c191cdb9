"""Reading the two kinds of file: `iris.toml`, and the JSON file of one server that IRIS_SERVER names."""

import io
import json
import re
import tomllib
from pathlib import Path
from typing import Any

from iris_camera.config.given import Given
from iris_camera.config.problem import ValueOrigin
from iris_camera.config.toml_lines import KeyPath, lines_of_keys
from iris_camera.logs import without_secrets
from iris_communication.runtime.amounts import size

SIZE_BYTES_MAX = 1_000_000  # some ten thousand cameras
_BEYOND = "it is nested too deep, or holds a number of thousands of digits"

# The beginning of tomllib's message, and a hint for the likely cause.
_SYNTAX_HINTS = {
    "Invalid value": 'a value is a string in quotes ("..."), a number, true, false or a list',
    "Unescaped '\\' in a string": "write \\\\ for one \\, or put the text in 'single quotes'",
    "Invalid hex value": "write \\\\ for one \\, or put the text in 'single quotes'",
    "Illegal character '\\n'": "the closing quote is missing",
    "Cannot overwrite a value": "this key stands there already, further up",
    "Cannot declare": "this table stands there already, further up",
    "Expected '=' after a key": 'a setting is written key = value; a text needs quotes ("...")',
    "Unterminated string": "the closing quote is missing",
    "Expected newline or end of document": "one setting a line; a text with blanks in it needs quotes",
}


def read_toml(path: Path, given: Given) -> None:
    """Read it into `given`, with the line of each key. What cannot be read becomes a problem in `given`."""
    text = _text_of(path, given, "the settings file")
    if text is None:
        return
    try:
        given.tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        given.wrong((), *_syntax_error(path, text, str(error)))
        return
    except (ValueError, RecursionError):
        given.wrong((), f"this is no TOML that can be read: {_BEYOND}", ValueOrigin(str(path), 1))
        return
    given.note({key: ValueOrigin(str(path), line) for key, line in lines_of_keys(text).items()})


def read_server_json(path: Path, key: KeyPath, given: Given, named_by: ValueOrigin) -> None:
    """Read it into `given` at `key`. `named_by` is the origin of the problem if the file cannot be read."""
    text = _text_of(path, given, "the server file", named_by)
    if text is None:
        return
    try:
        info = json.loads(text)
    except json.JSONDecodeError as error:
        given.wrong(key, f"the server file is not JSON: {error.msg}", ValueOrigin(str(path), error.lineno))
        return
    except (ValueError, RecursionError):
        given.wrong(key, f"the server file is no JSON that can be read: {_BEYOND}", ValueOrigin(str(path), 1))
        return
    if not isinstance(info, dict):
        given.wrong(key, 'the server file holds no object: expected { "host": "...", ... }', ValueOrigin(str(path), 1))
        return
    given.put(key, {name: value for name, value in info.items() if value is not None}, ValueOrigin(str(path), 1))
    given.note({(*key, name): ValueOrigin(str(path), _line_in_json(text, name)) for name in info})


def shown(name: str) -> str:
    """The name of a server or its file, without secrets: an address or JSON in its place may hold a password."""
    if ":" in name.rpartition("@")[0]:
        return f"***@{name.rpartition('@')[2]}"
    return without_secrets(name)


def _text_of(path: Path, given: Given, what: str, named_by: ValueOrigin | None = None) -> str | None:
    try:
        with path.open("rb") as file:
            content = file.read(SIZE_BYTES_MAX + 1)
        if len(content) > SIZE_BYTES_MAX:
            given.wrong(
                (), f"{what} is larger than {size(SIZE_BYTES_MAX)}: is it the right one?", ValueOrigin(str(path))
            )
            return None
        # Some editors put a mark at the beginning, and end lines in their own ways.
        return io.StringIO(content.decode("utf-8-sig"), newline=None).read()
    except OSError as error:
        place = f"{what} {shown(str(path))} " if named_by else f"{what} "
        given.wrong((), f"{place}cannot be read: {error.strerror}", named_by or ValueOrigin(str(path)))
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        given.wrong((), f"{what} is not written in UTF-8; save it as UTF-8 text", ValueOrigin(str(path), line))
    return None


def _syntax_error(path: Path, text: str, message: str) -> tuple[str, ValueOrigin]:
    """The text and the place of the problem, from a message such as `Invalid value (at line 3, column 10)`."""
    found = re.search(r" \(at (?:line (\d+), column (\d+)|end of document)\)$", message)
    reason = message[: found.start()] if found else message
    line = int(found[1]) if found and found[1] else max(1, len(text.splitlines()))
    hint = next((meant for said, meant in _SYNTAX_HINTS.items() if reason.startswith(said)), "")
    column = f" at column {found[2]}" if found and found[2] else ""
    return f"this is no TOML: {reason}{column}{'; ' + hint if hint else ''}", ValueOrigin(str(path), line)


def _line_in_json(text: str, name: Any) -> int:
    found = re.search(rf"{re.escape(json.dumps(name))}\s*:", text)
    return text.count("\n", 0, found.start()) + 1 if found else 1
