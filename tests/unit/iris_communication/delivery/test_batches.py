"""An archive of several files: how it is made and sent, and what becomes of its members."""

import asyncio
import hashlib

import pytest

from iris_communication.archive.unpack import unpack
from iris_communication.delivery.batches import ArchiveNotMade, carried, settles
from iris_communication.errors import (
    DeliveryStopped,
    Effect,
    LinkLost,
    OutboxStorageError,
    RemoteRefused,
    SpoolMissing,
)
from iris_communication.item import Delivered, Event, Fingerprint
from iris_communication.outbox.files.spool import Spool
from iris_communication.outbox.writer.batching import archive_of
from iris_communication.outbox.writer.held_bytes import HeldBytes
from iris_communication.outbox.writer.messages import Settle
from tests.unit.iris_communication.outbox.fake_parts import an_item

NAME = "20261124T034501Z-1f2e3d4c5b6a7988-3"
FACTS = {"batch": "zip:/in/line-1/model", "batch_id": NAME, "token": "token"}


def an_archive(**facts):
    return archive_of(tuple(an_item(number, **(FACTS | facts)) for number in (1, 2, 3)))


class Carrying:
    """A carrier that keeps what it was given, and ends as the test says."""

    def __init__(self, error=None):
        self.error = error
        self.carried = []

    async def carry(self, item):
        self.carried.append(item)
        if self.error is not None:
            raise self.error
        mark = item.fingerprint
        return Delivered(item.remote_path, mark.size_bytes, mark.sha256, "SHA256:key", 7.0)


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path / "spool")


@pytest.fixture
def spooled(spool):
    """Three members with their bytes."""

    def spooled(number):
        content = f"content {number}".encode()
        spool.path(f"item-{number}").write_bytes(content)
        mark = Fingerprint(1, number, len(content), 0, hashlib.sha256(content).hexdigest())
        return an_item(number, fingerprint=mark, **FACTS)

    return archive_of(tuple(spooled(number) for number in (1, 2, 3)))


def carry(upload, carrier, spool):
    async def with_a_loop():
        return await carried(upload, carrier, HeldBytes(spool, lambda items: {}), asyncio.Lock())

    return asyncio.run(with_a_loop())


# -- one upload


def test_an_archive_goes_into_the_folder_of_its_members_under_its_own_name():
    assert an_archive().remote_path == f"/in/line-1/model/{NAME}.zip"
    assert an_archive(batch="tar.gz:").remote_path == f"{NAME}.tar.gz"


def test_facts_of_an_earlier_attempt_are_known_of_the_archive():
    upload = an_archive(effect=Effect.UNKNOWN, token="now", earlier_tokens=("a", "b"))
    assert (upload.effect, upload.token, upload.earlier_tokens) == (Effect.UNKNOWN, "now", ("a", "b"))


def test_the_archive_of_the_members_is_sent_and_gone_afterwards(spool, spooled, tmp_path):
    class Keeping(Carrying):
        async def carry(self, item):
            path = spool.held(item)
            assert item.fingerprint.size_bytes == path.stat().st_size
            (tmp_path / "arrived.zip").write_bytes(path.read_bytes())
            return await super().carry(item)

    delivered = carry(spooled, Keeping(), spool)
    unpacked = unpack(tmp_path / "arrived.zip", tmp_path / "out")
    assert [each.path.read_bytes() for each in unpacked] == [b"content 1", b"content 2", b"content 3"]
    assert delivered.final_path == spooled.remote_path
    assert not spool.archive(NAME).exists()


def test_the_archive_is_gone_too_when_it_could_not_be_sent(spool, spooled):
    with pytest.raises(LinkLost):
        carry(spooled, Carrying(LinkLost("cut")), spool)
    assert not spool.archive(NAME).exists()


def test_the_archive_of_a_second_attempt_has_the_same_bytes(spool, spooled):
    carrier = Carrying()
    for _ in range(2):
        carry(spooled, carrier, spool)
    first, second = carrier.carried
    assert first.fingerprint.sha256 == second.fingerprint.sha256


def test_one_file_by_itself_is_carried_as_it_is(spool):
    item = an_item(1)
    carrier = Carrying()
    carry(item, carrier, spool)
    assert carrier.carried == [item]


