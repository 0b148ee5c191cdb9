"""Every long-lived thread of the library is ended by an unforeseen exception: it is shown, logged, and put right."""

import contextlib
import socket
import sys
import threading
from pathlib import Path

import pytest

from iris_communication.admin.outbox_control import OutboxControl
from iris_communication.clock import SystemClock
from iris_communication.errors import IrisError, OutboxStorageError
from iris_communication.outbox.orders import RetryItems
from iris_communication.outbox.writer.writer import Writer
from iris_communication.runtime import supervised_thread
from iris_communication.sftp_uploader_thread import SftpUploaderThread, SftpUploadRequest

WAIT_S = 60.0
SERVER = {"host": "127.0.0.1", "port": 9, "username": "line", "password": "word-nobody-may-see"}
WRITER, UPLOADER, CONTROL = THREADS = ("iris-writer", "iris-uploader", "iris-control")


class BrokenClock(SystemClock):
    """Raises on the thread that `break_on` names, so many times, and gives all others the right time. It is asked
    for the monotonic time in the loops of the threads themselves, outside of what they guard message by message."""

    def __init__(self):
        super().__init__()
        self._thread, self._times = "", 0
        self.raised = threading.Semaphore(0)

    def break_on(self, thread, times=1):
        self._thread, self._times = thread, times

    def monotonic_s(self):
        if threading.current_thread().name == self._thread and self._times > 0:
            self._times -= 1
            self.raised.release()
            raise ZeroDivisionError("unforeseen")
        return super().monotonic_s()


class Recording:
    """A processor that writes each call down, and can be made to wait."""

    def __init__(self):
        self.names, self.let, self.exits_at = [], threading.Event(), ""
        self.let.set()

    def transferData(self, sftp_server_info, file_path, project_settings, folder_type):  # noqa: N802 - the fixed name
        assert self.let.wait(WAIT_S)
        if (name := Path(file_path).name) == self.exits_at:
            self.exits_at = ""
            sys.exit("as a script does")
        self.names.append(name)


class ThreadedLine:
    """An uploader, its clock and its processor."""

    def __init__(self, folder):
        self.folder, self.clock, self.processor = folder, BrokenClock(), Recording()
        self.uploader = SftpUploaderThread(folder / "outbox", self.processor, clock=self.clock)
        self.uploader.start()

    def submit(self, name):
        path = self.folder / name
        path.write_bytes(b"a,b\n1,2\n")
        return self.uploader.submit(SftpUploadRequest(SERVER, path, "line-1", "model"))

    def end(self, thread, times=1):
        """Have it fail; what gives it something to do may be refused, and comes back in any case."""
        self.clock.break_on(thread, times)
        with contextlib.suppress(IrisError):
            if thread == CONTROL:
                connect(self.folder / "outbox")
            else:
                self.submit("meanwhile.csv")
        assert self.clock.raised.acquire(timeout=WAIT_S)

    def state_of(self, thread):
        (found,) = [each for each in self.uploader.get_details()["threads"] if each["name"] == thread]
        return found


def connect(outbox):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(outbox / "control.sock"))


def until(true):
    for _ in range(int(WAIT_S / 0.01)):
        if true():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it never became true")


@pytest.fixture
def line(tmp_path):
    made = ThreadedLine(tmp_path)
    yield made
    made.processor.let.set()
    made.uploader.close(2.0)


@pytest.mark.parametrize("thread", THREADS)
def test_a_thread_that_fails_is_shown_as_not_running_logged_once_and_started_again(line, thread, caplog):
    line.end(thread)
    until(lambda: not line.uploader.running)
    assert line.state_of(thread)["reason"] == "ZeroDivisionError: unforeseen"
    until(lambda: line.uploader.running)
    assert line.state_of(thread) == {**line.state_of(thread), "running": True, "restarts": 1}
    logged = [record for record in caplog.records if "unforeseen" in record.getMessage()]
    assert [bool(record.exc_info) for record in logged] == [True]
    assert thread in logged[0].getMessage()
    assert line.submit("after.csv").wait_delivered(WAIT_S)
    assert "after.csv" in line.processor.names


