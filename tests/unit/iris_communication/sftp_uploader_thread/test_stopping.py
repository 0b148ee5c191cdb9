"""An uploader stops in time, and leaves nothing behind."""

import contextlib
import gc
import socket
import subprocess
import sys
import threading
import time

import pytest

from iris_communication import sftp_uploader_thread as uploader_module
from iris_communication.admin.outbox_control import OutboxControl
from iris_communication.errors import OutboxStorageError
from iris_communication.outbox.writer.messages import Answer
from iris_communication.outbox.writer.writer import Writer
from iris_communication.settings import DeliverySettings
from iris_communication.sftp_uploader_thread import SftpUploaderThread
from iris_communication.testing.clock import FakeClock
from tests.unit.iris_communication.outbox.fake_parts import LONG_S, open_descriptors, wait_until, write
from tests.unit.iris_communication.sftp_uploader_thread.uploading import Processor, submit

PROMPT_S = 5.0  # what is not waited for


class Blocking(Processor):
    def __init__(self):
        super().__init__(self.wait)
        self.entered, self.released = threading.Semaphore(0), threading.Event()
        self.at_once = self.most_at_once = 0

    def wait(self):
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.entered.release()
        assert self.released.wait(LONG_S)
        self.at_once -= 1


def test_a_call_that_does_not_return_is_left_behind_and_the_next_start_waits_for_it(make, source):
    processor = Blocking()
    uploader = make(processor)
    receipt = submit(uploader, source)
    assert processor.entered.acquire(timeout=LONG_S)
    began_s = time.monotonic()
    assert uploader.stop(0.0)
    assert time.monotonic() - began_s < PROMPT_S
    assert uploader.get_stats()["queue_size"] == 1
    uploader.start()
    processor.released.set()
    assert receipt.wait_delivered(LONG_S)
    assert processor.most_at_once == 1


def test_a_signal_handler_may_stop_what_it_interrupted_while_starting(make, tmp_path, monkeypatch):
    """The handler runs in the middle of start(), in the same thread."""
    uploader = SftpUploaderThread(tmp_path / "other", Processor())
    opening = Writer.open

    def interrupted(self):
        opening(self)
        assert uploader.stop(1.0)

    monkeypatch.setattr(Writer, "open", interrupted)
    starting = threading.Thread(target=uploader.start, daemon=True)
    starting.start()
    starting.join(LONG_S)
    assert not starting.is_alive()
    uploader.close()


def test_stop_does_not_wait_for_ever_for_a_disk_that_hangs(make, monkeypatch):
    monkeypatch.setattr(uploader_module, "JOIN_GRACE_S", 0.01)
    uploader = make()
    answered = []

    def hanging(self, alive, timeout_s=None):
        answered.append(timeout_s)
        return Answer.NONE_YET

    with monkeypatch.context() as disk:
        disk.setattr(Answer, "wait", hanging)
        assert uploader.stop(LONG_S)
    assert answered == [0.01]


@pytest.fixture
def dead_name_server(monkeypatch):
    """A name server that does not answer: a look-up cannot be called back."""
    asked, released = threading.Semaphore(0), threading.Event()

    def never(*_args, **_options):
        asked.release()
        released.wait(LONG_S)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", never)
    yield asked
    released.set()


def test_stop_does_not_wait_for_a_name_server(tmp_path, source, dead_name_server):
    uploader = SftpUploaderThread(tmp_path / "outbox", settings=DeliverySettings(connect_timeout_s=0.05))
    uploader.start()
    try:
        submit(uploader, source)
        assert dead_name_server.acquire(timeout=LONG_S)
        wait_until(
            lambda: any(destination["link"] == "down" for destination in uploader.get_details()["servers"].values())
        )
        began_s = time.monotonic()
        assert uploader.stop(LONG_S)
        assert time.monotonic() - began_s < PROMPT_S
    finally:
        uploader.close(0.0)


EXIT_WITH_A_LOOK_UP_UNDER_WAY = """
import socket, sys, threading
asked = threading.Event()
def never(*args, **options):
    asked.set()
    threading.Event().wait(60)
socket.getaddrinfo = never
from iris_communication.sftp_uploader_thread import SftpUploaderThread
uploader = SftpUploaderThread(sys.argv[1])
uploader.start()
uploader.queue_upload({"host": "sftp.example.org", "username": "a", "password": "b"}, sys.argv[2], "p", "model")
assert asked.wait(20)
"""


