import threading
from itertools import combinations

import numpy as np
import pytest

from iris_camera.camera.clock import CameraClock
from iris_camera.camera.synthetic import SyntheticLine

SMALL = {"width": 320, "height": 180}
START_S = 1000.0
UNIX_S = 1_795_467_933.0


class HandClock:
    """Time that passes only when the source waits, or when the test moves it."""

    def __init__(self):
        self.now_s = START_S
        self.while_waiting = lambda: None

    def wait(self, closed, timeout_s):
        self.while_waiting()
        if not closed.is_set():
            self.now_s += timeout_s
        return closed.is_set()

    def as_clock(self):
        return CameraClock(lambda: self.now_s, lambda: UNIX_S + self.now_s, self.wait)


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture
def line(clock):
    line = SyntheticLine(7, **SMALL, clock=clock.as_clock())
    line.open()
    return line


def read(line, count):
    return [line.read() for _ in range(count)]


# When a frame is taken


def test_a_frame_is_due_at_its_number_over_the_frame_rate(line):
    frames = read(line, 6)
    assert [frame.number for frame in frames] == [0, 1, 2, 3, 4, 5]
    assert [frame.monotonic_s for frame in frames] == pytest.approx(
        [START_S + n / 25 for n in range(6)], abs=1e-6, rel=0
    )


def test_no_frame_is_taken_before_it_is_due(line, clock):
    for frame in read(line, 50):
        assert clock.now_s >= frame.monotonic_s


def test_a_reader_that_takes_its_time_within_the_pace_loses_no_frame_and_the_pace_does_not_drift(line, clock):
    for number in range(500):
        frame = line.read()
        assert frame.number == number
        assert clock.now_s == pytest.approx(frame.monotonic_s, abs=1e-6, rel=0)
        clock.now_s += 0.031
    assert frame.monotonic_s == pytest.approx(START_S + 499 / 25, abs=1e-6, rel=0)


def test_frames_a_late_reader_could_not_take_are_skipped_by_number(line, clock):
    line.read()
    clock.now_s = START_S + 0.5
    late, next_one = read(line, 2)
    assert late.number == 12
    assert late.monotonic_s == pytest.approx(START_S + 12 / 25, abs=1e-6, rel=0)
    assert next_one.number == 13
    assert next_one.monotonic_s == pytest.approx(START_S + 13 / 25, abs=1e-6, rel=0)


def test_the_belt_does_not_wait_for_a_late_reader(line, clock):
    line.read()
    clock.now_s = START_S + 2.0
    frame = line.read()
    assert np.array_equal(frame.image, SyntheticLine(7, **SMALL).picture(50))


def test_both_clocks_of_a_frame_give_the_same_instant(line, clock):
    read(line, 3)
    clock.now_s += 0.5
    frame = line.read()
    assert clock.now_s > frame.monotonic_s + 0.01
    assert frame.wall_s == pytest.approx(UNIX_S + frame.monotonic_s, abs=1e-4, rel=0)


def test_closing_ends_a_read_that_waits(line, clock):
    line.read()
    clock.while_waiting = line.close
    assert line.read() is None
    assert clock.now_s == START_S


def test_closing_from_another_thread_ends_a_read_that_waits_for_minutes():
    line = SyntheticLine(7, frame_rate=0.001, **SMALL)
    line.open()
    line.read()
    results = []
    reader = threading.Thread(target=lambda: results.append(line.read()), daemon=True)
    reader.start()
    line.close()
    reader.join(10)
    assert results == [None]


def test_a_closed_line_gives_no_frame(line):
    line.close()
    line.close()
    assert line.read() is None


def test_a_line_opened_again_starts_at_frame_0(line, clock):
    read(line, 5)
    line.close()
    clock.now_s += 60
    line.open()
    assert [frame.number for frame in read(line, 2)] == [0, 1]


def test_reading_a_line_that_was_not_opened_is_an_error():
    with pytest.raises(RuntimeError, match="'line-1' was read before it was opened"):
        SyntheticLine(7, **SMALL, name="line-1").read()


def test_closing_a_line_that_was_not_opened_does_no_harm():
    SyntheticLine(7, **SMALL).close()


def test_the_line_is_live_and_has_its_name_and_rate():
    line = SyntheticLine(7, frame_rate=10.0, **SMALL, name="line-2")
    assert (line.live, line.name, line.frame_rate) == (True, "line-2", 10.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": -1}, "0 or more, not -1"),
        ({"frame_rate": 0.0}, "above 0, not 0.0"),
        ({"frame_rate": float("nan")}, "above 0, not nan"),
        ({"width": 10}, "64x64 pixels or more, not 10x180"),
        ({"defect_share": 1.5}, "0 to 1, not 1.5"),
    ],
)
def test_an_impossible_line_is_refused_by_name(options, message):
    with pytest.raises(ValueError, match=message):
        SyntheticLine(**({"seed": 1} | SMALL | options))


