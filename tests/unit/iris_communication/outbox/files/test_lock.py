import os
import re
import subprocess
import sys

import pytest

from iris_communication.errors import OutboxInUse, OutboxStorageError
from iris_communication.outbox.files.lock import Owner
from tests.unit.iris_communication.outbox.fake_parts import open_descriptors

NOW_S = 1_700_000_000.0
HOLD = """
import sys
from pathlib import Path
from iris_communication.outbox.files.lock import Owner
owner = Owner(Path(sys.argv[1]), 1700000000.0)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def other_process(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.communicate()


def test_an_outbox_held_by_another_process_names_it_and_since_when(tmp_path, other_process):
    with pytest.raises(OutboxInUse) as raised:
        Owner(tmp_path, NOW_S)
    assert str(tmp_path) in str(raised.value)
    assert f"process {other_process.pid}" in str(raised.value)
    assert re.search(r"since 2023-11-14 22:13:20 UTC", str(raised.value))
    assert "IRIS_OUTBOX" in raised.value.hint


def test_an_outbox_is_free_once_its_process_was_killed(tmp_path, other_process):
    other_process.kill()
    other_process.wait()
    Owner(tmp_path, NOW_S).release()


def test_an_owner_knows_whether_the_one_before_gave_it_back(tmp_path, other_process):
    other_process.kill()
    other_process.wait()
    for in_order in (False, True):
        owner = Owner(tmp_path, NOW_S)
        assert owner.found_in_order is in_order
        owner.release()


@pytest.mark.parametrize("said", [b"", b"no json", b"[]", b'{"pid": 1, "since_s": 2.0}'])
def test_a_lock_without_its_owners_full_note_counts_as_given_back(tmp_path, said):
    (tmp_path / "owner.lock").write_bytes(said)
    owner = Owner(tmp_path, NOW_S)
    assert owner.found_in_order
    owner.release()


def test_a_second_uploader_of_the_same_process_is_refused(tmp_path):
    owner = Owner(tmp_path, NOW_S)
    with pytest.raises(OutboxInUse, match="another uploader of this process"):
        Owner(tmp_path, NOW_S)
    owner.release()


def test_a_refused_second_uploader_does_not_take_the_lock_from_the_first(tmp_path):
    owner = Owner(tmp_path, NOW_S)
    with pytest.raises(OutboxInUse):
        Owner(tmp_path, NOW_S)
    done = subprocess.run([sys.executable, "-c", HOLD, str(tmp_path)], input=b"", capture_output=True, check=False)
    assert b"OutboxInUse" in done.stderr
    owner.release()


def test_the_same_folder_by_another_path_is_the_same_outbox(tmp_path):
    (tmp_path / "outbox").mkdir()
    (tmp_path / "pointer").symlink_to("outbox")
    owner = Owner(tmp_path / "outbox", NOW_S)
    with pytest.raises(OutboxInUse):
        Owner(tmp_path / "pointer", NOW_S)
    owner.release()


def test_a_released_outbox_can_be_held_again(tmp_path):
    for _ in range(3):
        Owner(tmp_path, NOW_S).release()


def test_a_refused_lock_costs_no_descriptor(tmp_path, other_process):
    mine = tmp_path / "mine"
    mine.mkdir()
    owner = Owner(mine, NOW_S)
    before = open_descriptors()
    for folder in (tmp_path, mine, mine):
        with pytest.raises(OutboxInUse):
            Owner(folder, NOW_S)
    assert open_descriptors() <= before
    owner.release()


def test_a_full_disk_refuses_by_name_and_holds_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(os, "pwrite", full)
        with pytest.raises(OutboxStorageError, match=r"owner\.lock.*No space left") as raised:
            Owner(tmp_path, NOW_S)
    assert not isinstance(raised.value, OutboxInUse)
    Owner(tmp_path, NOW_S).release()


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(OutboxStorageError, match=r"gone: No such file"):
        Owner(tmp_path / "gone", NOW_S)


def test_a_holder_that_did_not_write_its_name_is_another_process(tmp_path, other_process):
    (tmp_path / "owner.lock").write_bytes(b"")
    with pytest.raises(OutboxInUse, match="in use by another process"):
        Owner(tmp_path, NOW_S)
