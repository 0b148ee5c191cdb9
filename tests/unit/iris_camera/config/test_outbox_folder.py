"""Which outbox is meant, by every way to name it and every verb that reads one."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from iris_camera.cli.main import application
from iris_camera.config import ConfigError, Flags, find_file, read
from iris_camera.config.outbox_folder import outbox_folder

LOOKING_VERBS = [
    ("queue", "list"),
    ("queue", "balance"),
    ("queue", "show", "x"),
    ("queue", "retry", "x"),
    ("queue", "drop", "x", "--yes"),
    ("queue", "priority", "1", "x"),
    ("queue", "pause", "u@h:22"),
    ("queue", "resume", "u@h:22"),
    ("ledger", "export"),
    ("ledger", "verify"),
    ("outbox", "check"),
    ("server", "show", "nobody"),
]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working folder with settings in it and elsewhere, each with an outbox of its own; nothing of the tester's."""
    here, other = tmp_path / "here", tmp_path / "other"
    for folder, name in ((here, "of_the_folder"), (other, "of_the_file")):
        folder.mkdir()
        (folder / "iris.toml").write_text(f'[outbox]\nfolder = "{name}"\n')
    for name in ("IRIS_OUTBOX", "IRIS_OUTBOX__FOLDER", "IRIS_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(here)
    return tmp_path


WAYS = {
    "settings in the working folder": ([], {}, "of_the_folder"),
    "--config": (["--config", "../other/iris.toml"], {}, "other/of_the_file"),
    "$IRIS_CONFIG": ([], {"IRIS_CONFIG": "../other/iris.toml"}, "other/of_the_file"),
    "$IRIS_OUTBOX over --config": (["--config", "../other/iris.toml"], {"IRIS_OUTBOX": "named"}, "named"),
    "$IRIS_OUTBOX__FOLDER over $IRIS_OUTBOX": ([], {"IRIS_OUTBOX": "a", "IRIS_OUTBOX__FOLDER": "b"}, "b"),
    "--outbox over all": (["--outbox", "flag", "--config", "../other/iris.toml"], {"IRIS_OUTBOX": "named"}, "flag"),
}


@pytest.mark.parametrize("verb", LOOKING_VERBS, ids=" ".join)
@pytest.mark.parametrize("way", WAYS)
def test_every_verb_finds_the_same_outbox(place, monkeypatch, verb, way):
    flags, variables, meant = WAYS[way]
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    ended = CliRunner().invoke(application([verb[0]]), [*verb[:2], *flags, *verb[2:]])
    assert ended.exit_code == 2, ended.output
    assert meant in ended.output


@pytest.mark.parametrize("way", WAYS)
def test_the_settings_of_a_run_name_the_same_outbox(place, monkeypatch, way):
    flags, variables, _ = WAYS[way]
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    given = dict(zip(flags[::2], flags[1::2], strict=True))
    config, outbox = (Path(given[name]) if name in given else None for name in ("--config", "--outbox"))
    assert read(find_file(config), flags=Flags(outbox=outbox)).outbox_dir == outbox_folder(outbox, config)


def test_the_outbox_folder_without_any_settings_is_the_users_own(place, monkeypatch):
    (place / "here" / "iris.toml").unlink()
    assert outbox_folder(None) == place / "state" / "iris" / "outbox"
    (place / "here" / "iris.toml").write_text("[web]\nport = 0\n")
    assert outbox_folder(None) == place / "state" / "iris" / "outbox"


def test_a_mistake_elsewhere_in_the_settings_does_not_hide_the_outbox(place):
    (place / "here" / "iris.toml").write_text('[web]\nprot = 1\n[outbox]\nfolder = "~/mine"\n')
    assert outbox_folder(None) == place / "home" / "mine"


@pytest.mark.parametrize("text", ["[outbox\n", "[outbox]\nfolder = 3\n"])
def test_settings_in_which_the_outbox_cannot_be_found_are_reported(place, text):
    (place / "here" / "iris.toml").write_text(text)
    with pytest.raises(ConfigError):
        outbox_folder(None)
    ended = CliRunner().invoke(application(["queue"]), ["queue", "list"])
    assert ended.exit_code == 2
    assert "iris.toml:" in ended.output
