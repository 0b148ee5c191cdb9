import contextlib
import gc
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from iris_communication import sftp_uploader_thread as door
from iris_communication.delivery.worker import Worker
from iris_communication.errors import InvalidRequest, OutboxFull, OutboxStorageError
from iris_communication.housekeeping import Housekeeper
from iris_communication.item import Delivered
from iris_communication.outbox.keeper import Keeper
from iris_communication.outbox.messages import Answer
from iris_communication.settings import DeliverySettings
from iris_communication.sftp_processor import SftpProcessor
from iris_communication.sftp_uploader_thread import SftpUploaderThread, SftpUploadRequest
from iris_communication.testing.clock import FakeClock
from tests.unit.iris_communication.outbox.fake_parts import LONG_S, open_descriptors, wait_until, write

PROMPT_S = 5.0  # what is not waited for
SERVER = {"host": "sftp.example.org", "username": "iris", "password": "open sesame"}


class Processor:
    def __init__(self, does=lambda: None):
        self.does, self.asked = does, []

    def transferData(self, sftp_server_info, file_path, project_settings, folder_type):  # noqa: N802 - its users' name
        self.asked.append((sftp_server_info, Path(file_path).name, project_settings, folder_type))
        return self.does()


@pytest.fixture
def make(tmp_path):
    made = []

    def make_one(processor=None, folder="outbox", **options):
        uploader = SftpUploaderThread(tmp_path / folder, processor or Processor(), **options)
        made.append(uploader)
        uploader.start()
        return uploader

    yield make_one
    for uploader in made:
        uploader.close(1.0)


@pytest.fixture
def source(tmp_path):
    return write(tmp_path / "a.csv")


def submit(uploader, path, server=SERVER, **changed):
    facts = {"project_settings": {"project": "line-1"}, "folder_type": "model", **changed}
    return uploader.submit(SftpUploadRequest(server, path, **facts))


# -- what a caller may hand over -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", [None, "", 5, b"", "a\0b.csv", "/folder\0/a.csv", "\ud800.csv", "/\ud800/a.csv", ["a.csv"]], ids=repr
)
def test_a_path_that_no_file_could_have_is_refused_and_harms_nobody(make, source, path):
    uploader = make()
    with pytest.raises(InvalidRequest, match="file_path is"):
        submit(uploader, path)
    assert submit(uploader, source).wait_delivered(LONG_S)
    assert uploader.get_stats()["total_queued"] == 1


@pytest.mark.parametrize("path", [os.fsencode, str, Path], ids=["bytes", "str", "Path"])
def test_a_path_may_be_given_as_bytes_text_or_path(make, source, path):
    assert submit(make(), path(source)).wait_delivered(LONG_S)


def test_a_relative_path_is_that_of_the_moment_it_is_queued(make, source, monkeypatch):
    monkeypatch.chdir(source.parent)
    assert submit(make(), "a.csv").wait_delivered(LONG_S)


@pytest.mark.parametrize("folder_type", [None, 5, b"model", os.fsdecode(b"\xff"), "\ud800"], ids=repr)
def test_a_folder_type_that_is_no_text_is_refused_and_harms_nobody(make, source, folder_type):
    """A row's texts are UTF-8: a value that is not would fail the commit of a whole group."""
    uploader = make()
    with pytest.raises(InvalidRequest, match="folder_type is"):
        submit(uploader, source, folder_type=folder_type)
    assert submit(uploader, source).wait_delivered(LONG_S)


def test_settings_that_cannot_be_stored_are_refused_and_say_what_can(make, source):
    with pytest.raises(InvalidRequest, match=r"project_settings cannot be stored.*use texts"):
        submit(make(), source, project_settings={"project": "line-1", "camera": object()})


@pytest.mark.parametrize("server", [None, 5, [], [5]], ids=repr)
def test_a_server_that_is_neither_mapping_nor_name_is_refused(make, source, server):
    with pytest.raises(InvalidRequest, match="sftp_server_info is a"):
        submit(make(), source, server=server)


def test_a_name_that_is_no_text_is_refused(make):
    with pytest.raises(InvalidRequest, match="a server's name"):
        make().configure_server(None, SERVER)


def test_an_unknown_way_to_take_a_file_is_refused(make, source):
    with pytest.raises(InvalidRequest, match="take is 'steal': expected 'copy' or 'move'"):
        submit(make(), source, take="steal")


def test_a_limit_below_one_is_refused(tmp_path):
    with pytest.raises(InvalidRequest, match="max_queue_size is 0"):
        SftpUploaderThread(tmp_path, max_queue_size=0)


