"""The audit must be able to fail: each thing that may go wrong is made, and found."""

import sqlite3
from contextlib import closing
from hashlib import sha256
from itertools import islice

import pytest

from iris_communication.outbox.store import ledger
from tests.torture.account import OfferedFile, ProducerAccount, append, open_account
from tests.torture.aftermath import PRODUCER, UNRECORDED, UPLOADER, WRITER, Aftermath
from tests.torture.audit import ProducerStory, audit
from tests.torture.moments import moments, troubles
from tests.torture.outbox import OutboxAtRest, OwedItem, read_outbox
from tests.torture.watch import ReceivingWatch


class DeliveredScene:
    """Two files, accepted and delivered, as they lie in the end; each test spoils something."""

    def __init__(self, folder):
        self.received, self.collected = folder / "received", folder / "collected"
        (self.received / "run" / "model").mkdir(parents=True)
        self.contents = {"a": b"the first", "b": b"the second"}
        self.offers = {name: self._offer(folder, name) for name in self.contents}
        self.accepted, self.refused, self.seen_partial = list(self.offers.values()), [], set()
        self.owed, self.spooled, self.paths = [], set(), {}
        for name in self.offers:
            self.put(name, self.offers[name].final_names[0])

    def _offer(self, folder, name):
        digest = sha256(self.contents[name]).hexdigest()
        source = str(folder / "made" / name)
        return OfferedFile(name, f"{name}.csv", len(self.contents[name]), digest, source, "run/model", "move")

    def put(self, name, path, content=None):
        (self.received / path).write_bytes(self.contents[name] if content is None else content)
        self.paths.setdefault(name, path)

    def recorded(self, name):
        offer = self.offers[name]
        return {
            "id": offer.id,
            "source": offer.source,
            "final_path": str(self.received / self.paths[name]),
            "size_bytes": offer.size_bytes,
            "sha256": offer.sha256,
        }

    def outbox(self, recorded=None):
        recorded = [self.recorded(name) for name in self.offers] if recorded is None else recorded
        lines, head = [], ledger.GENESIS
        for entry in recorded:
            lines.append(ledger.line(head, entry))
            head = lines[-1].hash
        tally = {"waiting": 0, "in_flight": 0, "dead": 0, "delivered": len(lines)}
        for item in self.owed:
            tally[item.state] += 1
        return OutboxAtRest(self.owed, [entry["id"] for entry in recorded], lines, tally, self.spooled)

    def audit(self, outbox=None):
        story = ProducerStory(list(self.offers.values()), self.accepted, self.refused)
        return audit(story, self.received, self.collected, self.seen_partial, outbox or self.outbox())


@pytest.fixture
def scene(tmp_path):
    return DeliveredScene(tmp_path)


def test_an_account_of_files_there_whole_and_once_holds(scene):
    found = scene.audit()
    assert found.line(3) == "accepted=2 delivered=2 lost=0 partial=0 duplicates=0 kills=3"
    assert found.holds, found


def test_an_accepted_file_that_is_not_there_is_lost(scene):
    (scene.received / scene.paths["a"]).unlink()
    found = scene.audit()
    assert (found.lost, found.delivered, found.holds) == (["a"], 1, False)


def test_half_a_file_under_a_final_name_is_partial_and_not_delivered(scene):
    scene.put("a", scene.paths["a"], content=b"the f")
    found = scene.audit()
    assert (found.partial, found.lost, found.holds) == ([scene.paths["a"]], ["a"], False)


def test_a_file_that_was_partial_only_while_it_ran_counts(scene):
    scene.seen_partial.add(scene.paths["b"])
    found = scene.audit()
    assert (found.partial, found.delivered, found.holds) == ([scene.paths["b"]], 2, False)


def test_a_temp_file_is_not_partial(scene):
    (scene.received / "run" / "model" / ".iris-1234").write_bytes(b"the f")
    assert scene.audit().holds


def test_the_alternative_name_is_a_final_name(scene):
    (scene.received / scene.paths.pop("a")).rename(scene.received / scene.offers["a"].final_names[1])
    scene.paths["a"] = scene.offers["a"].final_names[1]
    assert scene.audit().holds


def test_one_content_under_both_names_is_a_duplicate(scene):
    scene.put("a", scene.offers["a"].final_names[1])
    found = scene.audit()
    assert (len(found.duplicates), found.delivered, found.lost) == (1, 2, [])
    assert found.holds, "duplicates are reported; at least once is what is promised"


def test_a_collected_file_is_delivered_and_twice_is_a_duplicate(scene, tmp_path):
    account = open_account(tmp_path / "offered")
    append(account, scene.offers["a"])
    append(account, scene.offers["b"])
    watch = ReceivingWatch(scene.received, tmp_path / "offered", scene.collected)
    watch.look()
    assert scene.audit().line(1) == "accepted=2 delivered=2 lost=0 partial=0 duplicates=0 kills=1"
    scene.put("a", scene.paths["a"])
    watch.look()
    found = scene.audit()
    assert found.line(1) == "accepted=2 delivered=2 lost=0 partial=0 duplicates=1 kills=1"
    assert found.holds, found


def test_a_file_whose_answer_was_never_written_down_is_no_fault(scene):
    scene.accepted.remove(scene.offers["a"])
    found = scene.audit()
    assert (found.accepted, found.delivered, found.holds) == (1, 1, True)


