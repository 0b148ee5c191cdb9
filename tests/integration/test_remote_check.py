"""The remote check on a real OpenSSH server: all files there, some collected, some changed."""

import json
from collections import Counter
from pathlib import Path

import pytest

from iris_communication.admin.audit import Audit
from iris_communication.admin.remote_check import RemoteCheck, RemoteVerdict
from iris_communication.errors import OutboxStorageError
from tests.integration.uploading import running, small_files, submit, submit_all, wait_for

FILES = 60


@pytest.fixture
def outbox(tmp_path):
    return tmp_path / "outbox"


@pytest.fixture
def received(tmp_path):
    folder = tmp_path / "received"
    folder.mkdir()
    return folder


@pytest.fixture
def info(openssh, received):
    return openssh.info(received)


@pytest.fixture
def delivered(outbox, info, received, tmp_path):
    """The server's files by name, once all have arrived."""
    (tmp_path / "out").mkdir()
    with running(outbox) as uploader:
        wait_for(submit_all(uploader, info, small_files(FILES), tmp_path / "out").values())
    return {path.name: path for path in received.rglob("*.csv")}


def counted(outbox, **how):
    return Counter(looked.verdict for looked in RemoteCheck(outbox).findings(**how))


def test_all_is_there_by_size_and_by_content(outbox, delivered):
    assert len(delivered) == FILES
    assert counted(outbox) == counted(outbox, hashes=True) == {RemoteVerdict.THERE: FILES}


def test_a_collected_file_is_gone_and_one_that_was_written_over_is_changed(outbox, delivered):
    delivered["0001.csv"].unlink()
    delivered["0002.csv"].write_bytes(b"short")
    content = delivered["0003.csv"].read_bytes()
    delivered["0003.csv"].write_bytes(content[::-1])
    verdicts = {Path(looked.final_path).name: looked.verdict for looked in RemoteCheck(outbox).findings()}
    assert verdicts["0001.csv"] is RemoteVerdict.GONE
    assert verdicts["0002.csv"] is RemoteVerdict.CHANGED
    assert verdicts["0003.csv"] is RemoteVerdict.THERE, "only reading it back shows the change"
    assert counted(outbox, hashes=True) == {
        RemoteVerdict.THERE: FILES - 3,
        RemoteVerdict.GONE: 1,
        RemoteVerdict.CHANGED: 2,
    }


def test_a_folder_under_a_files_name_is_a_change(outbox, delivered):
    delivered["0001.csv"].unlink()
    delivered["0001.csv"].mkdir()
    assert counted(outbox)[RemoteVerdict.CHANGED] == 1


def test_a_check_may_cover_the_latest_alone_or_those_since_a_time(outbox, delivered):
    assert delivered
    assert [looked.delivery for looked in RemoteCheck(outbox).findings(latest=3)] == [FILES - 2, FILES - 1, FILES]
    times = [line["delivered_s"] for line in Audit(outbox).deliveries()]
    assert len(list(RemoteCheck(outbox).findings(since_s=times[50]))) == sum(at_s >= times[50] for at_s in times)


def test_the_latest_of_two_deliveries_under_one_name_counts(outbox, info, received, tmp_path):
    path = tmp_path / "a.csv"
    with running(outbox) as uploader:
        for content in (b"first", b"second, longer"):
            path.write_bytes(content)
            wait_for([submit(uploader, info | {"conflict": "overwrite"}, path)])
    assert [looked.verdict for looked in RemoteCheck(outbox).findings(hashes=True)] == [
        RemoteVerdict.REPLACED,
        RemoteVerdict.THERE,
    ]


def test_the_check_works_beside_a_running_uploader_and_leaves_no_trace(outbox, info, delivered):
    with running(outbox):
        assert counted(outbox) == {RemoteVerdict.THERE: len(delivered)}
    before = {path.name: path.read_bytes() for path in outbox.rglob("*") if path.is_file()}
    assert counted(outbox, hashes=True) == {RemoteVerdict.THERE: len(delivered)}
    assert {path.name: path.read_bytes() for path in outbox.rglob("*") if path.is_file()} == before


def test_a_server_that_is_down_leaves_its_files_unknown_with_the_reason(outbox, delivered, openssh):
    assert delivered
    openssh.stop()
    try:
        looked = list(RemoteCheck(outbox).findings())
    finally:
        openssh.start()
    assert {each.verdict for each in looked} == {RemoteVerdict.UNKNOWN}
    assert "refuses connections" in looked[0].why


def test_a_password_that_is_gone_is_reported_and_its_file_left_alone(outbox, delivered):
    secrets = outbox / "secrets.json"
    secrets.write_text("{}")
    looked = list(RemoteCheck(outbox).findings())
    assert len(looked) == len(delivered)
    assert "has no password or key" in looked[0].why
    secrets.write_text("no json")
    with pytest.raises(OutboxStorageError, match=r"secrets\.json is damaged"):
        list(RemoteCheck(outbox).findings())
    assert secrets.read_text() == "no json"
    assert json.loads((outbox / "servers.json").read_text())
