"""A verb that needs a camera or a model ends at once where the extra `camera` is not installed."""

import typer

from iris_camera.camera_parts import CameraPartsMissing, check_installed
from iris_camera.cli.settings_flags import EXIT_USAGE
from iris_camera.cli.terminal import complain


def needs_camera_parts(verb: str) -> None:
    """Says in one line what to install."""
    try:
        check_installed()
    except CameraPartsMissing as error:
        complain(f"iris {verb}: {error}")
        raise typer.Exit(EXIT_USAGE) from None
