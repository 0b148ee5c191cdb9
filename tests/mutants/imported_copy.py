"""A pytest plugin: ends the run unless the packages under test come from the folder in `IRIS_MUTANT_SRC`. The project
is installed in its own environment, so a test that quietly ran on the real code would call every mutant harmless."""

import os
from pathlib import Path

import pytest

WRONG_COPY = 70  # exit status: of no meaning to pytest


def pytest_sessionstart() -> None:
    import iris_camera
    import iris_communication

    wanted = Path(os.environ["IRIS_MUTANT_SRC"]).resolve()
    for package in (iris_camera, iris_communication):
        found = Path(package.__file__ or "").resolve()
        if not found.is_relative_to(wanted):
            pytest.exit(f"{package.__name__} is imported from {found}, not from {wanted}", returncode=WRONG_COPY)
