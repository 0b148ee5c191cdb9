"""When a server is looked at next."""

import random
from dataclasses import replace

import pytest

from iris_communication.decisions.breaker import Breaker, BreakerState
from iris_communication.decisions.health_schedule import FIRST_WITHIN_S, HealthSchedule, next_check_s

NOW_S = 40_001.5
CHECKED = HealthSchedule(known_s=NOW_S - 1000, jitter=0.5, checked_s=NOW_S)


def opened(until_s):
    return Breaker(BreakerState.OPEN, failures=3, until_s=until_s)


@pytest.mark.parametrize(("jitter", "wait_s"), [(0.0, 0.0), (0.5, FIRST_WITHIN_S / 2)])
def test_the_first_look_comes_soon(jitter, wait_s):
    assert next_check_s(HealthSchedule(NOW_S, jitter), 60.0, Breaker()) == NOW_S + wait_s


def test_the_first_look_comes_within_a_short_interval():
    assert next_check_s(HealthSchedule(NOW_S, 0.5), 1.0, Breaker()) == NOW_S + 0.5


@pytest.mark.parametrize(("jitter", "wait_s"), [(0.0, 54.0), (0.5, 60.0), (1.0, 66.0)])
def test_the_next_look_comes_after_the_interval_stretched_or_shortened_by_chance(jitter, wait_s):
    assert next_check_s(replace(CHECKED, jitter=jitter), 60.0, Breaker()) == pytest.approx(NOW_S + wait_s)


@pytest.mark.parametrize("schedule", [CHECKED, HealthSchedule(NOW_S, 0.5)])
def test_an_interval_of_0_means_never(schedule):
    assert next_check_s(schedule, 0.0, Breaker()) is None


def test_a_thousand_plants_that_start_together_do_not_look_together():
    jitter = random.Random(1)
    looks = sorted(next_check_s(HealthSchedule(NOW_S, jitter.random()), 60.0, Breaker()) for _ in range(1000))
    busiest = max(sum(1 for look in looks if begin <= look < begin + 1.0) for begin in looks)
    assert busiest < 150, "in the busiest second of ten"


def test_a_look_that_would_only_repeat_what_work_says_is_put_off():
    assert next_check_s(replace(CHECKED, answered_s=NOW_S + 50), 60.0, Breaker()) == pytest.approx(NOW_S + 110)


def test_work_before_the_last_look_puts_nothing_off():
    assert next_check_s(replace(CHECKED, answered_s=NOW_S - 50), 60.0, Breaker()) == pytest.approx(NOW_S + 60)


def test_work_puts_a_look_off_for_five_intervals_and_no_longer():
    assert next_check_s(replace(CHECKED, answered_s=NOW_S + 9999), 60.0, Breaker()) == pytest.approx(NOW_S + 300)


def test_work_does_not_put_off_the_first_look():
    assert next_check_s(HealthSchedule(NOW_S, 0.5, answered_s=NOW_S + 9), 60.0, Breaker()) == NOW_S + 5


def test_an_open_breaker_is_not_asked_before_its_time():
    assert next_check_s(CHECKED, 60.0, opened(NOW_S + 200)) == NOW_S + 200


def test_an_open_breaker_whose_time_comes_early_is_not_asked_more_often_than_the_interval_says():
    assert next_check_s(CHECKED, 60.0, opened(NOW_S + 2)) == pytest.approx(NOW_S + 60)


@pytest.mark.parametrize("state", [BreakerState.HELD, BreakerState.HALF_OPEN])
def test_a_held_breaker_and_one_that_is_being_probed_are_left_alone(state):
    assert next_check_s(CHECKED, 60.0, Breaker(state, failures=1)) is None
