"""A damaged outbox is opened by its owner: it goes on with what can be read, and no byte is lost."""

import contextlib
import errno
import os
import random
import shutil
import sqlite3

import pytest

from iris_communication.admin.audit import Audit
from iris_communication.errors import OutboxStorageError
from iris_communication.outbox.recovery import salvage
from iris_communication.outbox.recovery.pages import Pages
from iris_communication.outbox.store.open_store import open_store
from iris_communication.sftp_uploader_thread import SftpUploaderThread
from iris_communication.testing.clock import FakeClock
from tests.thorough import some
from tests.unit.iris_communication.outbox.fake_parts import LARGE, accept_of, write
from tests.unit.iris_communication.outbox.made_outbox import CONTENT, MARK, Outbox
from tests.unit.iris_communication.outbox.recovery.damaged_outbox import (
    PAGE_BYTES,
    SERVER,
    check_nothing_is_missing,
    ends_of_long_texts,
    filled,
    ids,
    kept,
    overwrite,
    started,
    the_note,
)


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """The folder of an outbox at rest. Not to be changed."""
    made = filled(tmp_path_factory.mktemp("sound") / "outbox")
    made.end()
    return made.folder


@pytest.fixture
def folder(sound, tmp_path):
    return shutil.copytree(sound, tmp_path / "outbox")


KINDS = {"ones": b"\xff" * PAGE_BYTES, "zeros": bytes(PAGE_BYTES), "noise": random.Random(5).randbytes(PAGE_BYTES)}


