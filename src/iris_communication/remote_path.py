"""Where a file goes on the server: the template filled with values that are one path component each.

A value that could climb out of its folder is refused, not cleaned: a cleaned name might be another file's.
"""

import os
import string
from collections.abc import Mapping
from typing import Any

from iris_communication.errors import InvalidRequest
from iris_communication.settings import Server


def remote_path(server: Server, file_path: str, project_settings: Any, folder_type: str) -> str:
    """The final path, e.g. `/srv/in/line-1/model/a.csv`. Raises InvalidRequest naming the value at fault."""
    values = {name: _component(name, value) for name, value in _project_values(project_settings).items()}
    values["folder_type"] = _component("folder_type", folder_type)
    values["file_name"] = _component("file name", os.path.basename(file_path))
    values["remote_directory"] = server.remote_directory.rstrip("/") or "/"
    try:
        path = string.Formatter().vformat(server.remote_path, (), values)
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        raise InvalidRequest(
            f"the remote path {server.remote_path!r} cannot be filled: {error}",
            hint="give project_settings each name that the template uses, at least 'project'",
        ) from None
    path = path.replace("//", "/")
    try:
        os.fsencode(path)
    except UnicodeEncodeError as error:
        raise InvalidRequest(f"the remote path {path!r} cannot be written as bytes: {error.reason}") from None
    return path


def _project_values(project_settings: Any) -> dict[str, Any]:
    if isinstance(project_settings, str):
        return {"project": project_settings}
    if not isinstance(project_settings, Mapping):
        raise InvalidRequest(
            f"project_settings is a {type(project_settings).__name__}: expected a mapping with 'project', or its name"
        )
    return {str(name): value for name, value in project_settings.items() if isinstance(value, (str, int))}


def _component(name: str, value: Any) -> str:
    text = str(value)
    if not isinstance(value, (str, int)) or text in ("", ".", "..") or "/" in text or "\0" in text:
        raise InvalidRequest(
            f"{name} is {value!r}: expected one path component, without '/' and not '..'",
            hint="the folders above come from the server's remote_directory",
        )
    return text
