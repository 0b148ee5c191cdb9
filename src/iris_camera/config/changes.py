"""What a changed settings file means for an application that is running: a value, carried out by the application.

The table below says when a change of each key takes effect. A change that needs a restart is logged, not half done;
the rest of the file takes effect all the same.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import PurePath
from typing import Any

from iris_camera.config.schema import NAMED, fields_of, without_names
from iris_camera.config.sections import Config
from iris_camera.config.toml_text import as_toml


class When(Enum):
    """When a changed key counts."""

    NOW = "reload"
    CAMERA = "reload; the camera restarts"
    RESTART = "restart"


# The longest path that a key begins with decides. Rules and limits stay as they are while the outbox is open: a file
# gets its priority and its time to live once, at acceptance, so half of the waiting files would follow other rules than
# the log says are in force.
TABLE: dict[tuple[str, ...], When] = {
    ("cameras", NAMED): When.CAMERA,
    ("inspection",): When.CAMERA,
    ("records",): When.CAMERA,
    ("records", "folder"): When.RESTART,
    ("evidence",): When.CAMERA,
    ("servers", NAMED): When.NOW,
    ("delivery",): When.RESTART,
    ("outbox",): When.RESTART,
    ("web",): When.RESTART,
    ("log",): When.NOW,
}
RULES = ("delivery", "rules")  # the one table of tables in which the order matters


@dataclass(frozen=True, slots=True)
class Change:
    """One key that differs. `text` states the old and the new value, never a secret."""

    path: tuple[str, ...]
    text: str
    when: When

    def __str__(self) -> str:
        return f"{'.'.join(self.path)} {self.text}"


@dataclass(frozen=True, slots=True)
class Changes:
    """`keys` is every key that differs; the three lists say which cameras to start, end and restart. A camera is
    altered when its source, its inspection or the handling of its records has changed."""

    keys: tuple[Change, ...] = ()
    cameras_added: tuple[str, ...] = ()
    cameras_removed: tuple[str, ...] = ()
    cameras_altered: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.keys)

    @property
    def now(self) -> tuple[Change, ...]:
        return self._of(When.NOW)

    @property
    def cameras(self) -> tuple[Change, ...]:
        return self._of(When.CAMERA)

    @property
    def restart(self) -> tuple[Change, ...]:
        return self._of(When.RESTART)

    def _of(self, when: When) -> tuple[Change, ...]:
        return tuple(change for change in self.keys if change.when is when)


def changes(old: Config, new: Config) -> Changes:
    """What differs, and when each of it can take effect."""
    both = [name for name in old.cameras if name in new.cameras]
    follows = what_can_run(old, new)
    return Changes(
        keys=tuple(_between(old, new, ())),
        cameras_added=tuple(name for name in new.cameras if name not in old.cameras),
        cameras_removed=tuple(name for name in old.cameras if name not in new.cameras),
        cameras_altered=tuple(name for name in both if _of_camera(old, name) != _of_camera(follows, name)),
    )


def what_can_run(old: Config, new: Config) -> Config:
    """The new settings, with everything that waits for a restart as it was."""
    kept: dict[str, Any] = {}
    for path, needed in TABLE.items():
        if needed is When.RESTART:
            section = path[0]
            after = kept.get(section, getattr(new, section))
            before = getattr(old, section)
            kept[section] = before if len(path) == 1 else _with_key_of(before, after, path[1])
    return dataclasses.replace(new, **kept)


def _with_key_of(before: Any, after: Any, key: str) -> Any:
    return dataclasses.replace(after, **{key: getattr(before, key)})


def when(path: tuple[str, ...]) -> When:
    """When a changed key takes effect; names of cameras, servers and rules may stand in it as they are or as NAME."""
    path = without_names(path, Config)
    for length in range(len(path), 0, -1):
        if path[:length] in TABLE:
            return TABLE[path[:length]]
    raise KeyError(path)


def _of_camera(config: Config, name: str) -> tuple[Any, ...]:
    return (
        dataclasses.replace(config.cameras[name], inspection=None, project="", server=""),
        config.inspection_of(name),
        config.project_of(name),
        config.servers_of(name),
        config.records,
        config.evidence,
    )


def _between(old: Any, new: Any, path: tuple[str, ...]) -> Iterator[Change]:
    """The changes between two values of one dataclass, or two mappings of such."""
    keys = {} if isinstance(old, Mapping) else fields_of(type(old))
    names = {**old, **new} if isinstance(old, Mapping) else keys
    if path == RULES and [name for name in old if name in new] != [name for name in new if name in old]:
        yield Change(path, "are in another order", when(path))
    for name in names:
        here = (*path, name)
        before, after = _get(old, name), _get(new, name)
        if _are_tables(before, after):
            yield from _between(before, after, here)
        elif before != after:
            is_secret = name in keys and keys[name].is_secret
            yield Change(here, _difference(before, after, is_secret=is_secret), when(here))


def _are_tables(before: Any, after: Any) -> bool:
    both_named = isinstance(before, Mapping) and isinstance(after, Mapping)
    return both_named or (dataclasses.is_dataclass(before) and type(before) is type(after))


def _get(table: Any, name: str) -> Any:
    return table.get(name) if isinstance(table, Mapping) else getattr(table, name)


def _difference(before: Any, after: Any, *, is_secret: bool) -> str:
    if dataclasses.is_dataclass(before) or dataclasses.is_dataclass(after):
        return "is new" if before is None else "is gone" if after is None else "is another"
    if is_secret:
        return "changed"
    return f"was {_shown(before)}, is {_shown(after)}"


def _shown(value: Any) -> str:
    if value is None:
        return "not given"
    return str(value) if isinstance(value, PurePath) else as_toml(value)
