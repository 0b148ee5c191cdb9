"""The bytes of what is handed out: small files in memory within a bound, larger ones in the spool."""

import asyncio
import threading
from pathlib import Path

import pytest

from iris_communication.delivery.carrier import TransferDataCarrier
from iris_communication.errors import OutboxStorageError
from iris_communication.item import Event
from iris_communication.outbox.writer import claiming, held_bytes, writer
from iris_communication.outbox.writer.held_bytes import HeldBytes
from tests.unit.iris_communication.outbox.fake_parts import LARGE, SERVER, accept_of, an_item, open_writer, write

SMALL_MAX_BYTES = 100_000


@pytest.mark.parametrize("size_bytes", [0, 1, SMALL_MAX_BYTES])
def test_a_small_file_is_handed_out_with_its_content_and_has_no_file_in_the_spool(outbox, source, size_bytes):
    content = b"x" * size_bytes
    outbox.accept(write(source, content))
    write(source, b"what was written into it since")
    (item,) = outbox.claim()
    assert outbox.writer.held.of(item) == content
    assert list((outbox.folder / "spool").iterdir()) == []


def test_a_larger_file_is_handed_out_as_its_file_in_the_spool(outbox, source):
    outbox.accept(write(source, b"x" * (SMALL_MAX_BYTES + 1)))
    (item,) = outbox.claim()
    assert outbox.writer.held.of(item) == outbox.folder / "spool" / item.id
    assert outbox.writer.held.size_bytes == 0


@pytest.mark.parametrize("event", [Event.RELEASE, Event.FAIL, Event.GIVE_UP, Event.DELIVER])
def test_a_content_leaves_memory_when_its_item_is_settled(outbox, source, event):
    outbox.accept(write(source, b"12345"))
    (item,) = outbox.claim()
    assert outbox.writer.held.size_bytes == 5
    if event is Event.DELIVER:
        outbox.deliver(item)
    else:
        outbox.settle(item, event, error=OutboxStorageError("no"))
    assert outbox.writer.held.size_bytes == 0


def test_a_claim_hands_out_no_more_content_than_its_bound_and_at_least_one_file(outbox, sources, monkeypatch):
    monkeypatch.setattr(claiming, "CLAIM_BYTES_MAX", 25)
    for path in sources[:4]:
        outbox.accept(write(path, b"0123456789"))
    assert [len(outbox.claim()) for _ in range(3)] == [2, 2, 0]
    outbox.accept(write(sources[5], b"x" * 100))
    assert len(outbox.claim()) == 1


def test_a_group_holds_no_more_content_than_its_bound(outbox, sources, monkeypatch):
    monkeypatch.setattr(writer, "GROUP_BYTES_MAX", 20)
    outbox.writer.accept_all([accept_of(write(path, b"0123456789")) for path in sources[:5]])
    assert [len(changes) for changes in outbox.store.commits] == [2, 2, 1]
    assert outbox.stats == (5, 0, 0, 5)


def test_the_members_of_an_archive_are_read_in_parts_within_the_bound(tmp_path, monkeypatch):
    monkeypatch.setattr(held_bytes, "CLAIM_BYTES_MAX", 10)
    members = [an_item(number, in_store=number != 2) for number in range(1, 6)]  # of 4 bytes each
    asked = []

    def read(items):
        asked.append([item.sequence for item in items])
        return {item.id: b"%d" % item.sequence for item in items if item.in_store}

    class NoSpool:
        def path(self, item_id):
            return tmp_path / item_id

    reading = HeldBytes(NoSpool(), read).reading(members)
    assert [reading(item) for item in members] == [b"1", tmp_path / "item-2", b"3", b"4", b"5"]
    assert asked == [[1, 2, 3], [4, 5]]


def test_bytes_from_before_the_outbox_was_opened_again_are_not_sent(tmp_path):
    with pytest.raises(OutboxStorageError, match="before the outbox was opened again"):
        HeldBytes(None, lambda items: {}).of(an_item(1, in_store=True))


@pytest.mark.parametrize("content", [b"small", LARGE], ids=["small", "large"])
def test_a_users_processor_gets_a_real_file_under_the_callers_name_for_the_call(outbox, source, content):
    """It is removed afterwards, and its owner alone may read it."""
    outbox.accept(write(source, content))
    (item,) = outbox.claim()
    seen = []

    class Processor:
        def transferData(self, info, path, project, folder_type):  # noqa: N802 - the name is fixed by its users
            with Path(path).open("rb") as file:
                seen.append((path, file.read()))

    held = outbox.writer.held
    carrier = TransferDataCarrier(
        Processor(), lambda item: {}, lambda item: held.named(item, "a.csv"), outbox.clock, threading.Lock()
    )

    async def carried():
        await carrier.carry(item)
        await carrier.close()

    asyncio.run(carried())
    ((path, read),) = seen
    assert (path.rpartition("/")[2], read) == ("a.csv", content)
    assert list((outbox.folder / "handed-out").glob("*/*")) == []


def test_an_outbox_that_starts_again_hands_out_the_content(folder, source):
    with open_writer(folder) as outbox:
        outbox.accept(write(source, b"content"))
        outbox.claim()
    source.unlink()
    with open_writer(folder) as outbox:
        (item,) = outbox.claim(server=SERVER)
        assert outbox.writer.held.of(item) == b"content"
