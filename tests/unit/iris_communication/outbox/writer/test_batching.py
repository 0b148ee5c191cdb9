"""Which waiting items are handed out together, and what becomes of an archive whose fate nobody knows."""

import re
from dataclasses import replace

import pytest

from iris_communication.errors import DeliveryStopped, Effect, LinkLost, RemoteRefused
from iris_communication.item import Event
from iris_communication.outbox.orders import CancelItems, RetryItems, SetPriority
from iris_communication.outbox.writer.messages import Settle, SettleArchive
from iris_communication.settings import DeliverySettings, Rule
from tests.unit.iris_communication.outbox.fake_parts import SERVER, open_writer, proof

QUEUE = "zip:/in/line-1/model"
SETTINGS = DeliverySettings(
    rules={"small": Rule(batch="zip", batch_files_max=4, batch_bytes_max=1000, batch_wait_s=10.0)}
)


@pytest.fixture
def outbox(folder):
    with open_writer(folder, settings=SETTINGS) as opened:
        yield opened


def accept(outbox, paths, **facts):
    return [outbox.accept(path, **({"batch": QUEUE} | facts)) for path in paths]


def names(items):
    return [item.source_path.rpartition("/")[2].removesuffix(".csv") for item in items]


def together(outbox, items, event, **facts):
    outbox.writer.settle(SettleArchive(tuple(Settle(item, event, **facts) for item in items)))
    outbox.writer.flush()


def archive(outbox, sources, count=4):
    """A claimed one."""
    accept(outbox, sources[:count])
    outbox.clock.advance(10.0)
    return outbox.claim(archives=1)


# -- forming


def test_a_full_archive_is_handed_out_under_one_name_and_one_token(outbox, sources):
    accept(outbox, sources[:5])
    items = outbox.claim(archives=4)
    assert names(items) == ["00", "01", "02", "03"]
    assert len({item.batch_id for item in items}) == len({item.token for item in items}) == 1
    assert re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{16}-4", items[0].batch_id)


def test_the_members_of_an_archive_are_handed_out_as_one_upload_and_others_as_they_are(outbox, sources):
    accept(outbox, sources[:1], batch="")
    accept(outbox, sources[1:5])
    accept(outbox, sources[5:6], batch="")
    first, archived, last = outbox.claim_uploads(archives=1)
    assert names([first, *archived.members, last]) == ["00", "01", "02", "03", "04", "05"]
    assert {item.batch_id for item in archived.members} == {archived.id}
    assert {item.token for item in archived.members} == {archived.token}


def test_items_handed_out_together_are_on_the_disk_together(outbox, sources):
    accept(outbox, sources[:4])
    items = outbox.claim(archives=1)
    rows = outbox.asked("SELECT DISTINCT batch_id, token, state FROM items")
    assert rows == [(items[0].batch_id, items[0].token, "in_flight")]


def test_items_that_fill_no_archive_wait_until_the_oldest_has_waited_long_enough(outbox, sources):
    accept(outbox, sources[:3])
    assert outbox.claim(archives=4) == []
    outbox.clock.advance(9.9)
    assert outbox.claim(archives=4) == []
    outbox.clock.advance(0.1)
    assert names(outbox.claim(archives=4)) == ["00", "01", "02"]


def test_a_draining_uploader_waits_for_no_batch_to_fill(outbox, sources):
    accept(outbox, sources[:3])
    assert names(outbox.claim(archives=4, draining=True)) == ["00", "01", "02"]


def test_a_batch_of_one_file_goes_as_that_file(outbox, sources):
    accept(outbox, sources[:1])
    outbox.clock.advance(10.0)
    (item,) = outbox.claim(archives=4)
    assert item.batch_id is None


def test_a_large_file_goes_alone_and_holds_nobody_up(outbox, sources):
    sources[1].write_bytes(b"x" * 1001)
    accept(outbox, sources[:3])
    items = outbox.claim(archives=4)
    assert names(items) == ["00", "01"]
    assert [item.batch_id for item in items] == [None, None]


def test_no_more_archives_are_handed_out_than_were_asked_for(outbox, sources):
    accept(outbox, sources)
    assert names(outbox.claim(archives=2)) == [f"{number:02}" for number in range(8)]
    assert outbox.claim(archives=0) == []


def test_single_items_go_on_while_no_more_archives_may_go(outbox, sources):
    accept(outbox, sources[:8])
    accept(outbox, sources[8:9], batch="")
    assert names(outbox.claim(archives=0)) == ["08"]


