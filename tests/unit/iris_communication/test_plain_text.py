import pytest

from iris_communication.errors import LinkLost, RemoteRefused
from iris_communication.plain_text import ERROR_TEXT_MAX, PEER_TEXT_MAX, clean, of_bytes

HOSTILE = {
    "a line break": ("a\nb", r"a\nb"),
    "a carriage return": ("a\rb", r"a\rb"),
    "a terminal command": ("a\x1b[2Jb", r"a\x1b[2Jb"),
    "a terminal command in one character": ("a\x9b2Jb", r"a\x9b2Jb"),
    "a command to the window's title": ("\x1b]0;x\x07", r"\x1b]0;x\x07"),
    "nothing and DEL": ("\0\x7f", r"\x00\x7f"),
    "a separator of lines": ("a\u2028b\u2029", r"a\u2028b\u2029"),
    "an override of the direction": ("a\u202excod.csv", r"a\u202excod.csv"),
    "an isolate of the direction": ("\u2066a\u2069", r"\u2066a\u2069"),
    "an invisible tag": ("a\U000e0041", r"a\U000e0041"),
    "a byte that is no UTF-8": ("a\udcffb", r"a\xffb"),
    "half of a pair": ("a\ud800b", r"a\ud800b"),
}


@pytest.mark.parametrize(("text", "shown"), HOSTILE.values(), ids=HOSTILE)
def test_a_sign_that_a_terminal_obeys_is_escaped_and_cleaning_twice_changes_no_more(text, shown):
    assert clean(text) == shown
    assert clean(shown) == shown
    shown.encode("utf-8")


@pytest.mark.parametrize(
    "text", ["größe 部品 قطعة.csv", "a\u200db", "c:\\in\\a.csv", "'quoted' \"twice\"", "👩\u200d🔧"]
)
def test_text_that_is_fit_stays_as_it_is(text):
    assert clean(text) == text


@pytest.mark.parametrize("character", ["a", "\n", "\u202e", "\udc80"])
def test_a_long_text_is_cut_to_its_limit_after_escaping(character):
    shown = clean(character * 4_000_000, 300)
    assert len(shown) == 300
    assert shown.endswith("...")
    assert clean(shown, 300) == shown


def test_a_text_of_just_the_limit_is_whole():
    assert clean("a" * 300, 300) == "a" * 300


def test_lines_stay_where_that_is_asked_for():
    assert clean("a\nb\tc\rd", lines_stay=True) == "a\nb\tc\\rd"


def test_bytes_that_are_no_utf_8_stay_where_that_is_asked_for_but_not_those_that_a_terminal_obeys():
    assert clean("a\udcff\udc9b\ud800", bytes_stay=True) == "a\udcff\\x9b\\ud800"


@pytest.mark.parametrize("sent", [b"\xff" * 4_000_000, "ä".encode() * 2_000_000, b"\x1b" * 4_000_000])
def test_bytes_of_a_peer_become_text_within_the_limit(sent):
    assert len(of_bytes(sent, PEER_TEXT_MAX)) <= PEER_TEXT_MAX


@pytest.mark.parametrize("kind", [LinkLost, RemoteRefused])
def test_an_error_is_one_line_of_limited_length_whatever_a_peer_put_into_it(kind):
    error = kind("the server says: \x1b[2J\n" + "x" * 4_000_000, hint="ask\nit")
    assert str(error).startswith(r"the server says: \x1b[2J\nxxx")
    assert len(str(error)) == ERROR_TEXT_MAX
    assert error.hint == r"ask\nit"
