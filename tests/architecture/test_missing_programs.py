"""A test whose program is missing is skipped by name on a developer's machine, and fails where CI=true."""

import pytest

from tests.servers import openssh

PROGRAM = "a-program-nobody-has"


def test_a_missing_program_skips_the_test_and_says_what_to_do(need_program, monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match=f"needs {PROGRAM}, .*: make system-packages"):
        need_program(PROGRAM, hint="make system-packages")


def test_a_missing_program_fails_the_test_in_continuous_integration(need_program, monkeypatch):
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match=f"needs {PROGRAM}, .*CI=true"):
        need_program(PROGRAM, hint="make system-packages")


def test_the_first_candidate_that_is_there_is_taken(need_program):
    assert need_program(PROGRAM, "/bin/sh", hint="").name == "sh"


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo 'Privilege separation user sshd does not exist' >&2; exit 255", "user sshd does not exist"),
        ("exit 127", "it ends with 127"),
        ("kill -9 $$", "it ends with -9"),
    ],
)
def test_an_sshd_that_cannot_run_skips_the_test_with_its_message(script, message, need_program, monkeypatch, tmp_path):
    monkeypatch.delenv("CI", raising=False)
    broken = tmp_path / "sshd"
    broken.write_text(f"#!/bin/sh\n{script}\n")
    broken.chmod(0o700)
    with pytest.raises(pytest.skip.Exception, match=f"sshd, which cannot run here: .*{message}"):
        need_program(str(broken), hint="")


def test_an_sshd_that_was_unpacked_only_in_part_skips_the_test(need_program, monkeypatch, tmp_path):
    monkeypatch.delenv("CI", raising=False)
    broken = tmp_path / "sshd"
    broken.write_bytes(b"\x7fELF")
    broken.chmod(0o700)
    with pytest.raises(pytest.skip.Exception, match=r"sshd, which cannot run here: .*Exec format error"):
        need_program(str(broken), hint="")


def test_an_sshd_whose_folder_cannot_be_made_skips_the_test(need_program, monkeypatch, tmp_path):
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(openssh.os, "geteuid", lambda: 0)
    monkeypatch.setattr(openssh, "RUN_FOLDER", tmp_path / "read-only" / "sshd")
    sound = tmp_path / "sshd"
    sound.write_text("#!/bin/sh\n")
    sound.chmod(0o700)
    with pytest.raises(pytest.skip.Exception, match=r"sshd, which cannot run here: .*No such file or directory"):
        need_program(str(sound), hint="")
