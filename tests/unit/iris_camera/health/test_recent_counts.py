from iris_camera.health.recent_counts import RecentCounts

NONE_SEEN = RecentCounts(300.0, {})


def after(*looks):
    """The value after checks of one camera: (seconds, restarts)."""
    restarts = NONE_SEEN
    for now_s, count in looks:
        restarts = restarts.seen({"line-1": count}, now_s)
    return restarts


def test_a_camera_never_seen_has_no_restarts():
    assert NONE_SEEN.lately("line-1") == 0


def test_restarts_within_the_time_are_counted():
    assert after((0, 0), (10, 1), (20, 1), (30, 3)).lately("line-1") == 3


def test_restarts_before_the_first_check_are_counted_as_recent():
    assert after((0, 4)).lately("line-1") == 4


def test_restarts_of_long_ago_are_forgotten():
    assert after((0, 0), (10, 5), (309, 5)).lately("line-1") == 5
    assert after((0, 0), (10, 5), (311, 5)).lately("line-1") == 0
    assert after((0, 0), (10, 5), (200, 6), (311, 6)).lately("line-1") == 1


def test_a_camera_made_again_has_no_restarts():
    assert after((0, 0), (10, 5), (20, 0)).lately("line-1") == 0
    assert after((0, 0), (10, 5), (20, 1)).lately("line-1") == 1


def test_a_camera_that_is_gone_is_forgotten_and_the_others_are_not():
    seen = NONE_SEEN.seen({"line-1": 1, "line-2": 2}, 0).seen({"line-2": 2}, 1)
    assert (seen.lately("line-1"), seen.lately("line-2")) == (0, 2)


def test_the_memory_stays_small_while_no_count_changes():
    assert len(after(*((second, 7) for second in range(1000))).samples["line-1"]) <= 2
