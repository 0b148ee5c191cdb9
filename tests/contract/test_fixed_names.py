"""The names and answers that users rely on: one test a sentence of what was promised to them."""

import inspect
import json
import logging
import multiprocessing
import os
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from iris_communication import sftp_uploader_thread
from iris_communication.delivery.worker import Worker
from iris_communication.errors import (
    ForkedProcess,
    InvalidRequest,
    LinkTimeout,
    NotStarted,
    OptionsDiffer,
    OutboxFull,
    ServerNotConfigured,
    TransferFailed,
)
from iris_communication.item import Delivered
from iris_communication.runtime import supervised_thread
from iris_communication.settings import DeliverySettings
from iris_communication.sftp_uploader_thread import (
    SftpUploaderThread,
    SftpUploadRequest,
    default_outbox_dir,
    get_sftp_uploader,
)

WAIT_S = 60.0
SERVER = {"host": "127.0.0.1", "port": 9, "username": "line", "password": "word-nobody-may-see"}
FAST = DeliverySettings(retry_base_s=0.001, retry_cap_s=0.002, breaker_base_s=0.05, breaker_cap_s=0.1)


class Recording:
    """A processor with just transferData: writes each call down; fails for the names it is told to."""

    def __init__(self, *, failing=(), answering_false=()):
        self.failing, self.answering_false = set(failing), set(answering_false)
        self.calls, self.threads = [], set()
        self.under_way = self.most_under_way = 0

    def transferData(self, sftp_server_info, file_path, project_settings, folder_type):  # noqa: N802 - the fixed name
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        self.threads.add(threading.current_thread().name)
        name = Path(file_path).name
        self.calls.append((name, Path(file_path).read_bytes(), sftp_server_info, project_settings, folder_type))
        self.under_way -= 1
        if name in self.failing:
            raise ValueError(f"cannot send {name}")
        return name not in self.answering_false


class Gated(Recording):
    """Sends nothing before it is let."""

    def __init__(self):
        super().__init__()
        self.entered, self.let = threading.Event(), threading.Event()

    def transferData(self, *request):  # noqa: N802 - the fixed name
        self.entered.set()
        assert self.let.wait(WAIT_S)
        return super().transferData(*request)


@pytest.fixture
def make_uploader(tmp_path):
    made = []

    def make(processor=None, **options):
        uploader = SftpUploaderThread(tmp_path / "outbox", processor, settings=FAST, **options)
        made.append(uploader)
        return uploader

    yield make
    for uploader in made:
        if isinstance(uploader._processor, Gated):
            uploader._processor.let.set()
        uploader.close(1.0)


@pytest.fixture
def fresh_process_uploader(monkeypatch):
    monkeypatch.setattr(sftp_uploader_thread, "_only", None)
    monkeypatch.setattr(sftp_uploader_thread, "_only_options", {})


@pytest.fixture
def file(tmp_path):
    def make(name="a.csv", content=b"a,b\n1,2\n"):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return make


def queue(uploader, path, **changed):
    request = {
        "sftp_server_info": SERVER,
        "file_path": path,
        "project_settings": {"project": "line-1"},
        "folder_type": "model",
    }
    return uploader.queue_upload(**request | changed)


def submit(uploader, path, **changed):
    return uploader.submit(SftpUploadRequest(SERVER, path, {"project": "line-1"}, changed.pop("folder_type", "model")))


def settled(*receipts):
    for receipt in receipts:
        receipt._done.wait(WAIT_S)
        assert receipt.outcome is not None


def balanced(stats):
    return stats["total_queued"] == stats["total_uploaded"] + stats["total_failed"] + stats["queue_size"]


# The uploader and its one instance.


def test_the_constructor_takes_outbox_dir_sftp_processor_and_max_queue_size_with_their_defaults():
    parameters = list(inspect.signature(SftpUploaderThread).parameters.values())[:3]
    assert [(p.name, p.default) for p in parameters] == [
        ("outbox_dir", None),
        ("sftp_processor", None),
        ("max_queue_size", 100),
    ]


