import pytest

from iris_communication.errors import LinkLost, LinkTimeout, SourceChanged
from iris_communication.testing.faulty_servers import NeverGreets
from iris_communication.testing.memory_server import MemoryServer
from tests.memory_link import BytesSource, MemoryLink
from tests.unit.iris_communication.sftp.owed import Owed


def test_the_link_counts_the_bytes_in_each_direction():
    link = MemoryLink(MemoryServer())
    assert Owed().attempt(link)
    assert link.sent > 100
    assert link.received > 100


@pytest.mark.parametrize("limit", ["sent_max", "received_max"])
def test_the_link_breaks_after_exactly_so_many_bytes(limit):
    whole = MemoryLink(MemoryServer())
    Owed().attempt(whole)
    needed = whole.sent if limit == "sent_max" else whole.received
    assert Owed().attempt(MemoryLink(MemoryServer(), **{limit: needed}))
    owed = Owed()
    assert not owed.attempt(MemoryLink(MemoryServer(), **{limit: needed - 1}))
    assert isinstance(owed.error, LinkLost)


def test_a_server_that_does_not_greet_is_reported():
    with pytest.raises(LinkTimeout):
        MemoryLink(NeverGreets()).open()


def test_each_turn_can_be_watched():
    link, turns = MemoryLink(MemoryServer()), []
    link.on_turn = lambda: turns.append(len(link.server.asked))
    Owed().attempt(link)
    assert turns == sorted(turns)
    assert len(turns) > 4


def test_a_source_of_bytes_may_turn_out_changed():
    source = BytesSource(b"abc", changed=True)
    assert source.read(1, 2) == b"bc"
    with pytest.raises(SourceChanged):
        source.confirm()
