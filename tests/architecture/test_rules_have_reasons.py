"""A rule may be set aside, but never silently: each exception stands beside its reason."""

import re
import tomllib

import pytest

from tests.architecture.tree import ROOT, python_files, text_of

WORD = r"[a-z]{2,}"
REASONED_NOQA = re.compile(rf"# noqa: [A-Z]+\d+(?:, ?[A-Z]+\d+)*\b.*{WORD}")
REASONED_TYPE_IGNORE = re.compile(rf"# type: ignore\[[\w, -]+\].*{WORD}")
NOQA, TYPE_IGNORE = "# no" + "qa", "# type: " + "ignore"


RELAXING_SETTING = re.compile(r"ignore_missing_imports|ignore_imports|allow_|(disallow|warn)_\w+ = false")


def has_reason(line: str) -> bool:
    return re.search(rf"#.*{WORD}", line) is not None


def test_each_ignored_ruff_rule_has_a_reason_beside_it():
    text = text_of(ROOT / "pyproject.toml")
    lint = tomllib.loads(text)["tool"]["ruff"]["lint"]
    ignored = lint["ignore"] + [rule for rules in lint["per-file-ignores"].values() for rule in rules]
    lines = re.findall(r'^    "[A-Z]+\d*".*$', text.partition("\nignore = [")[2], re.MULTILINE)
    assert len(lines) == len(ignored), "one rule a line, with its reason"
    assert [line for line in lines if not has_reason(line)] == []


def test_each_relaxed_check_in_pyproject_has_a_reason_beside_it():
    relaxed = [line for line in text_of(ROOT / "pyproject.toml").splitlines() if RELAXING_SETTING.match(line)]
    assert relaxed
    assert [line for line in relaxed if not has_reason(line)] == []


@pytest.mark.parametrize(
    ("mark", "reasoned"),
    [(NOQA, REASONED_NOQA), (TYPE_IGNORE, REASONED_TYPE_IGNORE)],
    ids=["linter", "type checker"],
)
def test_each_exception_in_the_code_names_its_rule_and_has_a_reason_beside_it(mark, reasoned):
    unreasoned = [
        f"{path}:{number}: {line.strip()}"
        for path in python_files()
        for number, line in enumerate(text_of(path).splitlines(), 1)
        if mark in line and "re.compile" not in line and not reasoned.search(line)
    ]
    assert unreasoned == []


def test_a_bare_exception_counts_as_unreasoned():
    assert not REASONED_NOQA.search("x = 1  " + NOQA)
    assert not REASONED_NOQA.search("x = 1  " + NOQA + ": S603")
    assert REASONED_NOQA.search("x = 1  " + NOQA + ": S603 - our own program")
    assert not REASONED_TYPE_IGNORE.search("x = 1  " + TYPE_IGNORE + "[arg-type]")
