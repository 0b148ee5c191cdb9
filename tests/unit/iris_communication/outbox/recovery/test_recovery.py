import os
from pathlib import Path

import pytest

from iris_communication.errors import Effect
from iris_communication.item import Delivered, State, Take
from iris_communication.outbox.files.spool import Spool
from iris_communication.outbox.recovery.recovery import recover
from iris_communication.outbox.store import ledger
from iris_communication.outbox.store.contract import Deliver, Insert, Update
from iris_communication.outbox.store.sqlite import SqliteStore
from tests.unit.iris_communication.outbox.fake_parts import an_item, write

CONTENT = b"a,b\n1,2\n"


class Left:
    """An outbox as a crash left it."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "outbox").mkdir()
        self.spool = Spool(folder / "outbox" / "spool", small_max_bytes=-1)
        self.store = SqliteStore(folder / "outbox" / "outbox.db", "boot-1")
        self.count = 0

    def item(self, state=State.WAITING, take=Take.COPY, **facts):
        """One that was accepted, then brought into `state`."""
        self.count += 1
        source = write(self.folder / f"{self.count}.csv", CONTENT)
        fingerprint = self.spool.take(str(source), f"item-{self.count}", take).fingerprint
        made = an_item(self.count, source_path=str(source), take=take, fingerprint=fingerprint)
        self.store.commit([Insert(made)])
        if state is not State.WAITING or facts:
            made = an_item(self.count, state, source_path=str(source), take=take, fingerprint=fingerprint, **facts)
            self.store.commit([Update(made)])
        return made

    def recover(self):
        recover(self.store, self.spool)

    def state(self, item):
        return self.store.state(item.id)

    def unfinished(self, item):
        return next(found for found in self.store.unfinished() if found.id == item.id)

    def picture(self):
        """All that recovery may change."""
        return (
            list(self.store.unfinished()),
            self.store.tally(),
            self.spool.sizes(),
            sorted(path.name for path in self.folder.iterdir()),
        )


@pytest.fixture
def left(tmp_path):
    made = Left(tmp_path)
    yield made
    made.store.close()


def test_a_waiting_item_goes_on_waiting_untouched(left):
    item = left.item()
    left.recover()
    assert left.unfinished(item) == item
    assert left.spool.path(item.id).read_bytes() == CONTENT


def test_an_item_in_flight_waits_again_and_its_next_attempt_looks_back(left):
    item = left.item(State.IN_FLIGHT, token="t1")
    left.recover()
    found = left.unfinished(item)
    assert (found.state, found.effect, found.token, found.attempts) == (State.WAITING, Effect.UNSEEN, "t1", 0)


def test_an_attempt_whose_rename_was_sent_is_still_to_be_finished(left):
    item = left.item(State.IN_FLIGHT, token="t1", effect=Effect.UNKNOWN)
    left.recover()
    assert left.unfinished(item).effect is Effect.UNKNOWN


def test_a_source_that_was_handed_over_is_unlinked_now(left):
    item = left.item(take=Take.MOVE)
    left.recover()
    assert not Path(item.source_path).exists()
    assert left.spool.path(item.id).read_bytes() == CONTENT


def test_a_source_that_was_handed_over_and_copied_is_unlinked_now(left, monkeypatch):
    def cannot(*_args, **_options):
        raise OSError(18, "Invalid cross-device link")

    with monkeypatch.context() as disk:
        disk.setattr(os, "link", cannot)
        item = left.item(take=Take.MOVE)
    left.recover()
    assert not Path(item.source_path).exists()


def test_another_file_that_took_the_sources_name_since_is_left_alone(left):
    item = left.item(take=Take.MOVE)
    Path(item.source_path).unlink()
    write(left.folder / "1.csv", b"the next one, of the same name")
    left.recover()
    assert Path(item.source_path).exists()


def test_another_file_of_the_same_size_that_took_the_sources_name_is_left_alone(left):
    item = left.item(take=Take.MOVE)
    Path(item.source_path).unlink()
    write(Path(item.source_path), CONTENT[::-1])
    left.recover()
    assert Path(item.source_path).read_bytes() == CONTENT[::-1]


def test_a_source_that_was_only_copied_is_left_alone(left):
    item = left.item(take=Take.COPY)
    left.recover()
    assert Path(item.source_path).exists()


def test_a_source_that_cannot_be_unlinked_holds_nobody_up(left, monkeypatch):
    item = left.item(take=Take.MOVE)

    def refusing(*_args, **_options):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as disk:
        disk.setattr(os, "unlink", refusing)
        left.recover()
    assert left.state(item) == "waiting"


def test_bytes_without_a_row_were_never_accepted_and_are_removed(left):
    write(left.spool.path("never-answered"))
    left.recover()
    assert left.spool.sizes() == {}


def test_bytes_whose_delivery_is_recorded_are_removed(left):
    item = left.item(State.IN_FLIGHT)
    line = ledger.line(left.store.ledger_head(), ledger.entry(item, Delivered("/in/1.csv", 8, "ab", None, 1.0)))
    left.store.commit([Deliver(an_item(1, State.DELIVERED), line)])
    left.recover()
    assert left.spool.sizes() == {}
    assert left.state(item) == "delivered"


def test_bytes_of_a_dead_item_are_kept_so_that_it_can_be_sent_again(left):
    item = left.item(State.DEAD)
    left.recover()
    assert left.spool.path(item.id).read_bytes() == CONTENT


def test_a_folder_in_the_spool_is_left_to_the_operator_and_holds_nobody_up(left, caplog):
    item = left.item()
    left.spool.path("a folder somebody made").mkdir()
    left.recover()
    assert left.state(item) == "waiting"
    assert "a folder somebody made" in caplog.text


def test_an_item_without_its_bytes_is_dead_by_name_and_holds_nobody_up(left, caplog):
    lost, fine = left.item(), left.item()
    left.spool.path(lost.id).unlink()
    left.recover()
    assert (left.state(lost), left.state(fine)) == ("dead", "waiting")
    assert f"'{lost.source_path}' ({lost.id}) is gone from the spool" in caplog.text
    assert left.store.dead(1)[0].last_error.error == "SpoolMissing"


def test_an_item_whose_bytes_are_cut_short_is_dead(left):
    item = left.item()
    write(left.spool.path(item.id), CONTENT[:3])
    left.recover()
    assert left.state(item) == "dead"


def test_the_source_of_an_item_without_its_bytes_is_never_unlinked(left):
    item = left.item(take=Take.MOVE)
    left.spool.path(item.id).unlink()
    left.recover()
    assert Path(item.source_path).exists()


def test_more_items_than_fit_one_commit_are_all_put_right(left, monkeypatch):
    from iris_communication.outbox.recovery import recovery

    monkeypatch.setattr(recovery, "CHANGES_AT_ONCE", 2)
    items = [left.item(State.IN_FLIGHT, token="t") for _ in range(5)]
    left.recover()
    assert {left.state(item) for item in items} == {"waiting"}


class CutError(BaseException):
    """The process ends here."""


def steps_of(monkeypatch, cut_at):
    """Let every system call and commit of a recovery count, and end the process before number `cut_at`."""
    count = [0]

    def counted(call):
        def wrapper(*args, **options):
            count[0] += 1
            if count[0] == cut_at:
                raise CutError
            return call(*args, **options)

        return wrapper

    monkeypatch.setattr(os, "unlink", counted(os.unlink))
    monkeypatch.setattr(SqliteStore, "commit", counted(SqliteStore.commit))
    return count


@pytest.mark.parametrize("cut_at", range(1, 8))
def test_a_recovery_that_is_cut_off_is_done_again_with_the_same_end(tmp_path, monkeypatch, cut_at):
    from iris_communication.outbox.recovery import recovery

    def a_mess(folder):
        folder.mkdir()
        made = Left(folder)
        made.item(State.IN_FLIGHT, token="t1")
        made.item(State.IN_FLIGHT, Take.MOVE, token="t2", effect=Effect.UNKNOWN)
        made.item(take=Take.MOVE)
        made.spool.path(made.item().id).unlink()
        write(made.spool.path("never-answered"))
        write(made.spool.path("nor-this"))
        return made

    monkeypatch.setattr(recovery, "CHANGES_AT_ONCE", 1)
    whole, cut = a_mess(tmp_path / "whole"), a_mess(tmp_path / "cut")
    whole.recover()
    with monkeypatch.context() as process:
        steps_of(process, cut_at)
        with pytest.raises(CutError):
            cut.recover()
    cut.recover()
    for mess in (whole, cut):
        mess.recover()  # and once more changes nothing

    def told(mess):
        items, *rest = mess.picture()
        return [(item.id, item.state, item.effect, item.token, item.earlier_tokens) for item in items], *rest

    assert told(cut) == told(whole)
    for mess in (whole, cut):
        mess.store.close()
