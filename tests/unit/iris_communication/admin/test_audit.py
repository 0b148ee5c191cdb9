"""An outbox is made with the real store and spool, then looked at, and then spoiled in one way at a time."""

import contextlib
import os
import shutil
import sqlite3
import time
import tracemalloc

import pytest

from iris_communication.admin import audit, inventory
from iris_communication.admin.audit import COLUMNS, Audit, Chain, NoOutbox
from iris_communication.errors import OutboxDamaged, OutboxStorageError
from iris_communication.item import Delivered, State
from iris_communication.outbox.store import ledger, reader
from iris_communication.outbox.store.contract import Deliver, Insert, Update
from iris_communication.outbox.store.ledger import GENESIS
from iris_communication.outbox.store.reader import Reader
from iris_communication.outbox.store.sqlite import SCHEMA_VERSION, SqliteStore
from iris_communication.testing.clock import FakeClock
from iris_communication.testing.store_contract import BOOT_ID, make_item
from tests.unit.iris_communication.outbox.fake_parts import open_writer, write
from tests.unit.iris_communication.outbox.made_outbox import CONTENT, LATER_S, MARK, Outbox, ask_beside


@pytest.fixture
def outbox(tmp_path):
    made = Outbox(tmp_path / "outbox")
    yield made
    made.end()


@pytest.fixture
def filled(outbox):
    """Two waiting, one in flight, one dead, three delivered, one dropped."""
    items = [outbox.accept() for _ in range(6)]
    outbox.accept(State.DEAD)
    outbox.drop(outbox.accept())
    outbox.store.commit([Update(make_item(3, state=State.IN_FLIGHT, fingerprint=MARK))])
    for item in items[3:]:
        outbox.deliver(item)
    return outbox


def audit_of(folder, later_s=LATER_S):
    clock = FakeClock()
    clock.jump_wall(time.time() + later_s - clock.wall_s())
    return Audit(folder, clock)


def looked(outbox, *, hashes=False, later_s=LATER_S):
    """What a check finds, in words."""
    return [problem.what for problem in audit_of(outbox.folder, later_s).inspection(hashes=hashes).problems()]


def killed(outbox, folder):
    """The folder as SIGKILL leaves it: with a log and its index, and nobody who holds them."""
    shutil.copytree(outbox.folder, folder)
    return folder


# -- balance


def test_an_accepted_item_is_in_exactly_one_state(filled):
    balance = Audit(filled.folder).balance()
    ended = {"dropped": 1, "expired": 0, "cancelled": 0}
    assert balance.counted == {"waiting": 2, "in_flight": 1, "delivered": 3, "dead": 1} | ended
    assert balance.tallied == balance.counted
    assert (balance.accepted, balance.last_sequence, balance.problems) == (8, 8, ())


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        ("DELETE FROM items WHERE sequence = 1", "8 numbers were given, but 7 items are there"),
        ("DELETE FROM ledger WHERE sequence = 2", "2 items are delivered, but the tally has 3"),
        ("UPDATE tally SET count = 4 WHERE state = 'waiting'", "2 items are waiting, but the tally has 4"),
        ("UPDATE ledger SET id = 'item-000001' WHERE sequence = 1", "1 item is in two states at once"),
        ("UPDATE items SET id = 'item-000008' WHERE sequence = 1", "1 item is in two states at once"),
        ("UPDATE ended SET id = 'item-000004' WHERE sequence = 8", "1 item is in two states at once"),
        ("DELETE FROM ended", "0 items are dropped, but the tally has 1"),
        ("UPDATE tally SET count = 1 WHERE state = 'expired'", "0 items are expired, but the tally has 1"),
        ("UPDATE counter SET last_sequence = 9", "9 numbers were given, but 8 items are there"),
    ],
)
def test_an_outbox_that_does_not_balance_is_reported(filled, spoil, says):
    filled.change(spoil)
    assert says in [problem.what for problem in Audit(filled.folder).balance().problems]
    assert says in looked(filled)


def test_a_disk_that_refused_a_while_does_not_unbalance(tmp_path):
    with open_writer(tmp_path / "outbox") as opened:
        opened.accept(write(tmp_path / "a.csv"))
        opened.store.refuse = True
        with pytest.raises(OutboxStorageError):
            opened.accept(write(tmp_path / "b.csv"))
        opened.store.refuse = False
        opened.accept(write(tmp_path / "c.csv"))
        assert Audit(opened.folder).balance().problems == ()


# -- ledger