def test_an_archive_is_one_upload_whatever_it_holds(outbox, sources):
    accept(outbox, sources[:8])
    accept(outbox, sources[8:10], batch="")
    assert names(outbox.claim(2, archives=4)) == [f"{number:02}" for number in range(8)]


def test_files_for_different_folders_never_meet(outbox, sources):
    accept(outbox, sources[:6:2])
    accept(outbox, sources[1:6:2], batch="zip:/in/line-2/model")
    outbox.clock.advance(10.0)
    items = outbox.claim(archives=4)
    assert {(item.batch_id, item.batch) for item in items} == {
        (items[0].batch_id, QUEUE),
        (items[-1].batch_id, "zip:/in/line-2/model"),
    }


def test_each_item_goes_by_itself_where_no_archive_can_be_sent(outbox, sources):
    accept(outbox, sources[:5])
    items = outbox.claim()
    assert names(items) == ["00", "01", "02", "03", "04"]
    assert len({item.token for item in items}) == 5
    assert {item.batch_id for item in items} == {None}


def test_each_item_goes_by_itself_on_a_full_disk(folder, sources):
    """An archive would need room of its own."""
    with open_writer(folder, settings=SETTINGS) as outbox:
        accept(outbox, sources[:4])
        outbox.store.refuse = True
        with pytest.raises(Exception, match="no space left"):
            outbox.accept(sources[5])
        outbox.store.refuse = False
        assert (folder / "reserve").stat().st_size == 0, "it was given back"
        assert {item.batch_id for item in outbox.claim(archives=4)} == {None}


def test_the_new_ones_beside_an_outages_backlog_travel_together_too(folder, sources):
    with open_writer(folder, settings=replace(SETTINGS, new_share=0.5)) as outbox:
        accept(outbox, sources)
        items = outbox.claim(2, archives=4, backlog_until=10)
        assert names(items) == ["00", "01", "02", "03", "12", "13", "14", "15"]


def test_an_archive_may_reach_over_the_end_of_a_backlog(outbox, sources):
    accept(outbox, sources[:4])
    assert names(outbox.claim(archives=4, backlog_until=1)) == ["00", "01", "02", "03"]


def test_the_picture_counts_how_many_may_travel_together(folder, sources):
    with open_writer(folder, settings=SETTINGS) as outbox:
        accept(outbox, sources[:3])
        accept(outbox, sources[3:4], batch="")
        queue = outbox.writer.snapshot.backlogs[SERVER.key]
        assert (queue.fresh, queue.batched) == (4, 3)
    with open_writer(folder, settings=SETTINGS) as outbox:
        assert outbox.writer.snapshot.backlogs[SERVER.key] == queue
        outbox.clock.advance(10.0)
        outbox.claim(archives=1)
        outbox.writer.flush()
        assert SERVER.key not in outbox.writer.snapshot.backlogs


# -- afterwards


def test_each_member_of_a_delivered_archive_has_its_own_line_in_one_commit(outbox, sources):
    items = archive(outbox, sources)
    before = len(outbox.store.commits)
    outbox.writer.settle(
        SettleArchive(tuple(Settle(item, Event.DELIVER, delivered=proof(item, "/in/a.zip")) for item in items))
    )
    outbox.writer.flush()
    assert len(outbox.store.commits) == before + 1
    assert set(outbox.recorded().values()) == {"delivered"}
    assert [items[0].batch_id in line.text for line in outbox.ledger()] == [True] * 4
    assert outbox.held() == []


def test_members_settled_while_the_disk_refused_are_recorded_together_later(outbox, sources):
    items = archive(outbox, sources)
    outbox.store.refuse = True
    settles = tuple(Settle(item, Event.DELIVER, delivered=proof(item)) for item in items)
    outbox.writer.settle(SettleArchive(settles))
    outbox.writer.flush()
    assert set(outbox.recorded().values()) == {"in_flight"}
    outbox.store.refuse = False
    outbox.writer.flush()
    outbox.writer.flush()
    assert set(outbox.recorded().values()) == {"delivered"}


def test_members_of_an_archive_that_touched_nothing_are_free_again(outbox, sources):
    items = archive(outbox, sources, 3)
    together(outbox, items, Event.RELEASE, error=DeliveryStopped("we stop"))
    accept(outbox, sources[3:4])
    again = outbox.claim(archives=1)
    assert names(again) == ["00", "01", "02", "03"]
    assert again[0].batch_id != items[0].batch_id


