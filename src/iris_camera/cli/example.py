"""`iris example`"""

from typing import Annotated

import typer

from iris_camera.config.example import example as example_text
from iris_camera.config.reference import reference as reference_text


def example(
    reference: Annotated[
        bool, typer.Option("--reference", help="Print the table of every setting (docs/settings.md) instead.")
    ] = False,
) -> None:
    """Print a settings file with every setting and what it means: iris example > iris.toml"""
    typer.echo(reference_text() if reference else example_text(), nl=False)
