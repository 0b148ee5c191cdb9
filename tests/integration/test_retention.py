"""Copies kept on this machine are removed when the server has the files, and not before."""

import pytest

from iris_camera.controllers.evidence_writer import EvidenceWriter
from iris_camera.controllers.handing_over import DeliveryTarget, HandingOver
from iris_camera.records.camera_run import CameraRun
from iris_camera.records.csv_file import ClassifierRow
from iris_camera.records.kept_files import KeptFiles
from iris_camera.records.recorder import Recorder
from iris_camera.records.rotation import RotationLimits
from iris_camera.records.settings import EvidenceSettings, RecordSettings
from iris_communication.errors import NotStarted
from iris_communication.sftp_uploader_thread import SftpUploaderThread
from tests.integration.uploading import LONG_S, contents_of, running, submit, wait_until

RUN = "9f3c01ab"
SETTINGS = RecordSettings(keep_bytes_max=1, disk_reserve_bytes=0)  # everything is too much


@pytest.fixture
def handing_over(openssh, uploader, tmp_path):
    whose = CameraRun("line-1", RUN, tmp_path / "records" / "line-1")
    target = DeliveryTarget(openssh.info(tmp_path / "received"), {"project": "line-1"})
    one = HandingOver(whose, uploader, target, SETTINGS, EvidenceWriter(whose, EvidenceSettings(enabled=False), 0))
    one.start()
    yield one
    one.close()
    assert one.join(LONG_S)


def record(handing_over, folder, count):
    recorder = Recorder(folder, "line-1", "classifier", RUN, RotationLimits(rows_max=1))
    files = [recorder.append([ClassifierRow(n, n, "good", 0.9)], 0.0, 0.0, now_s=0.0) for n in range(count)]
    for finished in files:
        handing_over.add(finished)
    return sorted(finished.path.name for finished in files)


def kept(tmp_path):
    return sorted(path.name for path in (tmp_path / "records" / "line-1" / "kept").iterdir())


def test_kept_files_are_removed_only_once_they_are_delivered(openssh, handing_over, uploader, tmp_path):
    sweeper = KeptFiles(tmp_path / "records", SETTINGS.keep_limits, uploader.owed_names)
    openssh.stop()
    try:
        names = record(handing_over, tmp_path / "records" / "line-1", 20)
        for _ in range(5):
            sweeper.sweep()  # while they are being handed over
        wait_until(lambda: uploader.get_stats()["queue_size"] == 20)
        sweeper.sweep()
        assert kept(tmp_path) == names
        assert uploader.owed_names() == frozenset(names)
        assert sweeper.status()[:3] == (20, sum(map(len, contents_of(tmp_path / "records/line-1/kept").values())), 0)
        before = contents_of(tmp_path / "records" / "line-1" / "kept")
    finally:
        openssh.start()
    wait_until(lambda: uploader.get_stats()["total_uploaded"] == 20)
    assert uploader.owed_names() == frozenset()
    sweeper.sweep()
    assert kept(tmp_path) == []
    assert (sweeper.status().removed_files, sweeper.status().kept_files) == (20, 0)
    assert contents_of(tmp_path / "received" / "line-1" / "classifier") == before


def test_a_file_that_was_given_up_is_kept(openssh, tmp_path):
    """A dead file can be queued again by its operator; until then its copy here may be the only one."""
    with running(tmp_path / "outbox") as uploader:
        path = tmp_path / "records" / "line-1" / "ready" / "a.csv"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"rows")
        submit(uploader, openssh.info("/proc/no-folder-can-be-made-here"), path, take="copy")
        wait_until(lambda: uploader.get_stats()["total_failed"] == 1)
        assert uploader.owed_names() == frozenset({"a.csv"})


def test_owed_files_are_still_owed_after_a_restart(openssh, tmp_path):
    openssh.stop()
    try:
        with running(tmp_path / "outbox") as uploader:
            for number in range(3):
                path = tmp_path / f"{number}.csv"
                path.write_bytes(b"rows")
                submit(uploader, openssh.info(tmp_path / "received"), path, take="move")
    finally:
        openssh.start()
    with running(tmp_path / "outbox") as uploader:
        wait_until(lambda: uploader.get_stats()["total_uploaded"] + len(uploader.owed_names()) >= 3)
        wait_until(lambda: uploader.owed_names() == frozenset())
    assert len(contents_of(tmp_path / "received" / "line-1" / "model")) == 3


def test_an_outbox_that_is_not_open_does_not_say_that_it_owes_nothing(tmp_path):
    with pytest.raises(NotStarted):
        SftpUploaderThread(tmp_path / "outbox").owed_names()
