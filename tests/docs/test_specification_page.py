"""docs/specification.md names a test for each point: it must exist, and no point that is met goes without one."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "specification.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE)
POINTS = re.findall(r"^\| (\d+) \|.*\|([^|]*)\|([^|]*)\|$", PAGE, re.MULTILINE)


@pytest.mark.parametrize(("file", "test"), NAMED)
def test_a_test_that_the_page_names_exists(file, test):
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    assert not test or test in functions, f"{file} has no {test}"


def test_every_point_of_the_specification_is_there_once_and_in_order():
    assert [int(number) for number, _, _ in POINTS] == list(range(1, 27))


@pytest.mark.parametrize(("number", "where", "shown"), POINTS)
def test_a_point_names_its_test_or_says_not_yet(number, where, shown):
    assert "tests/" in shown or "not yet" in where, f"point {number} is shown by nothing"
