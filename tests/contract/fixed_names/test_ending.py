"""Failing, stopping and closing: what is under way is finished, what waits is kept."""

import inspect
import logging
import multiprocessing
import socket
import threading

import pytest

from iris_communication.delivery.worker import Worker
from iris_communication.errors import ForkedProcess, NotStarted
from iris_communication.item import Delivered
from iris_communication.runtime import supervised_thread
from iris_communication.sftp_uploader_thread import SftpUploaderThread
from tests.contract.fixed_names.uploading import (
    SERVER,
    WAIT_S,
    GatedProcessor,
    RecordingProcessor,
    queue,
    settled,
    submit,
)


def test_stop_waits_ten_seconds_by_default():
    assert inspect.signature(SftpUploaderThread.stop).parameters["timeout"].default == 10.0


def test_a_worker_loop_that_fails_is_logged_shown_as_not_running_and_restarted(
    make_uploader, file, monkeypatch, caplog
):
    failed, working = threading.Event(), Worker.run

    async def run(worker):
        if not failed.is_set():
            failed.set()
            raise RuntimeError("the loop itself failed")
        await working(worker)

    monkeypatch.setattr(Worker, "run", run)
    monkeypatch.setattr(supervised_thread, "PAUSE_BASE_S", 0.2)
    uploader = make_uploader(RecordingProcessor())
    with caplog.at_level(logging.ERROR):
        uploader.start()
        assert failed.wait(WAIT_S)
        while uploader.get_details()["last_error"] is None:
            threading.Event().wait(0.005)
        assert uploader.running is False
        assert uploader.get_details()["state"] == "failed"
        settled(submit(uploader, file()))
    assert uploader.running
    assert "RuntimeError: the loop itself failed" in caplog.text


def test_stop_finishes_the_current_upload_and_drains_the_rest(make_uploader, file):
    processor = GatedProcessor()
    uploader = make_uploader(processor)
    uploader.start()
    for number in range(5):
        queue(uploader, file(f"{number}.csv"))
    assert processor.entered.wait(WAIT_S)
    stopping = threading.Thread(target=uploader.stop)
    stopping.start()
    processor.let.set()
    stopping.join(WAIT_S)
    assert not uploader.running
    assert uploader.get_stats() == {"total_queued": 5, "total_uploaded": 5, "total_failed": 0, "queue_size": 0}


def test_stop_returns_promptly_with_the_link_down_and_waiting_files_are_kept(make_uploader, file):
    with socket.socket() as refusing:  # bound, not listening
        refusing.bind(("127.0.0.1", 0))
        server = SERVER | {"port": refusing.getsockname()[1]}
        uploader = make_uploader()
        uploader.start()
        queue(uploader, file(), sftp_server_info=server)
        stopped = threading.Thread(target=uploader.stop, args=(60.0,))
        stopped.start()
        stopped.join(5.0)
        assert not stopped.is_alive()
        assert uploader.get_stats()["queue_size"] == 1


def test_stop_ends_delivery_but_not_acceptance_and_the_next_start_sends(make_uploader, file):
    processor = RecordingProcessor()
    uploader = make_uploader(processor)
    uploader.start()
    uploader.stop()
    receipt = submit(uploader, file())
    assert receipt.outcome is None
    assert processor.calls == []
    uploader.start()
    settled(receipt)
    assert isinstance(receipt.outcome, Delivered)


def test_close_ends_acceptance(make_uploader, file):
    uploader = make_uploader(RecordingProcessor())
    uploader.start()
    uploader.close()
    uploader.close()
    with pytest.raises(NotStarted):
        queue(uploader, file())
    with pytest.raises(NotStarted):
        uploader.start()


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork.*:DeprecationWarning")
def test_a_forked_childs_uploader_raises(make_uploader, file):
    uploader = make_uploader(RecordingProcessor())
    uploader.start()
    path = file()

    def child(answers):
        try:
            queue(uploader, path)
        except ForkedProcess as error:
            answers.put(str(error))

    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    process = context.Process(target=child, args=(answers,))
    process.start()
    process.join(WAIT_S)
    assert process.exitcode == 0
    assert not answers.empty(), "the child's call did not raise"
    assert "process that made it" in answers.get()