def test_a_delivery_is_exported_by_its_columns_with_times_in_utc(filled):
    first, *others = Audit(filled.folder).ledger()
    assert tuple(first) == COLUMNS
    assert (first["delivery"], first["id"], first["sequence"]) == (1, "item-000004", 4)
    assert (first["accepted"], first["delivered"]) == ("2023-11-14T22:13:24.500000Z", "2023-11-14T22:15:00.250000Z")
    assert [other["delivery"] for other in others] == [2, 3]


def test_a_whole_chain_is_reported_with_its_length_and_its_head(filled):
    assert Audit(filled.folder).verify() == Chain(3, filled.store.ledger_head(), None)


def test_a_ledger_without_a_line_is_whole(outbox):
    assert Audit(outbox.folder).verify() == Chain(0, GENESIS, None)


@pytest.mark.parametrize(
    ("spoil", "line", "whole"),
    [
        ("UPDATE ledger SET line = replace(line, '15,', '16,') WHERE sequence = 2", 2, 1),
        ("UPDATE ledger SET line = 'no line' WHERE sequence = 3", 3, 2),
        ("UPDATE ledger SET id = 'another' WHERE sequence = 1", 1, 0),
        ("UPDATE ledger SET hash = 'ab' WHERE sequence = 1", 1, 0),
        ("DELETE FROM ledger WHERE sequence = 2", 3, 1),
        ("DELETE FROM ledger WHERE sequence = 1", 2, 0),
    ],
)
def test_the_first_broken_line_is_named(filled, spoil, line, whole):
    hashes = [delivery["hash"] for delivery in Audit(filled.folder).ledger()]
    filled.change(spoil)
    chain = Audit(filled.folder).verify()
    assert f"line {line} of the ledger" in chain.broken.what
    assert (chain.lines, chain.head) == (whole, [GENESIS, *hashes][whole])


def test_a_ledger_whose_end_was_cut_off_is_not_whole(filled):
    filled.change("DELETE FROM ledger WHERE sequence = 3")
    assert Audit(filled.folder).verify().broken.what == "the ledger has 2 lines, but the tally has 3 deliveries"


def test_a_line_that_cannot_be_read_ends_the_export_by_name(filled):
    filled.change("UPDATE ledger SET line = '[]' WHERE sequence = 2")
    exported = Audit(filled.folder).ledger()
    assert next(exported)["delivery"] == 1
    with pytest.raises(OutboxDamaged, match=r"line 2 of the ledger \(item-000005\) cannot be read"):
        next(exported)


def test_pages_are_one_ledger(outbox, monkeypatch):
    monkeypatch.setattr(reader, "AT_ONCE", 2)
    for _ in range(5):
        outbox.deliver(outbox.accept())
    assert [delivery["delivery"] for delivery in Audit(outbox.folder).ledger()] == [1, 2, 3, 4, 5]
    assert Audit(outbox.folder).verify().lines == 5


def test_a_delivery_while_the_ledger_is_verified_breaks_nothing(outbox, monkeypatch):
    monkeypatch.setattr(reader, "AT_ONCE", 1)
    outbox.deliver(outbox.accept())
    follows, head = outbox.accept(), outbox.store.ledger_head()
    check = audit.first_broken

    def and_meanwhile(lines):
        found = check(lines)
        outbox.deliver(follows)
        return found

    monkeypatch.setattr(audit, "first_broken", and_meanwhile)
    assert Audit(outbox.folder).verify() == Chain(1, head, None)


# -- check


def test_a_sound_outbox_has_no_problem(filled):
    inspection = audit_of(filled.folder).inspection(hashes=True)
    assert list(inspection.problems()) == []
    assert inspection.looked_at == {"items": 3, "stored": 0, "files": 4, "lines": 3, "unsettled": 0}


def test_owed_bytes_that_are_gone_are_reported_by_source_and_id(filled):
    (filled.folder / "spool" / "item-000003").unlink()
    assert looked(filled) == ["'/records/3.csv' (item-000003) is gone from the spool"]


def test_owed_bytes_of_another_size_are_reported(filled):
    (filled.folder / "spool" / "item-000001").write_bytes(b"short")
    assert looked(filled) == [
        "'/records/1.csv' (item-000001) has 5 bytes in the spool, but 15 were accepted",
    ]


def test_other_bytes_of_the_same_size_are_reported_when_hashes_are_asked_for(filled):
    (filled.folder / "spool" / "item-000001").write_bytes(CONTENT[::-1])
    assert looked(filled) == []
    assert looked(filled, hashes=True) == ["'/records/1.csv' (item-000001) differs in the spool from what was accepted"]