def test_a_moved_file_is_gone_once_it_is_accepted_and_arrives(make, source):
    receipt = submit(make(), source, take="move")
    assert not source.exists()
    assert isinstance(receipt.wait_delivered(LONG_S), Delivered)


def test_a_disk_that_refuses_answers_false_and_says_what_to_do(make, source, monkeypatch, caplog):
    uploader = make()

    def refuse(self, accepts):
        return [OutboxStorageError("cannot take 'a.csv' into the spool: No space left on device")]

    monkeypatch.setattr(Keeper, "accept_all", refuse)
    assert uploader.queue_upload(SERVER, source, "line-1", "model") is False
    assert "a.csv is not accepted" in caplog.text
    assert "free space on the outbox's disk" in caplog.text


# -- servers ---------------------------------------------------------------------------------------------------------


def test_files_queued_together_are_answered_one_by_one_and_delivered_in_order(make, tmp_path, caplog):
    let_go, processor = threading.Event(), Processor()
    processor.does = lambda: let_go.wait(LONG_S)
    uploader = make(processor, max_queue_size=3)
    paths = [write(tmp_path / f"{number}.csv") for number in range(4)]
    asked = [SftpUploadRequest(SERVER, path, "line-1", "model") for path in paths]
    assert uploader.queue_uploads(asked) == [True, True, True, False]
    assert f"Upload queue is full, dropping request: {paths[3]}" in caplog.text
    let_go.set()
    wait_until(lambda: uploader.get_stats()["total_uploaded"] == 3)
    assert [name for _, name, _, _ in processor.asked] == ["0.csv", "1.csv", "2.csv"]


def test_a_full_queue_is_logged_for_the_first_refusal_and_so_is_room_again(make, source, monkeypatch, caplog):
    caplog.set_level("INFO")
    uploader = make()
    answer = OutboxFull("the outbox holds 100 files")
    monkeypatch.setattr(Keeper, "accept_all", lambda self, accepts: [answer for _ in accepts])
    for _ in range(1_000):
        assert uploader.queue_upload(SERVER, source, "line-1", "model") is False
    monkeypatch.undo()
    assert uploader.queue_upload(SERVER, source, "line-1", "model") is True
    said = [record.getMessage() for record in caplog.records if "ueue" in record.getMessage()]
    assert said[0].startswith(f"Upload queue is full, dropping request: {source} stays where it is; ")
    assert said[1].startswith("the upload queue has room again (the same for 999 files in ")
    assert len(said) == 2


def test_a_disk_that_refuses_everything_is_logged_once_and_without_a_traceback(make, source, monkeypatch, caplog):
    uploader = make()
    refusals = (
        OutboxStorageError(f"cannot take '{number}.csv' into the spool: No space left") for number in range(100)
    )
    monkeypatch.setattr(Keeper, "accept_all", lambda self, accepts: [next(refusals)])
    for _ in range(100):
        uploader.queue_upload(SERVER, source, "line-1", "model")
    (said,) = [record for record in caplog.records if "is not accepted" in record.getMessage()]
    assert said.exc_info is None


def test_a_request_that_could_never_be_delivered_keeps_those_beside_it_from_being_queued(make, source):
    uploader = make()
    asked = [SftpUploadRequest(SERVER, path, "line-1", "model") for path in (source, "a\0b.csv")]
    with pytest.raises(InvalidRequest, match="file_path is"):
        uploader.queue_uploads(asked)
    assert uploader.get_stats()["total_queued"] == 0


def test_two_names_of_one_account_deliver_into_their_own_folders(make, source):
    processor = Processor()
    uploader = make(processor)
    for name in ("models", "classifiers"):
        uploader.configure_server(name, {**SERVER, "remote_directory": f"/{name}"})
    for name in ("models", "classifiers"):
        delivered = submit(uploader, source, server=name).wait_delivered(LONG_S)
        assert delivered.final_path == f"/{name}/line-1/model/a.csv"
    assert [info["remote_directory"] for info, *_ in processor.asked] == ["/models", "/classifiers"]


def test_a_subclass_of_our_processor_with_a_transfer_data_of_its_own_is_what_is_called(make, source):
    class Printing(SftpProcessor):
        def __init__(self):
            super().__init__()
            self.asked = []

        def transferData(self, info, file_path, *_):  # noqa: N802 - its users' name
            self.asked.append(Path(file_path).name)
            return True

    processor = Printing()
    assert submit(make(processor), source).wait_delivered(LONG_S)
    assert processor.asked == ["a.csv"]


