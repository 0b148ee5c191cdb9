"""The keys of the settings, read off the dataclasses themselves: their names, types and one line of meaning.

The check for unknown keys, the environment variables, the commented example and the reference all use this module, so a
key that is added to a dataclass is in all of them at once.
"""

import dataclasses
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAMED = "NAME"  # stands for the name of a camera, a server or a rule in the path of a key


@dataclass(frozen=True, slots=True)
class Key:
    """One key: where it is, what it takes, what it means."""

    path: tuple[str, ...]
    type: Any
    default: Any  # dataclasses.MISSING: it has to be given
    doc: str
    example: Any  # None: the default says enough
    is_secret: bool
    separator: str = ","  # between the elements of a list that is given as one text

    @property
    def name(self) -> str:
        return self.path[-1]

    @property
    def required(self) -> bool:
        return self.default is dataclasses.MISSING


def fields_of(table: type, defaults: Any = None) -> dict[str, Key]:
    """The keys of one dataclass, in order; paths hold the name alone. `defaults` is a value of the dataclass that
    replaces its defaults: an inner table may have other defaults than its class."""
    types_of = typing.get_type_hints(table)
    return {
        found.name: Key(
            path=(found.name,),
            type=types_of[found.name],
            default=_default(found) if defaults is None else getattr(defaults, found.name),
            doc=found.metadata.get("doc", ""),
            example=found.metadata.get("example"),
            is_secret=not found.repr,
            separator=found.metadata.get("separator", ","),
        )
        for found in dataclasses.fields(table)
    }


def keys_below(table: type, path: tuple[str, ...] = ()) -> Iterator[Key]:
    """Every key of a dataclass and of those it is made of, tables themselves left out."""
    for name, key in fields_of(table).items():
        here = (*path, name)
        if (inner := table_of(key.type)) is not None:
            yield from keys_below(inner, here)
        elif (named := named_tables_of(key.type)) is not None:
            yield from keys_below(named, (*here, NAMED))
        else:
            yield dataclasses.replace(key, path=here)


def without_names(path: Iterable[str | int], table: type) -> tuple[str, ...]:
    """The path of a key below `table`, with NAME in place of what cameras, servers and rules are called."""
    general: list[str] = []
    current: type | None = table
    named: type | None = None
    for name in path:
        if named is not None:
            general.append(NAMED)
            current, named = named, None
            continue
        general.append(str(name))
        key = fields_of(current).get(str(name)) if current is not None else None
        current, named = (table_of(key.type), named_tables_of(key.type)) if key else (None, None)
    return tuple(general)


def with_defaults(given: Mapping[str, Any], table: type, defaults: Any = None) -> dict[str, Any]:
    """The same settings; keys that a given inner table leaves out have the defaults of the parent table."""
    filled = dict(given)
    for name, key in fields_of(table, defaults).items():
        inner, value = table_of(key.type), given.get(name)
        if inner is not None and isinstance(value, dict):
            filled[name] = with_defaults(value, inner, key.default)
        elif defaults is not None and name not in given and key.default is not None:
            filled[name] = key.default if inner is None else with_defaults({}, inner, key.default)
    return filled


def table_of(kind: Any) -> type | None:
    """The dataclass a key's value is, if it is one."""
    kind = without_none(kind)
    return kind if isinstance(kind, type) and dataclasses.is_dataclass(kind) else None


def named_tables_of(kind: Any) -> type | None:
    """The dataclass of each value, if a key holds named tables ([cameras.NAME])."""
    if typing.get_origin(kind) in {dict, Mapping}:
        return table_of(typing.get_args(kind)[1])
    return None


def without_none(kind: Any) -> Any:
    rest = [one for one in alternatives(kind) if one is not type(None)]
    return rest[0] if len(rest) == 1 else kind


def alternatives(kind: Any) -> tuple[Any, ...]:
    """The types of which a value may have one."""
    return typing.get_args(kind) if typing.get_origin(kind) in {typing.Union, types.UnionType} else (kind,)


def list_in(kind: Any) -> Any:
    """The type of the lists that a value may be; None where it is no list."""
    return next((one for one in alternatives(kind) if typing.get_origin(one) is tuple), None)


def expected(kind: Any) -> str:
    """What a value may be, as a phrase for an error."""
    kind = without_none(kind)
    if len(several := alternatives(kind)) > 1:
        return " or ".join(map(expected, several))
    choices = typing.get_args(kind) if typing.get_origin(kind) is typing.Literal else ()
    if choices:
        texts = [f'"{choice}"' for choice in choices]
        return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} or {texts[-1]}"
    if typing.get_origin(kind) is tuple:
        inner = typing.get_args(kind)
        if len(inner) == 2 and inner[1] is Ellipsis:
            return "a list of strings" if inner[0] is str else "a list of numbers"
        return f"a list of {len(inner)} numbers"
    if table_of(kind) or named_tables_of(kind):
        return "a table"
    text = {
        bool: "true or false",
        int: "a whole number",
        float: "a number",
        str: "a string in quotes",
        Path: "a path in quotes",
    }
    return text.get(kind, "another value")


def _default(found: "dataclasses.Field[Any]") -> Any:
    if found.default_factory is not dataclasses.MISSING:
        return found.default_factory()
    return found.default