def test_an_outbox_whose_thread_failed_balances_and_delivers_what_was_accepted_before(line):
    line.processor.let.clear()
    receipts = [line.submit(f"{number}.csv") for number in range(5)]
    line.end(WRITER)
    until(lambda: line.state_of(WRITER)["restarts"] == 1)
    line.processor.let.set()
    for receipt in receipts:
        assert receipt.wait_delivered(WAIT_S)
    until(lambda: line.uploader.get_stats()["queue_size"] == 0)
    stats = line.uploader.get_stats()
    assert stats["total_queued"] == stats["total_uploaded"] + stats["total_failed"]
    assert stats["total_failed"] == 0
    assert stats["total_uploaded"] in (5, 6), "the one that was refused meanwhile may be in all the same"
    assert {f"{number}.csv" for number in range(5)} <= set(line.processor.names)


def test_counts_of_before_a_failure_of_the_outbox_are_not_forgotten(line):
    assert line.submit("before.csv").wait_delivered(WAIT_S)
    line.end(WRITER)
    until(lambda: line.uploader.running)
    until(lambda: line.uploader.get_stats()["queue_size"] == 0)
    assert line.uploader.get_stats()["total_uploaded"] >= 1
    assert line.submit("after.csv").wait_delivered(WAIT_S)


def test_callers_are_refused_and_not_left_waiting_while_the_outbox_is_started_again(line):
    line.end(WRITER)
    until(lambda: not line.uploader.running)
    with pytest.raises(OutboxStorageError, match="being started again"):
        line.submit("refused.csv")
    queued = line.uploader.queue_upload(SERVER, line.folder / "refused.csv", "line-1", "model")
    assert queued is False
    with pytest.raises(OutboxStorageError):
        line.uploader.owed_names()
    until(lambda: line.uploader.running)
    assert line.submit("refused.csv").wait_delivered(WAIT_S)


def test_an_outbox_whose_thread_failed_stays_with_its_owner_and_can_be_closed_meanwhile(line):
    line.end(WRITER)
    until(lambda: not line.uploader.running)
    other = SftpUploaderThread(line.folder / "outbox", Recording())
    with pytest.raises(IrisError, match="in use"):
        other.open()
    line.uploader.close(2.0)
    other.open()
    other.close()


def test_orders_are_answered_again_once_the_control_socket_is_started_again(line):
    line.end(CONTROL)
    until(lambda: line.state_of(CONTROL)["restarts"] == 1)
    until(lambda: line.uploader.running)
    with OutboxControl(line.folder / "outbox") as control:
        assert control.execute(RetryItems([])) == {}


def test_a_processor_that_exits_costs_only_its_own_file_an_attempt(line):
    line.processor.exits_at = "exits.csv"
    receipts = [line.submit(name) for name in ("exits.csv", "other.csv")]
    for receipt in receipts:
        assert receipt.wait_delivered(WAIT_S)
    assert line.uploader.running


@pytest.mark.parametrize("error", [KeyError("x"), SystemExit(1)], ids=repr)
def test_an_outcome_that_could_not_be_settled_strands_no_file(line, monkeypatch, error):
    monkeypatch.setattr(supervised_thread, "PAUSE_BASE_S", 0.01)
    errors, settle = iter([error]), Writer.settle

    def failing_once(writer, message):
        for each in errors:
            raise each
        settle(writer, message)

    monkeypatch.setattr(Writer, "settle", failing_once)
    receipts = [line.submit(name) for name in ("a.csv", "b.csv")]
    for receipt in receipts:
        assert receipt.wait_delivered(WAIT_S)
    until(lambda: line.uploader.running)
    assert line.state_of("iris-uploader")["restarts"] == 1