def test_queue_upload_takes_the_four_fixed_parameters_by_name_or_by_position():
    parameters = list(inspect.signature(SftpUploaderThread.queue_upload).parameters)[1:5]
    assert parameters == ["sftp_server_info", "file_path", "project_settings", "folder_type"]


def test_stop_waits_ten_seconds_unless_told_otherwise():
    assert inspect.signature(SftpUploaderThread.stop).parameters["timeout"].default == 10.0


def test_constructing_opens_nothing(tmp_path):
    before = set(threading.enumerate())
    SftpUploaderThread(tmp_path / "outbox")
    assert not (tmp_path / "outbox").exists()
    assert set(threading.enumerate()) <= before


def test_the_outbox_is_where_the_environment_says_else_in_the_users_state_directory():
    assert default_outbox_dir({"IRIS_OUTBOX": "/named"}) == Path("/named")
    assert default_outbox_dir({"XDG_STATE_HOME": "/state"}) == Path("/state/iris/outbox")
    assert default_outbox_dir({}) == Path("~/.local/state/iris/outbox").expanduser()


def test_the_outbox_folder_of_nobody_does_not_depend_on_the_working_folder(monkeypatch):
    assert default_outbox_dir({"XDG_STATE_HOME": "state"}) == default_outbox_dir({})
    monkeypatch.setenv("HOME", "home")
    with pytest.raises(InvalidRequest, match="no home directory") as raised:
        default_outbox_dir({"XDG_STATE_HOME": "state"})
    assert "IRIS_OUTBOX" in raised.value.hint


@pytest.mark.usefixtures("fresh_process_uploader")
def test_a_process_has_one_uploader_with_the_options_of_the_first_call(tmp_path):
    first = get_sftp_uploader(outbox_dir=tmp_path / "outbox", max_queue_size=5)
    assert get_sftp_uploader() is first
    assert get_sftp_uploader(outbox_dir=tmp_path / "outbox", max_queue_size=5) is first


@pytest.mark.usefixtures("fresh_process_uploader")
def test_other_options_at_a_later_call_raise_and_name_what_differs(tmp_path):
    get_sftp_uploader(outbox_dir=tmp_path / "outbox")
    with pytest.raises(OptionsDiffer, match="max_queue_size"):
        get_sftp_uploader(outbox_dir=tmp_path / "outbox", max_queue_size=5)


def test_start_makes_a_daemon_thread_that_runs_upload_worker_and_starting_twice_makes_one(make_uploader):
    uploader = make_uploader(Recording())
    uploader.start()
    thread = uploader._thread
    uploader.start()
    assert uploader._thread is thread
    assert thread.daemon
    assert uploader._upload_worker.__name__ == "_upload_worker"
    assert thread._target == uploader._upload_worker
    assert uploader.running


def test_no_file_can_be_queued_before_start_and_the_error_says_what_to_do(make_uploader, file):
    with pytest.raises(NotStarted) as raised:
        queue(make_uploader(), file())
    assert "start()" in raised.value.hint


# Accepting.


def test_queue_upload_returns_true_while_nothing_is_sent_yet(make_uploader, file):
    uploader = make_uploader(Gated())
    uploader.start()
    assert queue(uploader, file()) is True
    assert uploader.get_stats() == {"total_queued": 1, "total_uploaded": 0, "total_failed": 0, "queue_size": 1}


def test_a_full_outbox_answers_false_with_the_agreed_warning_and_changes_no_count(make_uploader, file, caplog):
    uploader = make_uploader(Gated(), max_queue_size=2)
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
    uploader = make_uploader(Gated())
    uploader.start()
    path = file()
    assert [queue(uploader, path) for _ in range(101)] == [True] * 100 + [False]


def test_a_full_outbox_takes_files_again_once_some_are_delivered(make_uploader, file):
    processor = Gated()
    uploader = make_uploader(processor, max_queue_size=1)
    uploader.start()
    receipt = submit(uploader, file())
    assert not queue(uploader, file())
    processor.let.set()
    settled(receipt)
    assert queue(uploader, file())


def test_submit_raises_when_full(make_uploader, file):
    uploader = make_uploader(Gated(), max_queue_size=1)
    uploader.start()
    queue(uploader, file())
    with pytest.raises(OutboxFull, match="1 of at most 1"):
        submit(uploader, file())


