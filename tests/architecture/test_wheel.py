"""What is installed elsewhere is what runs here: the wheel holds every file below src, and nothing else."""

import zipfile
from pathlib import Path

import pytest

from tests.architecture.tree import project_files
from tests.built_wheel import build_wheel


@pytest.fixture(scope="module")
def names_in_wheel(tmp_path_factory):
    wheel = build_wheel(tmp_path_factory.mktemp("wheel"))
    with zipfile.ZipFile(wheel) as archive:
        return {Path(name) for name in archive.namelist()}


def test_the_wheel_holds_every_file_of_both_packages(names_in_wheel):
    ours = {path.relative_to("src") for path in project_files() if path.is_relative_to("src")}
    assert Path("iris_communication/py.typed") in ours
    assert ours - names_in_wheel == set()


def test_the_wheel_installs_no_package_but_the_two(names_in_wheel):
    top_level = {name.parts[0] for name in names_in_wheel if not name.parts[0].endswith(".dist-info")}
    assert top_level == {"iris_camera", "iris_communication"}


def test_the_wheel_brings_the_command(names_in_wheel):
    assert any(name.name == "entry_points.txt" for name in names_in_wheel)
