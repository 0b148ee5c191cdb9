"""Which names may be one to somebody else's disk."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iris_communication.naming.same_name import folded

COMPOSED = "M\u00fcller \u00e9.csv"


@pytest.mark.parametrize(
    "names",
    [
        ("A.csv", "a.csv", "a.CSV"),
        (COMPOSED, unicodedata.normalize("NFD", COMPOSED), COMPOSED.upper()),
        ("a.csv", "a.csv.", "a.csv ", "a.csv. ."),
        ("/in/a.csv", "/IN/a.csv", "/in./a.csv", "//in//a.csv", "/in/./a.csv", "/in\\a.csv"),
        ("in/a.csv", "./in/a.csv"),
        ("12:30.csv", "12_30.csv", "12?30.csv"),
        ("stra\u00dfe.csv", "STRASSE.csv"),
        ("\uff21.csv", "a.csv"),  # full width
        ("\u212a.csv", "k.csv"),  # the sign for kelvin
        ("caf\udce9.csv", "caf\udce8.csv", "caf\ufffd.csv", "caf?.csv"),  # bytes that are no UTF-8
        ("a.csv", "a\u200d.csv", "\ufeffa.csv", "a.c\u00adsv"),  # characters that HFS+ leaves out
    ],
)
def test_names_that_some_disk_takes_for_one_are_folded_to_one(names):
    assert len({folded(name) for name in names}) == 1


@pytest.mark.parametrize(
    "names", [("a.csv", "b.csv"), ("a.csv", "in/a.csv"), ("a.csv", "acsv"), (".a", "a"), ("a1", "a2")]
)
def test_other_names_stay_apart(names):
    assert len({folded(name) for name in names}) == len(names)


@given(st.text(st.characters(codec=None), max_size=40))
def test_folding_takes_any_text_and_knows_no_difference_of_composition(name):
    assert folded(unicodedata.normalize("NFD", name)) == folded(unicodedata.normalize("NFC", name))