def test_files_are_first_sent_in_the_order_they_were_queued(make_uploader, file):
    processor = Recording()
    uploader = make_uploader(processor)
    uploader.start()
    receipts = [submit(uploader, file(f"{number:02d}.csv")) for number in range(40)]
    settled(*receipts)
    assert [call[0] for call in processor.calls] == [f"{number:02d}.csv" for number in range(40)]


def test_files_that_come_while_the_first_ones_begin_do_not_overtake_them(make_uploader, file):
    processor = Gated()
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


# The processor.


def test_a_processor_gets_the_server_the_file_under_its_own_name_the_settings_and_the_folder_type(make_uploader, file):
    processor = Recording()
    uploader = make_uploader(processor)
    uploader.start()
    settled(submit(uploader, file("model_a.csv", b"content"), folder_type="classifier"))
    ((name, content, info, settings, folder_type),) = processor.calls
    assert (name, content, settings, folder_type) == ("model_a.csv", b"content", {"project": "line-1"}, "classifier")
    assert SERVER.items() <= info.items()


def test_a_processor_is_called_one_request_at_a_time_in_a_thread_of_its_own(make_uploader, file):
    processor = Recording()
    uploader = make_uploader(processor)
    uploader.start()
    settled(*[submit(uploader, file(f"{number}.csv")) for number in range(20)])
    assert processor.most_under_way == 1
    assert len(processor.threads) == 1
    assert processor.threads.isdisjoint({"iris-uploader", "iris-writer", threading.main_thread().name})


def test_a_file_may_be_deleted_once_it_is_accepted(make_uploader, file):
    processor = Gated()
    uploader = make_uploader(processor)
    uploader.start()
    path = file(content=b"kept")
    receipt = submit(uploader, path)
    path.unlink()
    processor.let.set()
    settled(receipt)
    assert processor.calls[0][1] == b"kept"


def test_an_exception_and_a_returned_false_are_failed_attempts_and_cost_no_other_file(make_uploader, file, caplog):
    processor = Recording(failing={"raises.csv"}, answering_false={"false.csv"})
    uploader = make_uploader(processor)
    uploader.start()
    with caplog.at_level(logging.ERROR):
        receipts = [submit(uploader, file(name)) for name in ("raises.csv", "false.csv", "good.csv")]
        settled(*receipts)
    assert [type(receipt.outcome) for receipt in receipts] == [TransferFailed, TransferFailed, Delivered]
    assert uploader.get_stats() == {"total_queued": 3, "total_uploaded": 1, "total_failed": 2, "queue_size": 0}
    attempts = [call[0] for call in processor.calls]
    assert attempts.count("raises.csv") == attempts.count("false.csv") == 8
    assert "ValueError: cannot send raises.csv" in caplog.text
    assert "Traceback" in caplog.text


# Counting.


def test_the_statistics_are_exactly_four_counts(make_uploader):
    assert make_uploader().get_stats() == {"total_queued": 0, "total_uploaded": 0, "total_failed": 0, "queue_size": 0}


def test_the_counts_balance_at_every_instant(make_uploader, file):
    uploader = make_uploader(Recording(failing={f"{number}.csv" for number in range(0, 60, 3)}))
    uploader.start()
    done, unbalanced = threading.Event(), []

    def watch():
        while not done.wait(0.0002):  # without a pause it would take the interpreter from those it watches
            stats = uploader.get_stats()
            if not balanced(stats):
                unbalanced.append(stats)

    watcher = threading.Thread(target=watch)
    watcher.start()
    settled(*[submit(uploader, file(f"{number}.csv")) for number in range(60)])
    done.set()
    watcher.join()
    assert unbalanced == []
    assert uploader.get_stats() == {"total_queued": 60, "total_uploaded": 40, "total_failed": 20, "queue_size": 0}


