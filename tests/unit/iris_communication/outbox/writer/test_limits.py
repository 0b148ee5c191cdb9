"""How much the outbox takes, and what gives way when it is full."""

import os

import pytest

from iris_communication.admin.audit import Audit
from iris_communication.errors import ItemDropped, OutboxFull, RemoteRefused
from iris_communication.item import Event
from iris_communication.settings import Limits
from tests.unit.iris_communication.outbox.fake_parts import LARGE, accept_of, open_writer, write

FILE = b"x" * 100


@pytest.fixture
def files(tmp_path):
    return [write(tmp_path / f"{number:02}.csv", FILE) for number in range(10)]


def waiting(outbox):
    return [
        row[0].decode().rpartition("/")[2] for row in outbox.asked("SELECT source_path FROM items ORDER BY sequence")
    ]


def test_bytes_are_limited_and_a_delivery_makes_room(folder, files):
    with open_writer(folder, limits=Limits(bytes_max=250)) as outbox:
        outbox.accept(files[0])
        outbox.accept(files[1])
        with pytest.raises(OutboxFull, match="holds 200 bytes of at most 250 bytes"):
            outbox.accept(files[2])
        assert outbox.stats == (2, 0, 0, 2)
        assert len(outbox.held()) == 2
        outbox.deliver(outbox.claim(1)[0])
        outbox.accept(files[2])
        assert Audit(folder).balance().problems == ()


def test_the_bytes_of_the_dead_count_until_they_are_dropped(folder, files):
    with open_writer(folder, limits=Limits(bytes_max=150)) as outbox:
        outbox.accept(files[0])
        outbox.settle(outbox.claim()[0], Event.GIVE_UP, error=RemoteRefused("no"))
        with pytest.raises(OutboxFull, match="bytes"):
            outbox.accept(files[1])


def test_many_accepted_together_count_each_other(folder, files):
    with open_writer(folder, limits=Limits(bytes_max=250)) as outbox:
        outcomes = outbox.writer.accept_all([accept_of(path) for path in files[:4]])
        assert [isinstance(outcome, OutboxFull) for outcome in outcomes] == [False, False, True, True]


def test_bytes_found_at_the_start_count(folder, files):
    with open_writer(folder) as outbox:
        outbox.accept(files[0])
    with open_writer(folder, limits=Limits(bytes_max=150)) as outbox, pytest.raises(OutboxFull):
        outbox.accept(files[1])


def test_a_file_that_would_go_below_the_reserve_of_the_disk_is_refused(folder, files, monkeypatch):
    free_bytes = 1_000_000

    class Facts:
        f_frsize = 1

        @property
        def f_bavail(self):
            return free_bytes

    with open_writer(folder, limits=Limits(disk_reserve_bytes=10_000)) as outbox:
        monkeypatch.setattr(os, "statvfs", lambda path: Facts())
        outbox.accept(files[0])
        free_bytes = 10_050
        with pytest.raises(OutboxFull, match=r"10\.1 kB free"):
            outbox.accept(files[1])
        free_bytes = 10_100
        outbox.accept(files[1])


@pytest.mark.parametrize(
    ("when_full", "priorities", "left"),
    [
        ("drop_oldest", (1, 0, 0), ["00.csv", "02.csv", "03.csv"]),
        ("drop_oldest", (0, 0, 0), ["01.csv", "02.csv", "03.csv"]),
        ("drop_lowest", (0, 0, -1), ["00.csv", "01.csv", "03.csv"]),
        ("drop_lowest", (0, -1, -1), ["00.csv", "02.csv", "03.csv"]),
    ],
)
def test_the_oldest_or_the_lowest_gives_way_where_that_is_chosen(folder, files, when_full, priorities, left):
    with open_writer(folder, max_queue_size=3, limits=Limits(when_full=when_full)) as outbox:
        receipts = [outbox.accept(path, priority=priority) for path, priority in zip(files, priorities, strict=False)]
        outbox.accept(files[3], priority=0)
        outbox.writer.flush()
        assert waiting(outbox) == left
        (gone,) = (receipt for receipt in receipts if receipt.outcome is not None)
        assert isinstance(gone.outcome, ItemDropped)
        assert len(outbox.held()) == 3
        assert outbox.stats == (4, 0, 1, 3)
        assert outbox.asked("SELECT reason FROM ended") == [("it gave way in a full outbox",)]
        assert Audit(folder).balance().problems == ()


@pytest.mark.parametrize("when_full", ["drop_oldest", "drop_lowest"])
def test_more_urgent_items_do_not_give_way(folder, files, when_full):
    with open_writer(folder, max_queue_size=2, limits=Limits(when_full=when_full)) as outbox:
        for path in files[:2]:
            outbox.accept(path, priority=5)
        with pytest.raises(OutboxFull):
            outbox.accept(files[2], priority=4)
        assert waiting(outbox) == ["00.csv", "01.csv"]


def test_items_under_way_do_not_give_way(folder, files):
    with open_writer(folder, max_queue_size=2, limits=Limits(when_full="drop_oldest")) as outbox:
        for path in files[:2]:
            outbox.accept(path)
        outbox.claim()
        with pytest.raises(OutboxFull):
            outbox.accept(files[2])


def test_a_commit_that_fails_drops_nothing(folder, files):
    with open_writer(folder, max_queue_size=1, limits=Limits(when_full="drop_oldest")) as outbox:
        receipt = outbox.accept(write(files[0], LARGE))
        outbox.store.refuse = True
        with pytest.raises(Exception, match="no space left"):
            outbox.accept(write(files[1], LARGE))
        outbox.store.refuse = False
        outbox.writer.flush()
        assert outbox.recorded() == {receipt.id: "waiting"}
        assert outbox.held() == [receipt.id]
        assert receipt.outcome is None


def test_more_than_one_gives_way_for_a_large_one_and_none_in_vain(folder, files, tmp_path):
    large, larger = write(tmp_path / "large.csv", FILE * 2), write(tmp_path / "larger.csv", FILE * 4)
    with open_writer(folder, limits=Limits(bytes_max=300, when_full="drop_oldest")) as outbox:
        for path in files[:3]:
            outbox.accept(path)
        with pytest.raises(OutboxFull):
            outbox.accept(larger)
        assert len(waiting(outbox)) == 3
        outbox.accept(large)
        assert waiting(outbox) == ["02.csv", "large.csv"]
