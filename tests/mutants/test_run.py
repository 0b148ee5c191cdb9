"""The runner itself: whether it reports a mutant that no test notices."""

import subprocess
import sys

import pytest

from tests.mutants.mutant import Mutant
from tests.mutants.run import TIMED, Outcome, Trouble, fate, judged, line, mutated

TOKENS = "tests/unit/iris_communication/outbox/writer/test_tokens.py"
SHAPE, ASKED_ONCE = (
    f"{TOKENS}::test_each_word_is_16_hexadecimal_digits_and_comes_once",
    f"{TOKENS}::test_the_system_is_asked_once_for_many_words",
)
SHORT_WORDS = Mutant(
    "words are short",
    "iris_communication/outbox/writer/tokens.py",
    "        return word.hex()\n",
    "        return word.hex()[:4]\n",
    "Somebody guesses one.",
    (SHAPE, ASKED_ONCE),
)


def ended(status, text=""):
    return subprocess.CompletedProcess([], status, text, "")


def test_the_copy_is_what_is_tested_and_each_test_that_does_not_notice_is_told():
    outcome = fate(SHORT_WORDS)
    assert outcome == Outcome(failed=(SHAPE,), passed=(ASKED_ONCE,))
    assert line(SHORT_WORDS, outcome).startswith("SURVIVED words are short")


def test_a_test_failed_when_any_of_its_cases_did():
    text = "FAILED a/test_b.py::test_c[no-1] - assert 1 == 2\n1 failed, 3 passed"
    assert judged(["a/test_b.py::test_c", "a/test_b.py::test_d"], ended(1, text)) == ("a/test_b.py::test_c",)


@pytest.fixture
def hanging(tmp_path):
    """What pytest says of a test that is caught in a loop, by the way in which mutants' tests are timed."""
    (tmp_path / "test_hangs.py").write_text("def test_for_ever():\n    while True:\n        pass\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *TIMED, "--timeout=0.3"]
    return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)


def test_a_test_that_hangs_has_failed(hanging):
    assert judged(["test_hangs.py::test_for_ever"], hanging) == ("test_hangs.py::test_for_ever",)


def test_the_one_of_several_tests_that_hung_is_not_known(hanging):
    with pytest.raises(Trouble, match="a test hangs"):
        judged(["test_hangs.py::test_for_ever", "test_hangs.py::test_later"], hanging)


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
