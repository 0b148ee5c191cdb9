"""The command `iris`: one file a verb.

Only the verb that is asked for is loaded: the application behind `run` takes most of a second, and whoever looks into
an outbox in a hurry should not wait for it.
"""

import sys
from collections.abc import Iterable
from importlib import import_module

import typer

VERBS = ("demo", "run", "check", "example", "send", "watch", "unpack")  # each a function in a file of its name
GROUPS = ("model", "queue", "ledger", "outbox", "server")  # of verbs, each in a file of its name


def application(names: Iterable[str]) -> typer.Typer:
    """The command with these verbs and groups."""
    command = typer.Typer(
        name="iris",
        help="Inspect a production line with a camera, and deliver what was seen to an SFTP server.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    command.callback()(lambda: None)  # with one verb alone typer would take it for the whole command
    for name in names:
        loaded = import_module(f"iris_camera.cli.{name}")
        if name in GROUPS:
            command.add_typer(loaded.application, name=name)
        else:
            command.command()(getattr(loaded, name))
    return command


def main() -> None:
    every = (*VERBS, *GROUPS)
    asked = sys.argv[1:2]
    application(asked if asked and asked[0] in every else every)()


if __name__ == "__main__":
    main()
