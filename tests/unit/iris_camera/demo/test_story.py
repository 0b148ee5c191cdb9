import io
import re

import pytest

from iris_camera.demo.display import Display, LogLines
from iris_camera.demo.sftp_server import REFUSED_FOR_ONCE
from iris_camera.demo.story import Phase, Story, phase_at

DOWN = "2026-11-30T13:21:34.940Z WARNING iris-uploader  the link to iris@127.0.0.1:1 is down: 127.0.0.1:1 refuses"


@pytest.mark.parametrize(
    ("elapsed_s", "text"),
    [
        (0.0, "1 of 3: a calm line, 10 s left"),
        (10.0, "2 of 3: staged outage, 10 s left"),
        (11.0, "2 of 3: staged outage, 9 s left"),
        (20.0, "3 of 3: recovery, 10 s left"),
        (29.9, "3 of 3: recovery, 1 s left"),
        (41.0, "2 of 3: staged outage, 9 s left"),
    ],
)
def test_each_third_of_a_round_has_its_text_and_the_time_that_is_left(elapsed_s, text):
    assert str(phase_at(elapsed_s, 30.0)) == text


def test_an_outage_is_announced_once_and_so_is_its_end():
    story = Story()
    printed = [story.enter(phase_at(elapsed_s, 9.0)) for elapsed_s in (0.0, 2.9, 3.0, 3.1, 5.9, 6.0, 8.9)]
    assert [bool(each) for each in printed] == [False, False, True, False, False, True, False]
    assert printed[2].startswith("staged outage: for 3 s")
    assert "is over" in printed[5]


def test_the_log_lines_of_an_outage_are_one_plain_line():
    story = Story()
    story.enter(Phase(2, 9.0))
    printed = [story.line(DOWN) for _ in range(3)]
    assert printed[0].startswith("as staged: ")
    assert printed[1:] == [None, None]


def test_a_refusal_on_purpose_is_one_plain_line_in_any_phase():
    story = Story()
    logged = f"2026-11-30T13:21:31.498Z ERROR   iris-uploader  a.jpg: cannot create: {REFUSED_FOR_ONCE}"
    assert story.line(logged).startswith("staged refusal: ")
    assert story.line(logged) is None


def test_a_log_line_that_belongs_to_no_staged_event_is_shown_short():
    story = Story()
    story.enter(Phase(1, 9.0))
    assert story.line(DOWN).startswith("13:21:34 WARNING the link to iris@127.0.0.1:1 is down")
    assert story.line("Traceback (most recent call last):") == "Traceback (most recent call last):"


def test_log_lines_are_read_whole_however_they_are_written():
    printed = []
    lines = LogLines(printed.append)
    for piece in ("one", " line\n", "two\nthree\nbegun"):
        lines.write(piece)
    assert printed == ["one line", "two", "three"]


def test_an_announcement_is_a_line_where_there_is_no_terminal(capsys):
    import sys

    Display(sys.stdout, Story()).say("staged outage: for 3 s [not markup]")
    assert capsys.readouterr().out == "staged outage: for 3 s [not markup]\n"


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("letters", [3, 9, 17])
def test_a_long_sentence_of_health_is_cut_between_words(monkeypatch, letters):
    for name, value in (("COLUMNS", "80"), ("LINES", "24"), ("TERM", "xterm")):
        monkeypatch.setenv(name, value)
    text = [f"{chr(0x4E00 + number)}{'a' * letters}" for number in range(60)]
    down = {"link": "down", "reason": " ".join(text), "retry_in_s": 1.0}
    snapshot = {
        "cameras": [{"frames": 1, "frames_per_s": 1.0, "parts": 1, "defects": 0}],
        "uploader": {"stats": {"queue_size": 0, "total_uploaded": 1, "total_failed": 0}, "servers": {"u@h:22": down}},
        "health": {"sentence": " ".join(text)},
    }
    with Display(out := Terminal(), Story()) as display:
        display.update(snapshot)
        shown = out.getvalue()
    found = re.findall(r"[\u4e00-\u4eff]a*", shown)
    assert found
    assert set(found) <= set(text), "no part of a word"
    assert len(shown.splitlines()) <= 24
