"""How much is in flight: grows while it helps, halves on trouble, and never leaves its bounds."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from iris_communication.sftp.credit import BYTES_IN_FLIGHT, REQUESTS_IN_FLIGHT
from iris_communication.sftp.window import (
    BYTES_LEAST,
    BYTES_MOST,
    FILES_LEAST,
    QUIET_S,
    REQUESTS_LEAST,
    SETTLED_S,
    RequestWindow,
    after_cut_short,
    after_epoch,
    after_quiet,
    after_trouble,
    is_epoch_over,
)

MIB = 1 << 20


def test_a_window_that_is_full_and_helps_grows_to_its_bound():
    window, sizes = RequestWindow(), []
    for epoch in range(5):
        window = after_epoch(window, 40e6 * 2**epoch, was_full=True, now_s=float(epoch))
        sizes.append(window.bytes_max)
    assert sizes == [8 * MIB, 16 * MIB, 16 * MIB, 16 * MIB, 16 * MIB]


def test_growth_that_brings_nothing_is_taken_back_and_not_tried_again_for_a_while():
    window = after_epoch(RequestWindow(), 20e6, was_full=True, now_s=0.0)
    window = after_epoch(window, 21e6, was_full=True, now_s=1.0)
    assert window.bytes_max == BYTES_IN_FLIGHT
    assert after_epoch(window, 20e6, was_full=True, now_s=SETTLED_S).bytes_max == BYTES_IN_FLIGHT
    assert after_epoch(window, 20e6, was_full=True, now_s=1.0 + SETTLED_S).bytes_max == 2 * BYTES_IN_FLIGHT


def test_a_window_that_nobody_waits_for_stays():
    assert after_epoch(RequestWindow(), 1e6, was_full=False, now_s=0.0) == RequestWindow()


def test_trouble_halves_everything_and_a_quiet_while_gives_it_back():
    window = after_trouble(RequestWindow(), 64, now_s=0.0)
    assert (window.bytes_max, window.requests_max, window.files_max) == (2 * MIB, 512, 32)
    assert after_quiet(window, QUIET_S - 0.1) == window
    window = after_quiet(window, QUIET_S)
    assert (window.bytes_max, window.requests_max, window.files_max) == (4 * MIB, 1024, 64)


def test_trouble_after_trouble_is_no_throttle_for_ever_though_nothing_ever_fills_the_window():
    window = RequestWindow()
    for cut in range(6):
        window = after_trouble(window, window.files_max or 64, now_s=float(cut))
    assert window.files_max == FILES_LEAST
    for number in range(1, 10):
        window = after_quiet(window, 6.0 + number * QUIET_S)
    assert window == replace(RequestWindow(), settled_until_s=window.settled_until_s)


def test_a_window_that_had_no_trouble_stays_as_it_is():
    assert after_quiet(RequestWindow(), 1e9) == RequestWindow()


def test_each_write_waits_for_the_one_before_after_a_file_was_cut_short_also_in_later_trouble():
    assert after_trouble(after_cut_short(RequestWindow()), 8, now_s=1.0).one_write


def test_an_epoch_has_several_windows_and_half_a_second():
    assert is_epoch_over(RequestWindow(), 16 * MIB, 0.5)
    assert not is_epoch_over(RequestWindow(), 16 * MIB, 0.4)
    assert not is_epoch_over(RequestWindow(), 15 * MIB, 2.0)


EVENTS = st.lists(
    st.tuples(st.floats(0.0, 1e9), st.booleans(), st.sampled_from(["epoch", "trouble", "short"]), st.integers(1, 300))
)


@given(EVENTS)
def test_the_window_is_never_closed_and_never_boundless(events):
    window = RequestWindow()
    for second, (rate, was_full, event, files) in enumerate(events):
        if event == "epoch":
            window = after_epoch(window, rate, was_full=was_full, now_s=30.0 * second)
        elif event == "trouble":
            window = after_trouble(window, files, now_s=30.0 * second)
        else:
            window = after_cut_short(window)
        window = after_quiet(window, 30.0 * second)
        assert BYTES_LEAST <= window.bytes_max <= BYTES_MOST
        assert REQUESTS_LEAST <= window.requests_max <= REQUESTS_IN_FLIGHT
        assert window.files_max is None or window.files_max >= FILES_LEAST


@given(EVENTS)
def test_a_link_that_profits_has_the_whole_window_again_after_the_last_trouble(events):
    window = RequestWindow()
    for second, (_, _, _, files) in enumerate(events):
        window = after_trouble(window, files, now_s=float(second))
    now_s = float(len(events)) + SETTLED_S
    for epoch in range(10):
        window = after_quiet(window, now_s + epoch * QUIET_S)
        window = after_epoch(window, 1e6 * 2**epoch, was_full=True, now_s=now_s + epoch)
    assert (window.bytes_max, window.requests_max) == (BYTES_MOST, REQUESTS_IN_FLIGHT)