def test_a_refused_file_that_arrives_is_a_fault(scene):
    scene.accepted.remove(scene.offers["a"])
    scene.refused.append(scene.offers["a"])
    assert scene.audit().faults == ["a was refused, and is on the server"]


def test_a_moved_source_that_stays_is_a_fault(scene, tmp_path):
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "a").touch()
    assert not scene.audit().holds


@pytest.mark.parametrize(
    "spoil",
    [
        lambda lines: lines.pop(),
        lambda lines: lines.append(lines[0]),
        lambda lines: lines[1].update(sha256="0" * 64),
        lambda lines: lines[1].update(size_bytes=1),
        lambda lines: lines[1].update(final_path=lines[0]["final_path"]),
    ],
    ids=["one missing", "one twice", "another hash", "another size", "another path"],
)
def test_a_ledger_that_disagrees_with_the_server_is_a_fault(scene, spoil):
    lines = [scene.recorded(name) for name in scene.offers]
    spoil(lines)
    found = scene.audit(scene.outbox(lines))
    assert (bool(found.faults), found.holds, found.lost) == (True, False, [])


def test_a_line_that_was_changed_later_does_not_fit_the_chain(scene):
    outbox = scene.outbox()
    outbox.lines[0] = ledger.Line(outbox.lines[0].text + " ", outbox.lines[0].hash)
    assert "line 1 of the ledger does not fit the chain" in scene.audit(outbox).faults


def test_a_tally_that_counts_wrong_is_a_fault(scene):
    outbox = scene.outbox()
    outbox.tally["delivered"] += 1
    assert not scene.audit(outbox).holds


@pytest.mark.parametrize("state", ["waiting", "in_flight", "dead"])
def test_a_file_still_owed_in_the_end_is_a_fault(scene, state):
    scene.owed.append(OwedItem("c", state, "/c.csv", None))
    scene.spooled.add("c")
    assert scene.audit().faults == [f"/c.csv is still {state}"]


def test_bytes_without_an_item_are_a_fault(scene):
    scene.spooled.add("c")
    assert scene.audit().faults == ["c is in the spool without an item"]


def test_an_item_that_waits_without_its_bytes_is_a_fault(scene):
    scene.owed.append(OwedItem("c", "waiting", "/c.csv", None))
    assert "item c has no bytes" in scene.outbox().faults()


def test_the_watch_sees_what_is_whole_only_later(scene, tmp_path):
    account = open_account(tmp_path / "offered")
    append(account, scene.offers["a"])
    append(account, scene.offers["b"])
    scene.put("a", scene.paths["a"], content=b"the f")
    watch = ReceivingWatch(scene.received, tmp_path / "offered")
    watch.look()
    scene.put("a", scene.paths["a"])
    watch.look()
    assert watch.partial == {scene.paths["a"]}


def test_a_line_that_a_kill_cut_short_takes_no_other_with_it(scene, tmp_path):
    path = tmp_path / "accepted"
    account = open_account(path)
    append(account, scene.offers["a"])
    with path.open("ab") as file:
        file.write(b'\n{"id": "run-0')
    append(account, scene.offers["b"])
    assert ProducerAccount(path).read() == list(scene.offers.values())


def test_an_account_is_read_on_while_it_is_written(scene, tmp_path):
    path = tmp_path / "offered"
    reader, account = ProducerAccount(path), open_account(path)
    append(account, scene.offers["a"])
    assert reader.read() == [scene.offers["a"]]
    append(account, scene.offers["b"])
    assert reader.read() == [scene.offers["b"]]


def test_a_kill_is_counted_by_what_it_broke_off_and_once(scene, tmp_path):
    append(open_account(tmp_path / "offered"), scene.offers["a"])
    _outbox_with_one_in_flight(tmp_path / "outbox", str(scene.received / scene.paths["a"]))
    (tmp_path / "outbox" / "spool" / "not-committed").touch()
    aftermath = Aftermath(tmp_path)
    aftermath.look("run-0000")
    aftermath.look("run-0001")  # killed before it put anything right
    assert aftermath.hits == {PRODUCER: 1, WRITER: 1, UPLOADER: 1, UNRECORDED: 1}
    assert aftermath.faults == []


def test_an_outbox_that_was_never_opened_holds_nothing(tmp_path):
    assert read_outbox(tmp_path / "outbox") == OutboxAtRest([], [], [], {}, set())


def _outbox_with_one_in_flight(folder, remote_path):
    (folder / "spool").mkdir(parents=True)
    (folder / "spool" / "a").touch()
    with closing(sqlite3.connect(folder / "outbox.db")) as database:
        database.executescript(
            """
            CREATE TABLE items (sequence, id, state, remote_path, token);
            CREATE TABLE ledger (sequence, id, line, hash);
            CREATE TABLE contents (sequence, content);
            CREATE TABLE tally (state, count);
            INSERT INTO tally VALUES ('waiting', 0), ('in_flight', 1), ('dead', 0), ('delivered', 0);
            """
        )
        database.execute("INSERT INTO items VALUES (1, 'a', 'in_flight', ?, 't')", (remote_path.encode(),))
        database.commit()


def test_the_same_seed_draws_the_same_moments_and_troubles():
    assert list(islice(moments("1"), 50)) == list(islice(moments("1"), 50)) != list(islice(moments("2"), 50))
    assert list(islice(troubles("1"), 50)) == list(islice(troubles("1"), 50)) != list(islice(troubles("2"), 50))