def test_a_folder_in_the_place_of_owed_bytes_is_reported(filled):
    path = filled.folder / "spool" / "item-000001"
    path.unlink()
    path.mkdir()
    assert looked(filled, hashes=True) == ["'/records/1.csv' (item-000001) is not a regular file in the spool"]


@pytest.mark.parametrize("name", ["stray", os.fsdecode(b"\xff\xfe"), "a\nb"], ids=repr)
def test_a_file_of_no_item_is_reported(filled, name):
    (filled.folder / "spool" / name).write_bytes(b"")
    assert looked(filled) == [f"{str(filled.folder / 'spool' / name)!r} belongs to no item"]


def test_a_delivered_file_that_lies_there_still_is_reported(filled):
    (filled.folder / "spool" / "item-000005").write_bytes(CONTENT)
    (told,) = looked(filled)
    assert told.endswith("item-000005' is delivered and lies there still")


def test_the_bytes_of_a_dead_item_are_no_stray(filled):
    assert (filled.folder / "spool" / "item-000007").exists()
    assert looked(filled) == []


def test_a_file_that_may_be_on_its_way_in_is_counted_and_not_judged(filled):
    (filled.folder / "spool" / "coming").write_bytes(b"")
    inspection = audit_of(filled.folder, 0.0).inspection()
    assert list(inspection.problems()) == []
    assert inspection.looked_at["unsettled"] == 1


def test_a_file_delivered_just_now_may_lie_there_a_moment_longer(filled):
    item = filled.accept()
    filled.deliver(item, at_s=time.time() + LATER_S - 1.0)
    filled.bytes_of(item).write_bytes(CONTENT)
    inspection = audit_of(filled.folder).inspection()
    assert list(inspection.problems()) == []
    assert inspection.looked_at["unsettled"] == 1


def test_a_file_delivered_just_while_it_is_looked_at_is_no_problem(filled, monkeypatch):
    item = make_item(1, fingerprint=MARK)
    look = inventory.wrong_bytes

    def and_meanwhile(*facts):
        if filled.bytes_of(item).exists():
            filled.deliver(item)
        return look(*facts)

    monkeypatch.setattr(inventory, "wrong_bytes", and_meanwhile)
    assert looked(filled) == []


def test_a_spool_that_is_gone_is_reported(filled):
    shutil.rmtree(filled.folder / "spool")
    told = looked(filled)
    assert len(told) == 4
    assert "cannot be listed: No such file or directory" in told[-1]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
@pytest.mark.parametrize("name", ["secrets.json", "secrets.new", "secrets.damaged"])
def test_secrets_that_others_may_read_are_reported_without_them(filled, name, mode):
    path = filled.folder / name
    path.write_text('{"password": "open sesame"}')
    path.chmod(0o600)
    assert looked(filled) == []
    path.chmod(mode)
    (problem,) = Audit(filled.folder).inspection().problems()
    assert problem.what.startswith(f"{path} has the mode 0{mode:o}")
    assert problem.hint.startswith(f"chmod 600 {path}")
    assert "sesame" not in str(problem)


def test_a_damaged_page_is_reported_and_where_the_check_ends_by_it(filled):
    ((root,),) = ask_beside(filled.path, "SELECT rootpage FROM sqlite_master WHERE name = 'items_owed'")
    filled.end()
    damage(filled.path, [root])
    told = looked(filled)
    assert told[0].startswith("the database is damaged: ")
    assert told[-1].startswith("the check ends here: ")


