import contextlib
import os
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from iris_communication.errors import (
    Effect,
    LinkLost,
    NotStarted,
    OutboxFull,
    OutboxInUse,
    OutboxStorageError,
    RemoteRefused,
    SourceMissing,
)
from iris_communication.item import Event, State, Take
from iris_communication.outbox.files.spool import Spool
from iris_communication.outbox.orders import RetryAllDead, RetryItems
from iris_communication.outbox.writer import writer as writer_module
from iris_communication.outbox.writer.claiming import CLAIM_MAX_ON_A_FULL_DISK
from iris_communication.outbox.writer.messages import Claim, CloseOutbox, Execute, Flush, Settle
from iris_communication.runtime import supervised_thread
from iris_communication.settings import Secret, Server
from tests.thorough import examples
from tests.unit.iris_communication.outbox import fake_parts
from tests.unit.iris_communication.outbox.fake_parts import (
    LONG_S,
    SECRET,
    SERVER,
    DiskRefuses,
    FaultyStore,
    accept_of,
    open_writer,
    proof,
    wait_until,
    write,
)

OTHER_SERVER = Server("other.example.org", "iris")


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(writer_module, "STORE_RETRY_S", 0.01)


# -- a group is one commit -------------------------------------------------------------------------------------------


def test_messages_that_come_in_during_a_commit_are_one_group_and_one_commit(outbox, source, sources):
    with ThreadPoolExecutor(len(sources) + 1) as callers:
        outbox.store.gate.clear()
        first = callers.submit(outbox.accept, source)
        assert outbox.store.commit_begins.wait(LONG_S)
        others = [callers.submit(outbox.accept, path) for path in sources]
        wait_until(lambda: outbox.writer._inbox.qsize() == len(sources))
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
    assert outbox.spooled() == []


def test_an_acceptance_is_bytes_then_row_then_unlink_then_answer(outbox, source, monkeypatch):
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
    assert steps == ["sync the bytes", "sync the folder", "commit the row", "unlink the source", "answer"]


def test_a_caller_is_not_answered_before_the_row_is_on_the_disk(outbox, source):
    accept, unanswered = accept_of(source), []
    outbox.store.on_commit = lambda changes: unanswered.append(accept.answer._replies.empty())
    outbox.writer.accept(accept)
    assert unanswered == [True]


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
    assert (outbox.folder / "spool" / receipt.id).read_bytes() == b"0" * size_bytes
    assert "the new content stays" in caplog.text


def test_a_copied_source_stays(outbox, source):
    outbox.accept(source, Take.COPY)
    assert source.read_bytes() == b"a,b\n1,2\n"


def test_a_delivery_is_row_and_ledger_line_in_one_commit_then_unlink(outbox, source):
    receipt = outbox.accept(source)
    (item,) = outbox.claim()
    seen = []
    outbox.store.on_commit = lambda changes: seen.append(outbox.spooled())
    outbox.deliver(item)
    assert (seen, outbox.spooled()) == ([[receipt.id]], [])
    assert outbox.recorded() == {receipt.id: "delivered"}
    assert len(outbox.ledger()) == 1


def test_a_receipt_names_where_the_file_lies(outbox, source):
    receipt = outbox.accept(source)
    (item,) = outbox.claim()
    assert receipt.outcome is None
    outbox.settle(item, Event.DELIVER, delivered=proof(item, "/in/a.1234.csv"))
    assert receipt.wait_delivered(LONG_S).final_path == "/in/a.1234.csv"


# -- refused, dead, again --------------------------------------------------------------------------------------------


def test_a_full_outbox_refuses_and_nothing_changes(tmp_path, sources):
    with open_writer(tmp_path / "outbox", max_queue_size=3) as outbox:
        for path in sources[:3]:
            outbox.accept(path)
        before, spooled = outbox.stats, outbox.spooled()
        with pytest.raises(OutboxFull, match="3 of at most 3"):
            outbox.accept(sources[3], Take.MOVE)
        assert (outbox.stats, outbox.spooled()) == (before, spooled)
        assert sources[3].exists()


