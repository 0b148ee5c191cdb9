"""What the tests of settings that were read share."""

import pytest

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
