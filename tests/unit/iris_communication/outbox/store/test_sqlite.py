"""What only this store promises: durability on one file, and a cost that does not grow. The rest is the contract's."""

import contextlib
import shutil
import sqlite3
from dataclasses import replace

import pytest

from iris_communication.errors import OutboxDamaged, OutboxStorageError
from iris_communication.item import Delivered, Due, State
from iris_communication.outbox.store import ledger
from iris_communication.outbox.store.contract import Deliver, Insert, Tally, Update
from iris_communication.outbox.store.sqlite import QUERIES, SCHEMA_VERSION, SqliteStore
from iris_communication.outbox.store.statements import WRITES
from iris_communication.testing.store_contract import BOOT_ID, NOW_S, OTHER_SERVER, QUEUE, SERVER, due, make_item
from tests.unit.iris_communication.outbox.made_outbox import ask_beside


@pytest.fixture
def path(tmp_path):
    return tmp_path / "outbox.db"


@pytest.fixture
def connections(monkeypatch):
    """Every connection that is opened; a store's own is the last. Some settings and limits are a connection's."""
    opened, connect = [], sqlite3.connect

    def connect_and_note(*facts, **options):
        opened.append(connect(*facts, **options))
        return opened[-1]

    monkeypatch.setattr(sqlite3, "connect", connect_and_note)
    return opened


@pytest.fixture
def store(path, connections):
    store = SqliteStore(path, BOOT_ID)
    yield store
    store.close()


@pytest.fixture
def own(store, connections):
    """The store's own connection."""
    return connections[-1]


def reopened(store, path, boot_id=BOOT_ID):
    store.close()
    return SqliteStore(path, boot_id)


def hold(store, *items):
    store.commit([Insert(item) for item in items])


def deliver(store, item):
    proof = ledger.entry(item, Delivered(item.remote_path, 10, "ab" * 32, None, 5.0))
    store.commit([Deliver(item, ledger.line(store.ledger_head(), proof))])


# -- durability


def test_a_commit_is_durable_by_the_strictest_setting(own):
    assert own.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert own.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL


def test_everything_is_there_after_opening_it_again(store, path):
    items = [make_item(1), make_item(2, state=State.IN_FLIGHT), make_item(3, state=State.DEAD), make_item(4)]
    hold(store, *items)
    deliver(store, items[3])
    head = store.ledger_head()
    again = reopened(store, path)
    assert list(again.unfinished()) == items[:2]
    assert again.dead(5) == items[2:3]
    assert again.tally() == Tally(1, 1, 1, 1)
    assert (again.last_sequence(), again.ledger_head(), again.state("item-000004")) == (4, head, "delivered")
    again.close()


def test_committed_changes_are_there_after_a_crash(store, path, tmp_path):
    hold(store, make_item(1))
    deliver(store, make_item(1))
    hold(store, make_item(2))
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    for file in (path, path.with_name("outbox.db-wal")):  # as the disk is, with the store never closed
        shutil.copy(file, crashed)
    again = SqliteStore(crashed / "outbox.db", BOOT_ID)
    assert again.tally() == Tally(waiting=1, delivered=1)
    again.close()


def test_a_delivery_that_is_cut_off_anywhere_is_a_row_or_a_ledger_line(store, path, tmp_path):
    hold(store, make_item(1))
    wal = path.with_name("outbox.db-wal")
    before = wal.stat().st_size
    deliver(store, make_item(1))
    told = set()
    for cut in (*range(before, wal.stat().st_size, 1009), wal.stat().st_size):
        crashed = tmp_path / f"cut-{cut}"
        crashed.mkdir()
        shutil.copy(path, crashed)
        (crashed / "outbox.db-wal").write_bytes(wal.read_bytes()[:cut])
        again = SqliteStore(crashed / "outbox.db", BOOT_ID)
        told.add((again.state("item-000001"), again.tally()))
        again.close()
    assert told == {("waiting", Tally(waiting=1)), ("delivered", Tally(delivered=1))}


def test_a_write_that_was_cut_off_is_as_if_it_had_never_begun(store, path, tmp_path):
    hold(store, make_item(1))
    wal = path.with_name("outbox.db-wal")
    before = wal.stat().st_size
    hold(store, make_item(2), make_item(3))
    for cut in range(before, wal.stat().st_size, 1009):
        crashed = tmp_path / f"cut-{cut}"
        crashed.mkdir()
        shutil.copy(path, crashed)
        (crashed / "outbox.db-wal").write_bytes(wal.read_bytes()[:cut])
        again = SqliteStore(crashed / "outbox.db", BOOT_ID)
        assert (again.tally(), again.last_sequence()) == (Tally(waiting=1), 1)
        again.close()


