import logging

from iris_camera.records.trouble import LOGGED_EVERY_S, Trouble
from iris_communication.testing import FakeClock

log = logging.getLogger("test.trouble")


def logged(caplog):
    return [(record.levelname, record.getMessage()) for record in caplog.records]


def test_trouble_is_logged_when_it_begins_when_it_changes_and_when_it_is_over(caplog):
    caplog.set_level(logging.INFO)
    trouble = Trouble(log)
    for _ in range(5):
        trouble.begins("disk", "the disk is full")
    trouble.begins("disk", "the disk is read-only")
    for _ in range(5):
        trouble.is_over("disk", "the disk works again")
    assert logged(caplog) == [
        ("ERROR", "the disk is full"),
        ("ERROR", "the disk is read-only"),
        ("INFO", "the disk works again (the same 4 times in 1 s)"),
    ]


def test_trouble_that_comes_back_is_logged_again(caplog):
    clock = FakeClock()
    trouble = Trouble(log, clock.monotonic_s)
    for _ in range(2):
        trouble.begins("disk", "the disk is full")
        trouble.is_over("disk")
        clock.advance(LOGGED_EVERY_S)
    assert len(logged(caplog)) == 2


def test_trouble_that_comes_and_goes_is_logged_no_more_often_than_trouble_that_lasts(caplog):
    caplog.set_level(logging.INFO)
    clock = FakeClock()
    trouble = Trouble(log, clock.monotonic_s)
    for _ in range(3600):
        trouble.begins("disk", "the disk is full")
        trouble.is_over("disk", "the disk works again")
        clock.advance(1.0)
    assert len(logged(caplog)) == 2 * 3600 / LOGGED_EVERY_S
    assert logged(caplog)[2] == ("ERROR", "the disk is full (the same 599 times in 600 s)")


def test_one_trouble_does_not_hide_another(caplog):
    trouble = Trouble(log)
    trouble.begins("disk", "the disk is full")
    trouble.begins("outbox", "the outbox is full")
    assert len(logged(caplog)) == 2
