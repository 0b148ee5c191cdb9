"""The camera benchmark's results must be true: lateness counts from the due time, and the table adds up."""

import json
import threading
from pathlib import Path

import pytest

from benchmarks import camera, camera_run
from benchmarks.camera_figures import FULL, Case, CaseRow, Figures, as_text, due_s, median, percentile
from benchmarks.camera_run import OFFERED_MAX, Feeder, Footage

ALONE = Figures(5.0, 8.0, 12.0, 400, 0, 0.0, 0.45, 0.0, 0.0)
BESIDE = Figures(5.5, 9.5, 14.0, 398, 2, 499.6, 0.85, 0.62, 0.94)


def test_a_late_frame_moves_no_other_frames_due_time():
    assert [due_s(10.0, 25, number) for number in (0, 1, 25)] == [10.0, 10.04, 11.0]


@pytest.mark.parametrize(("share", "value"), [(0.5, 50), (0.99, 99), (1.0, 100), (0.001, 1)])
def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed(share, value):
    assert percentile(list(range(100, 0, -1)), share) == value


def test_a_percentile_of_no_figures_is_zero():
    assert percentile([], 0.99) == 0.0


def test_the_median_is_of_each_figure_for_itself():
    middle = median([ALONE, BESIDE, BESIDE])
    assert (middle.p99_ms, middle.skipped, middle.files_per_s) == (9.5, 2, 499.6)


def test_the_table_compares_with_no_uploader_at_the_same_frame_rate():
    other_rate = CaseRow(Case(25, "none"), Figures(5.0, 5.0, 5.0, 100, 0, 0.0, 0.1, 0.0, 0.0))
    rows = [CaseRow(Case(100, "none"), ALONE), CaseRow(Case(100, "iris", 500), BESIDE), other_rate]
    _, alone, beside, _ = as_text(rows).splitlines()
    assert alone.split() == ["100", "none", "-", "5.0", "8.0", "12.0", "-", "400", "0", "0", "45%", "-", "-"]
    assert beside.split() == [
        *("100", "iris", "500", "5.5", "9.5", "14.0", "+1.5", "398", "2", "500", "85%", "0.62", "0.94")
    ]


def test_a_rate_of_as_many_as_are_taken_is_called_full():
    assert [Case(100, "iris", rate).wanted for rate in (FULL, 100)] == ["full", "100"]


def test_a_peer_that_is_missing_is_a_line_that_says_so():
    assert as_text(
        [CaseRow(Case(100, "none"), ALONE), CaseRow(Case(100, "paramiko"), None, "missing: paramiko")]
    ).endswith("missing: paramiko")


def test_the_output_of_a_run_becomes_its_figures():
    run = {"late_ms": [4.0, 5.0, 9.0], "skipped": 1, "files_per_s": 99.5, "cpu": 0.5, "turns_ms": []}
    assert camera.figures(json.loads(json.dumps(run))) == Figures(5.0, 9.0, 9.0, 3, 1, 99.5, 0.5, 0.0, 0.0)


def test_every_frame_rate_has_its_case_without_an_uploader():
    assert {case.frame_rate for case in camera.CASES} == {
        case.frame_rate for case in camera.CASES if case.uploader == "none"
    }
    assert set(camera.QUICK_CASES) < set(camera.CASES)


def test_the_film_goes_on_beyond_its_end():
    footage = Footage(camera.film(), 140)
    shapes = {footage.read().shape for _ in range(140)}
    assert shapes == {(720, 1280, 3)}


class TakesSomeAtATime:
    """Takes so many at a time, and sets `enough` when it has as many as it wants."""

    def __init__(self, at_once, enough):
        self.at_once, self.enough = at_once, enough
        self.offers, self.taken = [], []
        self.done = threading.Event()

    def queue(self, paths):
        self.offers.append(len(paths))
        self.taken += paths[: self.at_once]
        if len(self.taken) >= self.enough:
            self.done.set()
        return min(len(paths), self.at_once)


def fed(taker, files, files_per_s):
    feeder = Feeder(taker, files, files_per_s)
    feeder.start()
    assert taker.done.wait(10.0)
    feeder.stop()
    return feeder


def test_files_that_are_not_taken_are_offered_again_in_order():
    files = [Path(f"{number}.csv") for number in range(200)]
    taker = TakesSomeAtATime(at_once=7, enough=50)
    fed(taker, files, FULL)
    assert taker.taken == files[: len(taker.taken)]
    assert max(taker.offers) == OFFERED_MAX


def test_a_feeder_at_a_rate_offers_no_more_than_has_come_due():
    feeder = Feeder(TakesSomeAtATime(9, 9), [Path(f"{number}.csv") for number in range(200)], 100)
    assert [len(feeder.due(since_s)) for since_s in (0.0, 0.05, 0.2, 10.0)] == [0, 5, 20, OFFERED_MAX]


def test_a_feeder_that_ran_out_says_so():
    assert fed(TakesSomeAtATime(64, 3), [Path("a"), Path("b"), Path("c")], FULL).ran_out


class Selector(camera_run.selectors.EpollSelector):
    """Answers at once."""


def test_a_turn_is_the_time_between_two_polls_of_the_sockets(monkeypatch):
    now_s = iter([0.0, 0.002, 0.5, 0.5005, 0.7])
    monkeypatch.setattr(camera_run.time, "thread_time", lambda: next(now_s))
    monkeypatch.setattr(camera_run.selectors.EpollSelector, "select", lambda self, timeout=None: [])
    turns_ms = camera_run.watch_turns()
    with Selector() as selector:
        for _ in range(3):
            selector.select(0)
    assert turns_ms == pytest.approx([2.0, 0.5])
