"""The command `iris`: one file per verb.

Only the requested verb is imported: the application behind `run` takes most of a second, and an operator who looks into
an outbox should not wait for it. Ctrl+C exits quietly with status 130 also during the imports, so its handler is set
before anything else is imported, with modules that the interpreter has loaded already: `signal` alone loads a dozen
modules. A verb that needs an orderly end handles Ctrl+C itself.
"""

import _signal  # type: ignore[import-not-found]  # known to the interpreter alone
import os
import sys

EXIT_INTERRUPTED = 128 + _signal.SIGINT  # as a shell reports it


def _leave(number: int, frame: object) -> None:
    os._exit(EXIT_INTERRUPTED)


if __name__ == "__main__" or sys.argv[0].endswith("iris"):  # not where it is only imported, as tests do
    _signal.signal(_signal.SIGINT, _leave)

import signal
from collections.abc import Callable, Iterable
from functools import wraps
from importlib import import_module
from typing import Any

import typer

from iris_camera.cli.standard_streams import open_closed_streams, telling

VERBS = ("demo", "run", "check", "example", "send", "watch", "unpack")  # each a function in a file of its name
GROUPS = ("model", "queue", "ledger", "outbox", "server")  # of verbs, each in a file of its name


def application(names: Iterable[str]) -> typer.Typer:
    """The command with these verbs and groups."""
    command = typer.Typer(
        name="iris",
        help="Inspect a production line with a camera, and deliver the results to an SFTP server.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    command.callback()(lambda: None)  # with one verb alone typer would take it for the whole command
    for name in names:
        loaded = import_module(f"iris_camera.cli.{name}")
        if name in GROUPS:
            for verb in loaded.application.registered_commands:
                verb.callback = _interruptible(verb.callback)
            command.add_typer(loaded.application, name=name)
        else:
            command.command()(_interruptible(getattr(loaded, name)))
    return command


def _interruptible(verb: Callable[..., Any]) -> Callable[..., Any]:
    """The verb with Ctrl+C as KeyboardInterrupt, so that its clean-up runs; then exit status 130."""

    @wraps(verb)
    def carried_out(*arguments: Any, **options: Any) -> Any:
        if (before := signal.getsignal(signal.SIGINT)) is _leave:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            return verb(*arguments, **options)
        except KeyboardInterrupt:
            sys.exit(EXIT_INTERRUPTED)
        finally:
            signal.signal(signal.SIGINT, before)

    return carried_out


def main() -> None:
    signal.signal(signal.SIGINT, _leave)
    open_closed_streams()
    every = (*VERBS, *GROUPS)
    asked = sys.argv[1:2]
    with telling():
        application(asked if asked and asked[0] in every else every)()


if __name__ == "__main__":
    main()
