"""Secrets that are kept elsewhere: each way to fetch one, and each way it fails, without any part of the secret."""

import os
import sys
import time

import pytest

from iris_camera.config import ConfigError, read, secret_reference
from iris_camera.config.secret_reference import SecretUnavailable, fetched

SECRET = "open-sesame"


def test_a_secret_comes_from_a_file_relative_to_the_settings_without_its_last_line_break(tmp_path):
    (tmp_path / "password").write_text(f"{SECRET}\n")
    assert fetched({"file": "password"}, tmp_path, {}) == SECRET


def test_a_secret_of_several_lines_keeps_those_between(tmp_path):
    (tmp_path / "key").write_text("-----BEGIN\nAAAA\n-----END\n")
    assert fetched({"file": "key"}, tmp_path, {}) == "-----BEGIN\nAAAA\n-----END"


def test_a_secret_comes_from_the_environment(tmp_path):
    assert fetched({"environment": "PLANT"}, tmp_path, {"PLANT": SECRET}) == SECRET


def test_a_secret_comes_from_a_command_that_runs_beside_the_settings_without_a_shell(tmp_path):
    (tmp_path / "kept").write_text(SECRET)
    assert fetched({"command": ["cat", "kept"]}, tmp_path, {}) == SECRET
    assert fetched({"command": ["echo", "$HOME"]}, tmp_path, {}) == "$HOME"


@pytest.mark.parametrize(
    ("reference", "text"),
    [
        ({"file": "missing"}, "missing, which cannot be read: No such file"),
        ({"file": "."}, "cannot be read: Is a directory"),
        ({"file": "empty"}, "which gave nothing"),
        ({"file": "binary"}, "gave no UTF-8 text"),
        ({"file": "/dev/zero"}, "gave more than 100000 bytes"),
        ({"file": "a\0b"}, "which cannot be read: its name cannot be one"),
        ({"file": ""}, "names no file"),
        ({"file": 5}, "names no file"),
        ({"environment": "NOT_THERE"}, "NOT_THERE, which is not set"),
        ({"environment": "EMPTY"}, "EMPTY, which is empty"),
        ({"command": ["no-such-program"]}, '"no-such-program", which does not run: No such file'),
        ({"command": [sys.executable, "-c", "print('open-sesame'); exit(3)"]}, "failed with exit status 3"),
        ({"command": ["true"]}, "gave nothing"),
        ({"command": "pass show plant"}, "expected a list of strings"),
        ({"command": []}, "expected a list of strings"),
        ({"command": ["a\0b"]}, "does not run"),
        ({"comand": ["true"]}, 'did you mean "command"'),
        ({"file": "a", "command": ["true"]}, "a table with 2 keys"),
        ({}, "a table with 0 keys"),
    ],
)
def test_a_secret_that_cannot_be_fetched_is_reported_without_it(tmp_path, reference, text):
    (tmp_path / "empty").touch()
    (tmp_path / "binary").write_bytes(b"\xff\xfeopen-sesame")
    with pytest.raises(SecretUnavailable) as raised:
        fetched(reference, tmp_path, {"EMPTY": ""})
    assert text in str(raised.value)
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize("command", [[sys.executable, "-c", "print('x' * 200_000)"], ["yes"], ["cat", "/dev/zero"]])
def test_a_command_that_writes_without_end_is_ended_and_not_believed(tmp_path, command):
    with pytest.raises(SecretUnavailable, match="more than 100000 bytes"):
        fetched({"command": command}, tmp_path, {})


def test_a_secret_comes_through_a_pipe_as_a_shell_makes_one(tmp_path):
    reading, writing = os.pipe()
    os.write(writing, f"{SECRET}\n".encode())
    os.close(writing)
    assert fetched({"file": f"/dev/fd/{reading}"}, tmp_path, {}) == SECRET
    os.close(reading)


def test_a_pipe_into_which_nobody_writes_does_not_block(tmp_path, monkeypatch):
    monkeypatch.setattr(secret_reference, "TIMEOUT_S", 0.05)
    reading, writing = os.pipe()
    os.mkfifo(tmp_path / "pipe")
    for path in (f"/dev/fd/{reading}", "pipe"):
        with pytest.raises(SecretUnavailable, match=r"did not end within 0\.05 s"):
            fetched({"file": path}, tmp_path, {})
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize("script", ["sleep 60 & sleep 60", "sleep 60 & exit 0"])
def test_a_command_that_waits_for_input_is_ended_with_all_it_started(tmp_path, monkeypatch, script):
    monkeypatch.setattr(secret_reference, "TIMEOUT_S", 0.2)
    began_s = time.monotonic()
    with pytest.raises(SecretUnavailable, match=r"did not end within 0\.2 s"):
        fetched({"command": ["sh", "-c", script]}, tmp_path, {})
    assert time.monotonic() - began_s < 10


def test_a_failure_is_one_of_the_mistakes_of_the_file(tmp_path):
    file = tmp_path / "iris.toml"
    file.write_text("""\
[servers.plant]
host = "h"
username = "u"
password = { environment = "PLANT" }
[web]
prot = 1
""")
    with pytest.raises(ConfigError) as raised:
        read(file, {})
    assert [problem.origin.line for problem in raised.value.problems] == [4, 6]
    assert "servers.plant.password is to come from the environment variable PLANT, which is not set" in str(
        raised.value
    )
