"""What overrides the file: environment variables, then flags.

A variable is named after its key: IRIS_WEB__PORT is `port` in `[web]`, IRIS_INSPECTION__DETECTOR__KIND is `kind` in
`[inspection.detector]`, IRIS_SERVERS__PLANT_2__CONFLICT is `conflict` in `[servers.plant-2]`: the file says which
cameras, servers and rules there are. A few keys have a short name too. An empty variable counts as not set, for that is
how a container leaves one out. A name with two underscores that is no key is an error, like a misspelt key in the file;
without them it may belong to another program, and is ignored.
"""

import dataclasses
import os
import re
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from iris_camera.config.files import read_server_json
from iris_camera.config.given import Given, dotted
from iris_camera.config.paths import with_home
from iris_camera.config.problem import ValueOrigin, did_you_mean
from iris_camera.config.schema import NAMED, Key, keys_below, list_in, without_none
from iris_camera.config.sections import DEFAULT_CAMERA, DEFAULT_SERVER, Config

PREFIX = "IRIS_"
SHORT_NAMES = {"IRIS_RECORDS": ("records", "folder"), "IRIS_OUTBOX": ("outbox", "folder"), "IRIS_PORT": ("web", "port")}
CONFIG_VARIABLE = "IRIS_CONFIG"
SERVER_VARIABLE = "IRIS_SERVER"  # a JSON file of one server, which gets the name "default"
PROJECT_VARIABLE = "IRIS_PROJECT"  # of every camera
DETECTOR_KINDS = ("haar", "hog", "onnx")


@dataclass(frozen=True, slots=True)
class Flags:
    """What the command line may set; None: not given."""

    source: str | None = None
    detector: str | None = None
    server: Path | None = None
    records: Path | None = None
    outbox: Path | None = None
    port: int | None = None


def variables(given: Given) -> dict[str, list[Key]]:
    """Every variable with a regular name, and its keys: several if names differ only in signs that a variable cannot
    hold. Secrets have no variable: the file says which variable holds one."""
    found: dict[str, list[Key]] = {}
    for key in keys_below(Config):
        if not key.is_secret:
            for path in _paths(given, key.path):
                name = "__".join(re.sub(r"[^A-Z0-9_]", "_", part.upper()) for part in path)
                found.setdefault(PREFIX + name, []).append(dataclasses.replace(key, path=path))
    return found


def _paths(given: Given, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The key's path in each of the given tables."""
    if NAMED not in path:
        yield path
        return
    at = path.index(NAMED)
    for name in given.table(path[:at]):
        yield (*path[:at], name, *path[at + 1 :])


def apply_environment(given: Given, environment: Mapping[str, str]) -> None:
    for name, path in SHORT_NAMES.items():
        if text := environment.get(name):
            given.put(path, _value(text, _key_at(path)), ValueOrigin(name))
    if project := environment.get(PROJECT_VARIABLE):
        for camera in _cameras(given):
            given.put(("cameras", camera, "project"), project, ValueOrigin(PROJECT_VARIABLE))
    if server := environment.get(SERVER_VARIABLE):
        origin = ValueOrigin(SERVER_VARIABLE)
        read_server_json(with_home(server), ("servers", DEFAULT_SERVER), given, origin)
    regular = variables(given)
    for name, text in environment.items():
        if text and name.startswith(PREFIX) and "__" in name:
            _apply_variable(given, name, text, regular)


def _apply_variable(given: Given, name: str, text: str, regular: Mapping[str, list[Key]]) -> None:
    keys = regular.get(name, [])
    if len(keys) == 1:
        given.put(keys[0].path, _value(text, keys[0]), ValueOrigin(name))
    elif keys:
        several = " or ".join(dotted(key.path) for key in keys)
        given.wrong((), f"{name} may be {several}: give them names that differ in more than signs", ValueOrigin(name))
    else:
        given.wrong((), f"{name} is no setting{did_you_mean(name, regular)}", ValueOrigin(name))


def apply_flags(given: Given, flags: Flags) -> None:
    if flags.records is not None:
        given.put(("records", "folder"), str(flags.records), ValueOrigin("--records"))
    if flags.outbox is not None:
        given.put(("outbox", "folder"), str(flags.outbox), ValueOrigin("--outbox"))
    if flags.port is not None:
        given.put(("web", "port"), flags.port, ValueOrigin("--port"))
    if flags.server is not None:
        read_server_json(flags.server, ("servers", DEFAULT_SERVER), given, ValueOrigin("--server"))
    if flags.source is not None:
        _apply_source(given, flags.source)
    if flags.detector is not None:
        _apply_detector(given, flags.detector)


def _apply_source(given: Given, source: str) -> None:
    origin, cameras = ValueOrigin("--source"), _cameras(given)
    if len(cameras) > 1:
        names = ", ".join(cameras)
        given.wrong((), f"--source says nothing of which camera, and there are {names}: change the file", origin)
        return
    (camera,) = cameras
    for key in ("username", "password"):  # they belong to the address that is replaced
        given.drop(("cameras", camera, key))
    given.put(("cameras", camera, "source"), source, origin)


def _apply_detector(given: Given, detector: str) -> None:
    """For every camera. The file's settings of a detector of the same kind stay."""
    origin = ValueOrigin("--detector")
    is_file = detector.endswith(".onnx") or (detector not in DETECTOR_KINDS and os.path.isfile(detector))  # noqa: PTH113  # raises nothing
    if not is_file and detector not in DETECTOR_KINDS:
        meant = did_you_mean(detector, DETECTOR_KINDS)
        given.wrong((), f'--detector is "{detector}": expected haar, hog or the path of an .onnx file{meant}', origin)
        return
    kind = "onnx" if is_file else detector
    own = [("cameras", name, "inspection") for name in _cameras(given) if given.table(("cameras", name, "inspection"))]
    for inspection in [("inspection",), *own]:
        kept = given.table((*inspection, "detector"))
        kept = {key: value for key, value in kept.items() if key != "model"} if kept.get("kind", "onnx") == kind else {}
        chosen = {**kept, "kind": kind, **({"model": detector} if is_file else {})}
        given.put((*inspection, "detector"), chosen, origin)


def _cameras(given: Given) -> list[str]:
    return list(given.table(("cameras",))) or [DEFAULT_CAMERA]


def _key_at(path: tuple[str, ...]) -> Key:
    return next(key for key in keys_below(Config) if key.path == path)


def _value(text: str, key: Key) -> Any:
    """The text as a value of the key's type; the text itself if it is none, for the error to show."""
    kind = list_in(key.type)
    if kind is None or (key.separator not in text and kind != without_none(key.type)):
        return _scalar(text, without_none(key.type))
    inner = typing.get_args(kind)[0]
    return [_scalar(part.strip(), inner) for part in text.split(key.separator)]


def _scalar(text: str, kind: Any) -> Any:
    if kind is bool:
        return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}.get(text.lower(), text)
    for number in _numbers(kind):
        try:
            return number(text)
        except ValueError:
            continue
    return text


def _numbers(kind: Any) -> Iterator[Any]:
    if kind in {int, float}:
        yield int
    if kind is float:
        yield float