# What a frame shows


def test_a_picture_has_the_size_asked_for_and_nobody_can_write_into_it(line):
    image = line.read().image
    assert image.shape == (180, 320, 3)
    assert image.dtype == np.uint8
    with pytest.raises(ValueError, match="read-only"):
        image[0, 0] = 0


def test_a_picture_is_a_function_of_seed_and_number_alone():
    one, other = SyntheticLine(5, **SMALL), SyntheticLine(5, **SMALL)
    for number in range(0, 60, 7):
        one.picture(number)
    assert np.array_equal(one.picture(33), other.picture(33))


def test_another_seed_is_another_line():
    assert SyntheticLine(5, **SMALL).truth(0) != SyntheticLine(6, **SMALL).truth(0)
    assert not np.array_equal(SyntheticLine(5, **SMALL).picture(0), SyntheticLine(6, **SMALL).picture(0))


def test_a_picture_kept_by_somebody_does_not_change_with_the_next(line):
    first = line.picture(0)
    copy = first.copy()
    line.picture(1)
    assert np.array_equal(first, copy)


def test_the_picture_shows_metal_where_the_truth_says_a_part_is():
    line = SyntheticLine(11)
    compared = 0
    for number in (0, 50, 100):
        image = line.picture(number).astype(float)
        for part in line.truth(number):
            x, y, width, height = (round(value) for value in part.box)
            if not part.fully_visible:
                continue
            # along the box's middle row, left of the bore; and the belt just left of the box
            metal = image[y + height // 2 - 3 : y + height // 2 + 3, x + width // 8 : x + width // 4].mean()
            belt = image[y + height // 2 - 3 : y + height // 2 + 3, max(0, x - 6) : x - 1].mean()
            assert metal > belt + 25
            compared += 1
    assert compared >= 12


# What is true


def test_the_truth_is_a_function_of_seed_and_number_alone():
    one, other = SyntheticLine(5), SyntheticLine(5)
    one.truth(7000)
    one.picture(3)
    assert one.truth(400) == other.truth(400)


def test_a_part_moves_with_the_belt_and_keeps_its_id_and_label():
    line = SyntheticLine(5)
    before = {part.part_id: part for part in line.truth(100) if part.fully_visible}
    after = {part.part_id: part for part in line.truth(101) if part.fully_visible}
    both = before.keys() & after.keys()
    assert len(both) >= 4
    for part_id in both:
        old, new = before[part_id], after[part_id]
        assert new.box == pytest.approx((old.box.x + 26, *old.box[1:]))
        assert (new.label, new.flaw) == (old.label, old.flaw)


def test_three_parts_or_so_come_each_second_and_a_seventh_or_so_is_defect():
    line = SyntheticLine(5)
    labels = {part.part_id: part.label for number in range(0, 10_000, 40) for part in line.truth(number)}
    assert len(labels) / (10_000 / 25) == pytest.approx(3.0, rel=0.1)
    assert list(labels.values()).count("defect") / len(labels) == pytest.approx(0.15, abs=0.03)


def test_the_share_of_defects_can_be_chosen():
    def parts(defect_share):
        line = SyntheticLine(5, **SMALL, defect_share=defect_share)
        return [part for number in range(0, 2000, 40) for part in line.truth(number)]

    assert {part.flaw for part in parts(1.0)} == {"missing hole", "scratch", "chipped edge"}
    assert {part.label for part in parts(0.0)} == {"good"}


def test_a_box_lies_in_the_picture_and_touches_its_edge_when_the_part_is_cut_off():
    line = SyntheticLine(5)
    seen = {True: 0, False: 0}
    for number in range(0, 400, 9):
        for part in line.truth(number):
            x, y, width, height = part.box
            assert x >= 0
            assert x + width <= 1280
            assert y >= 96
            assert y + height <= 624
            assert part.fully_visible or x == 0 or x + width == 1280
            seen[part.fully_visible] += 1
    assert min(seen.values()) > 10


def test_no_two_parts_overlap():
    line = SyntheticLine(5)
    for number in range(0, 1000, 45):
        boxes = sorted(part.box for part in line.truth(number))
        assert all(a.x + a.width < b.x for a, b in combinations(boxes, 2))


def test_a_part_comes_into_view_whole_once_and_leaves_for_good():
    line = SyntheticLine(5)
    seen = [part.part_id for number in range(200) for part in line.truth(number)]
    for part_id in set(seen):
        numbers = [n for n in range(200) if any(part.part_id == part_id for part in line.truth(n))]
        assert numbers == list(range(numbers[0], numbers[-1] + 1))


def test_the_truth_of_a_smaller_picture_is_that_of_the_large_one_made_smaller():
    large, small = SyntheticLine(5), SyntheticLine(5, **SMALL)
    for one, other in zip(large.truth(0), small.truth(0), strict=True):
        assert one.part_id == other.part_id
        assert other.box == pytest.approx(tuple(value / 4 for value in one.box))