def test_a_member_without_its_bytes_is_named_and_nothing_is_sent(spool, spooled):
    spool.path("item-2").unlink()
    carrier = Carrying()
    with pytest.raises(ArchiveNotMade) as caught:
        carry(spooled, carrier, spool)
    assert (caught.value.broken, type(caught.value.reason)) == ("item-2", SpoolMissing)
    assert carrier.carried == []


def test_a_disk_without_room_for_an_archive_costs_no_file_an_attempt(spool, spooled):
    spool.archive(NAME).parent.rmdir()
    with pytest.raises(ArchiveNotMade) as caught:
        carry(spooled, Carrying(), spool)
    assert caught.value.broken is None


# -- many outcomes


def settled(event, delivered=None, error=None, effect=Effect.NONE, *, prior=Effect.NONE):
    """`prior`: what an attempt before this one may have left."""
    return list(settles(an_archive(effect=prior), event, delivered, error, effect))


def events(settled):
    return [(each.item.id, each.event, each.unbatched) for each in settled]


def test_each_member_is_delivered_with_its_own_size_and_hash_and_the_archives_beside():
    proof = Delivered("/in/a.zip", 999, "cd" * 32, "SHA256:key", 7.0)
    settles = settled(Event.DELIVER, proof)
    assert [(each.item.id, each.event) for each in settles] == [
        (f"item-{number}", Event.DELIVER) for number in (1, 2, 3)
    ]
    assert {each.delivered for each in settles} == {
        Delivered("/in/a.zip", 4, "ab" * 32, "SHA256:key", 7.0, archive_size_bytes=999, archive_sha256="cd" * 32)
    }


@pytest.mark.parametrize("error", [LinkLost("cut"), DeliveryStopped("we stop"), OutboxStorageError("no")])
def test_a_failure_that_is_not_the_members_own_lets_them_wait_together(error):
    settles = settled(Event.RELEASE, error=error, effect=Effect.UNKNOWN)
    assert events(settles) == [(f"item-{number}", Event.RELEASE, False) for number in (1, 2, 3)]
    assert {(each.error, each.effect) for each in settles} == {(error, Effect.UNKNOWN)}


@pytest.mark.parametrize("event", [Event.FAIL, Event.GIVE_UP, Event.DROP])
def test_an_archive_that_is_refused_costs_no_attempt_and_its_members_go_by_themselves(event):
    error = RemoteRefused("no")
    settles = settled(event, error=error, effect=Effect.UNSEEN)
    assert settles == [
        Settle(an_item(number, **FACTS), Event.RELEASE, error=error, effect=Effect.UNSEEN, unbatched=True)
        for number in (1, 2, 3)
    ]


def not_made(broken, reason):
    return ArchiveNotMade("it was not made", reason, broken)


def test_a_broken_member_dies_alone_and_the_others_wait_for_another_archive():
    settles = settled(Event.RELEASE, error=not_made("item-2", SpoolMissing("gone")))
    assert events(settles) == [
        ("item-1", Event.RELEASE, False),
        ("item-2", Event.GIVE_UP, False),
        ("item-3", Event.RELEASE, False),
    ]
    assert isinstance(settles[1].error, SpoolMissing)


def test_an_archive_that_may_have_arrived_is_not_made_again_without_the_broken_member():
    settles = settled(Event.RELEASE, error=not_made("item-2", SpoolMissing("gone")), prior=Effect.UNKNOWN)
    assert [each.unbatched for each in settles] == [True, False, True]
    assert settles[1].effect is Effect.UNSEEN


def test_a_member_that_cannot_be_read_for_now_goes_by_itself():
    settles = settled(Event.RELEASE, error=not_made("item-2", OutboxStorageError("input/output error")))
    assert events(settles)[1] == ("item-2", Event.RELEASE, True)


def test_all_members_go_by_themselves_without_room_for_an_archive():
    settles = settled(Event.RELEASE, error=not_made(None, OutboxStorageError("no space left on device")))
    assert events(settles) == [(f"item-{number}", Event.RELEASE, True) for number in (1, 2, 3)]
