"""The marker that is written last: whole or not there, once, and never before its file."""

import hashlib
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iris_communication.errors import Effect, LinkLost, RemoteNameKept, RemoteNameRefused, RemoteRefused, Scope
from iris_communication.sftp import wire
from iris_communication.sftp.conversations.upload import SftpUpload
from iris_communication.testing import faulty_servers as faulty
from iris_communication.testing.memory_server import DENIED, FAILURE, MemoryServer, ServerDies
from iris_communication.testing.spoiling_servers import ClosesBeforeItHasWritten
from tests.memory_link import MemoryLink
from tests.thorough import examples, some
from tests.unit.iris_communication.sftp.owed import Owed

CONTENT = b"id,label\n1,good\n"
OTHER = b"id,label\n1,evil\n"
DIGEST = hashlib.sha256(CONTENT).hexdigest().encode()
NAME = b"/in/a.csv"
ALTERNATIVE = b"/in/a." + DIGEST[:8] + b".csv"
IN_ONE_STEP, IN_TWO, SILENTLY = {}, {"replaces": False}, {"replaces": False, "rename_overwrites": True}
MANNERS = pytest.mark.parametrize("manners", [IN_ONE_STEP, IN_TWO, SILENTLY], ids=["one step", "two steps", "silently"])
MARKERS = pytest.mark.parametrize("marker", [".done", ".sha256"])


def attempt(server, owed, **link):
    return owed.attempt(MemoryLink(server, **link))


def text(marker, path=NAME):
    return b"" if marker == ".done" else DIGEST + b"  " + path.rpartition(b"/")[2] + b"\n"


def with_marker(marker, path=NAME):
    """What has to lie there."""
    return {path: CONTENT, path + marker.encode(): text(marker, path)}


# -- a sound server


@MANNERS
@MARKERS
def test_a_file_and_its_marker_arrive_and_nothing_else_is_left(marker, manners):
    server, owed = MemoryServer(**manners), Owed(CONTENT, marker=marker)
    assert attempt(server, owed), owed.error
    assert owed.landed == NAME
    assert server.files == with_marker(marker)


@MARKERS
def test_a_marker_is_whole_where_a_close_overtakes_what_comes_with_it(marker):
    server, owed = ClosesBeforeItHasWritten(announces_limits=False), Owed(CONTENT, marker=marker)
    assert attempt(server, owed), owed.error
    assert server.files == with_marker(marker)


@MANNERS
@MARKERS
def test_the_server_shows_no_file_then_the_file_then_both_and_each_whole(marker, manners):
    class Watched(MemoryServer):
        """Remembers what was visible after each request."""

        def answer(self, session, request):
            reply = super().answer(session, request)
            visible = {path: bytes(content) for path, content in self.files.items() if b"/.iris-" not in path}
            if not seen or seen[-1] != visible:
                seen.append(visible)
            return reply

    seen = []
    assert attempt(Watched(**manners), Owed(CONTENT, marker=marker))
    assert seen == [{}, {NAME: CONTENT}, with_marker(marker)]


@pytest.mark.parametrize(
    "name", [b"a.csv", b"with space.csv", b"\xff\xfe.csv", b"back\\slash.csv", b"new\nline.csv", b"car\rriage\r", b"-x"]
)
def test_the_line_is_read_by_sha256sum_whatever_the_name(name, tmp_path):
    program = shutil.which("sha256sum")
    if program is None:
        pytest.skip("no sha256sum here")
    server = MemoryServer()
    owed = Owed(CONTENT, final_path=b"/in/" + name, marker=".sha256")
    assert attempt(server, owed), owed.error
    for path, content in server.files.items():
        (tmp_path / path.decode("utf-8", "surrogateescape").removeprefix("/in/")).write_bytes(content)
    command = [program, "--check", "--strict", (name + b".sha256").decode("utf-8", "surrogateescape")]
    if name.startswith(b"-"):
        command.insert(-1, "--")
    checked = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=60, check=False)
    assert checked.returncode == 0, checked.stderr


@MANNERS
@MARKERS
def test_the_marker_follows_the_name_that_was_really_used(marker, manners):
    server, owed = MemoryServer(**manners), Owed(CONTENT, marker=marker)
    server.files[NAME] = bytearray(OTHER)
    assert attempt(server, owed), owed.error
    assert owed.landed == ALTERNATIVE
    assert server.files == {NAME: OTHER, **with_marker(marker, ALTERNATIVE)}


