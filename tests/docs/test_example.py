"""The commented example and the page of settings are what the code says, and the example can be used."""

import os
import re
import tomllib
from pathlib import Path

import pytest

from iris_camera.config import Config, ServerSettings, read
from iris_camera.config.example import example
from iris_camera.config.reference import reference
from iris_camera.config.schema import fields_of, keys_below, named_tables_of, table_of
from iris_camera.config.sections import CameraSettings
from iris_camera.inspection.settings import (
    ClassifierSettings,
    DetectorSettings,
    InspectionSettings,
    ModelOutputSettings,
    PictureInputSettings,
)
from iris_communication.settings import Rule

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "iris.toml"
SETTING = re.compile(r"^#?(?=[a-z_]+ = |\[[a-z])", re.MULTILINE)
TABLES = [
    CameraSettings,
    InspectionSettings,
    DetectorSettings,
    ClassifierSettings,
    PictureInputSettings,
    ModelOutputSettings,
    ServerSettings,
    Rule,
    *(table for key in fields_of(Config).values() if (table := table_of(key.type)) is not None),
]


def every_setting_counts(text):
    return re.sub(r"^#(?=[a-z_]+ = |\[[a-z])", "", text, flags=re.MULTILINE)


def keys_of(tree):
    for name, value in tree.items():
        yield name
        if isinstance(value, dict):
            yield from keys_of(value)


def test_the_example_is_what_the_code_says():
    """If not: iris example > examples/iris.toml"""
    assert EXAMPLE.read_text(encoding="utf-8") == example()


def test_the_page_of_settings_is_what_the_code_says():
    """If not: iris example --reference > docs/settings.md"""
    assert (ROOT / "docs" / "settings.md").read_text(encoding="utf-8") == reference()


def test_the_example_can_be_used_and_is_the_defaults():
    config = read(EXAMPLE, {"XDG_STATE_HOME": "/state"})
    assert config == read(None, {"XDG_STATE_HOME": "/state"})


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.__name__)
def test_every_key_is_in_the_example_and_on_the_page(table):
    text, page = example(), reference()
    for key in fields_of(table).values():
        if table_of(key.type) is None and named_tables_of(key.type) is None:
            assert re.search(rf"^#?{key.name} = ", text, re.MULTILINE), key.name
            assert f"| `{key.name}` |" in page, key.name
        assert key.doc, f"{table.__name__}.{key.name} says nothing of itself"


def test_every_setting_of_the_example_can_be_switched_on(tmp_path, monkeypatch):
    """A password store is made up, and what belongs together is given together; all else is the example's own text."""
    store = tmp_path / "pass"
    store.write_text("#!/bin/sh\necho open-sesame\n")
    store.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    text = every_setting_counts(example()).replace("keep_bytes_max = 0", "keep_bytes_max = 1_000_000")
    file = tmp_path / "iris.toml"
    file.write_text(text, encoding="utf-8")
    config = read(file, {"IRIS_PASSPHRASE": "sesame"})
    assert config.servers["plant"].password == "open-sesame"
    assert config.servers_of("line-1") == ("plant",)
    given = set(keys_of(tomllib.loads(text)))
    assert {key.name for key in keys_below(Config)} <= given


def test_a_line_of_prose_is_never_taken_for_a_setting():
    prose = [line for line in example().splitlines() if line.startswith("#") and not SETTING.match(line)]
    assert prose
    assert all(line == "#" or line.startswith("# ") for line in prose)
