"""What becomes of a file whose final name holds something else: each policy, on each kind of server, cut anywhere."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iris_communication.errors import Effect, LinkLost, RemoteFailure, RemoteNameKept, RemoteNameTaken, Retry, Scope
from iris_communication.sftp import wire
from iris_communication.testing import faulty_servers as faulty
from iris_communication.testing.memory_server import DENIED, FAILURE, UNSUPPORTED, MemoryServer, ServerDies
from tests.memory_link import MemoryLink
from tests.thorough import examples, some
from tests.unit.iris_communication.sftp.owed import Owed

CONTENT = b"id,label\n1,good\n"
OTHER = b"id,label\n1,evil\n"  # of the same size
NAME = b"/in/a.csv"
ALTERNATIVE = b"/in/a." + hashlib.sha256(CONTENT).hexdigest()[:8].encode() + b".csv"
IN_ONE_STEP, IN_TWO, SILENTLY = {}, {"replaces": False}, {"replaces": False, "rename_overwrites": True}
MANNERS = pytest.mark.parametrize("manners", [IN_ONE_STEP, IN_TWO, SILENTLY], ids=["one step", "two steps", "silently"])


def taken(kind=MemoryServer, content=OTHER, **manners):
    """A server whose final name holds something else."""
    server = kind(**manners)
    server.files[NAME] = bytearray(content)
    return server


def attempt(server, owed, **link):
    return owed.attempt(MemoryLink(server, **link))


def hidden(server):
    return [name for name in server.names() if name.startswith(b".iris-")]


# -- overwrite


@MANNERS
@pytest.mark.parametrize(
    "other", [OTHER, b"", CONTENT + b"more", CONTENT], ids=["same size", "empty", "longer", "same"]
)
def test_overwrite_replaces_what_is_there(manners, other):
    server, owed = taken(content=other, **manners), Owed(CONTENT, conflict="overwrite")
    assert attempt(server, owed), owed.error
    assert owed.landed == NAME
    assert server.files == {NAME: CONTENT}


@MANNERS
def test_overwrite_takes_a_free_name_like_any_other(manners):
    server, owed = MemoryServer(**manners), Owed(CONTENT, conflict="overwrite")
    assert attempt(server, owed)
    assert server.files == {NAME: CONTENT}


def test_a_server_that_can_replaces_in_one_step_and_nothing_else_is_asked():
    server = taken()
    assert attempt(server, Owed(CONTENT, conflict="overwrite"))
    assert [type(request) for request in server.asked[-2:]] == [wire.Stat, wire.PosixRename]


def test_a_server_that_offers_to_replace_and_does_not_know_how_is_asked_in_the_other_way():
    class Boasts(MemoryServer):
        """Announces posix-rename@openssh.com and refuses it."""

        def answer(self, session, request):
            return UNSUPPORTED if isinstance(request, wire.PosixRename) else super().answer(session, request)

    server, owed = Boasts(), Owed(CONTENT, conflict="overwrite")
    assert attempt(server, owed)
    assert server.files == {NAME: CONTENT}


@MANNERS
def test_a_folder_is_never_replaced(manners):
    server, owed = MemoryServer(**manners), Owed(CONTENT, conflict="overwrite")
    server.folders.add(NAME)
    assert not attempt(server, owed)
    assert isinstance(owed.error, RemoteNameTaken)
    assert NAME in server.folders
    assert server.files == {}


def test_a_file_that_was_put_aside_is_put_back_when_the_new_one_cannot_take_its_place():
    class Forbids(MemoryServer):
        """Lets nobody give the final name to a new file, once it is free."""

        def answer(self, session, request):
            forbidden = isinstance(request, wire.Rename) and request.new == NAME and request.old.count(b"-") == 1
            return DENIED if forbidden and NAME not in self.files else super().answer(session, request)

    server, owed = taken(Forbids, **IN_TWO), Owed(CONTENT, conflict="overwrite")
    assert not attempt(server, owed)
    assert owed.effect is Effect.NONE
    assert server.files == {NAME: OTHER}


class LateRename(MemoryServer):
    """Dies at the n-th RENAME onto or away from the final name, before it does it; `late()` does it after all."""

    def __init__(self, number, **manners):
        super().__init__(**manners)
        self.number, self.lost = number, None

    def answer(self, session, request):
        if isinstance(request, faulty.RENAMES) and self.lost is None:
            self.number -= 1
            if self.number == 0:
                self.lost = request
                raise ServerDies
        return super().answer(session, request)

    def late(self):
        lost, self.lost = self.lost, ()
        return super().answer(self.session(), lost)


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_late_request_to_put_the_old_file_aside_never_takes_the_new_one_away(number, killed):
    """1 is the plain RENAME that is refused, 2 puts the old file aside, 3 gives its name to the new one."""
    for turn in range(40):
        server, owed = taken(lambda **m: LateRename(number, **m), **IN_TWO), Owed(CONTENT, conflict="overwrite")
        if killed:
            owed.dies_during(MemoryLink(server))
        else:
            assert not attempt(server, owed)
        turns = iter(range(1000))

        def do_it_late(turns=turns, turn=turn, server=server):
            if next(turns) == turn:
                server.late()

        for _ in range(4):
            link = MemoryLink(server)
            link.on_turn = do_it_late
            if owed.attempt(link):
                break
        else:
            pytest.fail(str(owed.error))
        if server.lost != ():
            server.late()
        assert server.content(NAME) == CONTENT, turn
        others = {path: bytes(content) for path, content in server.files.items() if path != NAME}
        assert set(others.values()) <= {b""}, "at the most an empty hidden file holds a name"


# -- fail and keep


@MANNERS
@pytest.mark.parametrize(("conflict", "error"), [("fail", RemoteNameTaken), ("keep", RemoteNameKept)])
class TestWhatIsThereStays:
    def test_the_attempt_fails_for_good_and_leaves_no_file_of_ours(self, manners, conflict, error):
        server, owed = taken(**manners), Owed(CONTENT, conflict=conflict)
        assert not attempt(server, owed)
        assert type(owed.error) is error
        assert (owed.error.scope, owed.error.retry, owed.effect) == (Scope.ITEM, Retry.NEVER, Effect.NONE)
        assert conflict in owed.error.hint
        assert "/in/a.csv" in str(owed.error)
        assert server.files == {NAME: OTHER}

    def test_the_same_bytes_count_as_delivered(self, manners, conflict, error):
        server, owed = taken(content=CONTENT, **manners), Owed(CONTENT, conflict=conflict)
        assert attempt(server, owed)
        assert owed.landed == NAME
        assert server.files == {NAME: CONTENT}

    def test_no_file_is_sent_that_would_be_refused_in_the_end(self, manners, conflict, error):
        server, owed = taken(content=b"longer than ours is by far", **manners), Owed(CONTENT, conflict=conflict)
        assert not attempt(server, owed)
        assert [type(request) for request in server.asked[1:]] == [wire.Stat, wire.Stat]

    def test_a_free_name_is_taken(self, manners, conflict, error):
        server, owed = MemoryServer(**manners), Owed(CONTENT, conflict=conflict)
        assert attempt(server, owed)
        assert server.files == {NAME: CONTENT}

    def test_an_alternative_name_is_never_made(self, manners, conflict, error):
        server, owed = taken(**manners), Owed(CONTENT, conflict=conflict)
        attempt(server, owed)
        assert not [request for request in server.asked if getattr(request, "new", NAME) == ALTERNATIVE]

    def test_a_file_that_arrived_and_was_collected_is_delivered_though_the_name_is_taken_again(
        self, manners, conflict, error
    ):
        server, owed = faulty.LosesTheRenameAnswer(**manners), Owed(CONTENT, conflict=conflict)
        assert not attempt(server, owed)
        server.files[NAME] = bytearray(OTHER)
        assert attempt(server, owed), owed.error
        assert server.files == {NAME: OTHER}

    def test_a_file_whose_rename_was_never_done_is_refused_once_the_name_is_taken(self, manners, conflict, error):
        server, owed = faulty.LosesTheRename(**manners), Owed(CONTENT, conflict=conflict)
        assert not attempt(server, owed)
        server.files[NAME] = bytearray(OTHER)
        assert not attempt(server, owed)
        assert type(owed.error) is error
        assert server.content(NAME) == OTHER


@MANNERS
@pytest.mark.parametrize(("conflict", "error"), [("fail", RemoteNameTaken), ("keep", RemoteNameKept)])
def test_a_name_that_is_taken_while_ours_is_sent_stays_as_it_is(manners, conflict, error):
    class TakenMeanwhile(MemoryServer):
        """Somebody takes the name while our file is on its way."""

        def answer(self, session, request):
            if isinstance(request, wire.Close) and not self.files.get(NAME):
                self.files[NAME] = bytearray(OTHER)
            return super().answer(session, request)

    server, owed = TakenMeanwhile(**manners), Owed(CONTENT, conflict=conflict)
    assert not attempt(server, owed)
    assert type(owed.error) is error
    assert owed.effect is Effect.NONE
    assert server.files == {NAME: OTHER}


# -- lost answers and cuts, whatever the policy

POLICIES = ["rename", "overwrite", "fail", "keep"]


@MANNERS
@pytest.mark.parametrize("conflict", POLICIES)
@pytest.mark.parametrize(
    "fault", [faulty.LosesTheRename, faulty.LosesTheRenameAnswer, faulty.PicksUpAndLosesTheRenameAnswer]
)
def test_a_rename_without_an_answer_is_seen_through(fault, conflict, manners):
    server, owed = fault(**manners), Owed(CONTENT, conflict=conflict)
    assert not attempt(server, owed)
    assert isinstance(owed.error, LinkLost)
    writes = [request for request in server.asked if type(request).__name__ == "WriteData"]
    assert attempt(server, owed), owed.error
    assert [*server.files.values(), *(content for _, content in getattr(server, "collected", []))] == [CONTENT]
    assert [request for request in server.asked if type(request).__name__ == "WriteData"] == writes


def cuts(make, conflict, step=1):
    link = MemoryLink(make())
    Owed(CONTENT, conflict=conflict).attempt(link)
    sent = [{"sent_max": k} for k in range(0, link.sent, step)]
    return some(sent + [{"received_max": k} for k in range(0, link.received, step)])


@MANNERS
@pytest.mark.parametrize("killed", [False, True], ids=["cut", "killed"])
def test_a_link_cut_anywhere_leaves_the_old_file_or_the_new_one_and_the_next_attempt_the_new_one(manners, killed):
    between = [None] if manners is IN_TWO else []
    for cut in cuts(lambda: taken(**manners), "overwrite", step=2):
        server, owed = taken(**manners), Owed(CONTENT, conflict="overwrite")
        done = False
        if killed:
            owed.dies_during(MemoryLink(server, **cut))
        else:
            done = attempt(server, owed, **cut)
        assert server.content(NAME) in (OTHER, CONTENT, *between), cut
        for _ in range(3):
            done = done or attempt(server, owed)
        assert done, (cut, owed.error)
        assert server.content(NAME) == CONTENT
        assert {server.content(b"/in/" + name) for name in hidden(server)} <= {b""}, cut
        assert hidden(server) == [] or manners is not IN_ONE_STEP, cut


@MANNERS
@pytest.mark.parametrize("conflict", ["fail", "keep"])
def test_a_link_cut_anywhere_changes_nothing_of_what_is_to_stay(manners, conflict):
    for cut in cuts(lambda: taken(**manners), conflict, step=3):
        server, owed = taken(**manners), Owed(CONTENT, conflict=conflict)
        attempt(server, owed, **cut)
        for _ in range(3):
            assert not attempt(server, owed)
        assert isinstance(owed.error, (RemoteNameTaken, RemoteNameKept)), cut
        assert server.content(NAME) == OTHER


@MANNERS
@pytest.mark.parametrize("conflict", POLICIES)
def test_a_link_cut_anywhere_hands_a_collected_file_over_once(manners, conflict):
    for cut in cuts(lambda: faulty.PicksUp(**manners), conflict, step=3):
        server, owed = faulty.PicksUp(**manners), Owed(CONTENT, conflict=conflict)
        done = attempt(server, owed, **cut)
        for _ in range(2):
            done = done or attempt(server, owed)
        assert done, (cut, owed.error)
        assert server.collected == [(NAME, CONTENT)], cut
        assert server.files == {}, cut


class Chaos(MemoryServer):
    """Does to each request what a script says: refuses it, dies before or after it, or says nothing any more."""

    def __init__(self, script, **manners):
        super().__init__(**manners)
        self.script = list(script)

    def answer(self, session, request):
        action = self.script.pop(0) if self.script else "do"
        if action == "failure":
            return FAILURE
        if action == "die before":
            raise ServerDies
        reply = super().answer(session, request)
        if action == "die after":
            raise ServerDies
        return None if action == "silence" else reply


ACTIONS = ["do"] * 6 + ["die before", "die after", "silence", "failure"]


@settings(derandomize=True, deadline=None, max_examples=examples(300), database=None)
@given(
    script=st.lists(st.sampled_from(ACTIONS), max_size=28),
    manners=st.sampled_from([IN_ONE_STEP, IN_TWO, SILENTLY]),
    kills=st.sets(st.integers(0, 6)),
)
def test_a_file_that_replaces_another_arrives_whole_whatever_goes_wrong(script, manners, kills):
    server, owed = taken(lambda **m: Chaos(script, **m), **manners), Owed(CONTENT, conflict="overwrite")
    done, between = False, [None] if manners is IN_TWO else []
    for number in range(len(script) + len(kills) + 4):
        link = MemoryLink(server, gives_up=True)
        if number in kills:
            owed.dies_during(link)
        elif done := owed.attempt(link):
            break
        assert server.content(NAME) in (OTHER, CONTENT, *between)
    assert done, owed.error
    assert server.content(NAME) == CONTENT
    assert isinstance(owed.error, RemoteFailure | None)