@MANNERS
@MARKERS
def test_the_same_bytes_that_are_there_without_a_marker_get_one(marker, manners):
    server, owed = MemoryServer(**manners), Owed(CONTENT, marker=marker)
    server.files[NAME] = bytearray(CONTENT)
    assert attempt(server, owed)
    assert server.files == with_marker(marker)


@MANNERS
@MARKERS
@pytest.mark.parametrize("conflict", ["rename", "overwrite", "fail", "keep"])
@pytest.mark.parametrize("stale", [b"", b"0" * 64 + b"  a.csv\n", b"something else"], ids=["empty", "a sum", "other"])
def test_a_marker_that_an_older_file_left_is_replaced(stale, conflict, marker, manners):
    server, owed = MemoryServer(**manners), Owed(CONTENT, marker=marker, conflict=conflict)
    server.files[NAME + marker.encode()] = bytearray(stale)
    assert attempt(server, owed), owed.error
    assert server.files == with_marker(marker)


@MANNERS
@MARKERS
def test_a_file_that_replaces_another_replaces_its_marker_after_it(marker, manners):
    server, owed = MemoryServer(**manners), Owed(CONTENT, marker=marker, conflict="overwrite")
    server.files |= {NAME: bytearray(OTHER), NAME + marker.encode(): bytearray(b"old")}
    assert attempt(server, owed), owed.error
    assert server.files == with_marker(marker)


@MANNERS
@MARKERS
def test_a_file_that_is_not_sent_over_another_leaves_no_marker(marker, manners):
    server, owed = MemoryServer(**manners), Owed(CONTENT, marker=marker, conflict="keep")
    server.files[NAME] = bytearray(OTHER)
    assert not attempt(server, owed)
    assert type(owed.error) is RemoteNameKept
    assert owed.effect is Effect.NONE
    assert server.files == {NAME: OTHER}


@MARKERS
def test_an_empty_file_has_its_marker_too(marker):
    server, owed = MemoryServer(), Owed(b"", marker=marker)
    assert attempt(server, owed)
    assert sorted(server.files) == [NAME, NAME + marker.encode()]


@MARKERS
def test_a_name_that_leaves_no_room_for_the_marker_is_refused_before_anything_is_sent(marker):
    server = MemoryServer()
    longest = b"/in/" + b"n" * (255 - len(marker))
    assert attempt(server, Owed(CONTENT, final_path=longest, marker=marker))
    owed = Owed(CONTENT, final_path=longest + b"n", marker=marker)
    asked = len(server.asked)
    assert not attempt(server, owed)
    assert type(owed.error) is RemoteNameRefused
    assert marker in str(owed.error)
    assert [type(request) for request in server.asked[asked:]] == [wire.Extended]


@MARKERS
def test_an_alternative_name_leaves_room_for_the_marker(marker):
    server, owed = MemoryServer(), Owed(CONTENT, final_path=b"/in/" + b"n" * (255 - len(marker)), marker=marker)
    server.files[owed.final_path] = bytearray(OTHER)
    assert attempt(server, owed), owed.error
    assert owed.landed + marker.encode() in server.files


def test_no_hidden_name_of_a_marker_is_taken_for_one():
    for marker in (".done", ".sha256"):
        upload = SftpUpload(NAME, b"/in/.iris-0", 1, "0" * 64, lambda: None, marker=marker)
        assert not [name for name in upload.marker_temps(upload.temp_path) if name.endswith(marker.encode())]


# -- refusals


@MARKERS
def test_a_marker_that_may_not_be_written_shows_no_file(marker):
    class NoMarkers(MemoryServer):
        """Lets nobody create a second file."""

        def answer(self, session, request):
            refused = isinstance(request, wire.Open) and request.flags & wire.CREATE and session.opened
            return DENIED if refused else super().answer(session, request)

    server, owed = NoMarkers(), Owed(CONTENT, marker=marker)
    assert not attempt(server, owed)
    assert type(owed.error) is RemoteRefused
    assert owed.effect is Effect.NONE
    assert server.files == {}


