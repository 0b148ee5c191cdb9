from iris_camera.camera.thinning import Thinning


def taken(frame_rate, times_s):
    thinning = Thinning(frame_rate)
    return [at_s for at_s in times_s if thinning.wants(at_s)]


def test_every_picture_is_wanted_without_a_rate():
    times_s = [number / 25 for number in range(50)]
    assert taken(None, times_s) == times_s


def test_five_of_25_pictures_a_second_are_wanted():
    assert len(taken(5.0, [number / 25 for number in range(250)])) == 50


def test_a_rate_that_does_not_divide_the_cameras_is_kept_on_the_average():
    assert 98 <= len(taken(10.0, [number / 24 for number in range(240)])) <= 100


def test_a_camera_whose_pace_trembles_loses_no_picture_at_its_own_rate():
    times_s = [number / 25 + (0.001 if number % 2 else -0.0005) for number in range(100)]
    assert taken(25.0, times_s) == times_s


def test_no_picture_is_caught_up_after_a_gap():
    assert taken(1.0, [0.0, 10.0, 10.1, 10.2, 11.0]) == [0.0, 10.0, 11.0]