def test_a_group_takes_no_more_than_there_is_room_for(tmp_path, sources):
    with open_writer(tmp_path / "outbox", max_queue_size=5) as outbox:
        outcomes = []

        def offer(path):
            try:
                outbox.accept(path)
                outcomes.append("accepted")
            except OutboxFull:
                outcomes.append("full")

        with ThreadPoolExecutor(len(sources)) as callers:
            list(callers.map(offer, sources))
        assert (outcomes.count("accepted"), outbox.stats.queue_size) == (5, 5)


def test_a_full_outbox_still_takes_a_servers_new_password(tmp_path, sources):
    """Or the files that wait for it would fill the outbox for ever."""
    with open_writer(tmp_path / "outbox", max_queue_size=1) as outbox:
        outbox.accept(sources[0])
        with pytest.raises(OutboxFull):
            outbox.accept(sources[1], secret=Secret(password="the right one"))
        assert outbox.writer.servers.resolve(SERVER.key)[1].password == "the right one"


def test_a_subscriber_learns_which_server_has_new_facts(outbox, sources):
    told = []
    outbox.writer.subscribe(lambda: None, told.append)
    outbox.accept(sources[0])
    outbox.accept(sources[1])
    outbox.accept(sources[2], secret=Secret(password="another"))
    assert told == [SERVER.key, SERVER.key]


def test_a_missing_source_is_dead_from_the_start_and_its_receipt_says_so(outbox, tmp_path):
    receipt = outbox.accept(tmp_path / "gone.csv")
    assert isinstance(receipt.outcome, SourceMissing)
    with pytest.raises(SourceMissing, match=r"gone\.csv"):
        receipt.wait_delivered(LONG_S)
    assert outbox.stats == (1, 0, 1, 0)
    assert outbox.claim() == []


def test_an_item_given_up_is_dead_and_can_wait_again(outbox, source):
    receipt = outbox.accept(source)
    (item,) = outbox.claim()
    outbox.settle(item, Event.GIVE_UP, error=RemoteRefused("no permission"))
    assert outbox.stats == (1, 0, 1, 0)
    assert [dead.id for dead in outbox.writer.snapshot.dead] == [receipt.id]
    assert isinstance(receipt.outcome, RemoteRefused)
    assert outbox.writer.execute(RetryAllDead()) == {receipt.id: ""}
    assert outbox.stats == (1, 0, 0, 1)
    assert outbox.writer.snapshot.dead == ()
    (again,) = outbox.claim()
    assert (again.id, again.attempts) == (receipt.id, 0)
    outbox.deliver(again)
    assert outbox.stats == (1, 1, 0, 0)
    assert receipt.wait_delivered(LONG_S)


def test_a_receipt_of_an_item_that_waits_again_has_no_outcome(outbox, source):
    receipt = outbox.accept(source)
    outbox.settle(outbox.claim()[0], Event.GIVE_UP, error=RemoteRefused("no"))
    outbox.writer.execute(RetryItems((receipt.id,)))
    assert receipt.outcome is None


def test_one_dead_item_is_retried_by_its_id_and_an_unknown_id_is_none(outbox, sources):
    first, second = (outbox.accept(path) for path in sources[:2])
    for item in outbox.claim():
        outbox.settle(item, Event.GIVE_UP, error=RemoteRefused("no"))
    told = outbox.writer.execute(RetryItems(("never heard of", second.id)))
    assert told == {"never heard of": "no such item", second.id: ""}
    assert [dead.id for dead in outbox.writer.snapshot.dead] == [first.id]


def test_a_dead_item_without_bytes_cannot_wait_again(outbox, tmp_path):
    outbox.accept(tmp_path / "gone.csv")
    assert outbox.writer.execute(RetryAllDead()) == {}
    assert outbox.stats == (1, 0, 1, 0)


def test_two_callers_that_retry_at_the_same_time_retry_once(outbox, source, sources):
    outbox.accept(source)
    outbox.settle(outbox.claim()[0], Event.GIVE_UP, error=RemoteRefused("no"))
    one, other = Execute(RetryAllDead()), Execute(RetryAllDead())
    in_one_group(outbox, sources[0], one, other)
    alive = lambda: True  # noqa: E731 - the writer of this test
    outcomes = [*one.answer.wait(alive).values(), *other.answer.wait(alive).values()]
    assert sorted(outcomes) == ["", "it changes just now"]
    assert outbox.stats == (2, 0, 0, 2)


