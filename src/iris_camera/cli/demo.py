"""`iris demo`"""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from iris_camera import logs
from iris_camera.cli.camera_extra import needs_camera_parts
from iris_camera.cli.terminal import complain
from iris_communication.errors import IrisError


def demo(
    seconds: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="How long to run. The demo then ends by itself; without this option it stays on a terminal "
            "until q or Ctrl+C. 0 runs until Ctrl+C.",
            show_default="45",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The seed of the made-up line.")] = 1,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="The page's port [5000, or a free one when it is in use].")
    ] = None,
    outbox: Annotated[Path | None, typer.Option(help="The outbox's folder [$IRIS_OUTBOX, or a temporary one].")] = None,
    stay: Annotated[
        bool | None,
        typer.Option(
            "--stay/--leave",
            help="Show the final figures until q or Ctrl+C; the default unless --seconds is given.",
            hidden=True,
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print only the summary, as one line of JSON.")] = False,
) -> None:
    """A made-up line, inspected and delivered to a real SFTP server on this machine: a calm line, a staged outage,
    recovery, and the proof that everything arrived.

    Exit status 0 only if every record file arrived whole and nothing waits.
    """
    needs_camera_parts("demo")
    # ruff: noqa: PLC0415 - `iris --help` imports this module, and what follows takes long and needs the camera's parts
    from iris_camera.demo.display import Display, LogLines
    from iris_camera.demo.run import ROUND_S, DemoOptions, run_demo
    from iris_camera.demo.sftp_server import DemoServerError
    from iris_camera.demo.story import Story
    from iris_camera.web.server import CannotServe

    if outbox is None and os.environ.get("IRIS_OUTBOX"):
        outbox = Path(os.environ["IRIS_OUTBOX"])
    stay = (seconds is None if stay is None else stay) and not json
    story = Story()
    display = Display(sys.stderr if json else sys.stdout, story)
    watched = sys.stderr.isatty()  # then the panel shows most of what the log would say
    logs.start_logging(
        "WARNING" if watched else "INFO", LogLines(display.log) if watched and display.is_terminal else None
    )
    options = DemoOptions(ROUND_S if seconds is None else seconds, seed, port, outbox, json, stays=stay)
    try:
        status = run_demo(options, sys.stdout, display, story)
    except (CannotServe, DemoServerError, IrisError) as error:
        hint = f" {error.hint}." if isinstance(error, IrisError) and error.hint else ""
        complain(f"iris demo: {error}.{hint}")
        status = 2
    raise typer.Exit(status)
