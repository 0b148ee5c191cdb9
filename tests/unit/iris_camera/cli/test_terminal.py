import io
import sys
from pathlib import Path

import pytest

from iris_camera.cli.files_to_send import FileToSend
from iris_camera.cli.queue_table import printable
from iris_camera.cli.sending import Sent
from iris_camera.cli.sending_display import SendingDisplay, failures
from iris_camera.cli.terminal import complain, say
from iris_camera.config.problem import Problem, ValueOrigin
from iris_communication.errors import RemoteRefused
from tests.architecture.tree import python_files, text_of

HOSTILE = "a\x1b]0;mine\x07\x9b2J\r\nb\u202ec.csv"
SHOWN = r"a\x1b]0;mine\x07\x9b2J\r\nb\u202ec.csv"


@pytest.mark.parametrize(("write", "stream"), [(say, "out"), (complain, "err")])
def test_a_line_for_people_holds_nothing_that_a_terminal_obeys(write, stream, capfd):
    write(f"{HOSTILE}: delivered")
    sys.stdout.flush()
    sys.stderr.flush()
    assert getattr(capfd.readouterr(), stream) == f"{SHOWN}: delivered\n"


def test_a_path_that_is_no_utf_8_is_written_byte_for_byte_but_what_a_terminal_obeys(capfdbinary):
    say(b"\xff\x9b.csv".decode("utf-8", "surrogateescape"))
    sys.stdout.flush()
    assert capfdbinary.readouterr().out == b"\xff\\x9b.csv\n"


def test_a_cell_of_a_table_is_as_clean_as_a_line():
    assert printable(HOSTILE) == SHOWN


def test_sending_shows_foreign_names_and_texts_as_escapes():
    refused = RemoteRefused(f"cannot create {HOSTILE} on the server")
    sent = Sent(FileToSend(Path(HOSTILE), 4, "line-1", "model"), outcomes={"1": refused})
    out = io.StringIO()
    with SendingDisplay(None, out, quiet=False) as display:
        display.ended(sent)
    assert failures(sent)
    assert out.getvalue().startswith(f"{SHOWN}: cannot create {SHOWN} on the server. ")
    assert out.getvalue().count("\n") == 1


def test_a_mistake_in_the_settings_quotes_their_file_as_escapes():
    assert str(Problem(ValueOrigin("iris.toml", 3), f"name is {HOSTILE}")) == f"iris.toml:3: name is {SHOWN}"


def test_verbs_write_through_the_terminal_alone():
    own = "src/iris_camera/cli/terminal.py"
    ways = ("typer.echo(", "print(", "sys.stdout.write", "stdout.buffer")
    found = [
        f"{path}: {line.strip()}"
        for path in python_files("src/iris_camera/cli")
        if str(path) != own
        for line in text_of(path).splitlines()
        if any(way in line for way in ways) and "self._console" not in line
    ]
    assert [each for each in found if "example_text" not in each and "[y/N]" not in each] == []
