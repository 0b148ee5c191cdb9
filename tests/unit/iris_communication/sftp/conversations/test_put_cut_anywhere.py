"""A link that is cut anywhere, and anything else anywhere, shows no part of a file and delivers it once."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iris_communication.sftp import wire
from iris_communication.testing import faulty_servers as faulty
from iris_communication.testing.memory_server import DENIED, FAILURE, MemoryServer, ServerDies
from tests.memory_link import MemoryLink
from tests.thorough import examples, some
from tests.unit.iris_communication.sftp.conversations.one_attempt import CONTENT, OTHER, attempt
from tests.unit.iris_communication.sftp.owed import Owed


def cuts(make, step=1):
    """Every place where the link may break during one attempt that would deliver or be refused."""
    link = MemoryLink(make())
    Owed(CONTENT).attempt(link)
    sent = [{"sent_max": k} for k in range(0, link.sent, step)]
    return some(sent + [{"received_max": k} for k in range(0, link.received, step)])


def servers_to_cut():
    def plain():
        return MemoryServer()

    def overwriting():
        return MemoryServer(rename_overwrites=True)

    def taken():
        server = MemoryServer()
        server.files[b"/in/a.csv"] = bytearray(OTHER)
        return server

    def folder_missing():
        server = MemoryServer()
        server.folders.discard(b"/in")
        return server

    def looking_first():
        return faulty.LooksAtTheNewNameFirst()

    def refusing_the_first_rename():
        return faulty.DiesAtTheRemove()

    def drop_box():
        return faulty.ReadingForbidden()

    return [plain, overwriting, taken, folder_missing, looking_first, refusing_the_first_rename, drop_box]


def visible(server):
    """What a reader of the folder sees, the other file there left out."""
    found = {path: bytes(content) for path, content in server.files.items() if b"/.iris-" not in path}
    return [content for content in found.values() if content != OTHER]


@pytest.mark.parametrize("make", servers_to_cut(), ids=lambda make: make.__name__)
def test_a_link_cut_anywhere_shows_no_part_of_a_file_and_the_next_attempt_delivers_once(make):
    for cut in cuts(make):
        server, owed = make(), Owed(CONTENT)
        done = attempt(server, owed, **cut)
        assert visible(server) in ([], [CONTENT]), cut
        for _ in range(3):
            done = done or attempt(server, owed)
        assert done, (cut, owed.error)
        assert visible(server) == [CONTENT], cut
        assert owed.landed in server.files
        assert [name for name in server.names() if name.startswith(b".iris-")] == [], cut


@pytest.mark.parametrize("make", [faulty.PicksUp, lambda: faulty.PicksUp(rename_overwrites=True)])
def test_a_link_cut_anywhere_hands_a_collected_file_over_once(make):
    for cut in cuts(make):
        server, owed = make(), Owed(CONTENT)
        done = attempt(server, owed, **cut)
        for _ in range(2):
            done = done or attempt(server, owed)
        assert done, (cut, owed.error)
        assert server.collected == [(b"/in/a.csv", CONTENT)], cut


def test_refused_connections_after_a_cut_change_nothing():
    for cut in cuts(faulty.PicksUp, step=5):
        server, owed = faulty.PicksUp(), Owed(CONTENT)
        done = attempt(server, owed, **cut)
        for sent_max in (0, 3, 9):
            done = done or attempt(server, owed, sent_max=sent_max)
        done = done or attempt(server, owed)
        assert done, (cut, owed.error)
        assert server.collected == [(b"/in/a.csv", CONTENT)], cut
        assert server.files == {}, cut  # no temporary file is forgotten


def test_a_second_cut_anywhere_in_the_look_back_changes_nothing():
    for first in cuts(faulty.PicksUp, step=7):
        for second in [{"sent_max": k} for k in range(60, 400, 9)]:
            server, owed = faulty.PicksUp(), Owed(CONTENT)
            done = attempt(server, owed, **first)
            done = done or attempt(server, owed, **second)
            done = done or attempt(server, owed)
            assert done, (first, second, owed.error)
            assert server.collected == [(b"/in/a.csv", CONTENT)], (first, second)
            assert server.files == {}, (first, second)


def test_a_process_that_dies_anywhere_loses_nothing_and_shows_no_part_of_a_file():
    for cut in cuts(MemoryServer, step=3):
        for second in cuts(MemoryServer, step=60):
            server, owed = MemoryServer(), Owed(CONTENT)
            owed.dies_during(MemoryLink(server, **cut))
            assert visible(server) in ([], [CONTENT])
            owed.dies_during(MemoryLink(server, **second))
            assert visible(server) in ([], [CONTENT])
            assert attempt(server, owed), (cut, second, owed.error)
            assert server.files == {b"/in/a.csv": CONTENT}, (cut, second)


class Chaos(faulty.PicksUp):
    """Does to each request what a script says: refuses it, dies before or after it, or says nothing any more."""

    def __init__(self, script, *, picks_up, taken, **manners):
        super().__init__(**manners)
        self.script = list(script)
        self.picks_up = picks_up
        if taken:
            self.files[b"/in/a.csv"] = bytearray(OTHER)

    def answer(self, session, request):
        action = self.script.pop(0) if self.script else "do"
        if action == "denied" and isinstance(request, wire.Stat):
            action = "failure"  # who may never look is another story
        if action in REFUSALS:
            return REFUSALS[action]
        if action == "die before":
            raise ServerDies
        reply = super().answer(session, request)
        if action == "die after":
            raise ServerDies
        return None if action == "silence" else reply

    def pick_up(self):
        if self.picks_up and self.content(b"/in/a.csv") != OTHER:
            super().pick_up()


REFUSALS = {"failure": FAILURE, "denied": DENIED}
ACTIONS = ["do"] * 6 + ["die before", "die after", "silence", *REFUSALS]


@settings(derandomize=True, deadline=None, max_examples=examples(500), database=None)
@given(
    script=st.lists(st.sampled_from(ACTIONS), max_size=24),
    overwrites=st.booleans(),
    taken=st.booleans(),
    picks_up=st.booleans(),
)
def test_a_file_arrives_whole_and_once_whatever_goes_wrong_in_whatever_order(script, overwrites, taken, picks_up):
    server = Chaos(script, picks_up=picks_up, taken=taken, rename_overwrites=overwrites)
    owed, done = Owed(CONTENT), False
    for _ in range(len(script) + 3):
        done = owed.attempt(MemoryLink(server, gives_up=True))
        assert visible(server) in ([], [CONTENT])
        if done:
            break
    assert done, owed.error
    assert [*visible(server), *(content for _, content in server.collected)] == [CONTENT]
    assert not taken or server.content(b"/in/a.csv") == OTHER