def in_one_group(outbox, path, *messages):
    """Send messages while the writer commits the acceptance of `path`: they are one group then."""
    outbox.store.commit_begins.clear()
    outbox.store.gate.clear()
    with ThreadPoolExecutor(1) as caller:
        accepted = caller.submit(outbox.accept, path)
        assert outbox.store.commit_begins.wait(LONG_S)
        for message in messages:
            outbox.writer._inbox.put((message,))
        outbox.store.gate.set()
        accepted.result(LONG_S)


def test_callers_are_answered_though_the_clearing_up_after_a_failure_fails_as_well(outbox, sources, monkeypatch):
    monkeypatch.setattr(supervised_thread, "PAUSE_BASE_S", 0.01)
    errors = iter([KeyError("after the commit"), KeyError("in clearing up")])

    def reply(items):
        for each in errors:
            raise each

    accept = accept_of(sources[1])
    in_one_group(outbox, sources[0], Claim(SERVER.key, 1, reply), accept)
    with pytest.raises(OutboxStorageError, match="being started again"):
        accept.answer.wait(lambda: True, LONG_S)
    wait_until(lambda: outbox.writer.is_open)
    assert outbox.accept(sources[2])


# -- claims and settlements ------------------------------------------------------------------------------------------


def test_claims_never_hand_out_an_item_twice(outbox, sources):
    for path in sources:
        outbox.accept(path)
    found, answered = [], threading.Semaphore(0)
    claims = [Claim(SERVER.key, 8, lambda items: (found.extend(items), answered.release())) for _ in range(4)]
    in_one_group(outbox, write(sources[0].with_name("one-more.csv")), *claims)
    for _ in claims:
        assert answered.acquire(timeout=LONG_S)
    found += outbox.claim()
    assert len(found) == len({item.id for item in found}) == len(sources) + 1


def test_a_claim_is_of_one_server_alone(outbox, sources):
    outbox.accept(sources[0])
    other = outbox.accept(sources[1], server=OTHER_SERVER)
    assert [item.id for item in outbox.claim(server=OTHER_SERVER)] == [other.id]


def test_items_are_handed_out_in_order_of_acceptance(outbox, sources):
    accepted = [outbox.accept(path).id for path in sources]
    assert [item.id for item in outbox.claim(7)] == accepted[:7]
    assert [item.id for item in outbox.claim()] == accepted[7:]


def test_a_claimed_item_has_a_token_that_is_stored_before_anybody_gets_it(outbox, source):
    outbox.accept(source)
    stored = []
    outbox.store.on_commit = lambda changes: stored.extend(change.item.token for change in changes)
    (item,) = outbox.claim()
    assert stored == [item.token]
    assert len(item.token) == 16


def test_an_item_is_not_handed_out_before_its_token_is_on_the_disk(outbox, source):
    outbox.accept(source)
    told, told_before = threading.Event(), []
    outbox.store.on_commit = lambda changes: told_before.append(told.is_set())
    outbox.writer.claim(SERVER.key, 1, lambda items: told.set())
    outbox.writer.flush()
    assert (told_before, told.is_set()) == ([False], True)


def test_a_released_item_waits_again_and_no_attempt_is_spent(outbox, source):
    outbox.accept(source)
    (item,) = outbox.claim()
    outbox.settle(item, Event.RELEASE, error=LinkLost("gone"))
    assert outbox.stats == (1, 0, 0, 1)
    (again,) = outbox.claim()
    assert (again.attempts, again.due) == (0, None)


def test_a_failed_item_is_due_later_and_an_attempt_is_spent(outbox, source):
    outbox.accept(source)
    (item,) = outbox.claim()
    outbox.settle(item, Event.FAIL, error=RemoteRefused("no"), delay_s=30.0)
    assert outbox.claim() == []
    assert outbox.writer.snapshot.backlogs[SERVER.key].next_due_s == outbox.clock.boot_s() + 30.0
    outbox.clock.advance(30.0)
    (again,) = outbox.claim()
    assert again.attempts == 1


