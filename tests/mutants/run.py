"""`make mutants`: is each promise about not losing anything held by a test? `python -m tests.mutants.run [WORD ...]`

For each mutant the sources are copied, the one change is made in the copy, and the tests it names are run on it: each
of them has to fail. Before that, all named tests have to pass on a copy without any change. One line each; the exit
status is 1 when a mutant survives, 2 when the tests could not be run as they should be, which says nothing about any.
With words given: only the mutants in whose names one of them is.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tests.mutants.mutant import Mutant
from tests.mutants.table import MUTANTS

ROOT = Path(__file__).resolve().parents[2]
AT_ONCE = 2
ONE_S = 120
ALL_S = 240
TESTS_FAILED = 1  # pytest's exit status; every other one but 0 means that they were not run as they should be
# The method `signal` raises in the test wherever it is: at a place without a source line pytest fails as well.
TIMED = ("--timeout=60", "--timeout-method=thread")
HUNG = re.compile(r"^\++ Timeout \++$", re.MULTILINE)  # pytest-timeout's last line before it ends the process


class Trouble(RuntimeError):
    """The tests could not be run as they should be: that says nothing about a mutant."""


class Outcome(NamedTuple):
    """`failed` are the named tests that failed, `passed` those that did not notice."""

    failed: tuple[str, ...]
    passed: tuple[str, ...]


def main(words: Sequence[str]) -> int:
    chosen = [mutant for mutant in MUTANTS if not words or any(word in mutant.name for word in words)]
    if not chosen:
        say(f"no mutant has any of these words in its name: {' '.join(words)}")
        return 2
    began_s = time.monotonic()
    if failed := failing(None, sorted({test for mutant in chosen for test in mutant.tests}), ALL_S):
        say("these tests fail without any mutant: " + " ".join(failed))
        return 2
    survived = 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for mutant, outcome in zip(chosen, pool.map(fate, chosen), strict=True):
            survived += bool(outcome.passed)
            say(line(mutant, outcome))
    took_s = time.monotonic() - began_s
    say(f"mutants={len(chosen)} killed={len(chosen) - survived} survived={survived} seconds={took_s:.0f}")
    return 1 if survived else 0


def line(mutant: Mutant, outcome: Outcome) -> str:
    if outcome.passed:
        return f"SURVIVED {mutant.name} ({mutant.file}): not noticed by {' '.join(map(short, outcome.passed))}"
    return f"{mutant.name}: killed by {' '.join(map(short, outcome.failed))}"


def short(test: str) -> str:
    return test.rpartition("/")[2]


def fate(mutant: Mutant) -> Outcome:
    """Each test has a process of its own: one that hangs ends its own, and the next one runs all the same."""
    failed = tuple(test for test in mutant.tests if failing(mutant, [test], ONE_S))
    return Outcome(failed, tuple(test for test in mutant.tests if test not in failed))


def failing(mutant: Mutant | None, tests: Sequence[str], timeout_s: float) -> tuple[str, ...]:
    """Which of `tests` fail on a copy of the sources with this mutant in it. Raises Trouble."""
    with tempfile.TemporaryDirectory(prefix="iris-mutant-") as folder:
        source = Path(folder) / "src"
        # Without compiled files: one of the same size and second as the mutant's would be taken for the mutant's.
        shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("__pycache__"))
        if mutant is not None:
            path = source / mutant.file
            path.write_text(mutated(mutant, path.read_text(encoding="utf-8")), encoding="utf-8")
        try:
            return judged(tests, _pytest(tests, source, timeout_s))
        except Trouble as trouble:
            raise Trouble(f"{mutant.name if mutant else 'without any mutant'}: {trouble}") from trouble


def mutated(mutant: Mutant, text: str) -> str:
    """Raises Trouble where the place is not to be found, or in more than one."""
    if (count := text.count(mutant.old)) != 1:
        raise Trouble(f"its old text stands {count} times in {mutant.file}")
    return text.replace(mutant.old, mutant.new)


def judged(tests: Sequence[str], ended: "subprocess.CompletedProcess[str]") -> tuple[str, ...]:
    """The tests that failed, each known by the summary's line about it: it failed when any of its cases did. One that
    hangs fails, too; of several it is not known which one did, and what the later ones would say."""
    if ended.returncode not in (0, TESTS_FAILED):
        raise Trouble(f"pytest ended with {ended.returncode}:\n{ended.stdout}{ended.stderr}")
    if ended.returncode == TESTS_FAILED and HUNG.search(ended.stdout):
        if len(tests) == 1:
            return tuple(tests)
        raise Trouble(f"a test hangs:\n{ended.stdout}{ended.stderr}")
    found = {name.partition("[")[0] for name in re.findall(r"^FAILED (\S+)", ended.stdout, re.MULTILINE)}
    failed = tuple(test for test in tests if test in found)
    if bool(failed) is not (ended.returncode == TESTS_FAILED):
        raise Trouble(f"pytest ended with {ended.returncode}, which does not fit what it said:\n{ended.stdout}")
    return failed


def _pytest(tests: Sequence[str], source: Path, timeout_s: float) -> "subprocess.CompletedProcess[str]":
    environment = {
        **os.environ,
        "PYTHONPATH": f"{source}{os.pathsep}{ROOT}",  # before the place that the project is installed from
        "IRIS_MUTANT_SRC": str(source),
        "PYTHONDONTWRITEBYTECODE": "1",
        "IRIS_THOROUGH": "1",
        "COLUMNS": "1000",  # a failed test's name on one line
    }
    options = ["-q", "--tb=no", "-p", "no:cacheprovider", "-p", "tests.mutants.imported_copy", *TIMED]
    try:
        return subprocess.run(
            [sys.executable, "-m", "pytest", *options, *tests],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Trouble(f"the tests took longer than {timeout_s:.0f} s: {' '.join(tests)}") from error


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Trouble as trouble:
        say(str(trouble))
        sys.exit(2)