@pytest.mark.parametrize("kind", KINDS)
def test_the_outbox_starts_and_loses_no_byte_whichever_page_is_overwritten(sound, tmp_path, kind):
    before = ids(sound)
    # A page that ends a long text and is all zeros is a text that ends in zeros: nothing in the file is wrong with it.
    with Pages(sound / "outbox.db") as pages:
        without_use = pages.free  # whatever is in them
    sound_as_zeros = without_use | {page for page in ends_of_long_texts(sound / "outbox.db") if kind == "zeros"}
    lost = {}
    for page in some(range(1, (sound / "outbox.db").stat().st_size // PAGE_BYTES + 1)):
        folder = shutil.copytree(sound, tmp_path / f"{page}")
        overwrite(folder / "outbox.db", page, KINDS[kind])
        with started(folder) as writer:
            assert writer.notice or page in sound_as_zeros, f"page {page}"
            writer.accept(accept_of(write(tmp_path / "next.csv")))
        with contextlib.closing(sqlite3.connect(folder / "outbox.db")) as database:
            database.execute("DELETE FROM items WHERE sequence > ?", (len(before),))
            database.execute("UPDATE counter SET last_sequence = ?", (len(before),))
            database.commit()
        check_nothing_is_missing(folder, before)
        lost[page] = len(before.keys() - ids(folder).keys())
        shutil.rmtree(folder)
    assert sum(lost.values()) <= len(before), "a page costs no more than what lies in it"
    assert list(lost.values()).count(0) > len(lost) / 2


def test_the_outbox_starts_and_loses_no_byte_wherever_the_file_was_cut_off(sound, tmp_path):
    before = ids(sound)
    size_bytes = (sound / "outbox.db").stat().st_size
    for cut in (*some(range(0, size_bytes, 3 * PAGE_BYTES)), 50, size_bytes - 1):
        folder = shutil.copytree(sound, tmp_path / f"{cut}")
        os.truncate(folder / "outbox.db", cut)
        with started(folder) as writer:
            assert writer.notice or (cut == size_bytes - 1 and ids(folder) == before)
        held = kept(folder)
        assert {
            name for name, state in before.items() if state in ("waiting", "dead") and held.get(name) != CONTENT
        } == set()
        assert Audit(folder).balance().problems == ()


def test_a_file_that_is_no_database_is_kept_and_a_new_outbox_begun(tmp_path, caplog):
    folder = tmp_path / "outbox"
    folder.mkdir()
    write(folder / "outbox.db", b"this is no database" * 1000)
    with started(folder) as writer:
        writer.accept(accept_of(write(tmp_path / "a.csv")))
    assert b"this is no database" * 1000 in kept(folder).values()
    assert "file is not a database" in caplog.text
    with started(folder) as writer:
        assert (writer.notice, writer.snapshot.stats.queue_size) == ("", 1)


def test_a_database_that_is_gone_leaves_every_file_in_the_quarantine_and_listed_as_dropped(folder, sound):
    (folder / "outbox.db").unlink()
    with started(folder) as writer:
        assert "files without a record lie in the quarantine" in writer.notice
    lost = {name for name, state in ids(sound).items() if state in ("waiting", "dead")}
    assert ids(folder) == dict.fromkeys(lost, "dropped")
    assert {name for name in lost if (folder / "quarantine" / name).read_bytes() == CONTENT} == lost
    assert set(the_note(folder)["files"]) == lost


def test_rows_only_in_the_log_are_brought_over_as_well(tmp_path):
    made = filled(tmp_path / "outbox", items=12)
    folder = shutil.copytree(made.folder, tmp_path / "killed")
    made.end()
    assert (folder / "outbox.db-wal").stat().st_size > PAGE_BYTES
    (folder / "outbox.db").unlink()
    with started(folder) as writer:
        assert writer.notice.startswith("brought over")
    check_nothing_is_missing(folder, ids(made.folder))


def test_the_damaged_database_and_an_account_of_it_lie_in_the_quarantine(folder):
    overwrite(folder / "outbox.db", 3, b"\xff" * PAGE_BYTES)
    damaged = (folder / "outbox.db").read_bytes()
    with started(folder) as writer:
        note = the_note(folder)
        assert note["told"] == writer.notice
    assert "damaged" in note["damage"]
    (database,) = (folder / "quarantine").glob("outbox-*.db")
    assert database.read_bytes() == damaged


def test_the_damage_is_logged_and_reported_in_the_details(folder, caplog):
    overwrite(folder / "outbox.db", 3, b"\xff" * PAGE_BYTES)
    uploader = SftpUploaderThread(folder)
    uploader.open()
    try:
        assert "the damaged database is quarantine/outbox-" in uploader.get_details()["last_error"]
    finally:
        uploader.close()
    assert [record.levelname for record in caplog.records].count("ERROR") >= 2


def test_files_accepted_while_the_database_is_damaged_under_its_owner_are_not_lost(folder, sound, tmp_path):
    """The owner reads from memory, so it need not notice before its next start."""
    before = ids(sound)
    with started(folder) as writer:
        for page in range(2, (folder / "outbox.db").stat().st_size // PAGE_BYTES, 2):
            overwrite(folder / "outbox.db", page, b"\xff" * PAGE_BYTES)
        receipts = [writer.accept(accept_of(write(tmp_path / f"{number}.csv", LARGE)))[0] for number in range(5)]
    with started(folder) as writer:
        assert writer.notice
    held = kept(folder)
    owed = {name for name, state in before.items() if state in ("waiting", "dead")} | {each.id for each in receipts}
    assert {name for name in owed if held.get(name) not in (CONTENT, LARGE)} == set()
    assert owed - ids(folder).keys() == set(), "each of them is known, if only as dropped"
    assert Audit(folder).balance().problems == ()


def test_an_item_still_owed_asks_the_server_first_since_its_row_may_be_an_earlier_one(folder):
    with contextlib.closing(sqlite3.connect(folder / "outbox.db")) as database:
        database.execute("UPDATE items SET token = 'abc' WHERE state = 'waiting'")
        database.commit()
    overwrite(folder / "outbox.db", 3, b"\xff" * PAGE_BYTES)
    with started(folder):
        pass
    with contextlib.closing(sqlite3.connect(folder / "outbox.db")) as database:
        assert database.execute("SELECT DISTINCT effect FROM items WHERE state = 'waiting'").fetchall() == [("unseen",)]


def test_a_servers_pause_and_breaker_history_and_traces_are_brought_over(folder, sound):
    overwrite(folder / "outbox.db", 3, b"\xff" * PAGE_BYTES)
    with started(folder) as writer:
        assert writer.snapshot.servers[SERVER] == (True, {"state": "open"})
    for table in ("history", "traces", "server_states", "ledger"):
        assert table_of(sound, table) == table_of(folder, table)


def table_of(folder, table):
    with contextlib.closing(sqlite3.connect(folder / "outbox.db")) as database:
        return database.execute(f"SELECT * FROM {table}").fetchall()


# -- rows


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        ("UPDATE items SET project_settings = '{' WHERE sequence = 5", "JSONDecodeError"),
        ("UPDATE items SET last_error = '[1]' WHERE sequence = 5", "TypeError"),
        ("UPDATE items SET state = 'lost' WHERE sequence = 5", "CHECK"),
        ("UPDATE items SET effect = 'some' WHERE sequence = 5", "CHECK"),
        ("UPDATE items SET sha256 = NULL WHERE sequence = 5", "CHECK"),
        ("UPDATE items SET id = '../secrets.json' WHERE sequence = 5", "its id is none"),
    ],
)
def test_one_broken_row_holds_up_nobody_and_is_kept(folder, sound, spoil, why):
    with contextlib.closing(sqlite3.connect(folder / "outbox.db", isolation_level=None)) as database:
        database.execute("PRAGMA ignore_check_constraints = ON")
        database.execute(spoil)
        database.execute(
            "UPDATE tally SET count = (SELECT count(*) FROM items WHERE state = 'waiting') WHERE state = 'waiting'"
        )
    if "secrets" in spoil:
        overwrite(folder / "outbox.db", 3, b"\xff" * PAGE_BYTES)
    with started(folder) as writer:
        assert writer.snapshot.stats.queue_size == sum(state == "waiting" for state in ids(sound).values()) - 1
    (row,) = the_note(folder)["broken_rows"]
    assert why in row["why"]
    assert row["columns"][0] == 5
    assert (folder / "quarantine" / "item-000005").read_bytes() == CONTENT
    assert ids(folder)["item-000005"] == "dropped"
    assert Audit(folder).balance().problems == ()


def test_a_breaker_that_cannot_be_read_is_forgotten_and_the_pause_is_not(folder):
    with contextlib.closing(sqlite3.connect(folder / "outbox.db", isolation_level=None)) as database:
        database.execute("UPDATE server_states SET breaker = 'open'")
    with started(folder) as writer:
        assert writer.snapshot.servers[SERVER] == (True, None)


def test_a_spoiled_line_of_the_ledger_stays_as_it_is_and_holds_up_nobody(folder):
    with contextlib.closing(sqlite3.connect(folder / "outbox.db", isolation_level=None)) as database:
        database.execute("UPDATE ledger SET line = 'spoiled' WHERE sequence = 2")
        (item_id,) = database.execute("SELECT id FROM ledger WHERE sequence = 2").fetchone()
    (folder / "spool" / item_id).write_bytes(CONTENT)
    with started(folder) as writer:
        assert writer.notice == ""
    assert "line 2 of the ledger" in Audit(folder).verify().broken.what


def test_a_chain_that_somebody_broke_is_not_mended_by_a_salvage(folder):
    with contextlib.closing(sqlite3.connect(folder / "outbox.db", isolation_level=None)) as database:
        database.execute("UPDATE ledger SET line = replace(line, '/in/', '/on/') WHERE sequence = 4")
    overwrite(folder / "outbox.db", 3, b"\xff" * PAGE_BYTES)
    with started(folder) as writer:
        assert writer.notice
    assert "line 4 of the ledger" in Audit(folder).verify().broken.what


# -- the ledger's chain


def without_lines(folder, *numbers):
    """The ledger as damage leaves it, in a database that is damaged."""
    with contextlib.closing(sqlite3.connect(folder / "outbox.db", isolation_level=None)) as database:
        for number in numbers:
            database.execute("DELETE FROM ledger WHERE sequence = ?", (number,))
    overwrite(folder / "outbox.db", 3, b"\xff" * PAGE_BYTES)


@pytest.mark.parametrize("gone", [(1,), (4, 5, 6), (1, 2, 9), (27,), (25, 26, 27), (5, 27)])
def test_lost_lines_are_marked_and_the_chain_goes_on_behind_them(folder, tmp_path, gone):
    without_lines(folder, *gone)
    with started(folder):
        pass
    chain = Audit(folder).verify()
    assert chain.broken is None
    assert (chain.lines, sum(gap.lines for gap in chain.lost)) == (27 - len(gone), len(gone))
    again = Outbox.__new__(Outbox)
    again.folder, again.store, again.accepted = folder, open_store(folder, FakeClock()), 80
    again.deliver(again.accept())
    again.end()
    assert Audit(folder).verify() == chain._replace(lines=chain.lines + 1, head=Audit(folder).verify().head)


def test_the_line_behind_a_gap_cannot_be_changed_either(folder):
    without_lines(folder, 4, 5)
    with started(folder):
        pass
    with contextlib.closing(sqlite3.connect(folder / "outbox.db", isolation_level=None)) as database:
        database.execute("UPDATE ledger SET line = replace(line, '/in/', '/on/') WHERE sequence = 6")
    assert "line 6 of the ledger" in Audit(folder).verify().broken.what


def test_a_gap_is_still_reported_after_a_second_salvage(folder):
    without_lines(folder, 4, 5)
    with started(folder):
        pass
    first = Audit(folder).verify()
    overwrite(folder / "outbox.db", 3, b"\xff" * PAGE_BYTES)
    with started(folder) as writer:
        assert writer.notice
    assert Audit(folder).verify() == first


def test_a_file_of_no_item_is_removed_after_an_orderly_end(folder):
    with started(folder):
        pass
    write(folder / "spool" / "never-accepted", b"half")
    with started(folder) as writer:
        assert writer.notice == ""
    assert not (folder / "spool" / "never-accepted").exists()
    assert not (folder / "quarantine").exists()


# -- cut off, and no room


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("step", range(20))
def test_a_salvage_cut_off_anywhere_is_carried_on_at_the_next_start(sound, folder, monkeypatch, step):
    before = ids(sound)
    overwrite(folder / "outbox.db", 12, b"\xff" * PAGE_BYTES)
    steps = iter(range(10_000))
    for owner, name in ((os, "rename"), (os, "unlink"), (salvage, "sync_folder")):
        real = getattr(owner, name)

        def die(*arguments, real=real, **others):
            if next(steps) == step:
                raise Killed
            return real(*arguments, **others)

        monkeypatch.setattr(owner, name, die)
    with contextlib.suppress(Killed), started(folder):
        pass
    monkeypatch.undo()
    with started(folder):
        pass
    check_nothing_is_missing(folder, before)
    assert [path.name for path in folder.iterdir() if path.name.startswith("salvag")] == []


def test_a_disk_without_room_for_a_second_database_changes_nothing_and_says_so(folder, monkeypatch):
    overwrite(folder / "outbox.db", 3, b"\xff" * PAGE_BYTES)
    before = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    def refuse(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(salvage, "rebuild", refuse)
    with pytest.raises(OutboxStorageError, match="No space left") as caught, started(folder):
        pass
    assert "free space on its disk" in caught.value.hint
    after = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert {
        name: content for name, content in after.items() if name in before and name not in ("owner.lock", "reserve")
    } == {name: content for name, content in before.items() if name not in ("owner.lock", "reserve")}
    monkeypatch.undo()
    with started(folder) as writer:
        assert writer.notice


def test_two_salvages_in_the_same_second_do_not_meet(folder):
    for _ in range(2):
        overwrite(folder / "outbox.db", 3, b"\xff" * PAGE_BYTES)
        with started(folder) as writer:
            assert writer.notice
    assert len(list((folder / "quarantine").glob("*.json"))) == 2
    assert MARK.size_bytes == len(CONTENT)
