"""A loop that fails starts again, and costs no file."""

import threading
from types import SimpleNamespace

import pytest

from iris_communication import sftp_uploader_thread as uploader_module
from iris_communication.delivery.worker import Worker
from tests.unit.iris_communication.outbox.fake_parts import LONG_S, wait_until
from tests.unit.iris_communication.sftp_uploader_thread.uploading import submit


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
    monkeypatch.setattr(uploader_module, "pause_after", pause)
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
    monkeypatch.setattr(uploader_module, "PAUSE_CAP_S", -1.0)  # any time is long
    falling.times = 3
    make()
    assert falling.restarted.wait(LONG_S)
    assert falling.pauses == [1, 1, 1]


def test_stop_does_not_wait_for_a_loop_that_is_to_be_restarted_later(make, falling, monkeypatch):
    monkeypatch.setattr(uploader_module, "pause_after", lambda *_: 3600.0)
    falling.times = 1
    uploader = make()
    wait_until(lambda: not uploader.running)
    assert uploader.stop(LONG_S)


def test_a_file_accepted_while_the_loop_is_down_is_sent_after_the_next_start(make, source, falling, monkeypatch):
    monkeypatch.setattr(uploader_module, "pause_after", lambda *_: 3600.0)
    falling.times = 1
    uploader = make()
    wait_until(lambda: not uploader.running)
    receipt = submit(uploader, source)
    uploader.stop(LONG_S)
    uploader.start()
    assert receipt.wait_delivered(LONG_S)
