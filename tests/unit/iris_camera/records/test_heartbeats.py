from iris_camera.records.csv_file import HeartbeatRow, ModelRow
from iris_camera.records.heartbeats import Heartbeats

SEEN = [ModelRow(1, 1, 10.0, 20.0, 30.0, 40.0, 0.9)]


def frames_with_heartbeats(heartbeats, times_s):
    return [frame for frame, at_s in enumerate(times_s) if heartbeats.rows([], frame, at_s) == [HeartbeatRow(frame)]]


def test_no_heartbeats_are_written_without_an_interval():
    heartbeats = Heartbeats(None)
    assert frames_with_heartbeats(heartbeats, range(1000)) == []
    assert heartbeats.rows(SEEN, 1, 5.0) == SEEN


def test_the_first_frame_on_which_nothing_is_seen_shows_that_the_camera_runs():
    assert frames_with_heartbeats(Heartbeats(10.0), [100.0]) == [0]


def test_each_interval_has_at_most_one_heartbeat():
    assert frames_with_heartbeats(Heartbeats(10.0), [0.5 * n for n in range(60)]) == [0, 20, 40]


def test_a_frame_on_which_something_is_seen_needs_none_and_puts_off_the_next():
    heartbeats = Heartbeats(10.0)
    assert heartbeats.rows(SEEN, 0, 100.0) == SEEN
    assert heartbeats.rows([], 1, 109.9) == []
    assert heartbeats.rows([], 2, 110.0) == [HeartbeatRow(2)]