def test_queue_size_is_what_waits_and_what_is_in_flight(make_uploader, file):
    processor = Gated()
    uploader = make_uploader(processor)
    uploader.start()
    receipts = [submit(uploader, file(f"{number}.csv")) for number in range(3)]
    assert processor.entered.wait(WAIT_S)
    (key,) = uploader.get_details()["servers"]

    def shown():
        destination = uploader.get_details()["servers"][key]
        return destination["waiting"], destination["in_flight"]

    while shown() != (2, 1):  # what is just being handed from writer to worker shows a moment later
        threading.Event().wait(0.005)
    assert uploader.get_stats()["queue_size"] == 3
    processor.let.set()
    settled(*receipts)
    assert uploader.get_stats()["queue_size"] == 0


def test_the_counts_balance_while_dead_files_are_queued_again(make_uploader, file):
    processor = Recording(failing={"a.csv", "b.csv"})
    uploader = make_uploader(processor)
    uploader.start()
    receipts = [submit(uploader, file(name)) for name in ("a.csv", "b.csv", "c.csv")]
    settled(*receipts)
    assert uploader.get_stats() == {"total_queued": 3, "total_uploaded": 1, "total_failed": 2, "queue_size": 0}
    processor.failing.clear()
    assert uploader.retry_dead() == 2
    assert balanced(uploader.get_stats())
    uploader.stop()
    assert uploader.get_stats() == {"total_queued": 3, "total_uploaded": 3, "total_failed": 0, "queue_size": 0}


def test_files_found_at_the_start_count_as_queued(make_uploader, file):
    uploader = make_uploader(Gated())
    uploader.start()
    for number in range(3):
        queue(uploader, file(f"{number}.csv"))
    uploader.close(0.0)
    found = make_uploader(Gated())
    found.start()
    assert found.get_stats() == {"total_queued": 3, "total_uploaded": 0, "total_failed": 0, "queue_size": 3}


def test_a_dead_file_is_listed_and_can_be_queued_again(make_uploader, file):
    processor = Recording(failing={"a.csv"})
    uploader = make_uploader(processor)
    uploader.start()
    receipt = submit(uploader, file())
    settled(receipt)
    (dead,) = uploader.get_details()["dead"]
    assert dead["id"] == receipt.id
    assert "cannot send a.csv" in dead["error"]
    processor.failing.clear()
    assert uploader.retry_dead(receipt.id) == 1
    uploader.stop()
    assert uploader.get_stats() == {"total_queued": 1, "total_uploaded": 1, "total_failed": 0, "queue_size": 0}


def test_a_missing_file_is_accepted_and_dead_at_once(make_uploader, tmp_path, caplog):
    uploader = make_uploader(Recording())
    uploader.start()
    with caplog.at_level(logging.ERROR):
        assert queue(uploader, tmp_path / "missing.csv") is True
    assert uploader.get_stats() == {"total_queued": 1, "total_uploaded": 0, "total_failed": 1, "queue_size": 0}
    assert "missing.csv' does not exist" in caplog.text


# Failing, stopping, ending.


def test_a_worker_loop_that_fails_is_told_shown_as_not_running_and_restarted(make_uploader, file, monkeypatch, caplog):
    failed, working = threading.Event(), Worker.run

    async def run(worker):
        if not failed.is_set():
            failed.set()
            raise RuntimeError("the loop itself failed")
        await working(worker)

    monkeypatch.setattr(Worker, "run", run)
    monkeypatch.setattr(supervised_thread, "PAUSE_BASE_S", 0.2)
    uploader = make_uploader(Recording())
    with caplog.at_level(logging.ERROR):
        uploader.start()
        assert failed.wait(WAIT_S)
        while uploader._last_error is None:
            threading.Event().wait(0.005)
        assert uploader.running is False
        assert uploader.get_details()["state"] == "failed"
        settled(submit(uploader, file()))
    assert uploader.running
    assert "RuntimeError: the loop itself failed" in caplog.text


def test_stop_finishes_the_current_upload_and_drains_the_rest(make_uploader, file):
    processor = Gated()
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
    processor = Recording()
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
    uploader = make_uploader(Recording())
    uploader.start()
    uploader.close()
    uploader.close()
    with pytest.raises(NotStarted):
        queue(uploader, file())
    with pytest.raises(NotStarted):
        uploader.start()


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork.*:DeprecationWarning")
def test_a_forked_childs_uploader_raises(make_uploader, file):
    uploader = make_uploader(Recording())
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


