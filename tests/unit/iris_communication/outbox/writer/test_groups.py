"""What comes in together is one commit, and each caller is answered once its row is on the disk."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from iris_communication.errors import (
    OutboxFull,
)
from iris_communication.item import Event, Take
from iris_communication.outbox.writer import writer as writer_module
from iris_communication.outbox.writer.messages import Answer, Settle
from tests.unit.iris_communication.outbox.fake_parts import (
    LARGE,
    LONG_S,
    SECRET,
    SERVER,
    accept_of,
    open_writer,
    proof,
    wait_until,
    write,
)


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(writer_module, "STORE_RETRY_S", 0.01)


def test_messages_that_come_in_during_a_commit_are_one_group_and_one_commit(outbox, source, sources, monkeypatch):
    sent, send = [], outbox.writer.send
    monkeypatch.setattr(outbox.writer, "send", lambda messages: (send(messages), sent.append(messages)))
    with ThreadPoolExecutor(len(sources) + 1) as callers:
        outbox.store.gate.clear()
        first = callers.submit(outbox.accept, source)
        assert outbox.store.commit_begins.wait(LONG_S)
        others = [callers.submit(outbox.accept, path) for path in sources]
        wait_until(lambda: len(sent) == 1 + len(sources))
        outbox.store.gate.set()
        for accepted in (first, *others):
            accepted.result(LONG_S)
    assert [len(changes) for changes in outbox.store.commits] == [1, len(sources)]


def test_files_accepted_together_are_one_commit_and_each_is_answered(outbox, sources):
    receipts = outbox.writer.accept_all([accept_of(path) for path in sources])
    assert [len(changes) for changes in outbox.store.commits] == [len(sources)]
    assert outbox.recorded() == {receipt.id: "waiting" for (receipt,) in receipts}


def test_files_accepted_together_are_refused_only_where_there_is_no_room_for_them(tmp_path, sources):
    with open_writer(tmp_path / "outbox", max_queue_size=3) as outbox:
        outcomes = outbox.writer.accept_all([accept_of(path, Take.MOVE) for path in sources[:5]])
        assert [isinstance(outcome, OutboxFull) for outcome in outcomes] == [False] * 3 + [True] * 2
        assert [path.exists() for path in sources[:5]] == [False] * 3 + [True] * 2


def test_messages_nobody_waits_for_go_along_with_one_that_somebody_waits_for(outbox, sources, monkeypatch):
    monkeypatch.setattr(writer_module, "LINGER_S", LONG_S)
    for path in sources[:3]:
        outbox.accept(path)
    items, told = [], threading.Event()
    outbox.writer.claim(SERVER.key, 3, lambda found: (items.extend(found), told.set()))
    outbox.accept(sources[3])
    assert told.wait(LONG_S)
    for item in items:
        outbox.writer.settle(Settle(item, Event.DELIVER, delivered=proof(item)))
    outbox.accept(sources[4])
    assert [len(changes) for changes in outbox.store.commits[3:]] == [3 + 1, 3 + 1]


def test_an_urgent_claim_does_not_linger(outbox, source, monkeypatch):
    outbox.accept(source)
    monkeypatch.setattr(writer_module, "LINGER_S", LONG_S)
    assert len(outbox.claim(urgent=True)) == 1


def test_a_message_nobody_waits_for_lingers_only_so_long(outbox, source):
    outbox.accept(source)
    (item,) = outbox.claim()
    outbox.writer.settle(Settle(item, Event.DELIVER, delivered=proof(item)))
    wait_until(lambda: outbox.stats == (1, 1, 0, 0))


def test_more_than_a_group_of_settlements_is_all_recorded_before_a_flush_is_answered(outbox, sources, monkeypatch):
    monkeypatch.setattr(writer_module, "GROUP_MAX", 4)
    outbox.writer.accept_all([accept_of(path) for path in sources])
    items = outbox.claim()
    for item in items:
        outbox.writer.settle(Settle(item, Event.DELIVER, delivered=proof(item)))
    outbox.writer.flush()
    assert outbox.stats == (len(sources), len(sources), 0, 0)
    assert outbox.held() == []


BYTES_FIRST = ["sync the bytes", "sync the folder"]


@pytest.mark.parametrize(
    ("content", "first"), [(b"small", []), (LARGE, BYTES_FIRST)], ids=["its content with the row", "its bytes first"]
)
def test_an_acceptance_is_bytes_then_row_then_unlink_then_answer(outbox, source, monkeypatch, content, first):
    write(source, content)
    steps = []
    fdatasync, fsync, unlink = os.fdatasync, os.fsync, os.unlink
    monkeypatch.setattr(os, "fdatasync", lambda fd: (steps.append("sync the bytes"), fdatasync(fd)))
    monkeypatch.setattr(os, "fsync", lambda fd: (steps.append("sync the folder"), fsync(fd)))
    outbox.store.on_commit = lambda changes: steps.append("commit the row")
    monkeypatch.setattr(
        os, "unlink", lambda path, **options: (steps.append("unlink the source"), unlink(path, **options))
    )
    steps.clear()
    outbox.writer.remember(SERVER, SECRET, None)
    steps.clear()
    outbox.accept(source, Take.MOVE)
    steps.append("answer")
    assert steps == [*first, "commit the row", "unlink the source", "answer"]


def test_a_caller_is_not_answered_before_the_row_is_on_the_disk(outbox, source):
    given, given_before = [], []

    class NotedAnswer(Answer):
        def give(self, reply):
            given.append(reply)
            super().give(reply)

    outbox.store.on_commit = lambda changes: given_before.append(list(given))
    receipts = outbox.writer.accept(accept_of(source, answer=NotedAnswer()))
    assert (given_before, given) == ([[]], [receipts])


def test_a_moved_source_is_still_there_while_its_row_is_committed(outbox, source):
    seen = []
    outbox.store.on_commit = lambda changes: seen.append(source.exists())
    outbox.accept(source, Take.MOVE)
    assert (seen, source.exists()) == ([True], False)


@pytest.mark.parametrize("size_bytes", [8, 2_000_000])
def test_a_new_file_under_the_name_of_a_moved_source_stays(outbox, source, size_bytes, caplog):
    """It came while the row of the one before was committed, and was never accepted."""
    source.write_bytes(b"0" * size_bytes)

    def replace_it(changes):
        newer = source.with_suffix(".new")
        newer.write_bytes(b"9" * size_bytes)
        newer.replace(source)

    outbox.store.on_commit = replace_it
    receipt = outbox.accept(source, Take.MOVE)
    assert source.read_bytes() == b"9" * size_bytes
    assert outbox.bytes_of(receipt.id) == b"0" * size_bytes
    assert "the new content stays" in caplog.text


def test_a_copied_source_stays(outbox, source):
    outbox.accept(source, Take.COPY)
    assert source.read_bytes() == b"a,b\n1,2\n"


def test_a_delivery_is_row_and_ledger_line_in_one_commit_then_unlink(outbox, source):
    receipt = outbox.accept(write(source, LARGE))
    (item,) = outbox.claim()
    seen = []
    outbox.store.on_commit = lambda changes: seen.append(outbox.held())
    outbox.deliver(item)
    assert (seen, outbox.held()) == ([[receipt.id]], [])
    assert outbox.recorded() == {receipt.id: "delivered"}
    assert len(outbox.ledger()) == 1


def test_a_receipt_names_where_the_file_lies(outbox, source):
    receipt = outbox.accept(source)
    (item,) = outbox.claim()
    assert receipt.outcome is None
    outbox.settle(item, Event.DELIVER, delivered=proof(item, "/in/a.1234.csv"))
    assert receipt.wait_delivered(LONG_S).final_path == "/in/a.1234.csv"
