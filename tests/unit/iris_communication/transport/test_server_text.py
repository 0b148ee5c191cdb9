"""What a server says before its name is heard in passing."""

import pytest

from iris_communication.transport.server_text import GREETING_MAX, HIDDEN_MIN, REFUSES_US, Greeting, readable, without


class Connection:
    def __init__(self):
        self.came = b""

    def data_received(self, data, datatype=None):
        self.came += data


@pytest.fixture
def connection():
    return Connection()


@pytest.fixture
def greeting(connection):
    heard = Greeting()
    heard.listen_to(connection)
    return heard


@pytest.mark.parametrize("before", range(270, 302))
def test_a_secret_that_was_cut_in_two_with_the_text_is_hidden_too(before):
    secrets = ("hunter22 correct horse", "battery staple")
    for secret in secrets:
        said = without(secrets, readable(b"x" * before + secret.encode() + b"y" * 10))
        assert secret[:HIDDEN_MIN] not in said
    assert without(secrets, "hunt...") == "(a secret)..."
    assert without(secrets, "hun...") == "hun..."
    assert without(secrets, "hunter") == "hunter"


@pytest.mark.parametrize("piece_bytes", [1, 7, 1000])
def test_the_last_lines_before_its_name_are_kept_and_everything_is_passed_on(connection, greeting, piece_bytes):
    said = b"Welcome\r\n\r\nto our\x1b[31m\nplant \xff\r\nSSH-2.0-Plant\r\nSSH-2.0 is no word"
    for at in range(0, len(said), piece_bytes):
        connection.data_received(said[at : at + piece_bytes])
    assert greeting.lines == [r"to our\x1b[31m", "plant \ufffd"]
    assert connection.came == said


def test_a_line_without_its_end_is_kept_too(connection, greeting):
    connection.data_received(b"Not allowed at this time")
    assert greeting.lines == ["Not allowed at this time"]


def test_a_server_that_says_its_name_at_once_has_said_nothing_and_is_not_listened_to_any_more(connection, greeting):
    connection.data_received(b"SSH-2.0-Plant\r\n")
    assert greeting.lines == []
    assert "data_received" not in vars(connection)


def test_the_kept_words_are_bounded(connection, greeting):
    kept_bytes = 0
    for _ in range(100):
        kept_bytes += 1000 if "data_received" in vars(connection) else 0  # it listens
        connection.data_received(b"x" * 1000)
    assert len(connection.came) == 100_000
    assert len("".join(greeting.lines)) <= 300
    assert kept_bytes <= GREETING_MAX + 1000


@pytest.mark.parametrize(
    "said",
    ["Too many authentication failures", "too many authentication failures", "Too many authentication attempts"],
)
def test_words_of_servers_that_take_no_more_tries_are_known(said):
    assert REFUSES_US.search(said)


def test_the_shown_part_of_a_line_is_printable():
    assert readable(b" a\tb\x00\xc3\xbc \r") == r"a b\x00ü"
