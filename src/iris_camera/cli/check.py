"""`iris check`"""

import os

import typer

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
from iris_camera.cli.terminal import say
from iris_camera.config import Flags, find_file
from iris_camera.config.cautions import cautions
from iris_camera.config.reading import read_what_can_be
from iris_camera.config.summary import summary
from iris_camera.config.trial import try_out
from iris_communication.runtime.amounts import counted


def check(
    config: ConfigFile = None,
    source: Source = None,
    detector: Detector = None,
    server: Server = None,
    records: Records = None,
    outbox: Outbox = None,
    port: Port = None,
) -> None:
    """Say what is wrong with the settings, line by line, and what would run; nothing is started or written.

    Models are loaded, films opened, keys and secrets read, folders looked at; cameras and servers are not called.
    Exit status 0 if `iris run` with the same flags would work as far as can be told, else 2.
    """
    file = find_file(config)
    with mistakes_end("check"):
        flags = Flags(source, detector, server, records, outbox, port)
        reading, problems = read_what_can_be(file, os.environ, flags)
        wrong = [*problems, *(try_out(reading) if reading is not None else ())]
    if reading is None or wrong:
        tell_errors(sorted(set(wrong)), "check")
        raise typer.Exit(EXIT_USAGE)
    for line in summary(reading.config):
        say(line)
    found = cautions(reading)
    for caution in found:
        print_problem("caution", caution)
    noted = f"; {counted(len(found), 'caution')}" if found else ""
    say(f"{file or 'The settings'}: can be used{noted}.")
