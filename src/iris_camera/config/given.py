"""The given settings as plain nested tables, and for each value its origin.

The file comes first, the environment is written over it, the flags over both; each write records its origin, so that an
error found much later still names the line, the variable or the flag.
"""

import re
from collections.abc import Mapping
from typing import Any

from iris_camera.config.problem import NOWHERE, ConfigError, Problem, ValueOrigin
from iris_camera.config.toml_lines import KeyPath
from iris_camera.logs import MASK


class Given:
    def __init__(self) -> None:
        self.tree: dict[str, Any] = {}
        self.problems: list[Problem] = []
        self._wrong: set[KeyPath] = set()
        self.dropped: set[KeyPath] = set()
        self.plain_secrets: set[tuple[str, ...]] = set()  # keys whose secret was given as it is
        self._origins: dict[KeyPath, ValueOrigin] = {}
        self._secrets: set[str] = set()

    def value(self, path: KeyPath) -> Any:
        """None where nothing was given."""
        found: Any = self.tree
        for name in path:
            if not isinstance(found, dict) or name not in found:
                return None
            found = found[name]
        return found

    def table(self, path: KeyPath) -> dict[str, Any]:
        """The table there, empty if there is none; not to be changed."""
        found = self.value(path)
        return found if isinstance(found, dict) else {}

    def put(self, path: KeyPath, value: Any, origin: ValueOrigin) -> None:
        """Replace whatever was there; the keys below it are forgotten with their origins."""
        table = self.tree
        for name in path[:-1]:
            table = table.setdefault(str(name), {})
        table[str(path[-1])] = value
        self._origins = {known: where for known, where in self._origins.items() if known[: len(path)] != path}
        self._origins[path] = origin

    def replace(self, path: KeyPath, value: Any) -> None:
        """Another value for a key that was given; its origin stays."""
        self.table(path[:-1])[str(path[-1])] = value

    def note(self, origins: Mapping[KeyPath, ValueOrigin]) -> None:
        self._origins.update(origins)

    def drop(self, path: KeyPath) -> bool:
        """Remove a value; whether there was one. Its origin stays known, for later errors."""
        table = self.value(path[:-1])
        if not isinstance(table, dict) or path[-1] not in table:
            return False
        del table[path[-1]]
        self.dropped.add(path)
        return True

    def origin(self, path: KeyPath) -> ValueOrigin:
        """The origin of the key, or of the nearest table around it that was given."""
        for length in range(len(path), 0, -1):
            if path[:length] in self._origins:
                return self._origins[path[:length]]
        return NOWHERE

    def hide(self, secret: str) -> None:
        """Mask the secret in the text of every later problem."""
        self._secrets.add(secret)

    def wrong(self, path: KeyPath, text: str, origin: ValueOrigin | None = None) -> None:
        for secret in self._secrets:
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", MASK, text)
        self.problems.append(Problem(origin or self.origin(path), text))
        self._wrong.add(path)

    def is_wrong(self, path: KeyPath) -> bool:
        """Whether a problem was reported of it, of a key in it, or of a table around it."""
        return any(known[: len(path)] == path or path[: len(known)] == known for known in self._wrong if known)

    def raise_problems(self) -> None:
        if self.problems:
            raise ConfigError(self.problems)


def dotted(path: KeyPath) -> str:
    """As it would be written in the file."""
    return ".".join(str(name) if re.fullmatch(r"[A-Za-z0-9_-]+", str(name)) else f'"{name}"' for name in path)