def test_a_due_time_holds_for_its_own_boot(store, path):
    hold(store, make_item(1, due=due(100)))
    again = reopened(store, path)
    assert again.due(SERVER, QUEUE, NOW_S, 5) == []
    assert again.next_due_s(SERVER) == NOW_S + 100
    again.close()


def test_a_retry_is_due_at_once_after_a_reboot(store, path):
    hold(store, make_item(1, due=due(100)), make_item(2))
    again = reopened(store, path, "second boot")
    (retry,) = again.due(SERVER, QUEUE, 0.5, 5)
    assert (retry.sequence, retry.due) == (1, Due("second boot", 0.0))
    again.close()


# -- cost


@pytest.mark.parametrize(
    ("query", "values", "index"),
    [
        ("fresh", (SERVER, 0, "", 0, 64), "items_fresh"),
        ("due", (SERVER, 0, "", NOW_S, 64), "items_due"),
        ("next_due", (SERVER,), "items_next_due"),
        ("expired", (NOW_S, 64), "items_expiring"),
        ("next_expiry", (), "items_expiring"),
        ("oldest_waiting", (9, 64), "items_owed"),
        ("lowest_waiting", (64,), "items_lowest"),
        ("members", ("batch",), "items_batched"),
        ("dead", (20,), "items_dead"),
        ("oldest_accepted", (), "items_owed"),
        ("unfinished", (), "items_owed"),
    ],
)
def test_frequent_queries_use_an_index_and_never_sort(store, path, query, values, index):
    plan = [row[3] for row in ask_beside(path, f"EXPLAIN QUERY PLAN {QUERIES[query]}", values)]
    assert any(index in step for step in plan), plan
    assert not any("TEMP B-TREE" in step or step == "SCAN items" for step in plan), plan


def steps(connection, ask):
    """How many steps SQLite's machine takes."""
    count = 0

    def step():
        nonlocal count
        count += 1

    connection.set_progress_handler(step, 1)
    ask()
    connection.set_progress_handler(None, 0)
    return count


@pytest.mark.parametrize(
    "ask",
    [
        lambda store: store.queues_of(SERVER),
        lambda store: store.fresh(SERVER, QUEUE, 0, 16),
        lambda store: store.due(SERVER, QUEUE, NOW_S, 16),
        lambda store: store.expired(NOW_S, 16),
        lambda store: store.oldest_waiting(9, 16),
        lambda store: store.lowest_waiting(16),
        lambda store: store.next_due_s(SERVER),
        lambda store: store.oldest_accepted_s(),
        lambda store: store.tally(),
        lambda store: store.ledger_head(),
        lambda store: store.last_sequence(),
        lambda store: store.state("item-000005"),
    ],
    ids=[
        "backlogs",
        "fresh",
        "due",
        "expired",
        "oldest_waiting",
        "lowest_waiting",
        "next_due",
        "oldest",
        "tally",
        "ledger_head",
        "last_sequence",
        "state",
    ],
)
def test_frequent_queries_cost_the_same_whatever_the_backlog(store, own, ask):
    hold(store, *(make_item(number) for number in range(1, 51)), *(make_item(n, due=due(-1)) for n in range(51, 101)))
    small = steps(own, lambda: ask(store))
    others = [make_item(n, server_key=OTHER_SERVER, state=State.IN_FLIGHT) for n in range(1101, 1601)]
    dead = [make_item(-n, state=State.DEAD) for n in range(1, 500)]  # older than all that is owed
    hold(store, *(make_item(n, due=due(n) if n % 2 else None) for n in range(101, 1101)), *others, *dead)
    assert steps(own, lambda: ask(store)) <= small + 5


# -- what goes wrong


@pytest.mark.parametrize(
    "content", [b"this is no database at all, but a text" * 50, b"SQLite format 3\0" + b"\xff" * 9000]
)
def test_a_file_that_is_no_database_is_named_and_left_alone(path, content):
    path.write_bytes(content)
    with pytest.raises(OutboxDamaged, match=r"outbox\.db") as caught:
        SqliteStore(path, BOOT_ID)
    assert path.read_bytes() == content
    assert "iris outbox check --repair" in caught.value.hint


