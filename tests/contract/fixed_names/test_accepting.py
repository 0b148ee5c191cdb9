"""Accepting: True once a file is kept, False when the outbox is full, and first in, first out."""

import logging

import pytest

from iris_communication.errors import OutboxFull
from iris_communication.sftp_uploader_thread import SftpUploadRequest
from tests.contract.fixed_names.uploading import (
    SERVER,
    WAIT_S,
    GatedProcessor,
    RecordingProcessor,
    queue,
    settled,
    submit,
)


def test_queue_upload_returns_true_while_nothing_is_sent_yet(make_uploader, file):
    uploader = make_uploader(GatedProcessor())
    uploader.start()
    assert queue(uploader, file()) is True
    assert uploader.get_stats() == {"total_queued": 1, "total_uploaded": 0, "total_failed": 0, "queue_size": 1}


def test_a_full_outbox_answers_false_with_the_agreed_warning_and_changes_no_count(make_uploader, file, caplog):
    uploader = make_uploader(GatedProcessor(), max_queue_size=2)
    uploader.start()
    path = file()
    assert queue(uploader, path)
    assert queue(uploader, path)
    before = uploader.get_stats()
    with caplog.at_level(logging.WARNING):
        assert queue(uploader, path) is False
    assert [r.message for r in caplog.records if r.message.startswith("Upload queue is full, dropping request")]
    assert uploader.get_stats() == before


def test_a_hundred_files_fit_by_default_and_no_more(make_uploader, file):
    uploader = make_uploader(GatedProcessor())
    uploader.start()
    path = file()
    assert [queue(uploader, path) for _ in range(101)] == [True] * 100 + [False]


def test_a_full_outbox_takes_files_again_once_some_are_delivered(make_uploader, file):
    processor = GatedProcessor()
    uploader = make_uploader(processor, max_queue_size=1)
    uploader.start()
    receipt = submit(uploader, file())
    assert not queue(uploader, file())
    processor.let.set()
    settled(receipt)
    assert queue(uploader, file())


def test_submit_raises_when_full(make_uploader, file):
    uploader = make_uploader(GatedProcessor(), max_queue_size=1)
    uploader.start()
    queue(uploader, file())
    with pytest.raises(OutboxFull, match="1 of at most 1"):
        submit(uploader, file())


def test_files_are_first_sent_in_the_order_they_were_queued(make_uploader, file):
    processor = RecordingProcessor()
    uploader = make_uploader(processor)
    uploader.start()
    receipts = [submit(uploader, file(f"{number:02d}.csv")) for number in range(40)]
    settled(*receipts)
    assert [call[0] for call in processor.calls] == [f"{number:02d}.csv" for number in range(40)]


def test_files_that_come_while_the_first_ones_begin_do_not_overtake_them(make_uploader, file):
    processor = GatedProcessor()
    uploader = make_uploader(processor)
    uploader.start()
    names = [f"{number:02d}.csv" for number in range(20)]
    requests = [SftpUploadRequest(SERVER, file(name), {"project": "line-1"}, "model") for name in names]
    taken = uploader.submit_requests(
        requests[:10]
    )  # all of them wait when the uploader's thread first sees their server
    assert processor.entered.wait(WAIT_S)
    taken += uploader.submit_requests(requests[10:])
    processor.let.set()
    settled(*(receipt for receipts in taken for receipt in receipts))
    assert [call[0] for call in processor.calls] == names


def test_a_missing_file_is_accepted_and_dead_at_once(make_uploader, tmp_path, caplog):
    uploader = make_uploader(RecordingProcessor())
    uploader.start()
    with caplog.at_level(logging.ERROR):
        assert queue(uploader, tmp_path / "missing.csv") is True
    assert uploader.get_stats() == {"total_queued": 1, "total_uploaded": 0, "total_failed": 1, "queue_size": 0}
    assert "missing.csv' does not exist" in caplog.text
