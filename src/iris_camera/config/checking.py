"""Makes the sections' values from the given tables, and reports every mistake in them.

Each table is made by itself, and after a mistake once more without the value at fault, so that one run finds all
mistakes: the type of one key and the range of another. A mistake that only follows from a reported one (a key missing
because its name is misspelt, a value that does not go with one that was wrong) is not reported.
"""

import dataclasses
import functools
import json
import re
from typing import Any, get_args

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from iris_camera import logs
from iris_camera.camera.settings import Kind
from iris_camera.config.given import Given, dotted
from iris_camera.config.problem import did_you_mean
from iris_camera.config.schema import (
    NAMED,
    Key,
    alternatives,
    expected,
    fields_of,
    keys_below,
    list_in,
    named_tables_of,
    table_of,
    with_defaults,
    without_names,
    without_none,
)
from iris_camera.config.secret_reference import FORMS
from iris_camera.config.sections import Config
from iris_camera.config.toml_lines import KeyPath

SHOWN_CHARACTERS_MAX = 60
_adapter = functools.cache(TypeAdapter)


def remove_unknown(given: Given, table: type = Config, path: KeyPath = ()) -> None:
    """Report and remove each unknown key, each value that has to be a table, each text that is no valid one."""
    keys = fields_of(table)
    for name, value in list(given.table(path).items()):
        here = (*path, name)
        if name not in keys:
            given.wrong(here, f"{dotted(here)} is no setting{_meant(name, keys, path)}")
            given.drop(here)
            continue
        inner, named = table_of(keys[name].type), named_tables_of(keys[name].type)
        if (inner or named) and not isinstance(value, dict):
            example = f"[{dotted(here)}.NAME]" if named else f"[{dotted(here)}]"
            given.wrong(here, f"{dotted(here)} is {found(value)}: expected a table, {example}")
            given.drop(here)
        elif inner:
            remove_unknown(given, inner, here)
        elif named:
            _remove_unknown_in_each(given, named, here)
        elif any(_is_no_text(each) for each in (value if isinstance(value, list) else [value])):
            given.wrong(here, f"{dotted(here)} holds a zero byte, or bytes that are not UTF-8")
            given.drop(here)


