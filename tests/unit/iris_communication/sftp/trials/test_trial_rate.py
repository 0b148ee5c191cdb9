"""How fast one file is written: pieces that grow until one takes long enough, and no more than that."""

import pytest

from iris_communication.sftp import wire
from iris_communication.sftp.trials.trial import Findings, TrialContent, clear_away
from iris_communication.sftp.trials.trial_rate import FIRST_BYTES, PIECE_BYTES_MAX, rate
from iris_communication.testing import MemoryServer, faulty_servers
from iris_communication.testing.server_wire import WriteData
from tests.memory_link import MemoryLink

FAST = PIECE_BYTES_MAX


class Line:
    """A link whose every exchange takes `exchange_s`."""

    def __init__(self, server, exchange_s=0.0):
        self.server, self.found, self.now_s = server, Findings(b"/in"), 100.0
        self.link = MemoryLink(server).open()
        self.exchange_s = exchange_s
        self.link.on_turn = self.pass_time

    def pass_time(self):
        self.now_s += self.exchange_s

    def rate(self, most_bytes=FAST):
        talk = rate(self.found, b"/in/.iris-r", most_bytes, lambda: self.now_s)
        conversation = self.link.begin(talk, TrialContent())
        self.link.run()
        assert conversation.error is None
        return conversation.result

    @property
    def written(self):
        """(offset, size) of what was sent, in order."""
        asked = [request for request in self.server.asked if isinstance(request, WriteData)]
        return [(request.offset, len(request.data)) for request in asked]


def test_a_slow_way_is_sent_one_small_piece():
    line = Line(MemoryServer(), exchange_s=1.0)
    assert line.rate() == FIRST_BYTES
    assert line.written == [(0, FIRST_BYTES)]


def test_a_fast_way_is_sent_pieces_that_grow_until_one_takes_long_enough():
    line = Line(MemoryServer(), exchange_s=0.01)
    assert line.rate() > 10_000_000
    sizes = [size for _, size in line.written]
    assert sum(sizes) < 64 * 1024 * 1024
    assert [offset for offset, _ in line.written] == [sum(sizes[:index]) for index in range(len(sizes))]


def test_a_way_that_takes_no_time_at_all_is_not_measured():
    assert Line(MemoryServer()).rate() is None


def test_no_piece_is_larger_than_is_asked_for():
    line = Line(MemoryServer(), exchange_s=0.001)
    line.rate(most_bytes=1000)
    assert line.written == [(0, 1000)]


@pytest.mark.parametrize("server", [faulty_servers.FolderClosedToUs(), faulty_servers.RefusesAWrite(2)])
def test_a_refused_write_is_not_measured_and_leaves_no_file(server):
    line = Line(server, exchange_s=0.01)
    assert line.rate() is None
    line.link.begin(clear_away(line.found))
    line.link.run()
    assert (line.found.left, server.names()) == ([], [])


def test_one_handle_carries_it_all():
    line = Line(MemoryServer(), exchange_s=0.01)
    line.rate()
    assert [type(request) for request in line.server.asked if not isinstance(request, WriteData)][-2:] == [
        wire.Open,
        wire.Close,
    ]


def test_a_measurement_that_is_broken_off_sends_no_further_piece():
    line = Line(MemoryServer(), exchange_s=0.01)
    line.found.broken_off = True
    line.rate()
    assert line.written == []
