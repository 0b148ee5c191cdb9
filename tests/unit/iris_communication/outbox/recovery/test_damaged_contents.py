"""What a damaged database costs of the small files in it: what lay in the damaged pages, and each loss is listed."""

import contextlib
import hashlib
import random
import shutil
import sqlite3

import pytest

from iris_communication.admin.audit import Audit
from iris_communication.item import State
from iris_communication.outbox.store.contract import Insert
from iris_communication.testing.store_contract import make_item
from tests.thorough import some
from tests.unit.iris_communication.outbox.made_outbox import MARK, Outbox
from tests.unit.iris_communication.outbox.recovery.damaged_outbox import PAGE_BYTES, overwrite, started

FILES = 40


def content_of(number):
    """Of a few bytes to some pages; none is like another."""
    return f"{number};".encode() + random.Random(number).randbytes(number**2 * 10)


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    made = Outbox(tmp_path_factory.mktemp("sound") / "outbox")
    for number in range(1, FILES + 1):
        content = content_of(number)
        mark = MARK.__class__(64, number, len(content), 5, hashlib.sha256(content).hexdigest())
        made.store.commit([Insert(make_item(number, in_store=True, fingerprint=mark), content=content)])
    made.end()
    return made.folder


def found(folder):
    """Sequence -> (state, content), of every item."""
    with contextlib.closing(sqlite3.connect(folder / "outbox.db")) as database:
        items = "SELECT sequence, state, content FROM items LEFT JOIN contents USING (sequence)"
        ended = "SELECT sequence, state, NULL FROM ended"
        return {sequence: rest for sequence, *rest in database.execute(f"{items} UNION ALL {ended}")}


@pytest.mark.parametrize("kind", ["ones", "zeros", "noise"])
def test_an_outbox_starts_whichever_page_is_overwritten_and_sends_no_damaged_content(sound, tmp_path, kind):
    noise = {"ones": b"\xff" * PAGE_BYTES, "zeros": bytes(PAGE_BYTES), "noise": random.Random(5).randbytes(PAGE_BYTES)}
    lost = {}
    for page in some(range(1, (sound / "outbox.db").stat().st_size // PAGE_BYTES + 1)):
        folder = shutil.copytree(sound, tmp_path / str(page))
        overwrite(folder / "outbox.db", page, noise[kind])
        with started(folder) as writer:
            if not writer.notice:  # the page ends a content: nothing in the file is wrong with it, but its SHA-256
                continue
        items = found(folder)
        assert sorted(items) == list(range(1, FILES + 1)), "each of them is known, if only as dropped"
        owed = {number: content for number, (state, content) in items.items() if state == State.WAITING.value}
        assert {number for number, content in owed.items() if content != content_of(number)} == set()
        lost[page] = FILES - len(owed)
        assert Audit(folder).balance().problems == ()
        shutil.rmtree(folder)
    assert list(lost.values()).count(0) + list(lost.values()).count(1) > len(lost) * 0.6, "most pages cost one file"


def test_a_content_whose_item_is_lost_becomes_a_file_in_the_quarantine(sound, tmp_path):
    folder = shutil.copytree(sound, tmp_path / "outbox")
    with contextlib.closing(sqlite3.connect(folder / "outbox.db")) as database:
        database.execute("DROP TRIGGER content_delete")
        database.execute("DELETE FROM items WHERE sequence = 7")
        database.commit()
    overwrite(folder / "outbox.db", 1, bytes(PAGE_BYTES))
    with started(folder) as writer:
        assert "the records of" in writer.notice
    (kept,) = (folder / "quarantine").glob("*-content-7")
    assert kept.read_bytes() == content_of(7)


def test_an_item_whose_content_is_lost_is_dead_and_says_so(sound, tmp_path):
    folder = shutil.copytree(sound, tmp_path / "outbox")
    with contextlib.closing(sqlite3.connect(folder / "outbox.db")) as database:
        database.execute("DELETE FROM contents WHERE sequence = 7")
        database.execute("UPDATE contents SET content = x'00' WHERE sequence = 8")
        database.commit()
    overwrite(folder / "outbox.db", 1, bytes(PAGE_BYTES))
    with started(folder) as writer:
        assert "the contents of 2 items are lost, which are dead now" in writer.notice
        errors = {dead.id: dead.error for dead in writer.snapshot.dead}
    assert "is gone from the database" in errors["item-000007"]
    assert "was damaged in the database" in errors["item-000008"]
    assert found(folder)[9] == ["waiting", content_of(9)]
