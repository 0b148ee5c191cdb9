"""A final name that is taken is never replaced."""

import hashlib

import pytest

from iris_communication.errors import (
    RemoteFailure,
    RemoteNameTaken,
)
from iris_communication.sftp import wire
from iris_communication.testing import faulty_servers as faulty
from iris_communication.testing.memory_server import DENIED, FAILURE, MemoryServer
from tests.unit.iris_communication.sftp.conversations.one_attempt import (
    ALTERNATIVE,
    CONTENT,
    OTHER,
    attempt,
    delivered,
    failed,
)
from tests.unit.iris_communication.sftp.owed import Owed


@pytest.mark.parametrize("overwrites", [False, True], ids=["refuses", "overwrites"])
class TestTakenNames:
    """The same on servers that refuse a RENAME onto an existing name and on those that overwrite without a word."""

    @pytest.fixture
    def server(self, overwrites):
        return MemoryServer(rename_overwrites=overwrites)

    @pytest.mark.parametrize("other", [OTHER, b"", CONTENT + b"more"], ids=["same size", "empty", "longer"])
    def test_other_content_is_not_overwritten(self, server, other):
        server.files[b"/in/a.csv"] = bytearray(other)
        assert delivered(server).landed == ALTERNATIVE
        assert server.files == {b"/in/a.csv": other, ALTERNATIVE: CONTENT}

    def test_the_same_content_counts_as_delivered(self, server):
        server.files[b"/in/a.csv"] = bytearray(CONTENT)
        assert delivered(server).landed == b"/in/a.csv"
        assert server.files == {b"/in/a.csv": CONTENT}

    def test_the_same_content_under_the_alternative_name_counts_as_delivered(self, server):
        server.files |= {b"/in/a.csv": bytearray(OTHER), ALTERNATIVE: bytearray(CONTENT)}
        assert delivered(server).landed == ALTERNATIVE
        assert server.files == {b"/in/a.csv": OTHER, ALTERNATIVE: CONTENT}

    def test_an_empty_file_is_compared_like_any_other(self, server):
        server.files[b"/in/a.csv"] = bytearray()
        assert attempt(server, owed := Owed(b""))
        assert owed.landed == b"/in/a.csv"
        assert server.files == {b"/in/a.csv": b""}

    def test_a_large_file_is_compared_to_its_last_byte(self, server):
        content = bytes(n % 251 for n in range(600_000))
        server.files[b"/in/a.csv"] = bytearray(content[:-1] + b"?")
        owed = Owed(content)
        assert attempt(server, owed)
        assert owed.landed != b"/in/a.csv"
        assert server.content(owed.landed) == content

    def test_two_names_that_are_taken_are_told_and_nothing_is_tried_again(self, server):
        server.files |= {b"/in/a.csv": bytearray(OTHER), ALTERNATIVE: bytearray(OTHER)}
        failed(server, RemoteNameTaken)
        assert server.files == {b"/in/a.csv": OTHER, ALTERNATIVE: OTHER}

    def test_a_folder_of_that_name_is_something_else(self, server):
        server.folders.add(b"/in/a.csv")
        assert delivered(server).landed == ALTERNATIVE


@pytest.mark.parametrize(("refusal", "error"), [(DENIED, None), (FAILURE, RemoteFailure)])
def test_a_server_that_would_overwrite_is_looked_at_first_unless_looking_is_forbidden(refusal, error):
    class Blind(MemoryServer):
        """Overwrites without a word, and does not let us look."""

        def answer(self, session, request):
            return refusal if isinstance(request, wire.Stat) else super().answer(session, request)

    server, owed = Blind(rename_overwrites=True), Owed(CONTENT)
    assert attempt(server, owed) is (error is None)
    assert error is None or type(owed.error) is error
    assert list(server.files.values()) == ([] if error else [CONTENT])


def test_a_name_that_is_taken_is_known_by_its_later_code():
    server = faulty.SpeaksLaterCodes()
    server.files[b"/in/a.csv"] = bytearray(OTHER)
    assert delivered(server).landed == ALTERNATIVE


def test_the_same_size_proves_nothing_where_reading_is_forbidden():
    server = faulty.ReadingForbidden()
    server.files[b"/in/a.csv"] = bytearray(OTHER)
    assert delivered(server).landed == ALTERNATIVE
    assert server.files == {b"/in/a.csv": OTHER, ALTERNATIVE: CONTENT}


@pytest.mark.parametrize(
    ("name", "alternative"),
    [
        (b"a.csv", b"a.%s.csv"),
        (b"a.tar.gz", b"a.tar.%s.gz"),
        (b"a", b"a.%s"),
        (b".hidden", b".hidden.%s"),
        (b"n" * 255, b"n" * 246 + b".%s"),
        (b"n" * 251 + b".csv", b"n" * 242 + b".%s.csv"),
        (("ü" * 127).encode(), ("ü" * 123).encode() + b".%s"),
        (b"a." + b"x" * 253, b"a." + b"x" * 244 + b".%s"),
    ],
)
def test_the_alternative_name_is_derived_from_the_content_and_is_no_longer_than_names_may_be(name, alternative):
    owed = Owed(CONTENT, final_path=b"/in/" + name)
    upload = owed.claim()
    found = upload.alternative_path
    mark = hashlib.sha256(CONTENT).hexdigest()[:8].encode()
    assert found == b"/in/" + alternative.replace(b"%s", mark)
    assert len(found) - len(b"/in/") <= 255
    assert found == upload.alternative_path
