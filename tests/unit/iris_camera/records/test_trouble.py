import logging

from iris_camera.records.trouble import Trouble

log = logging.getLogger("test.trouble")


def told(caplog):
    return [(record.levelname, record.getMessage()) for record in caplog.records]


def test_trouble_is_told_when_it_begins_when_it_changes_and_when_it_is_over(caplog):
    caplog.set_level(logging.INFO)
    trouble = Trouble(log)
    for _ in range(5):
        trouble.begins("disk", "the disk is full")
    trouble.begins("disk", "the disk is read-only")
    for _ in range(5):
        trouble.is_over("disk", "the disk works again")
    assert told(caplog) == [
        ("ERROR", "the disk is full"),
        ("ERROR", "the disk is read-only"),
        ("INFO", "the disk works again"),
    ]


def test_trouble_that_comes_back_is_told_again(caplog):
    trouble = Trouble(log)
    for _ in range(2):
        trouble.begins("disk", "the disk is full")
        trouble.is_over("disk")
    assert len(told(caplog)) == 2


def test_one_trouble_does_not_hide_another(caplog):
    trouble = Trouble(log)
    trouble.begins("disk", "the disk is full")
    trouble.begins("outbox", "the outbox is full")
    assert len(told(caplog)) == 2
