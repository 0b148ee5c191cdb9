"""Making and starting an uploader: fixed parameters, the default outbox, one uploader a process."""

import inspect
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Unpack, get_type_hints

import pytest

from iris_communication import sftp_uploader_thread
from iris_communication.errors import InvalidRequest, NotStarted, OptionsDiffer
from iris_communication.sftp_uploader_thread import (
    SftpUploaderThread,
    UploaderOptions,
    default_outbox_dir,
)
from tests.contract.fixed_names.uploading import RecordingProcessor, queue
from tests.fresh_copy import fresh_copy


def test_the_constructor_takes_outbox_dir_sftp_processor_and_max_queue_size_with_their_defaults():
    parameters = list(inspect.signature(SftpUploaderThread).parameters.values())[:3]
    assert [(p.name, p.default) for p in parameters] == [
        ("outbox_dir", None),
        ("sftp_processor", None),
        ("max_queue_size", 100),
    ]


def test_get_sftp_uploader_declares_the_constructors_parameters_to_type_checkers():
    taken = get_type_hints(SftpUploaderThread.__init__)
    assert get_type_hints(UploaderOptions) == {name: taken[name] for name in taken if name != "return"}
    assert get_type_hints(sftp_uploader_thread.get_sftp_uploader)["options"] == Unpack[UploaderOptions]


def test_queue_upload_takes_the_four_fixed_parameters_by_name_or_by_position():
    parameters = list(inspect.signature(SftpUploaderThread.queue_upload).parameters)[1:5]
    assert parameters == ["sftp_server_info", "file_path", "project_settings", "folder_type"]


def test_constructing_opens_nothing(tmp_path):
    before = set(threading.enumerate())
    SftpUploaderThread(tmp_path / "outbox")
    assert not (tmp_path / "outbox").exists()
    assert set(threading.enumerate()) <= before


def test_the_outbox_is_where_the_environment_says_else_in_the_users_state_directory():
    assert default_outbox_dir({"IRIS_OUTBOX": "/named"}) == Path("/named")
    assert default_outbox_dir({"XDG_STATE_HOME": "/state"}) == Path("/state/iris/outbox")
    assert default_outbox_dir({}) == Path("~/.local/state/iris/outbox").expanduser()


def test_the_default_outbox_folder_does_not_depend_on_the_working_folder(monkeypatch):
    assert default_outbox_dir({"XDG_STATE_HOME": "state"}) == default_outbox_dir({})
    monkeypatch.setenv("HOME", "home")
    with pytest.raises(InvalidRequest, match="no home directory") as raised:
        default_outbox_dir({"XDG_STATE_HOME": "state"})
    assert "IRIS_OUTBOX" in raised.value.hint


@pytest.fixture
def get_sftp_uploader(monkeypatch):
    return fresh_copy(sftp_uploader_thread, monkeypatch).get_sftp_uploader


def test_a_process_has_one_uploader_with_the_options_of_the_first_call(get_sftp_uploader, tmp_path):
    first = get_sftp_uploader(outbox_dir=tmp_path / "outbox", max_queue_size=5)
    assert get_sftp_uploader() is first
    assert get_sftp_uploader(outbox_dir=tmp_path / "outbox", max_queue_size=5) is first


def test_other_options_at_a_later_call_raise_and_name_what_differs(get_sftp_uploader, tmp_path):
    get_sftp_uploader(outbox_dir=tmp_path / "outbox")
    with pytest.raises(OptionsDiffer, match="max_queue_size"):
        get_sftp_uploader(outbox_dir=tmp_path / "outbox", max_queue_size=5)


def test_start_makes_a_daemon_thread_that_runs_upload_worker_and_starting_twice_makes_one(tmp_path):
    ran = []

    class NotesThread(SftpUploaderThread):
        def _upload_worker(self):  # private by its name, and fixed: users know the thread by it
            ran.append(threading.current_thread())
            super()._upload_worker()

    uploader = NotesThread(tmp_path / "outbox", RecordingProcessor())
    uploader.start()
    uploader.start()
    threads = [thread for thread in threading.enumerate() if thread.name == "iris-uploader"]
    is_running = uploader.running
    uploader.close(1.0)
    assert is_running
    assert ran == threads
    assert [thread.daemon for thread in threads] == [True]


def test_no_file_can_be_queued_before_start_and_the_error_says_what_to_do(make_uploader, file):
    with pytest.raises(NotStarted) as raised:
        queue(make_uploader(), file())
    assert "start()" in raised.value.hint


def test_importing_the_library_starts_nothing_and_imports_no_camera():
    code = (
        "import sys, threading, iris_communication.sftp_uploader_thread; "
        "sys.exit(threading.active_count() > 1 or any(n.startswith(('iris_camera', 'cv2')) for n in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], env=os.environ, timeout=170, check=False).returncode == 0
