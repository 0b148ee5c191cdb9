"""docs/models.md: its examples are settings that Iris accepts, and its names are the code's."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from iris_camera.config import read
from iris_camera.inspection.findings import Box
from iris_camera.inspection.settings import ClassifierSettings, Style
from tests.footage import footage
from tests.integration.patch_finder import carphone_patch, patch_finder

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def config_of(example, folder):
    file = folder / "iris.toml"
    file.write_text(example, encoding="utf-8")
    return read(file, {"XDG_STATE_HOME": str(folder / "state")})


@pytest.fixture(params=EXAMPLES, ids=lambda example: next(re.finditer(r'(?:model|kind) = "(\S+)"', example))[1])
def example(request):
    return request.param


def test_each_example_is_accepted_and_changes_something(example, tmp_path):
    config = config_of(example, tmp_path)
    (name,) = config.cameras
    assert config.inspection_of(name) != config_of("[cameras.belt]\n", tmp_path).inspection_of("belt")


def test_each_way_to_bring_a_model_has_an_example(tmp_path):
    configs = [config_of(each, tmp_path) for each in EXAMPLES]
    detectors = [config.inspection_of(next(iter(config.cameras))).detector for config in configs]
    assert {"yolov8", "ssd"} <= {detector.output.style for detector in detectors}
    assert "haar" in {detector.kind for detector in detectors}
    assert any(config.inspection.classifier.model for config in configs)


def test_the_table_of_styles_is_whole():
    printed = re.findall(r"^\| `([a-z0-9-]+)` \| [^|]*\([1n], ", PAGE, re.MULTILINE)
    assert {"auto", *printed} == set(get_args(Style))


def test_the_table_of_classifiers_is_whole():
    kinds = get_args(ClassifierSettings.__dataclass_fields__["kind"].type)
    assert set(kinds) == set(re.findall(r"^\| `(auto|onnx|none)` \|", PAGE, re.MULTILINE))


def test_the_command_prints_what_the_page_says_it_prints(tmp_path):
    """All but the time. The model is made again: it is shown the driver's face as Haar finds it in the sixth frame."""
    command, printed = re.search(
        r"^    iris (model check .*)\n\n```\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL
    ).groups()
    shutil.copy(footage("carphone_pristine.mp4"), tmp_path)
    patch_finder(tmp_path / "driver.onnx", carphone_patch(5, Box(58, 34, 60, 60), side=128), 128, "driver")
    whole = [sys.executable, "-m", "iris_camera.cli.main", *command.split()]
    ended = subprocess.run(whole, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert without_time(ended.stdout) == without_time(printed)
    assert (tmp_path / "boxes.jpg").is_file()


def without_time(text):
    return re.sub(r"^(time +)[\d.]+", r"\1..", text, flags=re.MULTILINE)
