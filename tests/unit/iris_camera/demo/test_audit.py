"""The demo's audit must find each fault: a loss, a part of a file, a file with other bytes."""

import hashlib
from types import SimpleNamespace

import pytest

from iris_camera.demo.audit import DemoAudit
from iris_camera.records.csv_file import FinishedCsv
from tests.unit.iris_communication.made_batches import batch


@pytest.fixture
def audit(tmp_path):
    return DemoAudit(tmp_path / "received")


def written(audit, folder, name, content=b"a,b\n1,2\n"):
    audit.written(FinishedCsv(folder / name, "model", 1, len(content), hashlib.sha256(content).hexdigest()))


def received(folder, name, content=b"a,b\n1,2\n"):
    path = folder / "received" / "line-1" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def test_a_file_with_the_bytes_that_were_written_is_verified(audit, tmp_path):
    written(audit, tmp_path, "a.csv")
    received(tmp_path, "a.csv")
    assert audit.finish() == (1, 0, 0)
    assert audit.csv_files == 1


def test_a_file_that_did_not_arrive_is_lost(audit, tmp_path):
    written(audit, tmp_path, "a.csv")
    assert audit.finish() == (0, 1, 0)


def test_a_part_of_a_file_under_its_final_name_is_partial_and_lost(audit, tmp_path):
    written(audit, tmp_path, "a.csv")
    received(tmp_path, "a.csv", b"a,b\n1")
    assert audit.finish() == (0, 1, 1)


def test_a_file_nobody_wrote_is_partial(audit, tmp_path):
    received(tmp_path, "unknown.csv")
    assert audit.finish() == (0, 0, 1)


def test_a_hidden_temp_file_is_not_visible(audit, tmp_path):
    received(tmp_path, ".iris-0123456789abcdef", b"half")
    assert audit.finish() == (0, 0, 0)


RECORDS = [("a.csv", b"a,b\n1,2\n"), ("b.csv", b"a,b\n3,4\n")]


def archive(folder, files=RECORDS):
    (folder / "received" / "line-1").mkdir(parents=True)
    return batch(folder, files, "zip").rename(folder / "received" / "line-1" / "batch.zip")


def test_each_file_of_an_archive_counts_as_delivered(audit, tmp_path):
    for name, content in RECORDS:
        written(audit, tmp_path, name, content)
    archive(tmp_path)
    assert audit.finish() == (2, 0, 0)


def test_a_part_of_an_archive_is_partial_and_its_files_are_lost(audit, tmp_path):
    for name, content in RECORDS:
        written(audit, tmp_path, name, content)
    whole = archive(tmp_path)
    whole.write_bytes(whole.read_bytes()[:-40])
    assert audit.finish() == (0, 2, 1)


def test_an_archive_with_a_file_of_other_bytes_is_partial(audit, tmp_path):
    for name, _ in RECORDS:
        written(audit, tmp_path, name)
    archive(tmp_path)
    assert audit.finish() == (0, 2, 1)


def test_files_are_counted_while_another_is_finished(audit, tmp_path):
    class Overtaken(str):
        """During the audit, another file is finished."""

        __slots__ = ()

        def endswith(self, *endings):
            written(audit, tmp_path, "b.csv")
            return super().endswith(*endings)

    audit.written(SimpleNamespace(path=SimpleNamespace(name=Overtaken("a.csv")), sha256=""))
    assert audit.csv_files == 1
    assert audit.csv_files == 2
    audit.finish()