def test_settling_twice_is_harmless(outbox, source, sources):
    outbox.accept(source)
    (item,) = outbox.claim()
    twice = [Settle(item, Event.DELIVER, delivered=proof(item)) for _ in range(2)]
    in_one_group(outbox, sources[0], *twice)
    outbox.deliver(item)
    assert outbox.stats == (2, 1, 0, 1)
    assert len(outbox.ledger()) == 1


# -- a disk that refuses ---------------------------------------------------------------------------------------------


def test_a_commit_that_fails_refuses_the_acceptance_and_nothing_changes(outbox, source):
    before = outbox.stats
    outbox.store.refuse = True
    with pytest.raises(OutboxStorageError, match="no space left"):
        outbox.accept(source, Take.MOVE)
    assert (outbox.stats, outbox.spooled(), source.exists()) == (before, [], True)


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
    assert outbox.spooled() == [item.id]
    outbox.store.refuse = False
    wait_until(lambda: outbox.stats == (1, 1, 0, 0))
    wait_until(lambda: outbox.spooled() == [])  # the snapshot is there first


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
    assert (outbox.spooled(), source.exists()) == ([receipt.id], False)


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
    assert outbox.spooled() == []


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
    assert outbox.spooled() == []


def test_a_doubtful_commit_that_did_not_happen_leaves_nothing(outbox, source, sources):
    outbox.store.refuse = outbox.store.unopenable = True
    with pytest.raises(OutboxStorageError):
        outbox.accept(source)
    outbox.store.refuse = outbox.store.unopenable = False
    accepted = outbox.accept(sources[0])
    assert outbox.stats == (1, 0, 0, 1)
    assert outbox.spooled() == [accepted.id]


def test_a_doubtful_delivery_is_counted_once(outbox, source):
    outbox.accept(source)
    (item,) = outbox.claim()
    outbox.store.lose_answer = outbox.store.unopenable = True
    outbox.deliver(item)
    assert outbox.stats == (1, 0, 0, 1)
    outbox.store.lose_answer = outbox.store.unopenable = False
    wait_until(lambda: outbox.stats == (1, 1, 0, 0))
    wait_until(lambda: outbox.spooled() == [])  # the snapshot is there first


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
    held = outbox.spooled()
    for path in sources:
        with pytest.raises(OutboxStorageError):
            outbox.accept(path)
    assert outbox.spooled() == held


def test_a_servers_record_that_cannot_be_written_refuses_the_call(outbox, source, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OutboxStorageError, match=r"secrets\.json.*No space left"):
        outbox.accept(source)
    assert outbox.stats == (0, 0, 0, 0)


# -- what nobody foresaw ---------------------------------------------------------------------------------------------


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
    wait_until(lambda: len(outbox.spooled()) == 1)  # the snapshot is there first


def test_an_unforeseen_failure_does_not_keep_the_writer_from_closing(outbox, source, bad_source):
    bad, close = accept_of(bad_source), CloseOutbox()
    in_one_group(outbox, source, bad, close)
    close.answer.wait(lambda: True)


def test_bytes_that_cannot_be_unlinked_harm_no_delivery(outbox, sources, monkeypatch, caplog):
    receipts = [outbox.accept(path) for path in sources[:2]]
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


# -- a disk that is full ---------------------------------------------------------------------------------------------


def test_a_commit_that_fails_gives_the_reserve_back_so_that_deliveries_make_room(outbox, source, sources, monkeypatch):
    """A disk that the spool has filled: without the reserve's room no commit would ever succeed again."""
    monkeypatch.setattr(os, "posix_fallocate", no_room)
    receipt = outbox.accept(source)
    outbox.store.on_commit = commits_need_room(outbox)
    assert outbox.claim() == []
    (item,) = outbox.claim()
    outbox.deliver(item)
    assert receipt.wait_delivered(LONG_S)
    with pytest.raises(OutboxStorageError, match="is full: No space left on device"):
        outbox.accept(sources[0])
    assert outbox.stats == (1, 1, 0, 0)


