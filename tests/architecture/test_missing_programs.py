"""A test whose program is missing is skipped by name on a developer's machine, and fails where CI=true."""

import pytest

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
