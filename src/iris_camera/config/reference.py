"""docs/settings.md, written from the settings' own dataclasses."""

from collections.abc import Iterator
from typing import Any

from iris_camera.config.changes import when
from iris_camera.config.example import SECTIONS
from iris_camera.config.over_the_file import PROJECT_VARIABLE, SERVER_VARIABLE, SHORT_NAMES
from iris_camera.config.schema import NAMED, Key, expected, fields_of, named_tables_of, table_of
from iris_camera.config.secret_reference import TIMEOUT_S
from iris_camera.config.sections import CameraSettings, Config
from iris_camera.config.toml_text import as_toml

HEAD = f"""\
# Settings

Written by `iris example --reference`, from the same code that reads the settings. `iris example > iris.toml` begins a
file of your own; `iris check` says what is wrong with one, line by line, and what would run.

**Which file.** `--config FILE`, else `$IRIS_CONFIG`, else `iris.toml` in the working folder, else
`/etc/iris/iris.toml`; without any, the made-up line runs.

**Which outbox.** For every verb: `--outbox FOLDER`, else `$IRIS_OUTBOX`, else `folder` in `[outbox]` of that file, else
`iris/outbox` in the user's state directory. `iris demo` makes a temporary one unless the first two name one.

**What counts.** Flags over environment variables over the file over the defaults. A key of a section without names in
it has the variable `IRIS_SECTION__KEY`: `IRIS_WEB__PORT=5001`, `IRIS_RECORDS__AGE_S_MAX=30`,
`IRIS_INSPECTION__DETECTOR__KIND=haar`, lists with commas. In other tables the name stands in it, in capitals and with
`_` for every other sign: `IRIS_SERVERS__PLANT_2__CONFLICT=keep` is `conflict` in `[servers.plant-2]`, which the file
has to have; several windows are parted by `;`. Secrets have no such variable: the file says which one holds them.
An empty variable counts as not set. These have a short name
besides: {", ".join(f"`{name}` ({'.'.join(path)})" for name, path in SHORT_NAMES.items())}; `{PROJECT_VARIABLE}` is the
project of every camera; `{SERVER_VARIABLE}` a JSON file with the keys of one server, which gets the name `default`
and is what cameras use that name none.

**Paths** in the file are relative to the folder of the file, elsewhere to the working folder; `~` is the home.

**Secrets** (a camera's `password`; a server's `password`, `passphrase`, `private_key`) are a text, or are fetched when
the settings are read: `{{ file = "PATH" }}`, `{{ command = ["PROGRAM", "ARGUMENT"] }}` (no shell; {TIMEOUT_S:g}
seconds at most), `{{ environment = "NAME" }}`. Line breaks at the end do not count. No error, log or page shows one.

**Changes.** On SIGHUP the settings are read again. The last column says what a changed key then does: *reload* takes
effect at once; *reload; the camera restarts* restarts the cameras it concerns and no other; *restart* is logged
and waits for the next start. Settings that cannot be used are logged and change nothing.
"""


def reference() -> str:
    """The text of docs/settings.md."""
    blocks = [HEAD]
    for name, key in fields_of(Config).items():
        named, inner = named_tables_of(key.type), table_of(key.type)
        blocks.append(f"## {name}\n\n{SECTIONS[name]}\n")
        if named is not None:
            blocks.extend(_tables(named, (name, NAMED)))
        elif inner is not None:
            blocks.extend(_tables(inner, (name,)))
    return "\n".join(blocks)


def _tables(table: type, path: tuple[str, ...], defaults: Any = None) -> Iterator[str]:
    keys = fields_of(table, defaults).values()
    rows = [_row(key, path) for key in keys if table_of(key.type) is None and named_tables_of(key.type) is None]
    head = "| key | type | default | meaning | changes |\n|---|---|---|---|---|\n"
    yield f"### `[{'.'.join(path)}]`\n\n{head}{''.join(rows)}"
    for key in keys:
        inner, named = table_of(key.type), named_tables_of(key.type)
        if named is not None:
            yield f"{SECTIONS[key.name]}\n"
            yield from _tables(named, (*path, key.name, NAMED))
        elif inner is not None and table is not CameraSettings:
            yield from _tables(inner, (*path, key.name), key.default)


def _row(key: Key, path: tuple[str, ...]) -> str:
    kind = expected(key.type).removeprefix("a ").removesuffix(" in quotes")
    kind = f"{kind} (secret)" if key.is_secret else kind
    changed = when((*path, key.name)).value
    return f"| `{key.name}` | {_cell(kind)} | {_cell(_default(key))} | {_cell(key.doc)} | {changed} |\n"


def _default(key: Key) -> str:
    if key.required:
        return "*has to be given*"
    empty: tuple[Any, ...] = (None, "", ())
    return "-" if key.default in empty else f"`{as_toml(key.default)}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
