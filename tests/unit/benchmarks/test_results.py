"""The benchmark's results must be true: files are compared before they count, and the table computes its figures."""

import json

from benchmarks.data import PIECE_BYTES, SIZE_BYTES_MAX, SIZE_BYTES_MIN, difference, files_in, make_csvs, make_large
from benchmarks.table import ClientRow, Times, as_json, as_markdown, as_text, median

WORK = {"work": "100 files", "rtt_ms": 20, "files": 100, "size_bytes": 1_000_000}
REFERENCE = ClientRow(client="reference", times=Times(2.0, 0.5, 0.3), runs=3, **WORK)
TWICE_AS_FAST = ClientRow(client="fast", times=Times(1.0, 0.25, own_us=1800.0), runs=1, **WORK)
ABSENT = ClientRow(client="absent", note="missing: absent", **WORK)


def test_the_same_seed_makes_the_same_files(tmp_path):
    first = make_csvs(tmp_path / "a", 20, seed=1)
    assert first == make_csvs(tmp_path / "b", 20, seed=1)
    assert first.keys() != make_csvs(tmp_path / "c", 20, seed=2).keys()
    assert len(first) == 20
    assert all(SIZE_BYTES_MIN <= file.size_bytes <= SIZE_BYTES_MAX for file in first.values())


def test_files_that_arrived_in_folders_below_are_the_same_files(tmp_path):
    sent = make_csvs(tmp_path / "a", 3, seed=1)
    make_csvs(tmp_path / "b" / "line-1" / "model", 3, seed=1)
    assert difference(sent, files_in(tmp_path / "b")) is None


def test_a_missing_a_changed_and_an_extra_file_are_reported(tmp_path):
    sent = make_csvs(tmp_path / "a", 3, seed=1)
    missing, changed, _ = sorted((tmp_path / "a").iterdir())
    missing.unlink()
    changed.write_bytes(changed.read_bytes()[:-1] + b"?")
    (tmp_path / "a" / ".iris-half").write_bytes(b"")
    assert difference(sent, files_in(tmp_path / "a")) == "1 files missing, 1 changed, 1 extra"


def test_a_file_that_arrived_twice_is_extra(tmp_path):
    sent = make_csvs(tmp_path / "a", 2, seed=1)
    make_csvs(tmp_path / "a" / "again", 2, seed=1)
    assert difference(sent, files_in(tmp_path / "a")) == "0 files missing, 0 changed, 2 extra"


def test_the_table_compares_files_a_second_with_the_reference_on_the_same_work():
    other_work = ClientRow(client="reference", times=Times(0.1, 0.1), runs=1, **{**WORK, "rtt_ms": 0})
    _, _, *lines = as_text([other_work, REFERENCE, TWICE_AS_FAST, ABSENT], "reference").splitlines()
    assert [line.split()[3:] for line in lines[1:3]] == [
        ["reference", "3", "50", "0.5", "2.00", "0.50", "0.30", "-", "1.00x"],
        ["fast", "1", "100", "1.0", "1.00", "0.25", "-", "1800", "2.00x"],
    ]


def test_a_client_that_is_missing_is_a_line_that_says_so_and_no_figure():
    assert as_text([REFERENCE, ABSENT], "reference").endswith("missing: absent")
    assert [row["client"] for row in json.loads(as_json([REFERENCE, ABSENT]))] == ["reference"]


def test_every_line_of_the_table_on_a_page_has_as_many_cells():
    lines = as_markdown([REFERENCE, TWICE_AS_FAST, ABSENT], "reference").splitlines()
    assert {line.count("|") for line in lines} == {10}
    assert lines[-1].startswith("| absent | missing: absent |")


def test_the_rate_of_one_file_is_given_in_bytes_and_not_in_files():
    one = ClientRow("one file", 0, "fast", 1, 10_000_000, times=Times(2.0, 0.1, own_us=9.0), runs=1)
    assert as_text([one], "fast").splitlines()[-1].split()[4:] == ["1", "-", "5.0", "2.00", "0.10", "-", "-", "1.00x"]


def test_the_json_has_the_figures_under_their_fixed_names():
    assert json.loads(as_json([TWICE_AS_FAST])) == [
        {
            "work": "100 files",
            "rtt_ms": 20,
            "client": "fast",
            "files": 100,
            "seconds": 1.0,
            "files_per_s": 100.0,
            "mb_per_s": 1.0,
            "cpu_s": 0.25,
        }
    ]


def test_repeated_runs_are_one_row_with_their_medians():
    assert median([Times(3.0, 0.1), Times(1.0, 0.3), Times(2.0, 0.2)]) == Times(2.0, 0.2)


def test_a_figure_that_a_client_did_not_measure_of_itself_has_no_median():
    assert median([Times(1.0, 0.1, own_us=4.0), Times(1.0, 0.1)]).own_us is None


def test_a_large_file_is_as_large_as_asked_and_the_same_for_the_same_seed(tmp_path):
    first = make_large(tmp_path / "a", PIECE_BYTES + 1, seed=1)
    assert [file.size_bytes for file in first.values()] == [PIECE_BYTES + 1]
    assert first == make_large(tmp_path / "b", PIECE_BYTES + 1, seed=1)
