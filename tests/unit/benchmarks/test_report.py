"""What is written on a page: the works that were measured, and nothing else on it changes."""

from benchmarks.report import Circumstances, Section, into_page, on_terminal
from benchmarks.table import ClientRow, Times

LINK = "the delay proxy alone: 20.0 ms, 900 MB/s"
ABOUT = Circumstances("2 cores", "Python 3.12", "2026-11-24, load 0.1", LINK)


def section(name, seconds):
    rows = [
        ClientRow("500 files", 20, client, 500, 5_000_000, times=Times(seconds, 0.1), name=name, runs=3)
        for client in ("openssh-sftp", "iris-engine")
    ]
    return Section(name, rows, ABOUT)


def test_a_page_that_is_not_there_is_made(tmp_path):
    into_page(tmp_path / "page.md", [section("small-20", 2.0)])
    text = (tmp_path / "page.md").read_text()
    assert text.startswith("<!-- small-20 -->\n## 500 files, RTT 20 ms\n")
    assert "2026-11-24, load 0.1. 2 cores; Python 3.12." in text
    assert LINK.removeprefix("t") in text


def test_a_work_that_was_measured_again_replaces_itself_alone(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Speed\n\nBefore.\n")
    into_page(page, [section("small-0", 4.0), section("small-20", 2.0)])
    page.write_text(page.read_text() + "\nAfter.\n")
    into_page(page, [section("small-0", 5.0)])
    text = page.read_text()
    assert text.startswith("# Speed\n\nBefore.\n\n<!-- small-0 -->")
    assert text.endswith("<!-- end of small-20 -->\n\nAfter.\n")
    assert "| 4.00 |" not in text
    assert text.count("| 5.00 |") == 2
    assert text.count("| 2.00 |") == 2


def test_the_reached_goals_stand_below_the_table():
    text = on_terminal([section("small-20", 2.0)])
    table, link, judged = text.split("\n\n")
    assert "iris-engine" in table
    assert link == f"small-20: {LINK}"
    assert judged.splitlines()[2].endswith("at least 25x  1.00x  96 % short")
