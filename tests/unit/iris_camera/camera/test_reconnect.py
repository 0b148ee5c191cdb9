import pytest

from iris_camera.camera.reconnect import JITTER, LADDER_S, STEADY_AFTER_S, failures_after, pause_s

MIDDLE = 0.5


def test_a_lost_camera_is_tried_every_second_then_every_five_then_every_ten_then_every_minute_for_ever():
    pauses = [pause_s(failures, MIDDLE) for failures in range(1, 1000)]
    assert pauses[:20] == pytest.approx([1.0] * 5 + [5.0] * 5 + [10.0] * 10)
    assert set(pauses[20:]) == {60.0}


@pytest.mark.parametrize("failures", [1, 7, 15, 500])
def test_the_pause_has_a_jitter_of_a_fifth_either_way(failures):
    middle_s = pause_s(failures, MIDDLE)
    assert pause_s(failures, 0.0) == pytest.approx(middle_s * (1 - JITTER))
    assert pause_s(failures, 1.0) == pytest.approx(middle_s * (1 + JITTER))


def test_another_ladder_may_be_given():
    assert [pause_s(failures, MIDDLE, (0.1, 0.2)) for failures in (1, 2, 3)] == pytest.approx([0.1, 0.2, 0.2])


def test_the_ladder_begins_again_after_a_connection_that_held():
    assert failures_after(17, STEADY_AFTER_S) == 1


def test_a_connection_that_broke_soon_is_one_more_failure():
    failures = 0
    for _ in range(6):
        failures = failures_after(failures, STEADY_AFTER_S - 0.1)
    assert failures == 6
    assert pause_s(failures, MIDDLE) == LADDER_S[5]
