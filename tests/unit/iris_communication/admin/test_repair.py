"""An outbox is spoiled in one way at a time, repaired, and then has no problem and nothing left to repair."""

import contextlib
import os
import shutil
import sqlite3
import time

import pytest

from iris_communication.admin.audit import Audit, NoOutbox
from iris_communication.admin.repair import Repair
from iris_communication.errors import OutboxDamaged, OutboxInUse, OutboxStorageError
from iris_communication.item import State
from iris_communication.outbox.files.lock import Owner
from iris_communication.testing.clock import FakeClock
from tests.unit.iris_communication.outbox.made_outbox import CONTENT, LATER_S, Outbox

PAGE_BYTES = 4096


@pytest.fixture
def folder(tmp_path):
    """Three waiting, one dead, two delivered, one dropped."""
    made = Outbox(tmp_path / "outbox")
    items = [made.accept() for _ in range(5)]
    made.accept(State.DEAD)
    made.drop(made.accept())
    for item in items[3:]:
        made.deliver(item)
    made.end()
    return made.folder


def clock():
    made = FakeClock()
    made.jump_wall(time.time() + LATER_S - made.wall_s())
    return made


def repaired(folder, *, hashes=False):
    """What was done, in words; it has to be enough, and to last."""
    told = list(Repair(folder, clock()).actions(hashes=hashes))
    assert [problem.what for problem in Audit(folder, clock()).inspection(hashes=hashes).problems()] == []
    assert [done for done in Repair(folder, clock()).actions(hashes=hashes) if done.repaired] == []
    return [done.what for done in told]


def change(folder, *statements):
    with contextlib.closing(sqlite3.connect(folder / "outbox.db", isolation_level=None)) as database:
        for statement in statements:
            database.execute(statement)


def quarantined(folder):
    return {path.name: path.read_bytes() for path in (folder / "quarantine").iterdir()}


def test_a_sound_outbox_has_nothing_to_repair_and_stays_as_it_is(folder):
    before = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert repaired(folder, hashes=True) == []
    after = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert after.pop("owner.lock")
    assert after == before


def test_a_file_of_no_item_is_put_aside_and_kept(folder):
    (folder / "spool" / "stray").write_bytes(b"somebody's")
    (told,) = repaired(folder)
    assert "belonged to no item" in told
    assert quarantined(folder) == {"stray": b"somebody's"}


def test_a_name_that_is_no_utf_8_is_put_aside_as_well(folder):
    name = os.fsdecode(b"\xff\xfe")
    (folder / "spool" / name).write_bytes(b"x")
    assert len(repaired(folder)) == 1
    assert quarantined(folder) == {name: b"x"}


def test_two_files_of_one_name_are_both_kept(folder):
    for content in (b"first", b"second"):
        (folder / "spool" / "stray").write_bytes(content)
        repaired(folder)
    assert quarantined(folder) == {"stray": b"first", "stray.2": b"second"}


def test_an_item_whose_bytes_are_gone_is_dead_by_name(folder):
    (folder / "spool" / "item-000001").unlink()
    assert repaired(folder) == ["'/records/1.csv' (item-000001) is gone from the spool; it is dead now"]
    story = Audit(folder).story("item-000001")
    assert (story["state"], story["error"]["error"]) == ("dead", "SpoolMissing")
    assert story["history"][-1]["event"] == "give_up"


def test_an_item_with_other_bytes_is_dead_and_those_are_kept(folder):
    (folder / "spool" / "item-000001").write_bytes(b"short")
    (folder / "spool" / "item-000002").write_bytes(CONTENT[::-1])
    (told,) = repaired(folder)
    assert "has 5 bytes in the spool, but 15 were accepted; it is dead now; its bytes are" in told
    (told,) = repaired(folder, hashes=True)
    assert "differs in the spool from what was accepted" in told
    assert quarantined(folder) == {"item-000001": b"short", "item-000002": CONTENT[::-1]}
    assert Audit(folder).story("item-000002")["error"]["error"] == "SourceChanged"


def test_something_else_in_the_place_of_bytes_is_put_aside(folder):
    (folder / "spool" / "item-000001").unlink()
    (folder / "spool" / "item-000001").mkdir()
    assert "is not a regular file" in repaired(folder)[0]
    assert (folder / "quarantine" / "item-000001").is_dir()


def test_a_delivered_file_that_lies_there_still_is_removed(folder):
    (folder / "spool" / "item-000004").write_bytes(CONTENT)
    assert "was delivered and lay there still; it is removed" in repaired(folder)[0]
    assert not (folder / "quarantine").exists()


