"""Which outbox is meant: the one answer, for every verb of the command line.

    --outbox > $IRIS_OUTBOX > folder in [outbox] of the settings file > iris/outbox in the user's state directory

Of the settings file nothing else is read: whoever looks after an outbox in a hurry is not kept from it by a mistake
elsewhere in the file, and no secret's command is run for it.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from iris_camera.config.files import read_toml
from iris_camera.config.given import Given
from iris_camera.config.over_the_file import PREFIX, SHORT_NAMES
from iris_camera.config.paths import path_from
from iris_camera.config.problem import ConfigError, Origin, Problem
from iris_camera.config.reading import find_file
from iris_communication.errors import InvalidRequest
from iris_communication.sftp_uploader_thread import default_outbox_dir

KEY = ("outbox", "folder")
_VARIABLES = (PREFIX + "__".join(KEY).upper(), next(name for name, key in SHORT_NAMES.items() if key == KEY))


def outbox_folder(named: Path | None, config: Path | None = None, environment: Mapping[str, str] = os.environ) -> Path:
    """`named` by --outbox, `config` by --config. Raises ConfigError when the settings file cannot be read."""
    if named is not None:
        return Path(path_from(Path(), str(named)))
    for variable in _VARIABLES:
        if text := environment.get(variable):
            return Path(path_from(Path(), text))
    file = find_file(config, environment)
    if file is None:
        return _default(environment)
    given = Given()
    read_toml(file, given)
    folder = given.value(KEY)
    if folder is not None and not (isinstance(folder, str) and folder):
        given.wrong(KEY, f"outbox.folder is {folder!r}: expected the path of a folder, as a text")
    given.raise_problems()
    return Path(path_from(file.parent, folder)) if folder else _default(environment)


def _default(environment: Mapping[str, str]) -> Path:
    """Raises ConfigError where the user has no home."""
    try:
        return default_outbox_dir(environment)
    except InvalidRequest as error:
        raise ConfigError([Problem(Origin("the default"), f"outbox.folder: {error}: {error.hint}")]) from None