# Servers and paths.


def test_a_server_may_be_a_mapping_or_a_configured_name(make_uploader, file):
    processor = Recording()
    uploader = make_uploader(processor)
    uploader.start()
    uploader.configure_server("hall-3", SERVER)
    receipt = uploader.submit(SftpUploadRequest("hall-3", file(), "line-1", "model"))
    settled(receipt)
    assert processor.calls[0][2]["host"] == SERVER["host"]


def test_a_name_nobody_configured_is_refused_with_those_that_are_known(make_uploader, file):
    uploader = make_uploader(Recording())
    uploader.start()
    uploader.configure_server("hall-3", SERVER)
    with pytest.raises(ServerNotConfigured, match=r"hall-4.*known: hall-3"):
        queue(uploader, file(), sftp_server_info="hall-4")


def test_an_inline_secret_goes_to_one_file_of_mode_0600_and_nowhere_else(make_uploader, file, tmp_path, caplog):
    uploader = make_uploader(Recording())
    with caplog.at_level(logging.DEBUG):
        uploader.start()
        settled(submit(uploader, file()))
    secret = SERVER["password"].encode()
    holding = [path for path in (tmp_path / "outbox").rglob("*") if path.is_file() and secret in path.read_bytes()]
    assert [path.name for path in holding] == ["secrets.json"]
    assert stat.S_IMODE(holding[0].stat().st_mode) == 0o600
    assert SERVER["password"] not in caplog.text
    assert SERVER["password"] not in json.dumps(uploader.get_details())


def test_items_of_a_server_whose_secret_is_gone_wait_for_the_operator(make_uploader, file, tmp_path):
    first = make_uploader(Gated())
    first.start()
    queue(first, file())
    first.close(0.0)
    (tmp_path / "outbox" / "secrets.json").unlink()
    uploader = make_uploader()
    uploader.start()
    while not uploader.get_details()["servers"].get("line@127.0.0.1:9", {}).get("reason"):
        threading.Event().wait(0.005)
    assert "no password or key" in uploader.get_details()["servers"]["line@127.0.0.1:9"]["reason"]
    assert uploader.get_stats()["queue_size"] == 1


@pytest.mark.parametrize("value", ["../up", "a/b", "..", ".", "", "a\0b"])
def test_each_value_of_the_remote_path_is_one_component(make_uploader, file, value):
    uploader = make_uploader(Recording())
    uploader.start()
    with pytest.raises(InvalidRequest, match="folder_type"):
        queue(uploader, file(), folder_type=value)
    with pytest.raises(InvalidRequest, match="project"):
        queue(uploader, file(), project_settings={"project": value})
    assert uploader.get_stats()["total_queued"] == 0


# Receipts.


def test_a_receipt_tells_durability_delivery_and_outcome(make_uploader, file):
    processor = Gated()
    uploader = make_uploader(processor)
    uploader.start()
    receipt = submit(uploader, file(content=b"1234"))
    receipt.wait_durable(WAIT_S)
    assert receipt.outcome is None
    with pytest.raises(LinkTimeout):
        receipt.wait_delivered(0.0)
    processor.let.set()
    delivered = receipt.wait_delivered(WAIT_S)
    assert (delivered.final_path, delivered.size_bytes) == ("./line-1/model/a.csv", 4)
    assert receipt.outcome is delivered


def test_waiting_for_a_file_that_died_raises_what_it_died_of(make_uploader, file):
    uploader = make_uploader(Recording(failing={"a.csv"}))
    uploader.start()
    with pytest.raises(TransferFailed, match=r"cannot send a\.csv"):
        submit(uploader, file()).wait_delivered(WAIT_S)


def test_importing_the_library_starts_nothing_and_imports_no_camera():
    code = (
        "import sys, threading, iris_communication.sftp_uploader_thread; "
        "sys.exit(threading.active_count() > 1 or any(n.startswith(('iris_camera', 'cv2')) for n in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], env=os.environ, timeout=170, check=False).returncode == 0