def test_a_spool_that_is_gone_is_made_again(folder):
    shutil.rmtree(folder / "spool")
    assert len(repaired(folder)) == 3


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        ("UPDATE tally SET count = 4 WHERE state = 'waiting'", "3 items are waiting, but the tally had 4"),
        ("UPDATE tally SET count = 0 WHERE state = 'waiting'", "3 items are waiting, but the tally had 0"),
        ("DELETE FROM tally WHERE state = 'dropped'", "1 item is dropped, but the tally had nothing"),
        ("UPDATE counter SET last_sequence = 3", "7 numbers were given, but the counter had 3"),
        ("DELETE FROM counter", "7 numbers were given, but the counter had none"),
        ("DELETE FROM ended", "1 item had no record any more"),
        ("UPDATE counter SET last_sequence = 9", "2 items had no record any more"),
        ("UPDATE items SET id = 'item-000004' WHERE sequence = 1", "1 item was in two states at once"),
        ("UPDATE ended SET id = 'item-000001'", "1 item was in two states at once"),
        ("UPDATE ended SET id = 'item-000004'", "1 item was in two states at once"),
        ("INSERT INTO history VALUES (99, 'nobody', 1.0, 'fail', 1, NULL)", "1 line of history belonged to no item"),
        ("INSERT INTO traces VALUES ('nobody', 'x')", "1 protocol trace belonged to no item"),
    ],
)
def test_an_outbox_that_does_not_balance_does_afterwards(folder, spoil, says):
    change(folder, spoil)
    assert any(says in told for told in repaired(folder))
    kept = {path.name for place in ("spool", "quarantine") for path in (folder / place).glob("*")}
    assert {"item-000001", "item-000002", "item-000003", "item-000006"} <= kept


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_secrets_that_others_may_read_are_closed_to_them(folder, mode):
    path = folder / "secrets.json"
    path.write_text('{"password": "open sesame"}')
    path.chmod(mode)
    (told,) = repaired(folder)
    assert told == f"{path} had the mode 0{mode:o} and has 0600 now: change the passwords in it"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_damaged_database_is_brought_over(folder):
    with (folder / "outbox.db").open("r+b") as file:
        file.seek(PAGE_BYTES)
        file.write(b"\xff" * PAGE_BYTES)
    (told,) = repaired(folder)
    assert "brought over" in told
    assert {path.suffix for path in (folder / "quarantine").iterdir()} >= {".db", ".json"}


def test_an_index_that_lacks_a_row_is_made_again(folder):
    """Only a whole check sees it; a start does not look."""
    change(
        folder,
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_master SET sql = replace(sql, '''dead''', '''waiting''') WHERE name = 'items_dead'",
    )
    (told,) = repaired(folder)
    assert "missing from index items_dead" in told or "wrong # of entries" in told


def test_a_broken_row_of_a_dead_item_is_found_though_no_start_reads_it(folder):
    change(folder, "UPDATE items SET project_settings = 'x' WHERE sequence = 6")
    assert any("is not what it should be" in told for told in repaired(folder))


@pytest.mark.parametrize("spoil", ["replace(line, '/in/', '/on/')", "'no line'"])
def test_a_ledger_somebody_changed_is_left_alone_and_reported(folder, spoil):
    change(folder, f"UPDATE ledger SET line = {spoil} WHERE sequence = 1")
    for _ in range(2):
        (left,) = Repair(folder).actions()
        assert "line 1 of the ledger" in left.what
        assert not left.repaired
    with contextlib.closing(sqlite3.connect(folder / "outbox.db")) as database:
        (line,) = database.execute("SELECT line FROM ledger WHERE sequence = 1").fetchone()
    assert "/on/" in line or line == "no line"


# -- not now, not here


def test_no_file_is_touched_while_an_uploader_runs(folder):
    (folder / "spool" / "stray").write_bytes(b"")
    owner = Owner(folder, 0.0)
    try:
        with pytest.raises(OutboxInUse, match="in use by"):
            list(Repair(folder).actions())
    finally:
        owner.release()
    assert (folder / "spool" / "stray").exists()


def test_the_outbox_is_given_back_also_when_nobody_goes_on_reading(folder):
    (folder / "spool" / "stray").write_bytes(b"")
    actions = Repair(folder).actions()
    next(actions)
    actions.close()
    assert repaired(folder) == []


def test_a_newer_schema_is_refused_untouched(folder):
    change(folder, "PRAGMA user_version = 99")
    before = (folder / "outbox.db").read_bytes()
    with pytest.raises(OutboxDamaged, match="schema version 99"):
        list(Repair(folder).actions())
    assert (folder / "outbox.db").read_bytes() == before


def test_a_folder_that_is_no_outbox_stays_empty(tmp_path):
    with pytest.raises(NoOutbox):
        list(Repair(tmp_path / "none").actions())
    (tmp_path / "empty").mkdir()
    with pytest.raises(NoOutbox):
        list(Repair(tmp_path / "empty").actions())
    assert list((tmp_path / "empty").iterdir()) == []


def test_another_users_outbox_is_not_touched(folder, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)
    with pytest.raises(OutboxStorageError, match="belongs to user"):
        list(Repair(folder).actions())
