"""Lists and stories, read from beside a store that holds one item of each state."""

import json
from dataclasses import replace

import pytest

from iris_communication.admin.listing import NoSuchItem, NoSuchServer, QueueListing
from iris_communication.errors import Effect, InvalidRequest, OutboxDamaged
from iris_communication.item import Delivered, Due, Event, Failure, State
from iris_communication.outbox.store import ledger, reader
from iris_communication.outbox.store.contract import Deliver, End, Insert, Note, SetServer, Update
from iris_communication.outbox.store.reader import Reader
from iris_communication.outbox.store.sqlite import SqliteStore
from iris_communication.testing.clock import FakeClock
from iris_communication.testing.store_contract import BOOT_ID, SERVER, make_item
from tests.unit.iris_communication.outbox.made_outbox import ask_beside

REFUSED = Failure("RemoteRefused", "permission denied", "check the permissions")
AT_S = 1_700_000_100.25


class Shelf:
    """The folder of an outbox, the store its owner would hold, and a look from beside it."""

    def __init__(self, folder):
        self.folder = folder
        self.path = folder / "outbox.db"
        self.store = SqliteStore(self.path, BOOT_ID)
        self.clock = FakeClock()
        self.look = QueueListing(Reader(folder), self.clock)

    def put(self, sequence, *notes, trace="", **facts):
        item = make_item(sequence, **facts)
        self.store.commit([Insert(item)])
        for number, note in enumerate(notes):
            self.store.commit([Update(item, item, note, trace if number == len(notes) - 1 else "")])
        return item

    def end(self, item, state, event, reason):
        gone = replace(item, state=state)
        self.store.commit([End(gone, Note(AT_S, event, gone.attempts), reason, item)])

    def deliver(self, item):
        proof = Delivered(item.remote_path, 10, "ab" * 32, "SHA256:key", AT_S)
        line = ledger.line(self.store.ledger_head(), ledger.entry(item, proof))
        self.store.commit([Deliver(item, line)])

    def ids(self, *filters, **named):
        return [told["id"] for told in self.look.items(*filters, **named)]


@pytest.fixture
def shelf(tmp_path):
    made = Shelf(tmp_path)
    yield made
    made.store.close()


@pytest.fixture
def filled(shelf):
    shelf.put(1)
    shelf.put(2, state=State.IN_FLIGHT, server_key="other@b:2222")
    notes = [Note(AT_S, Event.FAIL, 1, REFUSED), Note(AT_S + 5, Event.GIVE_UP, 2, REFUSED)]
    shelf.put(3, *notes, trace="-> OPEN\n<- STATUS 3", state=State.DEAD, last_error=REFUSED, attempts=2)
    shelf.end(shelf.put(4, priority=-3), State.DROPPED, Event.DROP, "the operator's word")
    shelf.end(shelf.put(5, effect=Effect.UNKNOWN), State.EXPIRED, Event.EXPIRE, "its time was over")
    shelf.end(shelf.put(6, folder_type="classifier"), State.CANCELLED, Event.CANCEL, "its caller's word")
    shelf.deliver(shelf.put(7))
    shelf.put(8, folder_type="classifier", priority=5)
    return shelf


def name(*sequences):
    return [f"item-{sequence:06}" for sequence in sequences]


def test_items_owed_or_dead_are_listed_in_order_of_acceptance(filled):
    assert filled.ids() == name(1, 2, 3, 8)


@pytest.mark.parametrize(
    ("state", "sequences"),
    [
        ("waiting", [1, 8]),
        ("in_flight", [2]),
        ("dead", [3]),
        ("dropped", [4]),
        ("expired", [5]),
        ("cancelled", [6]),
        ("delivered", [7]),
        ("all", [1, 2, 3, 8, 4, 5, 6, 7]),
    ],
)
def test_each_state_is_listed_when_it_is_asked_for(filled, state, sequences):
    assert filled.ids(state) == name(*sequences)


def test_a_state_there_is_not_is_refused_with_those_there_are(filled):
    with pytest.raises(InvalidRequest, match="no state 'lost'") as raised:
        filled.ids("lost")
    assert "waiting, in_flight, dead" in raised.value.hint


def test_filters_hold_in_every_state(filled):
    assert filled.ids("all", folder_type="classifier") == name(8, 6)
    assert filled.ids("all", server="other@b:2222") == name(2)
    assert filled.ids(server="other@b:2222", folder_type="classifier") == []


@pytest.mark.parametrize("limit", [0, 1, 3, 8, 100])
def test_a_limit_is_how_many_are_listed_at_most(filled, limit):
    assert filled.ids("all", limit=limit) == filled.ids("all")[:limit]


def test_pages_join_without_a_gap_and_without_a_repeat(filled, monkeypatch):
    whole = filled.ids("all")
    monkeypatch.setattr(reader, "AT_ONCE", 2)
    assert filled.ids("all") == whole
    assert filled.ids("all", limit=5) == whole[:5]


def test_each_item_is_listed_with_the_same_facts_whatever_its_state(filled):
    told = list(filled.look.items("all"))
    assert {tuple(each) for each in told} == {tuple(told[0])}
    assert json.loads(json.dumps(told)) == told


def test_the_facts_of_a_dead_one_have_its_last_error(filled):
    (dead,) = filled.look.items("dead")
    assert dead["error"] == {"error": "RemoteRefused", "message": "permission denied", "hint": "check the permissions"}
    assert (dead["attempts"], dead["priority"], dead["size_bytes"]) == (2, 0, 10)
    assert dead["accepted"] == "2023-11-14T22:13:23.500000Z"
    assert dead["may_have_arrived"] is False


