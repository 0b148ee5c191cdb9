"""`iris run`"""

import contextlib
import os
import sys
from pathlib import Path

import typer

from iris_camera import app
from iris_camera.cli.camera_extra import needs_camera_parts
from iris_camera.cli.settings_flags import (
    EXIT_USAGE,
    ConfigFile,
    Detector,
    Outbox,
    Port,
    Records,
    Server,
    Source,
    mistakes_end,
    print_problem,
    tell_errors,
)
from iris_camera.config import Config, ConfigError, Flags, find_file
from iris_camera.config.cautions import cautions
from iris_camera.config.problem import Problem, ValueOrigin
from iris_camera.config.reading import SettingsRead, read_with_origins
from iris_camera.config.trial import footage


def run(
    config: ConfigFile = None,
    source: Source = None,
    detector: Detector = None,
    server: Server = None,
    records: Records = None,
    outbox: Outbox = None,
    port: Port = None,
) -> None:
    """Inspect what your cameras see and deliver it to your server, until Ctrl+C or the last film has ended.

    When no source can ever give a picture it ends at once with status 2; beside a camera that works, a film that is
    missing is waited for. Flags stand over environment variables, these over the settings file. Without any, the
    made-up line is inspected.
    """
    flags = Flags(source, detector, server, records, outbox, port)

    def read(file: Path | None) -> SettingsRead:
        return read_with_origins(file, os.environ, flags)

    with mistakes_end("run"):
        first = read(find_file(config))
    for caution in cautions(first):
        print_problem("caution", caution)
    _something_must_be_readable(first)
    unread, held_something = [first.config], _holds_something(first.file)

    def read_config() -> Config:
        # The start uses the settings that were read above: a secret's command may ask the user for a PIN.
        if unread:
            return unread.pop()
        # A file that is gone or empty just then is a mistake: neither another file nor the defaults replace the
        # running settings.
        file = first.file or find_file(config)
        if held_something and not _holds_something(file):
            text = "the settings file is empty; if it is just being written, have it read again afterwards"
            raise ConfigError([Problem(ValueOrigin(str(file)), text)])
        return read(file).config

    sys.exit(app.main(read_config))


def _something_must_be_readable(reading: SettingsRead) -> None:
    """Ends the command, with the lines of `iris check`, when no camera can ever give a picture."""
    in_use = sum(camera.enabled for camera in reading.config.cameras.values())
    if in_use:
        needs_camera_parts("run")
    wrong = list(footage(reading))
    if wrong and len(wrong) == in_use:
        tell_errors(wrong, "run")
        raise typer.Exit(EXIT_USAGE)


def _holds_something(file: Path | None) -> bool:
    with contextlib.suppress(OSError):
        return file is not None and file.stat().st_size > 0
    return True  # reading it raises the error
