"""Which uploads the demo's server refuses: few enough to be seen one by one, and always the same ones."""

from iris_camera.demo.sftp_server import Refusals


def name(number):
    return b"/incoming/line-1/.iris-%d" % number


def test_the_fifth_upload_is_refused_and_then_twice_as_many_are_taken_each_time():
    refusals = Refusals()
    assert [number for number in range(1, 50) if refusals.refuses(name(number))] == [5, 10, 20, 40]


def test_an_upload_that_was_refused_stays_refused_under_its_name():
    refusals = Refusals()
    assert [refusals.refuses(name(number)) for number in range(1, 6)] == [False, False, False, False, True]
    assert all(refusals.refuses(name(5)) for _ in range(20))
    assert not refusals.refuses(name(6))


def test_a_file_that_has_its_final_name_is_never_refused():
    refusals = Refusals()
    assert not any(refusals.refuses(b"/incoming/line-1/a.csv") for _ in range(50))
