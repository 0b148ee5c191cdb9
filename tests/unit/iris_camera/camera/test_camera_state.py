import pytest

from iris_camera.camera.camera_state import (
    THE_END,
    CameraLimits,
    CameraLost,
    Closed,
    Ended,
    Looked,
    Pictures,
    after,
    first_state,
)

LIVE = CameraLimits(offline_after_s=2.0, stalled_after_s=5.0)
FILE = CameraLimits(offline_after_s=2.0, stalled_after_s=None)


def events_of(happenings, limits=LIVE):
    """The events of a camera to which this happens: (second, state, reason)."""
    state, events = first_state(0.0), []
    for at_s, happening in happenings:
        state, is_event = after(state, happening, limits, at_s)
        if is_event:
            events.append((at_s, state.state, state.reason))
    return events


def looked(first_s, last_s):
    return [(float(at_s), Looked()) for at_s in range(first_s, last_s + 1)]


def test_a_camera_is_offline_before_anything_happens_without_an_event():
    assert first_state(0.0).state == "offline"
    assert events_of([(0.1, Looked())]) == []


def test_the_first_picture_makes_it_online_at_once():
    assert events_of([(0.3, Pictures(0.3))]) == [(0.3, "online", None)]


def test_further_pictures_are_no_event():
    assert len(events_of([(second, Pictures(second)) for second in range(1, 20)])) == 1


def test_a_loss_that_lasts_makes_it_offline_with_its_reason():
    events = events_of([(1.0, Pictures(1.0)), (2.0, CameraLost("it was unplugged")), *looked(3, 9)])
    assert events[1:] == [(4.0, "offline", "it was unplugged")]


def test_a_blip_is_no_event():
    events = events_of([(1.0, Pictures(1.0)), (2.0, CameraLost("gone")), (3.9, Pictures(3.9)), *looked(4, 6)])
    assert events == [(1.0, "online", None)]


def test_one_blip_after_another_is_not_added_up():
    happenings = [(0.5, Pictures(0.5))]
    for second in range(1, 30, 2):
        happenings += [(float(second), CameraLost("gone")), (second + 1.0, Pictures(second + 1.0))]
    assert len(events_of(happenings)) == 1


def test_one_failed_try_after_another_is_one_loss():
    tries = [(2.0 + number / 2, CameraLost("refused")) for number in range(8)]
    assert events_of([(1.0, Pictures(1.0)), *tries])[1:] == [(4.0, "offline", "refused")]


def test_a_camera_that_never_answered_is_reported_as_offline():
    assert events_of([(0.1, CameraLost("no route to the host")), *looked(1, 9)]) == [
        (2.0, "offline", "no route to the host")
    ]


def test_a_new_reason_is_shown_and_no_event():
    state, _ = after(first_state(0.0), CameraLost("refused"), LIVE, 2.5)
    state, is_event = after(state, CameraLost("wrong password"), LIVE, 3.0)
    assert (state.reason, is_event) == ("wrong password", False)
    assert state.since_s == 2.5


def test_a_connection_without_pictures_is_stalled():
    events = events_of([(1.0, Pictures(1.0)), *looked(2, 20)])
    assert events[1:] == [(7.0, "stalled", "no picture for more than 5 s")]


def test_a_picture_ends_the_stall():
    assert events_of([(1.0, Pictures(1.0)), (7.0, Looked()), (8.0, Pictures(8.0))])[-1] == (8.0, "online", None)


def test_a_stalled_camera_that_is_then_lost_goes_offline():
    events = events_of([(1.0, Pictures(1.0)), (7.0, Looked()), (8.0, CameraLost("no picture for 7 s")), *looked(9, 11)])
    assert [state for _, state, _ in events] == ["online", "stalled", "offline"]


def test_a_file_or_folder_never_stalls():
    assert events_of([(1.0, Pictures(1.0)), (10_000.0, Looked())], FILE) == [(1.0, "online", None)]


def test_a_film_that_ended_is_done_with_at_once():
    assert events_of([(1.0, Pictures(1.0)), (1.1, Ended())], FILE)[-1] == (1.1, "disabled", THE_END)


def test_a_film_that_ended_too_soon_is_offline_at_once():
    assert events_of([(1.0, Pictures(1.0)), (1.1, Ended("3 of 10 frames"))], FILE)[-1] == (
        1.1,
        "offline",
        "3 of 10 frames",
    )


@pytest.mark.parametrize("before", [Pictures(1.0), CameraLost("gone"), Ended("over"), Looked()])
def test_a_closed_camera_is_disabled_whatever_it_was_and_stays_so(before):
    later = [(2.0, Closed()), (3.0, Pictures(3.0)), (9.0, CameraLost("late")), (10.0, Closed())]
    assert events_of([(1.0, before), *later])[-1] == (2.0, "disabled", None)