def test_an_item_that_ended_says_why_and_whether_it_may_have_arrived(filled):
    (expired,) = filled.look.items("expired")
    assert (expired["reason"], expired["may_have_arrived"]) == ("its time was over", True)
    assert expired["ended"] == "2023-11-14T22:15:00.250000Z"


def test_the_story_of_a_dead_one_has_every_attempt_its_hint_and_the_protocol_events(filled):
    story = filled.look.story("item-000003")
    assert [(each["event"], each["attempt"]) for each in story["history"]] == [
        ("accept", 0),
        ("fail", 1),
        ("give_up", 2),
    ]
    assert story["history"][1]["error"]["hint"] == "check the permissions"
    assert story["trace"] == "-> OPEN\n<- STATUS 3"
    assert story["delivery"] is None
    assert story["project_settings"] == {"project": "line-1"}


def test_the_story_of_a_delivered_one_ends_with_its_ledger_line(filled):
    story = filled.look.story("item-000007")
    assert [each["event"] for each in story["history"]] == ["accept", "deliver"]
    assert story["delivery"]["host_key"] == "SHA256:key"
    assert story["ended"] == story["history"][-1]["at"]


def test_the_story_of_a_dropped_one_ends_with_that(filled):
    story = filled.look.story("item-000004")
    assert [each["event"] for each in story["history"]] == ["accept", "drop"]
    assert story["reason"] == "the operator's word"


def test_every_story_can_be_written_for_a_program(filled):
    for item_id in filled.ids("all"):
        json.dumps(filled.look.story(item_id))


@pytest.mark.parametrize(("boot_id", "due_in_s"), [(BOOT_ID, 12.5), ("after a reboot", 0.0)])
def test_a_story_says_when_the_next_attempt_is(shelf, boot_id, due_in_s):
    shelf.clock.boot_id = boot_id
    shelf.put(1, due=Due(BOOT_ID, shelf.clock.boot_s() + 12.5), attempts=1)
    assert shelf.look.story("item-000001")["due_in_s"] == pytest.approx(due_in_s)


def test_an_id_of_no_item_is_reported(filled):
    for ask in (filled.look.story, filled.look.matching):
        with pytest.raises(NoSuchItem, match=r"no item has (the id|an id that begins with) 'item-9'"):
            ask("item-9")


@pytest.mark.parametrize("beginning", ["", "\x00", "ä", "\ud800"])
def test_a_text_that_begins_no_id_matches_no_item(filled, beginning):
    with pytest.raises(NoSuchItem):
        filled.look.matching(beginning)


def test_a_beginning_finds_ids_wherever_they_are_kept(filled):
    assert filled.look.matching("item-000001") == name(1)
    assert filled.look.matching("item-00000") == name(1, 2, 3, 4, 5, 6, 7, 8)


def test_a_whole_id_is_meant_even_where_others_begin_so(shelf):
    shelf.put(1, id="abc")
    shelf.put(2, id="abc.2")
    assert shelf.look.matching("abc") == ["abc"]
    assert shelf.look.matching("ab") == ["abc", "abc.2"]


# -- servers


def test_a_server_is_meant_by_its_name_or_by_its_key(filled):
    facts = {"username": "line", "host": "10.0.0.9", "port": 2022}
    stored = {"names": {"archive": facts}, "servers": {"line@10.0.0.9:2022": [facts]}}
    (filled.folder / "servers.json").write_text(json.dumps(stored))
    assert filled.look.server_key("archive") == "line@10.0.0.9:2022"
    assert filled.look.server_key("line@10.0.0.9:2022") == "line@10.0.0.9:2022"
    assert filled.look.server_key("other@b:2222") == "other@b:2222"


def test_a_server_that_is_only_paused_is_known(shelf):
    shelf.store.commit([SetServer("line@paused:22", True, None)])
    assert shelf.look.server_key("line@paused:22") == "line@paused:22"


def test_servers_that_are_sent_nothing_are_listed_with_why(shelf):
    assert shelf.look.halted() == []
    error = ["AuthenticationFailed", "refused", "correct the password"]
    states = [
        SetServer("a", True, None),
        SetServer("b", False, {"state": "held", "failures": 1, "failure": error}),
        SetServer("c", False, {"state": "open", "failures": 3, "failure": error}),
        SetServer("d", False, None),
        SetServer("e", False, {"state": "half open", "failures": 0, "failure": None}),  # the first knock ever
    ]
    shelf.store.commit(states)
    told = dict(zip(("error", "message", "hint"), error, strict=True))
    assert shelf.look.halted() == [
        {"server": "a", "paused": True, "held": False, "error": None},
        {"server": "b", "paused": False, "held": True, "error": told},
        {"server": "c", "paused": False, "held": False, "error": told},
    ]


def test_an_unknown_server_is_reported_with_those_that_are_known(filled):
    with pytest.raises(NoSuchServer, match=f"no server 'archiv'; it has .*{SERVER}"):
        filled.look.server_key("archiv")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"names": {"a": {}}, "servers": {}}', '{"names": {}}'])
def test_a_file_of_servers_that_cannot_be_read_leaves_the_keys(filled, text):
    (filled.folder / "servers.json").write_text(text)
    assert filled.look.server_key(SERVER) == SERVER


# -- damage


@pytest.mark.parametrize("line", ["", "[]", "{}", '{"id": 1, "accepted_s": 1e300}'])
def test_a_line_of_the_ledger_that_cannot_be_read_is_damage(filled, line):
    ask_beside(filled.path, "UPDATE ledger SET line = ?", (line,))
    with pytest.raises(OutboxDamaged, match="the ledger's line of item-000007"):
        filled.ids("delivered")
    with pytest.raises(OutboxDamaged):
        filled.look.story("item-000007")
