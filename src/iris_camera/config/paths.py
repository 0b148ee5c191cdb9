"""Which texts are paths, and what they are relative to.

In the file a path is relative to the file's own folder, so that a settings file and its footage can be moved together
and a service with `/` as its working folder finds the same files as a person who tried it out. In a variable or a flag
a path is relative to the working folder.
"""

from pathlib import Path
from typing import Any

from iris_camera.config.schema import Key, fields_of, named_tables_of, table_of, without_none
from iris_communication.server import private_keys

SOURCES_WITH_PATHS = ("file:", "dir:")


def with_paths_from(folder: Path, tree: dict[str, Any], table: type) -> dict[str, Any]:
    """The same settings, each path in them joined to `folder` and its ~ filled in; values of a wrong type stay."""
    keys = fields_of(table)
    return {name: _joined(folder, value, keys[name]) if name in keys else value for name, value in tree.items()}


def _joined(folder: Path, value: Any, key: Key) -> Any:
    inner, named = table_of(key.type), named_tables_of(key.type)
    if isinstance(value, dict):
        if inner is not None:
            return with_paths_from(folder, value, inner)
        if named is not None:
            each = {name: table for name, table in value.items() if isinstance(table, dict)}
            return {**value, **{name: with_paths_from(folder, table, named) for name, table in each.items()}}
        if key.is_secret and isinstance(value.get("file"), str):
            return {**value, "file": path_from(folder, value["file"])}
        return value
    return _text(folder, value, key) if isinstance(value, str) and value else value


def _text(folder: Path, text: str, key: Key) -> str:
    if without_none(key.type) is Path:
        return path_from(folder, text)
    if key.name == "source" and text.startswith(SOURCES_WITH_PATHS):
        kind, _, path = text.partition(":")
        return f"{kind}:{path_from(folder, path)}" if path else text
    if key.name == "private_key" and not private_keys.is_text(text):
        return path_from(folder, text)
    if key.name == "move_to":
        return path_from(folder, text)
    if key.name == "cascade" and text.endswith(".xml"):
        return path_from(folder, text)
    return text


def path_from(folder: Path, text: str) -> str:
    return str(folder / with_home(text))


def with_home(text: str) -> Path:
    """Its ~ filled in; if the home is unknown, the ~ stays, and opening the path fails."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return Path(text)
