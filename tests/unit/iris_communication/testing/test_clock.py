from iris_communication.clock import Clock
from iris_communication.testing.clock import FakeClock


def times(clock: Clock):
    return clock.wall_s(), clock.monotonic_s(), clock.boot_s()


def test_the_clock_stands_still_until_it_is_moved():
    clock = FakeClock()
    assert times(clock) == times(clock)


def test_time_passes_on_all_three():
    clock = FakeClock()
    before = times(clock)
    clock.advance(2.5)
    assert times(clock) == tuple(time + 2.5 for time in before)


def test_setting_the_wall_clock_moves_nothing_else():
    clock = FakeClock()
    wall_s, *others = times(clock)
    clock.jump_wall(-3600)
    assert times(clock) == (wall_s - 3600, *others)


def test_the_three_times_are_too_far_apart_to_be_taken_for_one_another():
    wall_s, monotonic_s, boot_s = sorted(times(FakeClock()), reverse=True)
    day_s = 24 * 3600
    assert wall_s - monotonic_s > day_s
    assert monotonic_s - boot_s > day_s
