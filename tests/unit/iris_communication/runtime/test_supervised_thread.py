import logging
import threading

import pytest

from iris_communication.runtime.supervised_thread import PAUSE_CAP_S, SupervisedThread, pause_after

WAIT_S = 20.0


class Work:
    """Raises what it is given, one a call, and then works until it is ended."""

    def __init__(self, *errors):
        self.errors = list(errors)
        self.works, self.end = threading.Event(), threading.Event()

    def __call__(self):
        if self.errors:
            raise self.errors.pop(0)
        self.works.set()
        assert self.end.wait(WAIT_S)


def started(work, **options):
    thread = SupervisedThread(work, "iris-test", **{"pause_s": lambda failures: 0.0, **options})
    thread.start()
    return thread


def ended(thread, work):
    thread.let_end()
    work.end.set()
    thread.join(WAIT_S)
    assert not thread.is_alive()


@pytest.mark.parametrize("error", [KeyError("x"), SystemExit("a script"), KeyboardInterrupt(), MemoryError()], ids=repr)
def test_work_that_fails_in_any_way_is_begun_again(error):
    work, failures = Work(error), []
    thread = started(work, on_failure=failures.append)
    assert work.works.wait(WAIT_S)
    assert failures == [error]
    assert thread.running
    reason = f"{type(error).__name__}: {error}"
    assert thread.state() == {"name": "iris-test", "running": True, "reason": reason, "restarts": 1}
    ended(thread, work)


def test_a_cause_is_logged_with_its_traceback_once_and_counted_then(caplog):
    work = Work(KeyError("x"), KeyError("x"), KeyError("y"), KeyError("y"))
    thread = started(work)
    assert work.works.wait(WAIT_S)
    ended(thread, work)
    told = [(bool(record.exc_info), record.levelno) for record in caplog.records]
    assert told == [(True, logging.ERROR), (False, logging.ERROR), (True, logging.ERROR), (False, logging.ERROR)]
    assert "KeyError: 'y'), 4 since the start" in caplog.text


def test_a_thread_that_waits_for_its_restart_does_not_run_and_says_why():
    failed = threading.Event()
    work = Work(KeyError("x"))
    thread = started(work, on_failure=lambda error: failed.set(), pause_s=lambda failures: WAIT_S)
    assert failed.wait(WAIT_S)
    assert (thread.running, thread.is_restarting) == (False, True)
    assert thread.state() == {"name": "iris-test", "running": False, "reason": "KeyError: 'x'", "restarts": 1}
    ended(thread, work)
    assert not thread.is_restarting


def test_a_thread_that_fails_after_it_was_asked_to_end_has_ended():
    ends, end_comes = [], threading.Event()

    def work():
        assert end_comes.wait(WAIT_S)
        raise KeyError("too late")

    thread = started(work, on_end=lambda: ends.append("end"))
    thread.let_end()
    end_comes.set()
    thread.join(WAIT_S)
    assert not thread.is_alive()
    assert ends == ["end"]


def test_an_error_that_cannot_say_what_it_is_ends_no_thread():
    class Unspeakable(BaseException):
        def __str__(self):
            raise SystemExit

    work = Work(Unspeakable())
    thread = started(work)
    assert work.works.wait(WAIT_S)
    assert thread.state()["reason"].startswith("Unspeakable: ")
    ended(thread, work)


@pytest.mark.parametrize("error", [ZeroDivisionError, SystemExit], ids=lambda error: error.__name__)
def test_a_clearing_up_that_fails_as_well_does_not_keep_it_from_beginning_again(error):
    def clear_up(_):
        raise error

    work = Work(KeyError("x"))
    thread = started(work, on_failure=clear_up)
    assert work.works.wait(WAIT_S)
    ended(thread, work)


def test_work_that_went_well_for_long_before_it_failed_is_begun_again_soon():
    pauses = []
    work = Work(KeyError("a"), KeyError("b"), KeyError("c"))
    thread = started(work, pause_s=lambda failures: pauses.append(failures) or 0.0, well_after_s=-1.0)
    assert work.works.wait(WAIT_S)
    assert pauses == [1, 1, 1]
    ended(thread, work)


def test_pauses_grow_to_a_limit():
    assert 0.5 <= pause_after(1) <= 1.0
    assert 2.0 <= pause_after(3) <= 4.0
    assert PAUSE_CAP_S / 2 <= pause_after(10_000) <= PAUSE_CAP_S


def test_work_that_returns_has_ended():
    thread = started(lambda: None)
    thread.join(WAIT_S)
    assert not thread.is_alive()
    assert thread.state()["running"], "what ended in its own way is not missed"