@MANNERS
@MARKERS
def test_a_marker_that_may_not_have_its_name_costs_an_attempt_and_the_next_sends_it_alone(marker, manners):
    class NotYet(MemoryServer):
        """Lets nobody give a marker its name, for now."""

        forbids = True

        def answer(self, session, request):
            refused = self.forbids and isinstance(request, faulty.RENAMES) and request.new.endswith(marker.encode())
            return DENIED if refused else super().answer(session, request)

    server, owed = NotYet(**manners), Owed(CONTENT, marker=marker)
    assert not attempt(server, owed)
    assert (type(owed.error), owed.error.scope, owed.effect) == (RemoteRefused, Scope.ITEM, Effect.UNKNOWN)
    assert marker in str(owed.error)
    server.forbids, asked = False, len(server.asked)
    assert attempt(server, owed), owed.error
    assert server.files == with_marker(marker)
    assert not [request for request in server.asked[asked:] if type(request).__name__ == "WriteData"]


# -- who picks up


class TakesBoth(faulty.PicksUp):
    """A pick-up job that waits for the marker, then takes the file and the marker at once."""

    def pick_up(self):
        for path in [path for path in self.files if path in (NAME, ALTERNATIVE)]:
            for marker in (b".done", b".sha256"):
                if path + marker in self.files:
                    self.collected.append((path, bytes(self.files.pop(path))))
                    self.collected.append((path + marker, bytes(self.files.pop(path + marker))))


class TakesTheFile(TakesBoth):
    """A pick-up job that waits for the marker and takes the file alone."""

    def pick_up(self):
        for path in (NAME, ALTERNATIVE):
            if path in self.files and {path + b".done", path + b".sha256"} & set(self.files):
                self.collected.append((path, bytes(self.files.pop(path))))


class TakesTheMarker(TakesBoth):
    """A pick-up job that reads the file in its place and takes the marker away as a sign of it."""

    def pick_up(self):
        for path in (NAME, ALTERNATIVE):
            for marker in (b".done", b".sha256"):
                if path in self.files and path + marker in self.files:
                    self.collected.append((path, bytes(self.files[path])))
                    self.collected.append((path + marker, bytes(self.files.pop(path + marker))))


class DoesNotWait(faulty.PicksUp):
    """A pick-up job that takes every file in the moment it has its name, markers among them."""


PICK_UPS = [TakesBoth, TakesTheFile, TakesTheMarker, DoesNotWait]


def cuts(make, owed, step=1):
    link = MemoryLink(make())
    owed().attempt(link)
    sent = [{"sent_max": k} for k in range(0, link.sent, step)]
    return some(sent + [{"received_max": k} for k in range(0, link.received, step)])


def whole_and_visible(server, marker, old=None):
    """Whatever is visible is whole, and no marker is there before its file was. `old` is that of the file before."""
    visible = {path: bytes(content) for path, content in server.files.items() if b"/.iris-" not in path}
    for path, content in visible.items():
        if path.endswith(marker.encode()):
            file = path.removesuffix(marker.encode())
            if content == old:
                continue
            assert content == text(marker, file)
            assert file in visible or file in {path for path, _ in getattr(server, "collected", [])}
        else:
            assert content in (CONTENT, OTHER)


@MANNERS
@MARKERS
@pytest.mark.parametrize("kind", PICK_UPS)
def test_a_link_cut_anywhere_hands_file_and_marker_over_once(kind, marker, manners):
    for cut in cuts(lambda: kind(**manners), lambda: Owed(CONTENT, marker=marker), step=3):
        server, owed = kind(**manners), Owed(CONTENT, marker=marker)
        done = attempt(server, owed, **cut)
        whole_and_visible(server, marker)
        for _ in range(2):
            done = done or attempt(server, owed)
        assert done, (cut, owed.error)
        assert server.collected.count((NAME, CONTENT)) == 1, cut
        found = {**dict(server.collected), **{path: bytes(content) for path, content in server.files.items()}}
        assert found == with_marker(marker), cut
        assert len(server.collected) == len(dict(server.collected)), cut


