import pytest

from iris_camera.cli import run as run_module
from iris_camera.config import ConfigError


@pytest.fixture
def reading(tmp_path, monkeypatch):
    """Settings in ./iris.toml, and how a run reads them, at its start and again."""
    (tmp_path / "iris.toml").write_text('[cameras.door]\nsource = "synthetic"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("IRIS_CONFIG", raising=False)
    given = []
    monkeypatch.setattr(run_module.app, "main", lambda read_config: given.append(read_config) or 0)
    with pytest.raises(SystemExit):
        run_module.run()
    assert set(given[0]().cameras) == {"door"}
    return given[0]


def test_a_settings_file_that_is_gone_when_it_is_read_again_leaves_everything_as_it_runs(reading, tmp_path):
    (tmp_path / "iris.toml").rename(tmp_path / "iris.toml~")
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        reading()
    (tmp_path / "iris.toml~").rename(tmp_path / "iris.toml")
    assert set(reading().cameras) == {"door"}


def test_a_settings_file_that_is_emptied_when_it_is_read_again_leaves_everything_as_it_runs(reading, tmp_path):
    (tmp_path / "iris.toml").write_text("")
    with pytest.raises(ConfigError, match="the settings file is empty; if it is just being written"):
        reading()


def test_settings_that_are_read_again_are_those_of_now(reading, tmp_path):
    (tmp_path / "iris.toml").write_text('[cameras.gate]\nsource = "synthetic"\n')
    assert set(reading().cameras) == {"gate"}
