"""Which file is meant, and where it goes on the server: the template filled with values that are one path component
each.

A value that could climb out of its folder is refused, not cleaned: a cleaned name might be another file's. Only
values that the template uses are checked, so project settings may hold anything else as well.
"""

import os
import posixpath
import re
import string
from collections.abc import Mapping, Sequence
from typing import Any

from iris_communication.errors import InvalidRequest
from iris_communication.runtime.default_folder import absolute
from iris_communication.settings import Server


def remote_path(server: Server, file_path: str, project_settings: Any, folder_type: str) -> str:
    """The final path, e.g. `/srv/in/line-1/model/a.csv`. Raises InvalidRequest naming the value at fault."""
    if "\0" in file_path or not _has_bytes(file_path):
        raise InvalidRequest(f"the file path {file_path!r} cannot be the path of a file")
    values = {
        **_project_values(project_settings),
        "folder_type": _stored_text("folder_type", folder_type),
        "file name": _component("file name", os.path.basename(file_path)),
        "remote_directory": server.remote_directory,
    }
    try:
        path = _Template().vformat(server.remote_path, (), values)
    except InvalidRequest:
        raise
    except (KeyError, IndexError, ValueError, AttributeError, TypeError) as error:
        raise InvalidRequest(
            f"the remote path {server.remote_path!r} cannot be filled: {error}",
            hint="give project_settings each name that the template uses, at least 'project'",
        ) from None
    path = re.sub("/{2,}", "/", path)
    if posixpath.basename(path) in ("", ".", ".."):
        raise InvalidRequest(f"the remote path {server.remote_path!r} names no file", hint="end it with {file_name}")
    if not _has_bytes(path):
        raise InvalidRequest(f"the remote path {path!r} cannot be written as bytes")
    return path


def source_path(file_path: "str | os.PathLike[str]") -> str:
    """The absolute path. Raises InvalidRequest for one that no file could have."""
    try:
        path = os.fsdecode(file_path)
        os.fsencode(path)
    except (TypeError, UnicodeError):
        path = ""
    if not path or "\0" in path:
        raise InvalidRequest(f"file_path is {file_path!r}: expected the path of a file")
    return absolute(path)


class _Template(string.Formatter):
    """Fills in one component at a time; the remote directory alone may be several."""

    def get_value(self, key: int | str, args: Sequence[Any], values: Mapping[str, Any]) -> Any:
        if key == "remote_directory":
            # Empty is the login folder, as in SFTP; "/" is the root.
            return values[key].rstrip("/") if values[key] else "."
        if key == "file_name":
            return values["file name"]
        return _component(str(key), values[key]) if isinstance(key, str) else args[key]


def _project_values(project_settings: Any) -> dict[str, Any]:
    if isinstance(project_settings, str):
        return {"project": project_settings}
    if not isinstance(project_settings, Mapping):
        raise InvalidRequest(
            f"project_settings is a {type(project_settings).__name__}: expected a mapping with 'project', or its name"
        )
    return {str(name): value for name, value in project_settings.items()}


def _component(name: str, value: Any) -> str:
    text = str(value)
    if not isinstance(value, (str, int)) or text in ("", ".", "..") or "/" in text or "\0" in text:
        raise InvalidRequest(
            f"{name} is {value!r}: expected one path component, without '/' and not '..'",
            hint="the folders above come from the server's remote_directory",
        )
    return text


def _stored_text(name: str, value: Any) -> str:
    text = _component(name, value)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidRequest(f"{name} is {value!r}, which is no text that has bytes: {error.reason}") from None
    return text


def _has_bytes(path: str) -> bool:
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        return False
    return True