def test_acceptance_goes_on_once_there_is_room_for_the_reserve(outbox, source, sources, monkeypatch):
    outbox.store.refuse = True
    with monkeypatch.context() as disk:
        disk.setattr(os, "posix_fallocate", no_room)
        with pytest.raises(OutboxStorageError):
            outbox.accept(source)
    outbox.store.refuse = False
    outbox.accept(sources[0])
    assert outbox.stats.queue_size == 1


def test_room_that_only_the_databases_log_holds_is_found(outbox, source, sources, monkeypatch):
    allocate = os.posix_fallocate
    outbox.store.refuse = True
    with pytest.raises(OutboxStorageError):
        outbox.accept(source)
    outbox.store.refuse = False
    opened = outbox.store.opened
    monkeypatch.setattr(os, "posix_fallocate", lambda *_: no_room() if outbox.store.opened == opened else allocate(*_))
    outbox.accept(sources[0])
    assert outbox.stats.queue_size == 1


def test_a_full_disk_is_not_made_busy_by_looking_for_room(outbox, source, sources, monkeypatch):
    monkeypatch.setattr(os, "posix_fallocate", no_room)
    outbox.store.refuse = True
    with pytest.raises(OutboxStorageError):
        outbox.accept(source)
    outbox.store.refuse = False
    opened = outbox.store.opened
    for path in sources:
        with pytest.raises(OutboxStorageError):
            outbox.accept(path)
    assert outbox.store.opened == opened + 1


def test_claims_are_small_on_a_full_disk(outbox, sources, monkeypatch):
    for path in sources:
        outbox.accept(path)
    monkeypatch.setattr(os, "posix_fallocate", no_room)
    outbox.store.on_commit = commits_need_room(outbox)
    assert outbox.claim() == []
    assert len(outbox.claim()) == CLAIM_MAX_ON_A_FULL_DISK


def test_an_outbox_whose_disk_is_full_opens_on_its_reserve(tmp_path, source, monkeypatch):
    folder = tmp_path / "outbox"
    with open_writer(folder) as outbox:
        outbox.accept(source)
    opened = []

    class NeedsRoom(FaultyStore):
        def __init__(self, *args):
            opened.append((folder / "reserve").stat().st_size)
            if opened[-1]:
                raise OutboxStorageError("no space left on device")
            super().__init__(*args)

    monkeypatch.setattr(fake_parts, "FaultyStore", NeedsRoom)
    with open_writer(folder) as outbox:
        assert len(outbox.claim()) == 1
    assert [size > 0 for size in opened] == [True, False]


def no_room(*_):
    raise OSError(28, "No space left on device")


def commits_need_room(outbox):
    def commit(changes):
        if (outbox.folder / "reserve").stat().st_size:
            raise DiskRefuses

    return commit


# -- opening and closing ---------------------------------------------------------------------------------------------


def test_closing_records_what_is_pending_and_gives_the_outbox_back(tmp_path, source):
    with open_writer(tmp_path / "outbox") as first:
        first.accept(source)
        (item,) = first.claim()
        first.writer.settle(Settle(item, Event.DELIVER, delivered=proof(item)))
        first.close()
        first.close()
        with pytest.raises(NotStarted):
            first.accept(source)
    with open_writer(tmp_path / "outbox") as second:
        assert second.stats == (0, 0, 0, 0)
        assert second.recorded() == {item.id: "delivered"}


def test_a_second_writer_of_the_same_outbox_is_refused_and_leaves_the_first_alone(outbox, source):
    with pytest.raises(OutboxInUse), open_writer(outbox.folder):
        pass
    outbox.accept(source)
    assert outbox.stats.queue_size == 1


def test_an_outbox_that_could_not_be_opened_can_be_opened_later(tmp_path, source):
    folder = write(tmp_path / "outbox", b"a file where the folder should be")
    with pytest.raises(OutboxStorageError, match=str(folder)), open_writer(folder):
        pass
    folder.unlink()
    with open_writer(folder) as outbox:
        outbox.accept(source)


