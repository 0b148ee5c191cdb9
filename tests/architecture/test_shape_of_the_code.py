"""What keeps the code readable: modules named after an idea, functions of limited length, no error swallowed."""

import ast
from collections import Counter
from pathlib import Path

import pytest

from tests.architecture.tree import python_files, syntax_of, text_of

LONGEST_FUNCTION = 60
LONGEST_MODULE = 450
NAMES_THAT_SAY_NOTHING = {"utils", "util", "helpers", "helper", "manager", "managers", "common", "misc"}
SRC = python_files("src")


def nodes(path: Path, *kinds: type) -> list:
    return [node for node in ast.walk(syntax_of(path)) if isinstance(node, kinds)]


def calls(path: Path) -> list[tuple[ast.Call, str]]:
    return [(call, ast.unparse(call.func)) for call in nodes(path, ast.Call)]


def test_no_module_has_a_name_that_says_nothing():
    assert [path for path in python_files() if {path.stem, *path.parent.parts} & NAMES_THAT_SAY_NOTHING] == []


def test_an_init_file_only_imports():
    def is_allowed(statement: ast.stmt) -> bool:
        if isinstance(statement, ast.Assign):
            return [ast.unparse(target) for target in statement.targets] in (["__all__"], ["PUBLIC"])
        is_docstring = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        return is_docstring or isinstance(statement, ast.Import | ast.ImportFrom)

    inits = [path for path in SRC if path.name == "__init__.py"]
    assert inits
    assert [path for path in inits if not all(is_allowed(line) for line in syntax_of(path).body)] == []


def test_no_function_is_longer_than_a_screen():
    too_long = [
        f"{path}:{node.lineno} {node.name}: {length} lines"
        for path in SRC
        for node in nodes(path, ast.FunctionDef, ast.AsyncFunctionDef)
        if (length := node.end_lineno - node.lineno + 1) > LONGEST_FUNCTION
    ]
    assert too_long == []


@pytest.mark.parametrize("folder", ["src", "tests"])
def test_no_module_is_longer_than_one_idea(folder):
    lengths = {path: text_of(path).count("\n") for path in python_files(folder)}
    assert {path: lines for path, lines in lengths.items() if lines > LONGEST_MODULE} == {}


def test_class_names_of_the_product_are_unique():
    """A search for a name then finds one thing."""
    names = Counter(node.name for path in SRC for node in nodes(path, ast.ClassDef))
    assert [name for name, count in names.items() if count > 1] == []


def test_no_error_is_swallowed():
    def swallows(handler: ast.ExceptHandler) -> bool:
        caught = "" if handler.type is None else ast.unparse(handler.type)
        catches_everything = caught in {"", "Exception", "BaseException"}
        return catches_everything and all(isinstance(line, ast.Pass) for line in handler.body)

    found = [f"{path}:{node.lineno}" for path in SRC for node in nodes(path, ast.ExceptHandler) if swallows(node)]
    assert found == []


def test_the_library_never_prints():
    library = python_files("src/iris_communication")
    assert [f"{path}:{call.lineno}" for path in library for call, name in calls(path) if name == "print"] == []


def test_no_file_in_src_holds_a_todo():
    unfinished = ["TO" + "DO", "FIX" + "ME", "NotImplemented" + "Error"]
    assert [path for path in SRC if any(word in text_of(path) for word in unfinished)] == []


def test_no_unit_test_sleeps():
    def sleeps(call: ast.Call, name: str) -> bool:
        yields_only = name == "asyncio.sleep" and ast.unparse(call.args[0]) == "0"
        return name in {"time.sleep", "sleep", "asyncio.sleep"} and not yields_only

    unit = python_files("tests/unit")
    assert [f"{path}:{call.lineno}" for path in unit for call, name in calls(path) if sleeps(call, name)] == []
