"""`iris demo`"""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from iris_camera import logs
from iris_camera.cli.terminal import complain
from iris_camera.demo.run import DemoOptions, run_demo
from iris_camera.demo.sftp_server import DemoServerError
from iris_camera.web.server import CannotServe
from iris_communication.errors import IrisError


def demo(
    seconds: Annotated[float, typer.Option(min=0.0, help="How long; 0 runs until Ctrl+C.")] = 45.0,
    seed: Annotated[int, typer.Option(min=0, help="Which line is made up.")] = 1,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="The page's port [5000, or a free one when it is in use].")
    ] = None,
    outbox: Annotated[Path | None, typer.Option(help="The outbox's folder [$IRIS_OUTBOX, or a temporary one].")] = None,
    json: Annotated[bool, typer.Option("--json", help="End with the summary as one line of JSON.")] = False,
) -> None:
    """A made-up line, inspected and delivered to a real SFTP server on this machine, with an outage in the middle.

    Exit status 0 only if every record file arrived whole and nothing waits.
    """
    if outbox is None and os.environ.get("IRIS_OUTBOX"):
        outbox = Path(os.environ["IRIS_OUTBOX"])
    # On a terminal the panel shows the link; a line of log would tear it apart.
    logs.start_logging("ERROR" if sys.stderr.isatty() else "INFO")
    options = DemoOptions(seconds, seed, port, outbox, json)
    try:
        status = run_demo(options, sys.stdout, sys.stderr if json else sys.stdout)
    except (CannotServe, DemoServerError, IrisError) as error:
        hint = f" {error.hint}." if isinstance(error, IrisError) and error.hint else ""
        complain(f"iris demo: {error}.{hint}")
        status = 2
    raise typer.Exit(status)