def test_a_secret_in_the_words_of_an_injected_processor_is_stored_and_logged_nowhere(make, source, tmp_path, caplog):
    def talk():
        raise ValueError(f"cannot log in with {SERVER}")

    uploader = make(Processor(talk), settings=DeliverySettings(attempts_max=1))
    with pytest.raises(Exception, match="cannot log in"):
        submit(uploader, source).wait_delivered(LONG_S)
    secret = SERVER["password"]
    files = [path for path in (tmp_path / "outbox").rglob("*") if path.is_file()]
    assert [path.name for path in files if secret.encode() in path.read_bytes()] == ["secrets.json"]
    assert secret not in caplog.text
    assert "Traceback" in caplog.text
    assert secret not in repr(uploader.get_details())


# -- a worker loop that fails ----------------------------------------------------------------------------------------


@pytest.fixture
def falling(monkeypatch):
    """A worker loop that fails as often as the test says; the pauses it is given."""

    story = SimpleNamespace(times=0, pauses=[], restarted=threading.Event())
    run = Worker.run

    async def fall(self):
        if story.times:
            story.times -= 1
            raise ZeroDivisionError("the loop")
        story.restarted.set()
        await run(self)

    def pause(failures):
        story.pauses.append(failures)
        return 0.0

    monkeypatch.setattr(Worker, "run", fall)
    monkeypatch.setattr(door, "pause_after", pause)
    return story


def test_a_loop_that_fails_again_and_again_is_restarted_later_and_later(make, source, falling, caplog):
    falling.times = 4
    uploader = make()
    assert submit(uploader, source).wait_delivered(LONG_S)
    assert falling.pauses == [1, 2, 3, 4]
    told = [record for record in caplog.records if "ZeroDivisionError: the loop" in record.getMessage()]
    assert [bool(record.exc_info) for record in told] == [True, False, False, False], "the same cause, once in full"
    assert "ZeroDivisionError" in uploader.get_details()["last_error"]


def test_a_loop_that_ran_well_for_long_is_restarted_soon(make, falling, monkeypatch):
    monkeypatch.setattr(door, "PAUSE_CAP_S", -1.0)  # any time is long
    falling.times = 3
    make()
    assert falling.restarted.wait(LONG_S)
    assert falling.pauses == [1, 1, 1]


def test_stop_does_not_wait_for_a_loop_that_is_to_be_restarted_later(make, falling, monkeypatch):
    monkeypatch.setattr(door, "pause_after", lambda *_: 3600.0)
    falling.times = 1
    uploader = make()
    wait_until(lambda: not uploader.running)
    assert uploader.stop(LONG_S)


def test_what_is_accepted_while_the_loop_is_down_is_sent_after_the_next_start(make, source, falling, monkeypatch):
    monkeypatch.setattr(door, "pause_after", lambda *_: 3600.0)
    falling.times = 1
    uploader = make()
    wait_until(lambda: not uploader.running)
    receipt = submit(uploader, source)
    uploader.stop(LONG_S)
    uploader.start()
    assert receipt.wait_delivered(LONG_S)


# -- stop ------------------------------------------------------------------------------------------------------------


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
    opening = Keeper.open

    def interrupted(self):
        opening(self)
        assert uploader.stop(1.0)

    monkeypatch.setattr(Keeper, "open", interrupted)
    starting = threading.Thread(target=uploader.start, daemon=True)
    starting.start()
    starting.join(LONG_S)
    assert not starting.is_alive()
    uploader.close()


def test_stop_does_not_wait_for_ever_for_a_disk_that_hangs(make, monkeypatch):
    monkeypatch.setattr(door, "JOIN_GRACE_S", 0.01)
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
        wait_until(lambda: any(lane["link"] == "down" for lane in uploader.get_details()["servers"].values()))
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


def test_how_long_the_oldest_file_waits_does_not_depend_on_a_clock_that_is_set_later(tmp_path, source):
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


def test_after_a_stop_no_link_is_shown_as_up(make, source):
    uploader = make()
    submit(uploader, source).wait_delivered(LONG_S)
    uploader.stop()
    assert {lane["link"] for lane in uploader.get_details()["servers"].values()} == {"idle"}


def test_starting_and_stopping_leaves_no_thread_and_no_descriptor(make, source):
    earlier = set(threading.enumerate())
    uploader = make()
    submit(uploader, source).wait_delivered(LONG_S)
    uploader.stop()

    def ours():
        return sorted(thread.name for thread in set(threading.enumerate()) - earlier)

    left = ["iris-door", "iris-keeper"]  # it goes on accepting, and hears whoever asks
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
    uploader, house = SftpUploaderThread("outbox"), Housekeeper("outbox")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with contextlib.closing(uploader):
        uploader.open()
        assert (tmp_path / "outbox" / "outbox.db").exists()
    assert house.folder == tmp_path / "outbox"
