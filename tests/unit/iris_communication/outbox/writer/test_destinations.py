"""One file for several servers: each delivery has a fate of its own, and the source is dealt with once."""

import dataclasses
import errno
import os
import shutil

import pytest

from iris_communication.admin.audit import Audit
from iris_communication.errors import OutboxFull, OutboxStorageError, RemoteRefused, SourceMissing
from iris_communication.item import After, Event, Take
from iris_communication.outbox.files.spool import Spool
from iris_communication.outbox.orders import DropItems
from iris_communication.outbox.store.contract import SourceTreated
from iris_communication.outbox.writer.messages import Destination
from tests.unit.iris_communication.outbox.fake_parts import LARGE, SECRET, SERVER, accept_of, open_writer, write

OTHER = dataclasses.replace(SERVER, host="other.example.org")
THIRD = dataclasses.replace(SERVER, host="third.example.org")


def for_all(path, *others, **facts):
    return accept_of(
        path, others=[Destination(server, SECRET, f"/elsewhere/{path.name}") for server in others], **facts
    )


@pytest.mark.parametrize("content", [b"small", LARGE], ids=["small", "large"])
def test_each_destination_has_an_item_and_bytes_of_its_own(outbox, source, content):
    write(source, content)
    content = source.read_bytes()
    first, second = outbox.writer.accept(for_all(source, OTHER))
    assert second.id == f"{first.id}.2"
    assert [outbox.bytes_of(each.id) for each in (first, second)] == [content, content]
    (here,), (there,) = outbox.claim(), outbox.claim(server=OTHER)
    assert (here.remote_path, there.remote_path) == ("/in/line-1/model/a.csv", "/elsewhere/a.csv")
    outbox.deliver(here)
    outbox.settle(there, Event.GIVE_UP, error=RemoteRefused("no"))
    assert outbox.recorded() == {first.id: "delivered", second.id: "dead"}
    assert outbox.held() == [second.id]
    assert outbox.stats == (2, 1, 1, 0)
    assert Audit(outbox.folder).balance().problems == ()


@pytest.mark.parametrize("content", [b"small", LARGE], ids=["small", "large"])
def test_a_moved_source_is_moved_once_for_all(outbox, source, content):
    write(source, content)
    content = source.read_bytes()
    receipts = outbox.writer.accept(for_all(source, OTHER, THIRD, take=Take.MOVE))
    outbox.writer.flush()
    assert not source.exists()
    assert [outbox.bytes_of(each.id) for each in receipts] == [content] * 3


def test_a_file_is_accepted_for_all_its_servers_or_for_none(folder, sources):
    with open_writer(folder, max_queue_size=3) as outbox:
        outbox.writer.accept(for_all(sources[0], OTHER))
        with pytest.raises(OutboxFull):
            outbox.writer.accept(for_all(sources[1], OTHER))
        assert outbox.stats == (2, 0, 0, 2)
        assert len(outbox.held()) == 2
        outbox.accept(sources[1])
        assert outbox.stats.queue_size == 3


def test_bytes_that_cannot_be_held_for_all_are_held_for_none(outbox, source, monkeypatch):
    def refuse(*_):
        raise OutboxStorageError("no space left on device")

    monkeypatch.setattr(Spool, "share", refuse)
    with pytest.raises(OutboxStorageError):
        outbox.writer.accept(for_all(write(source, LARGE), OTHER))
    assert outbox.held() == []
    assert outbox.recorded() == {}
    assert source.exists()


def test_a_missing_source_is_dead_for_all_of_them(outbox, tmp_path):
    receipts = outbox.writer.accept(for_all(tmp_path / "gone.csv", OTHER))
    assert [type(receipt.outcome) for receipt in receipts] == [SourceMissing, SourceMissing]
    assert outbox.stats == (2, 0, 2, 0)


def test_a_crash_right_after_leaves_all_of_them(folder, source):
    with open_writer(folder) as outbox:
        receipts = outbox.writer.accept(for_all(source, OTHER))
    with open_writer(folder) as outbox:
        assert outbox.recorded() == {receipt.id: "waiting" for receipt in receipts}
        assert outbox.held() == [receipt.id for receipt in receipts]


# -- what becomes of the source


def deliver_all(outbox, *servers):
    for server in servers:
        for item in outbox.claim(server=server):
            outbox.deliver(item)
    outbox.writer.flush()


def test_a_source_stays_unless_something_else_is_asked_for(outbox, source):
    outbox.accept(source)
    deliver_all(outbox, SERVER)
    assert source.exists()


def test_a_delivered_source_is_deleted_where_that_is_asked_for(outbox, source):
    outbox.accept(source, after=After.DELETE)
    assert source.exists()
    deliver_all(outbox, SERVER)
    assert not source.exists()