def test_a_damaged_file_is_found_when_it_is_opened_and_left_alone(store, path):
    hold(store, *(make_item(number) for number in range(1, 200)))
    store.close()
    content = bytearray(path.read_bytes())
    content[5000:9000] = bytes(4000)
    path.write_bytes(content)
    with pytest.raises(OutboxDamaged, match=r"damaged|malformed"):
        SqliteStore(path, BOOT_ID)
    assert path.read_bytes() == content


def test_damage_where_nobody_looks_is_found_when_it_is_opened_and_left_alone(store, path):
    """A page in the middle of the ledger: no start reads it, and the proof of what was delivered is gone."""
    for number in range(1, 100):
        hold(store, make_item(number))
        deliver(store, make_item(number))
    ((page_bytes,),) = ask_beside(path, "PRAGMA page_size")
    store.close()
    content = bytearray(path.read_bytes())
    page = content.index(b'"sequence":50,') // page_bytes * page_bytes
    content[page : page + 8] = b"\xff" * 8
    path.write_bytes(content)
    with pytest.raises(OutboxDamaged, match="damaged"):
        SqliteStore(path, BOOT_ID)
    assert path.read_bytes() == content


def test_a_newer_schema_is_refused_with_what_to_do(store, path):
    ask_beside(path, f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    store.close()
    before = path.read_bytes()
    with pytest.raises(OutboxDamaged, match=f"schema version {SCHEMA_VERSION + 1}") as caught:
        SqliteStore(path, BOOT_ID)
    assert "newer program" in caught.value.hint
    assert path.read_bytes() == before


def test_a_folder_that_is_not_there_is_a_storage_error(tmp_path):
    with pytest.raises(OutboxStorageError, match="cannot open the outbox database"):
        SqliteStore(tmp_path / "missing" / "outbox.db", BOOT_ID)


def test_a_full_disk_refuses_the_whole_commit_and_the_next_one_may_succeed(store, own):
    hold(store, make_item(1))
    pages = own.execute("PRAGMA page_count").fetchone()[0]
    own.execute(f"PRAGMA max_page_count = {pages}")
    many = [make_item(number, source_path="/" + "n" * 2000) for number in range(2, 200)]
    with pytest.raises(OutboxStorageError, match=r"cannot write the outbox database .* full"):
        hold(store, *many)
    assert (store.tally(), store.last_sequence()) == (Tally(waiting=1), 1)
    own.execute("PRAGMA max_page_count = 1000000")
    hold(store, *many)
    assert store.tally() == Tally(waiting=199)


def test_a_closed_store_raises_a_storage_error_and_may_be_closed_twice(store):
    store.close()
    store.close()
    with pytest.raises(OutboxStorageError):
        hold(store, make_item(1))
    with pytest.raises(OutboxStorageError):
        store.tally()


def test_an_item_that_waits_has_its_bytes_by_the_schema_itself(store):
    with pytest.raises(OutboxStorageError, match="CHECK"):
        hold(store, make_item(1, fingerprint=None))


def test_no_statement_can_change_a_state_behind_the_tallys_back(store, path):
    hold(store, make_item(1), make_item(2))
    ask_beside(path, "UPDATE items SET state = 'dead' WHERE sequence = 1")
    ask_beside(path, "DELETE FROM items WHERE sequence = 2")
    assert store.tally() == Tally(dead=1)


def test_an_interrupted_creation_leaves_nothing_half_made(path, monkeypatch):
    class Interrupted(Exception):
        pass

    def interrupt(*_, **__):
        raise Interrupted

    monkeypatch.setattr("iris_communication.outbox.store.statements.resources.files", interrupt)
    with pytest.raises(Interrupted):
        SqliteStore(path, BOOT_ID)
    monkeypatch.undo()
    store = SqliteStore(path, BOOT_ID)
    assert store.tally() == Tally()
    store.close()


def test_every_statement_has_a_name_and_parses(store, own):
    for statement in [*QUERIES.values(), *WRITES.values()]:
        values = {"server": SERVER} if ":server" in statement else [None] * statement.count("?")
        own.execute(f"EXPLAIN {statement}", values).fetchall()


def test_an_update_of_what_is_gone_changes_nothing(store):
    item = make_item(1)
    hold(store, item)
    deliver(store, item)
    store.commit([Update(replace(item, state=State.WAITING))])
    assert store.tally() == Tally(delivered=1)


def test_the_file_can_be_read_while_it_is_written(store, path):
    hold(store, make_item(1))
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as reader:
        hold(store, make_item(2))
        assert reader.execute("SELECT count(*) FROM items").fetchone() == (2,)
