"""`iris run`"""

import dataclasses
import sys
from pathlib import Path
from typing import Annotated

import typer

from iris_camera import app
from iris_camera.config import ConfigError, from_environment, read_server_info


def run(
    server: Annotated[
        Path | None, typer.Option(help="A JSON file with the server's sftp_server_info [$IRIS_SERVER].")
    ] = None,
    records: Annotated[Path | None, typer.Option(help="The record files' folder [$IRIS_RECORDS].")] = None,
    outbox: Annotated[Path | None, typer.Option(help="The outbox's folder [$IRIS_OUTBOX].")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="The page's port [$IRIS_PORT, 5000].")] = None,
) -> None:
    """Inspect the made-up line and deliver to your server, until Ctrl+C. (Real cameras come later.)"""
    try:
        config = from_environment()
        config = dataclasses.replace(
            config,
            records_dir=records or config.records_dir,
            outbox_dir=outbox or config.outbox_dir,
            port=config.port if port is None else port,
            server_info=config.server_info if server is None else read_server_info(server),
        )
    except ConfigError as error:
        typer.echo(f"iris run: {error}", err=True)
        raise typer.Exit(app.EXIT_USAGE) from None
    sys.exit(app.main(config))
