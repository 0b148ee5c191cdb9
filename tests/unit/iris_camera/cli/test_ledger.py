import csv
import io

import pytest

from iris_camera.cli.ledger import csv_line


@pytest.mark.parametrize("text", ["=HYPERLINK(1)", "+1", "-1+2", "@SUM(1)", "\t=1", "\n=1", "'=1"])
def test_a_text_that_a_spreadsheet_would_carry_out_is_text_to_it(text):
    (row,) = csv.reader(io.StringIO(csv_line([1, text]), newline=""))
    assert row == ["1", f"'{text}"]


@pytest.mark.parametrize("text", ["/in/a\nb.csv", 'a"b', "a,b", "/in/\udcff.csv"])
def test_a_cell_is_read_back_as_it_was_whatever_stands_in_it(text):
    (row,) = csv.reader(io.StringIO(csv_line([text, None, 3]), newline=""))
    assert row == [text, "", "3"]


def test_a_carriage_return_ends_no_line():
    assert "\r" not in csv_line(["a\rb"])