@MANNERS
@MARKERS
@pytest.mark.parametrize("conflict", ["rename", "overwrite"])
@pytest.mark.parametrize("killed", [False, True], ids=["cut", "killed"])
@pytest.mark.parametrize("other", [OTHER, None], ids=["taken", "free"])
def test_a_link_cut_anywhere_shows_nothing_in_part_and_the_next_attempt_completes_it(
    other, killed, conflict, marker, manners
):
    old = b"" if marker == ".done" else hashlib.sha256(OTHER).hexdigest().encode() + b"  a.csv\n"

    def make():
        server = MemoryServer(**manners)
        if other:
            server.files |= {NAME: bytearray(other), NAME + marker.encode(): bytearray(old)}
        return server

    landed = ALTERNATIVE if other and conflict == "rename" else NAME
    for cut in cuts(make, lambda: Owed(CONTENT, marker=marker, conflict=conflict), step=5):
        server, owed = make(), Owed(CONTENT, marker=marker, conflict=conflict)
        done = False
        if killed:
            owed.dies_during(MemoryLink(server, **cut))
        else:
            done = attempt(server, owed, **cut)
        whole_and_visible(server, marker, old)
        for _ in range(3):
            done = done or attempt(server, owed)
        assert done, (cut, owed.error)
        assert owed.landed == landed
        visible = {path: bytes(content) for path, content in server.files.items() if b"/.iris-" not in path}
        assert with_marker(marker, landed).items() <= visible.items(), cut
        left = {path: bytes(content) for path, content in server.files.items() if b"/.iris-" in path}
        assert set(left.values()) <= {b""}, cut
        assert not left or manners is not IN_ONE_STEP, cut


@MARKERS
def test_a_second_cut_anywhere_changes_nothing(marker):
    def owed_file():
        return Owed(CONTENT, marker=marker)

    for first in cuts(TakesBoth, owed_file, step=23):
        for second in [{"sent_max": k} for k in range(40, 700, 17)]:
            server, owed = TakesBoth(), owed_file()
            done = attempt(server, owed, **first)
            done = done or attempt(server, owed, **second)
            done = done or attempt(server, owed)
            assert done, (first, second, owed.error)
            assert server.collected == list(with_marker(marker).items()), (first, second)
            assert server.files == {}, (first, second)


@MARKERS
def test_the_bytes_go_once_when_only_the_marker_is_missing(marker):
    class DiesBeforeTheMarker(MemoryServer):
        """Dies at the second rename, before it does it."""

        renames = 0

        def answer(self, session, request):
            self.renames += isinstance(request, faulty.RENAMES)
            if isinstance(request, faulty.RENAMES) and self.renames == 2:
                raise ServerDies
            return super().answer(session, request)

    server, owed = DiesBeforeTheMarker(), Owed(CONTENT, marker=marker)
    assert not attempt(server, owed)
    assert isinstance(owed.error, LinkLost)
    assert owed.effect is Effect.UNKNOWN
    assert server.content(NAME) == CONTENT
    asked = len(server.asked)
    assert attempt(server, owed), owed.error
    assert server.files == with_marker(marker)
    assert not [request for request in server.asked[asked:] if type(request).__name__ == "WriteData"]


# -- anything, anywhere


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


@settings(derandomize=True, deadline=None, max_examples=examples(400), database=None)
@given(
    script=st.lists(st.sampled_from(ACTIONS), max_size=32),
    manners=st.sampled_from([IN_ONE_STEP, IN_TWO, SILENTLY]),
    marker=st.sampled_from([".done", ".sha256"]),
    conflict=st.sampled_from(["rename", "overwrite"]),
    taken=st.booleans(),
    kills=st.sets(st.integers(0, 6)),
)
def test_file_and_marker_arrive_whole_whatever_goes_wrong(script, manners, marker, conflict, taken, kills):
    server, owed = Chaos(script, **manners), Owed(CONTENT, marker=marker, conflict=conflict)
    if taken:
        server.files |= {NAME: bytearray(OTHER), NAME + marker.encode(): bytearray(text(marker))}
    done = False
    for number in range(len(script) + len(kills) + 4):
        link = MemoryLink(server, gives_up=True)
        if number in kills:
            owed.dies_during(link)
        elif done := owed.attempt(link):
            break
    assert done, owed.error
    landed = ALTERNATIVE if taken and conflict == "rename" else NAME
    assert owed.landed == landed
    visible = {path: bytes(content) for path, content in server.files.items() if b"/.iris-" not in path}
    assert with_marker(marker, landed).items() <= visible.items()
