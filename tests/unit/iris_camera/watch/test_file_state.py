"""The examination of a real file: its facts, and whether a program has it open for writing."""

import os
import signal

import pytest

from iris_camera.watch.file_state import state_of, version_of


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"frame;part\n")
    return path


def test_a_file_is_what_its_facts_say(file):
    look = state_of(str(file), leases=True)
    assert look.version == version_of(file.stat())
    assert look.is_open is False


def test_a_file_that_somebody_has_open_for_writing_is_known_to_be(file):
    with file.open("ab"):
        assert state_of(str(file), leases=True).is_open is True
    with file.open("rb"):
        assert state_of(str(file), leases=True).is_open is False


def test_an_examination_without_leases_names_no_writer(file):
    with file.open("ab"):
        assert state_of(str(file), leases=False).is_open is None


def test_a_writer_that_opens_the_file_during_the_examination_is_not_kept_out_and_no_signal_ends_us(file):
    assert signal.getsignal(signal.SIGIO) is signal.SIG_DFL
    for _ in range(50):
        assert state_of(str(file), leases=True).is_open is False
        file.open("ab").close()


def test_a_name_that_is_no_regular_file_is_not_examined(tmp_path, file):
    (tmp_path / "link").symlink_to(file)
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe", "missing", "a.csv/inside", "."):
        assert state_of(str(tmp_path / name), leases=True) is None


def test_a_file_that_may_not_be_read_is_an_error(file, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(PermissionError):
        state_of(str(file), leases=True)


@pytest.mark.parametrize("code", ["EACCES", "EINVAL", "EOPNOTSUPP"])
def test_an_examination_reports_no_writer_where_leases_are_not_given(file, monkeypatch, code):
    import errno
    import fcntl

    def refuse(*_):
        raise OSError(getattr(errno, code), code)

    monkeypatch.setattr(fcntl, "fcntl", refuse)
    assert state_of(str(file), leases=True).is_open is None


def test_an_inode_number_of_64_bits_fits_where_it_is_kept():
    facts = os.stat_result((0o100644, 2**64 - 1, 0, 1, 0, 0, 5, 0, 0, 0))
    assert 0 <= version_of(facts).inode < 2**63
