import os
import stat

import pytest

from iris_camera.records.private_folder import make_records_folder
from iris_communication.errors import IrisError
from tests.own_process import in_a_process_of_its_own


@in_a_process_of_its_own
def test_a_records_folder_is_made_for_its_owner_alone_whatever_the_umask(tmp_path):
    for umask in (0o000, 0o022, 0o777):
        os.umask(umask)
        folder = tmp_path / oct(umask)
        make_records_folder(folder)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700, folder


def test_a_records_folder_that_exists_is_left_as_it_is(tmp_path):
    (tmp_path / "records").mkdir()
    (tmp_path / "records").chmod(0o755)
    make_records_folder(tmp_path / "records")
    assert stat.S_IMODE((tmp_path / "records").stat().st_mode) == 0o755


def test_a_records_folder_of_another_user_is_refused_with_the_command(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    with pytest.raises(IrisError, match=f"belongs to user {os.getuid()}") as raised:
        make_records_folder(tmp_path)
    assert f"sudo -u '#{os.getuid()}' iris run" in raised.value.hint


@pytest.mark.parametrize("within", ["", "door", "door/ready"])
@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o702])
def test_a_records_folder_that_everybody_may_write_into_is_refused_with_the_remedy(tmp_path, within, mode):
    folder = tmp_path / "records"
    (folder / "door" / "ready").mkdir(parents=True)
    for path in (folder, folder / "door", folder / "door" / "ready"):
        path.chmod(0o755)
    make_records_folder(folder)
    (folder / within).chmod(mode)
    with pytest.raises(IrisError, match="any user may write into") as raised:
        make_records_folder(folder)
    assert f"chmod -R o-w '{folder}'" in raised.value.hint


def test_a_folder_in_one_that_nobody_else_may_enter_is_not_checked(tmp_path):
    (tmp_path / "records" / "door").mkdir(parents=True)
    (tmp_path / "records" / "door").chmod(0o777)
    (tmp_path / "records").chmod(0o700)
    make_records_folder(tmp_path / "records")


def test_a_records_folder_that_cannot_be_made_is_left_to_its_writer(tmp_path):
    (tmp_path / "file").touch()
    make_records_folder(tmp_path / "file" / "records")
