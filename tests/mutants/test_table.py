"""The table of mutants cannot rot: each still has its place in the code, and each test it names is there."""

import ast
from collections import Counter

import pytest

from tests.architecture.tree import ROOT, syntax_of
from tests.mutants.run import mutated
from tests.mutants.table import MUTANTS

NAMES = [mutant.name for mutant in MUTANTS]


def source_of(mutant):
    return (ROOT / "src" / mutant.file).read_text(encoding="utf-8")


@pytest.mark.parametrize("mutant", MUTANTS, ids=NAMES)
def test_a_mutant_s_old_text_stands_once_and_its_new_one_is_another_program(mutant):
    source = source_of(mutant)
    assert source.count(mutant.old) == 1
    assert ast.dump(ast.parse(mutated(mutant, source))) != ast.dump(ast.parse(source))


@pytest.mark.parametrize("mutant", MUTANTS, ids=NAMES)
def test_the_tests_that_have_to_fail_are_there(mutant):
    assert mutant.tests
    for test in mutant.tests:
        path, _, name = test.partition("::")
        assert name in {node.name for node in ast.walk(syntax_of(ROOT / path)) if isinstance(node, ast.FunctionDef)}


def test_every_mutant_has_a_name_and_a_place_of_its_own_and_says_what_it_would_do():
    assert [name for name, count in Counter(NAMES).items() if count > 1] == []
    changes = Counter((mutant.file, mutant.old, mutant.new) for mutant in MUTANTS)
    assert [change for change, count in changes.items() if count > 1] == []
    assert [mutant.name for mutant in MUTANTS if not mutant.harm.endswith(".")] == []


def test_the_page_tells_of_every_mutant_and_its_tests():
    page = (ROOT / "docs" / "mutants.md").read_text(encoding="utf-8")
    lines = [line for line in page.splitlines() if line.startswith("| ")]
    rows = {cells[1].strip(): line for line in lines if (cells := line.split("|"))[1].strip() in NAMES}
    assert list(rows) == NAMES
    for mutant in MUTANTS:
        assert all(test.partition("::")[2] in rows[mutant.name] for test in mutant.tests), mutant.name
