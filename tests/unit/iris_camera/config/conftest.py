"""What the tests of settings share: the settings of a text, and the errors in one."""

import pytest

from iris_camera.config import ConfigError, read
from iris_camera.config.reading import read_with_origins


@pytest.fixture
def reading_of(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))

    def read_it(text, environment=None, flags=None):
        file = tmp_path / "iris.toml"
        file.write_text(text)
        file.chmod(0o600)
        folders = {"IRIS_OUTBOX": str(tmp_path / "state" / "outbox")}
        return read_with_origins(file, {**folders, **(environment or {})}, flags)

    return read_it


@pytest.fixture
def errors_in(tmp_path, monkeypatch):
    """The errors of a file's text, each as `LINE text`."""
    monkeypatch.chdir(tmp_path)

    def read_it(text, environment=None, flags=None):
        file = tmp_path / "iris.toml"
        file.write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError) as raised:
            read(file, environment or {}, flags)
        for problem in raised.value.problems:
            assert problem.origin.place == str(file), problem
        return [f"{problem.origin.line} {problem.text}" for problem in raised.value.problems]

    return read_it
