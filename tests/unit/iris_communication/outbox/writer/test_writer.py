"""What the writer does with each message, and how it opens and closes the outbox."""

import contextlib
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
from iris_communication.outbox.orders import RetryAllDead, RetryItems
from iris_communication.outbox.writer import writer as writer_module
from iris_communication.outbox.writer.messages import Claim, Execute, Settle
from iris_communication.runtime import supervised_thread
from iris_communication.settings import Secret, Server
from tests.thorough import examples
from tests.unit.iris_communication.outbox.fake_parts import (
    LONG_S,
    SECRET,
    SERVER,
    accept_of,
    open_writer,
    proof,
    wait_until,
    write,
)
from tests.unit.iris_communication.outbox.writer.one_group import in_one_group

OTHER_SERVER = Server("other.example.org", "iris")


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(writer_module, "STORE_RETRY_S", 0.01)


# -- refused, dead, again --------------------------------------------------------------------------------------------


def test_a_full_outbox_refuses_and_nothing_changes(tmp_path, sources):
    with open_writer(tmp_path / "outbox", max_queue_size=3) as outbox:
        for path in sources[:3]:
            outbox.accept(path)
        before, spooled = outbox.stats, outbox.held()
        with pytest.raises(OutboxFull, match="3 of at most 3"):
            outbox.accept(sources[3], Take.MOVE)
        assert (outbox.stats, outbox.held()) == (before, spooled)
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