def _is_no_text(value: Any) -> bool:
    """No file, host or label has such a name, and opening one would raise other errors."""
    return isinstance(value, str) and ("\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value))


def _remove_unknown_in_each(given: Given, named: type, path: KeyPath) -> None:
    for name, value in list(given.table(path).items()):
        here = (*path, name)
        if isinstance(value, dict):
            remove_unknown(given, named, here)
        else:
            belongs = f"; {name} belongs in a table with a name" if name in fields_of(named) else ""
            given.wrong(here, f"{dotted(here)} is {found(value)}: expected a table, [{dotted(path)}.NAME]{belongs}")
            given.drop(here)


def _meant(name: str, keys: dict[str, Key], path: KeyPath) -> str:
    """What the key was probably meant to be: a name that is close, else the tables that have such a key."""
    if close := did_you_mean(name, keys):
        return close
    if homes := _homes(name, path):
        return f"; it belongs in {' or '.join(homes)}"
    return f"; known are {', '.join(keys)}"


def _homes(name: str, path: KeyPath) -> list[str]:
    """The tables that have such a key: those within the one it was found in, else all of them."""
    here = without_names(path, Config)
    tables = dict.fromkeys(key.path[:-1] for key in keys_below(Config) if key.name == name)
    within = [table for table in tables if table[: len(here)] == here]
    if within and here:
        return [f"[{dotted((*path, *table[len(here) :]))}]" for table in within]
    return [f"[{'.'.join(table)}]" for table in tables if table[:3] != ("cameras", NAMED, "inspection")]


def make(given: Given, table: type, path: KeyPath) -> Any:
    """The table's value, or None when it cannot be made. Every mistake in it is reported."""
    reported = {known for known in given.dropped if known[: len(path)] == path}  # with their mistake
    while True:
        try:
            whole = with_defaults(given.table(path), table)
            return _adapter(table).validate_json(json.dumps(whole, default=str), strict=True)
        except ValidationError as error:
            details = error.errors(include_url=False)
        dropped = False
        for detail in details:
            dropped |= _report(given, table, path, detail, reported)
        if not dropped:
            return None


def _report(given: Given, table: type, path: KeyPath, detail: ErrorDetails, reported: set[KeyPath]) -> bool:
    """Report one mistake; whether its value was removed, so that making the table is worth another try."""
    wrong_key, location = _key_of(table, detail["loc"])
    place = (*path, *location)
    if detail["type"] == "value_error":
        return _report_of_table(given, place, str(detail["ctx"]["error"]), reported)
    if location != detail["loc"] and isinstance(detail["input"], list) and wrong_key and list_in(wrong_key.type):
        return False  # that a list is no text is no mistake here: the error of the list itself comes too
    is_element = isinstance(place[-1], int)
    if detail["type"] == "missing" and not is_element and wrong_key is not None:
        return _report_missing(given, place, wrong_key, reported)
    at = place[:-1] if is_element else place
    given.wrong(place, f"{dotted(at)} {_is_wrong(detail, wrong_key, is_element=is_element)}")
    reported.add(at)
    return given.drop(at)


def _report_missing(given: Given, place: KeyPath, key: Key, reported: set[KeyPath]) -> bool:
    """Report it, and put its example in its place, so that the rest of the table is checked too."""
    if not _is_misspelt(given, place):
        given.wrong(place, f"{dotted(place)} is missing: expected {key.doc}")
    reported.add(place)
    given.table(place[:-1])[key.name] = key.example
    return True


def _is_wrong(detail: ErrorDetails, key: Key | None, *, is_element: bool) -> str:
    value = detail["input"]
    if key is None:
        return f"cannot be used: {detail['msg']}"
    if key.is_secret:
        return f"is {_sort_of(value)}: expected {FORMS}"
    if isinstance(value, list) and detail["type"] in {"missing", "too_long"}:
        return f"is a list of {len(value)}: expected {expected(key.type)}"
    holds = "holds" if is_element else "is"
    text = f"{holds} {found(value)}: expected {expected(key.type)}"
    if detail["type"] == "literal_error" and isinstance(value, str):
        text += did_you_mean(value, _choices(key))
    return text


def _report_of_table(given: Given, table_path: KeyPath, message: str, reported: set[KeyPath]) -> bool:
    """Report an error that the settings class raised: the key that its message names is the one at fault."""
    words = re.findall(r"[A-Za-z_0-9]+", message)
    if _named_in(reported, table_path).intersection(words):
        return False  # it follows from a reported mistake
    here = given.table(table_path)
    at_fault = next((word for word in words if word in here), None)
    if at_fault is None and len(table_path) == 2 and table_path[0] == "cameras" and "source" in here:
        at_fault = "source"  # an error of a camera that names no key concerns its source
    message = logs.without_secrets(message)
    if at_fault is None:
        given.wrong(table_path, f"{dotted(table_path)}: {message}")
        return False
    if message.startswith(f"{at_fault} "):
        message = f"{dotted(table_path)}.{message}"
    else:
        message = f"{dotted(table_path)}.{at_fault}: {message}"
    if at_fault == "source":
        message += _meant_source(here["source"])
    given.wrong((*table_path, at_fault), message)
    reported.add((*table_path, at_fault))
    return given.drop((*table_path, at_fault))


def _named_in(reported: set[KeyPath], table_path: KeyPath) -> set[str]:
    """The keys within a table whose mistakes were reported already."""
    depth = len(table_path)
    return {str(name) for known in reported if known[:depth] == table_path for name in known[depth:]}


def _meant_source(source: str) -> str:
    kind, kinds = source.partition(":")[0], get_args(Kind)
    return "" if kind in kinds else did_you_mean(kind, kinds)


def _key_of(table: type, location: tuple[str | int, ...]) -> tuple[Key | None, KeyPath]:
    """The key a mistake is in, and its path in the file: for a value of several types, pydantic puts the type that it
    tried into the path, as if that were a key."""
    key: Key | None = None
    current: type | None = table
    named: type | None = None
    for index, name in enumerate(location):
        if isinstance(name, int):
            break
        if named is not None:
            current, named = named, None
        elif current is not None and name in fields_of(current):
            key = fields_of(current)[name]
            current, named = table_of(key.type), named_tables_of(key.type)
        elif key is not None and len(alternatives(without_none(key.type))) > 1:
            return key, (*location[:index], *location[index + 1 :])
        else:
            return None, location
    return key, location


def _is_misspelt(given: Given, place: KeyPath) -> bool:
    """Whether an unknown key of that table is probably this one, misspelt."""
    beside = [known for known in given.dropped if known[:-1] == place[:-1]]
    return any(did_you_mean(str(known[-1]), [str(place[-1])]) for known in beside)


def _choices(key: Key) -> list[str]:
    return re.findall(r'"([^"]*)"', expected(key.type))


def found(value: Any) -> str:
    """A value as an error shows it."""
    if isinstance(value, str):
        text = logs.without_secrets(value)
        text = text if len(text) <= SHOWN_CHARACTERS_MAX else text[:SHOWN_CHARACTERS_MAX] + "..."
        return json.dumps(text, ensure_ascii=False)
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    return _sort_of(value)


def _sort_of(value: Any) -> str:
    sorts = {str: "a text", bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "a table"}
    return sorts.get(type(value), "a date or time" if not dataclasses.is_dataclass(value) else "a table")
