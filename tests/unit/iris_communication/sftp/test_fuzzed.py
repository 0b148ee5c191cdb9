"""What the fuzzer looks for, without the fuzzer: its corpus, and inputs of hypothesis. `make fuzz` goes further."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.target import RAW, check

CORPUS = sorted((Path(__file__).parents[3] / "fuzz" / "corpus").iterdir())


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_every_fault_that_was_ever_found_stays_mended(path):
    check(path.read_bytes())


@settings(deadline=None, derandomize=True, max_examples=300, database=None)
@given(st.integers(0, RAW - 1), st.binary(min_size=1, max_size=60))
def test_answers_that_are_spoiled_anywhere_end_every_conversation_and_show_no_part_of_a_file(choice, script):
    check(bytes([choice]) + script)


@settings(deadline=None, derandomize=True, max_examples=300, database=None)
@given(st.binary(max_size=300))
def test_any_bytes_of_a_server_are_understood_or_a_violation(said):
    check(bytes([RAW]) + said)
