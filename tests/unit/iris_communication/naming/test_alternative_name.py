import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iris_communication.naming.alternative_name import NAME_MAX_BYTES, alternative_name

PROPERTY = settings(derandomize=True, deadline=None, database=None)


@pytest.mark.parametrize(
    ("name", "alternative"),
    [
        (b"report.csv", b"report.1f2e3d4c.csv"),
        (b"report", b"report.1f2e3d4c"),
        (b".hidden", b".hidden.1f2e3d4c"),
        (b"a.tar.gz", b"a.tar.1f2e3d4c.gz"),
    ],
)
def test_the_mark_stands_before_the_extension(name, alternative):
    assert alternative_name(name, b"1f2e3d4c") == alternative


def test_no_character_is_cut_in_half():
    cut = alternative_name("ü".encode() * 127 + b".csv", b"1f2e3d4c")
    assert cut.decode().endswith("ü.1f2e3d4c.csv")


@PROPERTY
@given(st.binary(min_size=1, max_size=255).filter(lambda name: b"/" not in name))
def test_the_alternative_name_fits_where_the_name_fits_and_is_another_one(name):
    alternative = alternative_name(name, b"1f2e3d4c")
    assert len(alternative) <= NAME_MAX_BYTES
    assert alternative != name
