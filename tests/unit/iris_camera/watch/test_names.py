import pytest

from iris_camera.watch.names import Names


@pytest.mark.parametrize(
    "name", [".x", "a.csv~", "~lock.csv", "a.csv.tmp", "A.TMP", "a.part", "a.csv.partial", "a.filepart", ".a.csv.swp"]
)
def test_a_writers_temporary_name_is_left_out(name):
    assert not Names().mean(name)
    assert not Names(("*",)).mean(name), "whatever is asked for"


def test_every_other_name_is_watched_without_a_pattern():
    assert all(map(Names().mean, ["a.csv", "a", "part.csv", "tmp.csv", "ü", "a b.csv", "\udcff.csv"]))


def test_a_watched_name_matches_one_of_the_patterns():
    names = Names(("*.csv", "image-??.jpg"))
    assert [name for name in ("a.csv", "image-01.jpg", "image-1.jpg", "a.CSV") if names.mean(name)] == [
        "a.csv",
        "image-01.jpg",
    ]
