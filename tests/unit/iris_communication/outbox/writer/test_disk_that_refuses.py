"""A disk that refuses a commit: nothing is lost, nothing is counted twice, and the store is opened again."""

import os

import pytest

from iris_communication.errors import (
    OutboxStorageError,
)
from iris_communication.item import Take
from iris_communication.outbox.orders import RetryAllDead
from iris_communication.outbox.writer import writer as writer_module
from tests.unit.iris_communication.outbox.fake_parts import (
    wait_until,
)


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(writer_module, "STORE_RETRY_S", 0.01)


def test_a_commit_that_fails_refuses_the_acceptance_and_nothing_changes(outbox, source):
    before = outbox.stats
    outbox.store.refuse = True
    with pytest.raises(OutboxStorageError, match="no space left"):
        outbox.accept(source, Take.MOVE)
    assert (outbox.stats, outbox.held(), source.exists()) == (before, [], True)


def test_the_store_is_opened_again_after_a_failed_commit_and_acceptance_goes_on(outbox, sources):
    outbox.store.refuse = True
    with pytest.raises(OutboxStorageError):
        outbox.accept(sources[0])
    outbox.store.refuse = False
    outbox.accept(sources[1])
    assert outbox.store.opened == 2
    assert outbox.stats.queue_size == 1


def test_a_delivery_while_the_disk_refused_is_recorded_later(outbox, source):
    outbox.accept(source)
    (item,) = outbox.claim()
    outbox.store.refuse = True
    outbox.deliver(item)
    assert outbox.stats == (1, 0, 0, 1)
    assert outbox.held() == [item.id]
    outbox.store.refuse = False
    wait_until(lambda: outbox.stats == (1, 1, 0, 0))
    wait_until(lambda: outbox.held() == [])  # the snapshot is there first


def test_the_ledgers_chain_is_whole_after_a_disk_that_refused(outbox, sources):
    from iris_communication.outbox.store.ledger import first_broken

    for path in sources[:4]:
        outbox.accept(path)
    items = outbox.claim()
    outbox.deliver(items[0])
    outbox.store.refuse = True
    outbox.deliver(items[1])
    outbox.store.refuse = False
    outbox.deliver(items[2])
    outbox.deliver(items[3])
    wait_until(lambda: outbox.stats.total_uploaded == 4)
    lines = outbox.ledger()
    assert (len(lines), first_broken(lines)) == (4, None)


def test_an_acceptance_whose_commit_lost_its_answer_is_believed_from_the_store(outbox, source):
    outbox.store.lose_answer = True
    receipt = outbox.accept(source, Take.MOVE)
    outbox.store.lose_answer = False
    assert outbox.stats == (1, 0, 0, 1)
    assert (outbox.held(), source.exists()) == ([receipt.id], False)


def test_a_dead_acceptance_whose_commit_lost_its_answer_is_believed_from_the_store(outbox, tmp_path):
    outbox.store.lose_answer = True
    outbox.accept(tmp_path / "gone.csv")
    assert outbox.stats == (1, 0, 1, 0)


def test_a_delivery_whose_commit_lost_its_answer_is_counted_once(outbox, source):
    outbox.accept(source)
    (item,) = outbox.claim()
    outbox.store.lose_answer = True
    outbox.deliver(item)
    outbox.store.lose_answer = False
    outbox.writer.flush()
    assert outbox.stats == (1, 1, 0, 0)
    assert outbox.held() == []


def test_a_claim_whose_commit_lost_its_answer_hands_out_what_the_store_says(outbox, source):
    receipt = outbox.accept(source)
    outbox.store.lose_answer = True
    assert [item.id for item in outbox.claim()] == [receipt.id]
    assert (outbox.recorded(), outbox.stats) == ({receipt.id: "in_flight"}, (1, 0, 0, 1))


def test_a_doubtful_commit_is_judged_once_the_store_can_be_opened_again(outbox, source, sources):
    """The commit happened, its answer was lost and the store stayed shut: refused, and yet on record."""
    outbox.store.lose_answer = outbox.store.unopenable = True
    with pytest.raises(OutboxStorageError):
        outbox.accept(source, Take.MOVE)
    assert source.exists()
    outbox.store.lose_answer = outbox.store.unopenable = False
    outbox.accept(sources[0])
    assert outbox.stats == (2, 0, 0, 2)
    assert source.exists(), "its caller was told that it is not accepted"
    for item in outbox.claim():
        outbox.deliver(item)
    assert outbox.stats == (2, 2, 0, 0)
    assert outbox.held() == []


def test_a_doubtful_commit_that_did_not_happen_leaves_nothing(outbox, source, sources):
    outbox.store.refuse = outbox.store.unopenable = True
    with pytest.raises(OutboxStorageError):
        outbox.accept(source)
    outbox.store.refuse = outbox.store.unopenable = False
    accepted = outbox.accept(sources[0])
    assert outbox.stats == (1, 0, 0, 1)
    assert outbox.held() == [accepted.id]


def test_a_doubtful_delivery_is_counted_once(outbox, source):
    outbox.accept(source)
    (item,) = outbox.claim()
    outbox.store.lose_answer = outbox.store.unopenable = True
    outbox.deliver(item)
    assert outbox.stats == (1, 0, 0, 1)
    outbox.store.lose_answer = outbox.store.unopenable = False
    wait_until(lambda: outbox.stats == (1, 1, 0, 0))
    wait_until(lambda: outbox.held() == [])  # the snapshot is there first


def test_a_store_that_was_shut_is_opened_again_for_claims_alone(outbox, source):
    """Nobody offers anything new: delivery has to go on by itself once the disk is well."""
    receipt = outbox.accept(source)
    outbox.store.refuse = outbox.store.unopenable = True
    assert outbox.claim() == []
    outbox.store.refuse = outbox.store.unopenable = False
    assert [item.id for item in outbox.claim()] == [receipt.id]


def test_a_store_that_cannot_be_read_hands_out_nothing_and_is_opened_again(outbox, source):
    receipt = outbox.accept(source)
    outbox.store.unreadable = True
    assert outbox.claim() == []
    outbox.store.unreadable = False
    assert [item.id for item in outbox.claim()] == [receipt.id]
    assert outbox.store.opened == 2


def test_dead_items_stay_dead_while_the_store_is_shut_and_the_caller_learns_it(outbox, source, tmp_path):
    outbox.accept(tmp_path / "gone.csv")
    outbox.store.refuse = outbox.store.unopenable = True
    with pytest.raises(OutboxStorageError):
        outbox.accept(source)
    with pytest.raises(OutboxStorageError):
        outbox.writer.execute(RetryAllDead())
    outbox.writer.flush()
    assert outbox.stats == (1, 0, 1, 0)


def test_no_new_file_is_copied_into_the_spool_while_the_store_is_shut(outbox, source, sources):
    outbox.store.refuse = outbox.store.unopenable = True
    with pytest.raises(OutboxStorageError):
        outbox.accept(source)
    held = outbox.held()
    for path in sources:
        with pytest.raises(OutboxStorageError):
            outbox.accept(path)
    assert outbox.held() == held


def test_a_servers_record_that_cannot_be_written_refuses_the_call(outbox, source, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OutboxStorageError, match=r"secrets\.json.*No space left"):
        outbox.accept(source)
    assert outbox.stats == (0, 0, 0, 0)