def test_a_program_ends_without_waiting_for_a_name_server(tmp_path, source):
    command = [sys.executable, "-c", EXIT_WITH_A_LOOK_UP_UNDER_WAY, tmp_path / "outbox", source]
    assert subprocess.run(command, timeout=60, check=False).returncode == 0


def test_stopping_what_never_started_is_harmless(tmp_path):
    uploader = SftpUploaderThread(tmp_path / "outbox")
    assert uploader.stop(0.0)
    uploader.close()
    assert not (tmp_path / "outbox").exists()
    assert uploader.get_details()["state"] == "closed"


def test_the_state_says_where_in_its_life_the_uploader_is(make, tmp_path):
    assert SftpUploaderThread(tmp_path / "other").get_details()["state"] == "new"
    uploader = make()
    assert uploader.get_details()["state"] == "running"
    uploader.stop()
    assert (uploader.get_details()["state"], uploader.running) == ("stopped", False)
    uploader.start()
    assert uploader.get_details()["state"] == "running"
    uploader.close()
    assert uploader.get_details()["state"] == "closed"


def test_the_wait_of_the_oldest_file_does_not_depend_on_a_clock_that_is_set_later(tmp_path, source):
    clock = FakeClock()
    server = {"host": "127.0.0.1", "username": "iris", "password": "secret"}
    uploader = SftpUploaderThread(tmp_path / "outbox", clock=clock)
    uploader.open()
    try:
        clock.advance(2.0)
        assert uploader.queue_upload(server, source, "p", "model")
        clock.advance(3.0)
        assert uploader.get_details()["oldest_waiting_s"] == pytest.approx(3.0)
        clock.jump_wall(10 * 365 * 86400.0)  # as where a machine without a battery hears the time
        assert 3.0 <= uploader.get_details()["oldest_waiting_s"] <= 5.0
    finally:
        uploader.close()
    again = SftpUploaderThread(tmp_path / "outbox", clock=clock)
    again.open()
    try:
        clock.advance(60.0)
        assert again.get_details()["oldest_waiting_s"] > 60.0
    finally:
        again.close()


def test_no_link_is_shown_as_up_after_a_stop(make, source):
    uploader = make()
    submit(uploader, source).wait_delivered(LONG_S)
    uploader.stop()
    assert {destination["link"] for destination in uploader.get_details()["servers"].values()} == {"idle"}


def test_starting_and_stopping_leaves_no_thread_and_no_descriptor(make, source):
    earlier = set(threading.enumerate())
    uploader = make()
    submit(uploader, source).wait_delivered(LONG_S)
    uploader.stop()

    def ours():
        return sorted(thread.name for thread in set(threading.enumerate()) - earlier)

    left = ["iris-control", "iris-writer"]  # it goes on accepting, and hears whoever asks
    wait_until(lambda: ours() == left)
    gc.collect()  # what earlier tests left to be collected is not ours
    before = open_descriptors()
    for _ in range(5):
        uploader.start()
        submit(uploader, source).wait_delivered(LONG_S)
        uploader.stop()
    wait_until(lambda: ours() == left)
    assert open_descriptors() <= before


def test_a_start_that_fails_leaves_no_thread_and_no_descriptor(tmp_path):
    folder = write(tmp_path / "outbox", b"a file where the folder should be")
    gc.collect()
    threads, descriptors = threading.active_count(), open_descriptors()
    for _ in range(3):
        with pytest.raises(OutboxStorageError, match=str(folder)):
            SftpUploaderThread(folder).start()
    wait_until(lambda: threading.active_count() <= threads)
    assert open_descriptors() <= descriptors


def test_a_relative_outbox_stays_where_it_was_meant_whatever_folder_the_process_goes_to(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    uploader, control = SftpUploaderThread("outbox"), OutboxControl("outbox")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with contextlib.closing(uploader):
        uploader.open()
        assert (tmp_path / "outbox" / "outbox.db").exists()
    assert control.folder == tmp_path / "outbox"
