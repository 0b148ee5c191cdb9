"""Which outbox folder counts, for every verb of the command line.

    --outbox > $IRIS_OUTBOX > folder in [outbox] of the settings file > iris/outbox in the user's state directory

No other setting of the file is used: a mistake elsewhere in the file does not keep an operator from the outbox, and no
secret's command is run.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from iris_camera.config.files import read_toml
from iris_camera.config.given import Given, dotted
from iris_camera.config.over_the_file import PREFIX, SHORT_NAMES
from iris_camera.config.paths import path_from
from iris_camera.config.problem import ConfigError, Problem, ValueOrigin
from iris_camera.config.reading import find_file
from iris_camera.config.sections import records_beside
from iris_camera.config.toml_lines import KeyPath
from iris_communication.errors import InvalidRequest
from iris_communication.sftp_uploader_thread import default_outbox_dir

OUTBOX: KeyPath = ("outbox", "folder")
RECORDS: KeyPath = ("records", "folder")


def outbox_folder(named: Path | None, config: Path | None = None, environment: Mapping[str, str] = os.environ) -> Path:
    """`named` by --outbox, `config` by --config. Raises ConfigError when the settings file cannot be read."""
    if named is not None:
        return Path(path_from(Path(), str(named)))
    return _given(OUTBOX, config, environment) or _default(environment)


def records_folder(outbox: Path, config: Path | None = None, environment: Mapping[str, str] = os.environ) -> Path:
    """The folder of the records that this outbox has not accepted yet. Raises ConfigError."""
    return _given(RECORDS, config, environment) or records_beside(outbox)


def _given(key: KeyPath, config: Path | None, environment: Mapping[str, str]) -> Path | None:
    short = next(name for name, known in SHORT_NAMES.items() if known == key)
    for variable in (PREFIX + "__".join(map(str, key)).upper(), short):
        if text := environment.get(variable):
            return Path(path_from(Path(), text))
    file = find_file(config, environment)
    if file is None:
        return None
    given = Given()
    read_toml(file, given)
    folder = given.value(key)
    if folder is not None and not (isinstance(folder, str) and folder):
        given.wrong(key, f"{dotted(key)} is {folder!r}: expected the path of a folder, as a text")
    given.raise_problems()
    return Path(path_from(file.parent, folder)) if folder else None


def _default(environment: Mapping[str, str]) -> Path:
    """Raises ConfigError where the user has no home."""
    try:
        return default_outbox_dir(environment)
    except InvalidRequest as error:
        raise ConfigError([Problem(ValueOrigin("the default"), f"outbox.folder: {error}: {error.hint}")]) from None