def test_a_newer_database_is_left_untouched_and_the_outbox_given_back(tmp_path):
    folder = tmp_path / "outbox"
    with open_writer(folder):
        pass
    with contextlib.closing(sqlite3.connect(folder / "outbox.db")) as database:
        database.execute("PRAGMA user_version = 99")
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and path.name != "owner.lock"}
    for _ in range(2):
        with pytest.raises(OutboxStorageError, match="schema version 99"), open_writer(folder):
            pass
    after = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and path.name != "owner.lock"}
    assert after == before


def test_items_that_an_earlier_process_left_count_as_queued(tmp_path, sources):
    with open_writer(tmp_path / "outbox") as outbox:
        for path in (*sources[:3], tmp_path / "gone.csv"):
            outbox.accept(path)
        outbox.deliver(outbox.claim(1)[0])
    with open_writer(tmp_path / "outbox") as outbox:
        assert outbox.stats == (3, 0, 1, 2)


def test_sequences_are_never_given_twice(tmp_path, sources):
    with open_writer(tmp_path / "outbox") as outbox:
        outbox.accept(sources[0])
        outbox.deliver(outbox.claim()[0])
    with open_writer(tmp_path / "outbox") as outbox:
        outbox.accept(sources[1])
        assert outbox.claim()[0].sequence == 2


def test_no_password_is_in_any_row(outbox, source):
    outbox.accept(source)
    database = sqlite3.connect(outbox.folder / "outbox.db")
    rows = database.execute("SELECT * FROM items").fetchall()
    database.close()
    assert rows
    assert SECRET.password not in repr(rows)


# -- which attempt may have left something ---------------------------------------------------------------------------


def test_an_attempt_of_unknown_end_is_named_to_the_next_one(outbox, source):
    outbox.accept(source)
    (first,) = outbox.claim()
    outbox.settle(first, Event.RELEASE, effect=Effect.UNSEEN)
    (second,) = outbox.claim()
    assert second.earlier_tokens == (first.token,)
    assert second.token != first.token


def test_an_attempt_that_touched_nothing_does_not_hide_the_one_before(outbox, source):
    """Killed while sending, then the link was down: the first attempt's temp file is still to be looked for."""
    outbox.accept(source)
    (first,) = outbox.claim()
    outbox.settle(first, Event.RELEASE, effect=Effect.UNSEEN)
    for _ in range(3):
        (again,) = outbox.claim()
        assert again.earlier_tokens == (first.token,)
        outbox.settle(again, Event.RELEASE, effect=Effect.NONE)


def test_an_attempt_whose_rename_was_left_unanswered_keeps_its_token(outbox, source):
    outbox.accept(source)
    (first,) = outbox.claim()
    outbox.settle(first, Event.RELEASE, effect=Effect.UNKNOWN)
    for _ in range(3):
        (again,) = outbox.claim()
        assert (again.token, again.effect) == (first.token, Effect.UNKNOWN)
        outbox.settle(again, Event.RELEASE, effect=Effect.NONE)


def test_an_attempt_that_certainly_left_nothing_is_forgotten(outbox, source):
    outbox.accept(source)
    (first,) = outbox.claim()
    outbox.settle(first, Event.FAIL, error=RemoteRefused("no"), effect=Effect.NONE)
    (second,) = outbox.claim()
    assert (second.earlier_tokens, second.state) == ((), State.IN_FLIGHT)


def test_two_threads_may_close_the_writer_at_once(tmp_path):
    for number in range(examples(20)):
        with open_writer(tmp_path / str(number)) as opened:
            failed = []

            def close(writer=opened.writer, failed=failed):
                try:
                    writer.close()
                except NotStarted as error:
                    failed.append(error)

            closers = [threading.Thread(target=close) for _ in range(3)]
            for closer in closers:
                closer.start()
            for closer in closers:
                closer.join(LONG_S)
            assert failed == []


def test_a_message_that_comes_while_the_writer_looks_at_what_waits_costs_it_nothing(outbox, source, monkeypatch):
    overtaken = property(  # while it is looked at, another thread sends something
        lambda self: outbox.writer.keep_breaker(SERVER.key, None),
        lambda self, value: None,  # set when it is made
    )
    monkeypatch.setattr(Claim, "urgent", overtaken)
    receipt = outbox.accept(source)
    assert [item.id for item in outbox.claim()] == [receipt.id]
    assert outbox.writer.thread()["restarts"] == 0