def test_a_delivered_source_is_moved_and_never_over_another_file(outbox, source, tmp_path):
    sent = tmp_path / "sent"
    for content in (b"first", b"second", b"third"):
        write(source, content)
        outbox.accept(source, after=After.MOVE, move_to=str(sent))
        deliver_all(outbox, SERVER)
        assert not source.exists()
    assert {path.name: path.read_bytes() for path in sent.iterdir()} == {
        "a.csv": b"first",
        "a.1.csv": b"second",
        "a.2.csv": b"third",
    }


@pytest.mark.parametrize("absolute", [False, True], ids=["relative", "absolute"])
def test_a_source_that_is_a_link_is_moved_as_the_file_it_leads_to(outbox, source, tmp_path, absolute):
    stored = tmp_path / "stored" / "2026.csv"
    stored.parent.mkdir()
    write(stored, b"content")
    source.unlink(missing_ok=True)
    source.symlink_to(stored if absolute else os.path.relpath(stored, source.parent))
    outbox.accept(source, after=After.MOVE, move_to=str(tmp_path / "sent"))
    deliver_all(outbox, SERVER)
    assert not os.path.lexists(source)
    assert not (tmp_path / "sent" / source.name).is_symlink()
    assert (tmp_path / "sent" / source.name).read_bytes() == b"content"
    assert stored.read_bytes() == b"content", "only the name that was queued goes"


@pytest.mark.parametrize("after", [After.DELETE, After.MOVE])
def test_a_folder_that_is_a_link_by_now_costs_nobody_a_file(outbox, tmp_path, after):
    inner, foreign = tmp_path / "inner", tmp_path / "foreign"
    for folder in (inner, foreign):
        folder.mkdir()
        write(folder / "a.csv", b"content")
    outbox.accept(inner / "a.csv", after=after, move_to=str(tmp_path / "sent"))
    inner.rename(tmp_path / "elsewhere")
    inner.symlink_to(foreign)
    deliver_all(outbox, SERVER)
    assert (foreign / "a.csv").exists()
    assert not (tmp_path / "sent").exists()


def test_a_source_is_moved_to_another_file_system_too(outbox, source, tmp_path, monkeypatch):
    def refused(*paths, **options):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    write(source, b"content")
    outbox.accept(source, after=After.MOVE, move_to=str(tmp_path / "sent"))
    monkeypatch.setattr(os, "link", refused)
    deliver_all(outbox, SERVER)
    assert {path.name: path.read_bytes() for path in (tmp_path / "sent").iterdir()} == {source.name: b"content"}
    assert not source.exists()


@pytest.mark.parametrize("after", [After.DELETE, After.MOVE])
def test_a_source_that_is_another_file_by_now_is_left_alone(outbox, source, tmp_path, after):
    outbox.accept(source, after=after, move_to=str(tmp_path / "sent"))
    source.unlink()
    write(source, b"somebody's newer work")
    deliver_all(outbox, SERVER)
    assert source.read_bytes() == b"somebody's newer work"


def test_a_source_that_is_gone_by_now_is_no_trouble(outbox, source, caplog):
    outbox.accept(source, after=After.DELETE)
    source.unlink()
    deliver_all(outbox, SERVER)
    assert caplog.records == []


def test_the_last_of_several_deliveries_deals_with_the_source(outbox, source):
    outbox.writer.accept(for_all(source, OTHER, after=After.DELETE))
    deliver_all(outbox, OTHER)
    assert source.exists()
    deliver_all(outbox, SERVER)
    assert not source.exists()


def test_a_source_stays_while_one_of_its_destinations_never_got_it(outbox, source):
    _, second = outbox.writer.accept(for_all(source, OTHER, after=After.DELETE))
    outbox.writer.execute(DropItems((second.id,)))
    deliver_all(outbox, SERVER)
    assert source.exists()


@pytest.mark.parametrize("changed", [False, True])
@pytest.mark.parametrize("content", [b"small", LARGE], ids=["small", "large"])
def test_a_crash_between_the_ledger_and_the_source_is_made_good_at_the_next_start(folder, source, content, changed):
    killed = folder.with_name("killed")

    def copied(changes):
        if SourceTreated(receipt.id) in changes:
            shutil.copytree(folder, killed)

    write(source, content)
    with open_writer(folder) as outbox:
        receipt = outbox.accept(source, after=After.DELETE)
        outbox.store.on_commit = copied
        deliver_all(outbox, SERVER)
    write(source, b"somebody's newer work" if changed else content)  # as it was before the crash
    if content == LARGE:
        write(killed / "spool" / receipt.id, content)
    for _ in range(2):
        with open_writer(killed) as outbox:
            assert outbox.held() == []
            assert outbox.asked("SELECT id FROM source_actions") == []
        assert source.exists() == changed
