"""The commented example, written from the settings' own dataclasses, so that it shows every key.

Prose begins with "# ", a setting at its default with "#" and its key, so that every setting is one keystroke away and
the file as it stands runs: the made-up line, whose records wait because no server is given.
"""

import dataclasses
import textwrap
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

from iris_camera.config.changes import When, when
from iris_camera.config.schema import NAMED, Key, fields_of, named_tables_of, table_of
from iris_camera.config.sections import BUILT_IN_RULES, DEFAULT_CAMERA, EVIDENCE_FIRST, CameraSettings, Config
from iris_camera.config.toml_text import as_toml
from iris_communication.settings import Rule

WIDTH = 110
NAMES = {"cameras": DEFAULT_CAMERA, "servers": "plant", "rules": "pictures"}
SHOWN = {("cameras", "source")}  # settings that stand there uncommented

HEAD = """\
The settings of Iris: every key, what it means, and what counts when it is not given.

A setting without the "#" counts; with it, it only shows the default, or an example where there is none.
`iris check` says what is wrong with this file, line by line, and what would run.

Over this file stand environment variables (IRIS_WEB__PORT=5001 is port in [web]) and over them the flags of
`iris run`. Paths are relative to the folder of this file; ~ is your home.

Variables may name cameras, servers and rules of this file: IRIS_SERVERS__PLANT__CONFLICT=keep.

A secret (password, passphrase, private_key) is a text, or is fetched when the settings are read:
  { file = "/etc/iris/password" }
  { command = ["pass", "show", "plant"] }
  { environment = "PLANT_PASSWORD" }
"""


def _said(rule: Rule) -> str:
    """What the rule states beyond the defaults."""
    said = {key.name: getattr(rule, key.name) for key in fields_of(Rule).values()}
    return ", ".join(f"{name} = {as_toml(value)}" for name, value in said.items() if value != getattr(Rule(), name))


SECTIONS = {
    "cameras": "One table a camera. Its name is in file names: letters, digits, - and _.",
    "inspection": "What looks at the pictures. [cameras.NAME.inspection], with the same keys, takes its place whole.",
    "records": "The CSV files, and what stays on this machine after they were delivered.",
    "evidence": "The pictures of each defect.",
    "servers": "One table an SFTP server; its name is yours to choose, and what cameras call it by.",
    "delivery": "How patiently files are delivered, and how what waits shares the link. You need not change this.",
    "rules": (
        "One table a kind of file; its name is yours to choose. A rule need not say everything: of each fact the "
        "first rule, in the order of this file, that matches and states it counts. After the last one stands a "
        f"built-in one, {EVIDENCE_FIRST}: {_said(BUILT_IN_RULES[EVIDENCE_FIRST])}; a rule of that name takes its place."
    ),
    "outbox": "Where files wait until they are delivered.",
    "web": "The page, its live picture and the statistics.",
    "log": "What goes to standard error.",
}

# For keys whose default is that nothing is given.
SAMPLES: dict[str, Any] = {
    "frame_rate": 25.0,
    "width": 640,
    "height": 480,
    "bit_depth": 12,
    "model": "model.onnx",
    "labels": "labels.txt",
    "score_min": 0.5,
    "iou_max": 0.45,
    "first_class": 0,
    "context": 0.35,
    "folder": "/var/lib/iris/records",
    "heartbeat_s": 10.0,
    "keep_age_s_max": 86400.0,
}


def example() -> str:
    """The text of examples/iris.toml."""
    blocks = [_prose(HEAD)]
    for name, key in fields_of(Config).items():
        blocks.append("\n".join(_section(name, key)))
    return "\n\n".join(blocks) + "\n"


def _section(name: str, key: Key) -> Iterator[str]:
    yield _prose(f"{SECTIONS[name]} ({_takes_effect(name)})")
    named = named_tables_of(key.type)
    if named is not None:
        is_shown = any(shown[0] == name for shown in SHOWN)
        yield from _table(named, (name, NAMES[name]), "" if is_shown else "#")
    else:
        inner = table_of(key.type)
        assert inner is not None, "a section is a table"
        yield from _table(inner, (name,), "")


def _takes_effect(section: str) -> str:
    path = (section, NAMED) if section in NAMES else (section,)
    return {
        When.NOW: "a change takes effect on SIGHUP",
        When.CAMERA: "on SIGHUP a change restarts the cameras it concerns, and no other",
        When.RESTART: "a change takes effect at the next start",
    }[when(path)]


def _table(table: type, path: tuple[str, ...], comment: str, defaults: Any = None) -> Iterator[str]:
    keys = fields_of(table, defaults)
    yield f"{comment}[{'.'.join(path)}]"
    for key in keys.values():
        if table_of(key.type) is None and named_tables_of(key.type) is None:
            yield from _setting(key, path)
    for key in keys.values():
        inner, named = table_of(key.type), named_tables_of(key.type)
        if named is not None:
            yield ""
            yield _prose(SECTIONS[key.name])
            yield from _table(named, (*path, key.name, NAMES[key.name]), "#")
        elif inner is not None and table is not CameraSettings:  # its own inspection has the keys of [inspection]
            yield ""
            yield _prose(f"{key.doc[:1].upper()}{key.doc[1:]}.")
            yield from _table(inner, (*path, key.name), comment, key.default)


def _setting(key: Key, path: tuple[str, ...]) -> Iterator[str]:
    yield _prose(key.doc)
    comment = "" if (path[0], key.name) in SHOWN and path[0] in NAMES else "#"
    own = when((*path, key.name))
    if own is not when(path):
        yield _prose("(a change takes effect at the next start)" if own is When.RESTART else "(on SIGHUP)")
    yield f"{comment}{key.name} = {as_toml(sample(key))}"


def sample(key: Key) -> Any:
    """A value to show: the default, or an example where the default is nothing."""
    if key.example is not None:
        return key.example
    if key.default in (None, dataclasses.MISSING):
        return SAMPLES[key.name]
    return str(key.default) if isinstance(key.default, PurePath) else key.default


def _prose(text: str) -> str:
    lines = [part for line in text.splitlines() for part in (textwrap.wrap(line, WIDTH - 2) or [""])]
    return "\n".join(f"# {line}".rstrip() for line in lines)