def test_a_database_damaged_all_over_cannot_be_checked(filled):
    filled.end()
    damage(filled.path, range(2, filled.path.stat().st_size // 4096 + 1))
    with pytest.raises(OutboxDamaged, match="is damaged"):
        looked(filled)


def damage(path, pages):
    with path.open("r+b") as file:
        for page in pages:
            file.seek((page - 1) * 4096)
            file.write(b"\xff" * 200)


# -- looking without a trace


def test_looking_beside_an_owner_changes_nothing_it_can_see(filled):
    before = filled.files()
    looked(filled, hashes=True)
    assert filled.files().keys() == before.keys()
    assert filled.files()["outbox.db"] == before["outbox.db"]
    assert filled.files()["outbox.db-wal"] == before["outbox.db-wal"]
    filled.accept()


def test_looking_at_a_closed_outbox_changes_nothing(filled):
    filled.end()
    before = filled.files()
    assert "outbox.db-wal" not in before
    assert looked(filled, hashes=True) == []
    assert filled.files() == before


def test_rows_only_in_the_log_are_seen_after_a_kill_and_no_file_changes(filled, tmp_path):
    folder = killed(filled, tmp_path / "killed")
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert Audit(folder).balance().accepted == 8
    assert list(audit_of(folder).inspection(hashes=True).problems()) == []
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


def test_an_empty_log_that_was_left_is_no_obstacle(filled):
    filled.end()
    (filled.folder / "outbox.db-wal").touch()
    assert Audit(filled.folder).balance().accepted == 8


def test_facts_read_at_rest_count_only_if_nobody_started_meanwhile(filled):
    filled.end()
    seen = []

    def ask(snapshot):
        if not seen:
            filled.store = SqliteStore(filled.path, BOOT_ID)
            filled.accept()
        seen.append(snapshot.one("last_sequence"))
        return seen[-1]

    assert Reader(filled.folder).read(ask) == 9
    assert seen == [8, 9]


def test_a_snapshot_cannot_be_written_through(filled, monkeypatch):
    monkeypatch.setitem(reader.QUERIES, "delete", "DELETE FROM items")
    with pytest.raises(OutboxStorageError, match="readonly"):
        Reader(filled.folder).read(lambda snapshot: snapshot.all("delete"))
    assert Audit(filled.folder).balance().accepted == 8


def test_a_snapshot_is_one_moment(filled):
    def ask(snapshot):
        before = snapshot.one("last_sequence")
        filled.accept()
        return before, snapshot.one("last_sequence")

    assert Reader(filled.folder).read(ask) == (8, 8)


def test_an_owner_that_ends_after_a_look_leaves_no_log(filled):
    Audit(filled.folder).balance()
    filled.end()
    assert not (filled.folder / "outbox.db-wal").exists()


def test_memory_does_not_grow_with_the_ledger(outbox):
    lines, changes, head = [], [], GENESIS
    for number in range(1, 5001):
        item = make_item(number)
        lines.append(ledger.line(head, ledger.entry(item, Delivered("/in", 15, MARK.sha256, None, 1.0))))
        head = lines[-1].hash
        changes += Insert(item), Deliver(item, lines[-1])
    outbox.store.commit(changes)
    held = sum(len(line.text) for line in lines)
    tracemalloc.start()
    try:
        assert Audit(outbox.folder).verify().lines == 5000
        assert tracemalloc.get_traced_memory()[1] < held / 2
    finally:
        tracemalloc.stop()


# -- what cannot be looked at


def test_a_folder_that_is_not_there_is_reported(tmp_path):
    with pytest.raises(NoOutbox, match="does not exist"):
        Audit(tmp_path / "none").balance()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_an_outbox_is_reported_and_stays_empty(tmp_path):
    with pytest.raises(NoOutbox, match="holds no outbox"):
        Audit(tmp_path).balance()
    assert list(tmp_path.iterdir()) == []


def test_an_empty_database_is_no_outbox(tmp_path):
    (tmp_path / "outbox.db").touch()
    with pytest.raises(NoOutbox, match="nothing was ever written to it"):
        Audit(tmp_path).balance()


def test_a_newer_schema_is_reported(filled):
    filled.change("PRAGMA user_version = 99")
    with pytest.raises(OutboxDamaged, match=f"schema version 99, but this program reads {SCHEMA_VERSION}"):
        Audit(filled.folder).balance()


def test_a_file_that_is_no_database_is_reported(tmp_path):
    (tmp_path / "outbox.db").write_bytes(b"frame;part\n" * 1000)
    with pytest.raises(OutboxDamaged, match="is damaged: file is not a database"):
        list(Audit(tmp_path).inspection().problems())


def test_another_programs_database_is_reported(tmp_path):
    with contextlib.closing(sqlite3.connect(tmp_path / "outbox.db")) as other:
        other.execute("CREATE TABLE films (name)")
        other.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    with pytest.raises(OutboxDamaged, match="no such table"):
        Audit(tmp_path).balance()


def test_a_copy_without_the_logs_index_is_reported_with_what_to_do(filled, tmp_path, monkeypatch):
    monkeypatch.setattr(reader, "PAUSE_S", 0.0)
    folder = killed(filled, tmp_path / "killed")
    (folder / "outbox.db-shm").unlink()
    with pytest.raises(OutboxStorageError, match="unable to open") as raised:
        Audit(folder).balance()
    assert "copy the whole folder" in raised.value.hint
    assert not (folder / "outbox.db-shm").exists()
