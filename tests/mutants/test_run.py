"""The runner itself: whether a mutant that nobody notices is told as one."""

import subprocess

import pytest

from tests.mutants.mutant import Mutant
from tests.mutants.run import ONE_S, Outcome, Trouble, judged, line, mutated, run

TOKENS = "tests/unit/iris_communication/outbox/test_tokens.py"
SHAPE, ASKED_ONCE = (
    f"{TOKENS}::test_each_word_is_16_hexadecimal_digits_and_comes_once",
    f"{TOKENS}::test_the_system_is_asked_once_for_many_words",
)
SHORT_WORDS = Mutant(
    "words are short",
    "iris_communication/outbox/tokens.py",
    "        return word.hex()\n",
    "        return word.hex()[:4]\n",
    "Somebody guesses one.",
    (SHAPE, ASKED_ONCE),
)


def ended(status, text=""):
    return subprocess.CompletedProcess([], status, text, "")


def test_the_copy_is_what_is_tested_and_each_test_that_does_not_notice_is_told():
    outcome = run(SHORT_WORDS, SHORT_WORDS.tests, ONE_S)
    assert outcome == Outcome(failed=(SHAPE,), passed=(ASKED_ONCE,))
    assert line(SHORT_WORDS, outcome).startswith("SURVIVED words are short")


def test_a_test_failed_when_any_of_its_cases_did():
    text = "FAILED a/test_b.py::test_c[no-1] - assert 1 == 2\n1 failed, 3 passed"
    assert judged(["a/test_b.py::test_c", "a/test_b.py::test_d"], ended(1, text)) == (
        ("a/test_b.py::test_c",),
        ("a/test_b.py::test_d",),
    )


@pytest.mark.parametrize("status", [2, 3, 4, 5, 70, -9])
def test_tests_that_were_not_run_kill_nobody(status):
    with pytest.raises(Trouble, match=f"ended with {status}"):
        judged(["a/test_b.py::test_c"], ended(status))


def test_an_error_that_is_no_failed_test_kills_nobody():
    with pytest.raises(Trouble, match="does not fit"):
        judged(["a/test_b.py::test_c"], ended(1, "ERROR a/test_b.py::test_c"))


@pytest.mark.parametrize("text", ["", "return word.hex()\n" * 2])
def test_a_place_that_is_gone_or_not_the_only_one_is_trouble(text):
    with pytest.raises(Trouble, match="its old text stands"):
        mutated(SHORT_WORDS, text)
