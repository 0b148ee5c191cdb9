"""The flags that override the settings file, the same for every verb that reads the settings."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from iris_camera import logs
from iris_camera.cli.terminal import complain
from iris_camera.config import Config, ConfigError, Flags, Problem, find_file, read
from iris_communication.runtime.amounts import counted

EXIT_USAGE = 2

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="FILE", help="The settings file [$IRIS_CONFIG, else ./iris.toml, else /etc/iris/iris.toml]."
    ),
]
Source = Annotated[
    str | None,
    typer.Option(metavar="SOURCE", help="Where the pictures come from: file:VIDEO, dir:FOLDER, usb:0, rtsp://HOST/..."),
]
Detector = Annotated[
    str | None, typer.Option(metavar="DETECTOR", help="The detector: haar (faces), hog (people), or FILE.onnx.")
]
Server = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="A JSON file with one SFTP server, for cameras that name no other [$IRIS_SERVER]."
    ),
]
Records = Annotated[Path | None, typer.Option(metavar="FOLDER", help="The record files' folder [$IRIS_RECORDS].")]
Outbox = Annotated[Path | None, typer.Option(metavar="FOLDER", help="The outbox's folder [$IRIS_OUTBOX].")]
Port = Annotated[int | None, typer.Option(min=0, max=65535, help="The page's port [$IRIS_PORT, 5000].")]


@contextlib.contextmanager
def mistakes_end(verb: str) -> Iterator[None]:
    """A ConfigError ends the command, with a line for each mistake."""
    try:
        yield
    except ConfigError as error:
        tell_errors(error.problems, verb)
        raise typer.Exit(EXIT_USAGE) from None


def read_settings(verb: str, config: Path | None, flags: Flags) -> Config:
    """Mistakes in the settings end the command; from then on the log masks their secrets."""
    with mistakes_end(verb):
        settings = read(find_file(config), os.environ, flags)
    for secret in settings.secrets:
        logs.hide(secret)
    return settings


def tell_errors(problems: Sequence[Problem], verb: str) -> None:
    """Each problem on a line of its own, then how many there are."""
    for problem in problems:
        print_problem("error", problem)
    complain(f"iris {verb}: {counted(len(problems), 'mistake')} in the settings.")


def print_problem(what: str, problem: Problem) -> None:
    """`iris.toml:12: error: ...`, as compilers do, so that editors find the line."""
    complain(f"{problem.origin}: {what}: {problem.text}")
