import socket
import threading

import pytest

from tests.tcp_link import HOST, TO_CLIENT, TO_SERVER, CutAfter, FaultyTcpLink, InPieces
from tests.unit.iris_communication.outbox.fake_parts import LONG_S


@pytest.fixture
def echo_port():
    """A server that says back what it hears."""

    def serve():
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                while data := connection.recv(65536):
                    connection.sendall(data)

    with socket.create_server((HOST, 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


def said_back(link, text):
    with socket.create_connection((HOST, link.port), timeout=LONG_S) as client:
        heard = b""
        try:
            client.sendall(text)
            while len(heard) < len(text) and (data := client.recv(65536)):
                heard += data
        except ConnectionError:
            pass
        return heard


def test_a_way_without_a_fault_carries_everything(echo_port):
    with FaultyTcpLink(echo_port) as link:
        assert said_back(link, b"to and fro") == b"to and fro"
        assert link.met == 0


def test_every_byte_comes_through_a_link_that_sends_in_pieces(echo_port):
    with FaultyTcpLink(echo_port, [InPieces(1)]) as link:
        assert said_back(link, b"to and fro") == b"to and fro"


@pytest.mark.parametrize(("direction", "heard"), [(TO_SERVER, b""), (TO_CLIENT, b"to ")])
def test_a_cut_lets_so_many_bytes_pass_in_its_direction(echo_port, direction, heard):
    with FaultyTcpLink(echo_port, [CutAfter(3, direction)]) as link:
        assert said_back(link, b"to and fro") in {heard, heard or b"to "}  # the echo of what passed may come before
        assert link.met == 1


def test_connections_that_are_cut_at_their_first_byte_do_not_keep_later_ones_out(echo_port):
    count = 100
    with FaultyTcpLink(echo_port, [CutAfter(1, TO_SERVER)] * count) as link:
        for _ in range(count):
            assert len(said_back(link, b"to and fro")) <= 1
        assert said_back(link, b"to and fro") == b"to and fro"
        assert link.met == count