@pytest.mark.parametrize("effect", [Effect.UNKNOWN, Effect.UNSEEN])
def test_an_archive_that_may_have_arrived_is_formed_again_of_exactly_its_members(outbox, sources, effect):
    items = archive(outbox, sources, 3)
    together(outbox, items, Event.RELEASE, error=LinkLost("cut"), effect=effect)
    accept(outbox, sources[3:4])
    again = outbox.claim(archives=1)
    assert names(again) == ["00", "01", "02"]
    assert again[0].batch_id == items[0].batch_id
    if effect is Effect.UNKNOWN:
        assert {item.token for item in again} == {items[0].token}
    else:
        assert {item.earlier_tokens for item in again} == {(items[0].token,)}
        assert len({item.token for item in again} - {items[0].token}) == 1


def test_an_archive_is_formed_again_of_exactly_its_members_after_a_kill(folder, sources):
    with open_writer(folder, settings=SETTINGS) as outbox:
        items = archive(outbox, sources)
    with open_writer(folder, settings=SETTINGS) as outbox:
        accept(outbox, sources[4:5])
        again = outbox.claim(archives=1)
    assert [item.id for item in again] == [item.id for item in items]
    assert again[0].batch_id == items[0].batch_id


def test_a_priority_that_one_member_was_given_does_not_part_them(outbox, sources):
    items = archive(outbox, sources)
    together(outbox, items, Event.RELEASE, error=LinkLost("cut"), effect=Effect.UNKNOWN)
    outbox.writer.execute(SetPriority((items[2].id,), 5))
    assert names(outbox.claim(archives=2)) == ["00", "01", "02", "03"]


def parted(outbox, sources):
    """An archive that may have arrived, and one of whose members was taken back since."""
    items = archive(outbox, sources)
    together(outbox, items, Event.RELEASE, error=LinkLost("cut"), effect=Effect.UNKNOWN)
    outbox.writer.execute(CancelItems((items[1].id,)))
    return items


def test_members_of_an_archive_that_lost_one_go_by_themselves_and_clear_away_what_it_left(outbox, sources):
    items = parted(outbox, sources)
    again = outbox.claim(archives=1)
    assert names(again) == ["00", "02", "03"]
    assert {(item.batch, item.batch_id, item.effect) for item in again} == {("", None, Effect.UNSEEN)}
    assert {item.earlier_tokens for item in again} == {(items[0].token,)}
    assert len({item.token for item in again} | {items[0].token}) == 4


def test_members_never_take_the_archives_rename_for_their_own_where_none_can_be_sent_any_more(outbox, sources):
    """Its temp file is gone because the archive was delivered: that says nothing of theirs."""
    items = archive(outbox, sources)
    together(outbox, items, Event.RELEASE, error=LinkLost("cut"), effect=Effect.UNKNOWN)
    assert {item.effect for item in outbox.claim()} == {Effect.UNSEEN}


def test_an_archive_that_is_given_up_costs_no_attempt_and_its_members_go_by_themselves(outbox, sources):
    items = archive(outbox, sources)
    together(outbox, items, Event.RELEASE, error=RemoteRefused("no archives"), effect=Effect.UNSEEN, unbatched=True)
    again = outbox.claim(archives=1)
    assert {(item.batch, item.batch_id, item.attempts) for item in again} == {("", None, 0)}
    assert again[0].last_error.message == "no archives"


def test_one_that_went_by_itself_and_was_cut_off_is_never_put_into_an_archive(outbox, sources):
    """It has a temp file of its own on the server."""
    (item,) = accept_and_claim_one(outbox, sources)
    together(outbox, [item], Event.RELEASE, error=LinkLost("cut"), effect=Effect.UNSEEN)
    accept(outbox, sources[1:5])
    items = outbox.claim(archives=4)
    assert names(items) == ["00", "01", "02", "03", "04"]
    assert items[0].batch_id is None
    assert items[0].earlier_tokens == (item.token,)


def accept_and_claim_one(outbox, sources):
    accept(outbox, sources[:1])
    outbox.clock.advance(10.0)
    return outbox.claim(archives=1)


def test_a_retried_member_is_no_member_any_more(outbox, sources):
    items = archive(outbox, sources)
    together(outbox, items[:1], Event.GIVE_UP, error=RemoteRefused("no"), effect=Effect.NONE)
    together(outbox, items[1:], Event.RELEASE)
    outbox.writer.execute(RetryItems((items[0].id,)))
    outbox.clock.advance(10.0)
    assert len({item.batch_id for item in outbox.claim(archives=4)}) == 1


def test_archives_that_a_crash_left_are_swept_at_the_start(folder):
    left = folder / "archives" / "20261124T000000Z-0011223344556677-2"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    with open_writer(folder):
        assert not left.exists()
