"""A failure nobody foresaw harms no other message of its group."""

import os
import threading

import pytest

from iris_communication.errors import (
    OutboxStorageError,
)
from iris_communication.item import Event, Take
from iris_communication.outbox.files.spool import Spool
from iris_communication.outbox.writer import writer as writer_module
from iris_communication.outbox.writer.messages import Claim, CloseOutbox, Flush, Settle
from tests.unit.iris_communication.outbox.fake_parts import (
    LARGE,
    LONG_S,
    SERVER,
    accept_of,
    proof,
    wait_until,
    write,
)
from tests.unit.iris_communication.outbox.writer.one_group import in_one_group


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(writer_module, "STORE_RETRY_S", 0.01)


class UnforeseenError(Exception):
    """What no code of ours raises on purpose."""


@pytest.fixture
def bad_source(tmp_path, monkeypatch):
    """A source that makes the spool raise what nobody foresaw."""
    take, bad = Spool.take, tmp_path / "bad.csv"

    def taking(self, source, *how):
        if source == str(bad):
            raise UnforeseenError("taking it went wrong")
        return take(self, source, *how)

    monkeypatch.setattr(Spool, "take", taking)
    return bad


def test_a_message_that_fails_in_an_unforeseen_way_harms_no_other_of_its_group(
    outbox, source, sources, bad_source, caplog
):
    outbox.accept(source)
    (item,) = outbox.claim()
    claimed = threading.Event()
    bad, good, flush = accept_of(bad_source), accept_of(sources[0]), Flush()
    in_one_group(
        outbox,
        sources[1],
        bad,
        Settle(item, Event.DELIVER, delivered=proof(item)),
        good,
        Claim(SERVER.key, 10, lambda items: claimed.set()),
        flush,
    )
    with pytest.raises(OutboxStorageError, match="went wrong"):
        bad.answer.wait(lambda: True)
    assert good.answer.wait(lambda: True)[0].id
    flush.answer.wait(lambda: True)
    assert claimed.wait(LONG_S)
    assert outbox.stats == (3, 1, 0, 2)
    assert "UnforeseenError" in caplog.text


def test_a_commit_that_fails_in_an_unforeseen_way_answers_everybody_and_keeps_settlements(outbox, source, sources):
    """As SQLite's binding does for a text it cannot encode: that is no database error."""
    outbox.accept(source)
    (item,) = outbox.claim()
    doomed = accept_of(sources[0])

    def choke(changes):
        if any(change.item.source_path == str(sources[0]) for change in changes):
            raise UnforeseenError("cannot be written")

    outbox.store.on_commit = choke
    in_one_group(outbox, sources[1], Settle(item, Event.DELIVER, delivered=proof(item)), doomed)
    with pytest.raises(OutboxStorageError, match="cannot be written"):
        doomed.answer.wait(lambda: True)
    wait_until(lambda: outbox.stats == (2, 1, 0, 1))
    wait_until(lambda: len(outbox.held()) == 1)  # the snapshot is there first


def test_an_unforeseen_failure_does_not_keep_the_writer_from_closing(outbox, source, bad_source):
    bad, close = accept_of(bad_source), CloseOutbox()
    in_one_group(outbox, source, bad, close)
    close.answer.wait(lambda: True)


def test_bytes_that_cannot_be_unlinked_harm_no_delivery(outbox, sources, monkeypatch, caplog):
    receipts = [outbox.accept(write(path, LARGE)) for path in sources[:2]]
    items = outbox.claim()
    unlink = os.unlink

    def refusing(path, **options):
        if str(path).endswith(items[0].id):
            raise OSError(5, "Input/output error")
        unlink(path, **options)

    with monkeypatch.context() as disk:
        disk.setattr(os, "unlink", refusing)
        in_one_group(outbox, sources[2], *(Settle(item, Event.DELIVER, delivered=proof(item)) for item in items))
        for receipt in receipts:
            assert receipt.wait_delivered(LONG_S)
    assert "Input/output error" in caplog.text


def test_a_source_that_cannot_be_unlinked_is_accepted_all_the_same(outbox, source, monkeypatch, caplog):
    unlink = os.unlink

    def refusing(path, **options):
        if path == str(source):
            raise PermissionError(13, "Permission denied")
        unlink(path, **options)

    with monkeypatch.context() as disk:
        disk.setattr(os, "unlink", refusing)
        outbox.accept(source, Take.MOVE)
    assert outbox.stats.queue_size == 1
    assert f"cannot remove '{source}'" in caplog.text


def test_an_answered_message_is_counted_already(outbox, sources):
    for number, path in enumerate(sources, 1):
        outbox.accept(path)
        assert outbox.stats.total_queued == number
    assert outbox.claim(5)
    assert outbox.writer.snapshot.backlogs[SERVER.key].fresh == 15
