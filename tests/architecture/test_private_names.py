"""No test reaches into a private name of another module: it tests what a part promises, not how the part keeps it.

A name with a leading underscore may be changed by whoever works on its file, without a look at anything else. A test
that needs one asks for something the part should offer by a public name: its pace, its limit, an answer.

A file's own private names are its own affair, and so is what its classes inherit (`self._x`).
"""

import ast
import warnings
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

import pytest

from tests.architecture.tree import python_files, syntax_of

HERE = Path(__file__).name  # it holds examples of what is wrong
CHECKED = [path for path in (*python_files("tests"), *python_files("benchmarks")) if path.name != HERE]
PUBLIC_IN_SPIRIT = {"_asdict", "_exit", "_field_defaults", "_fields", "_make", "_replace"}  # named tuples', os's
OF_ITSELF = {"self", "cls", "super()"}

BY_TEXT = {"attrgetter", "delattr", "getattr", "hasattr", "methodcaller", "object", "patch", "setattr"}
"""The calls that take a name as a text: the builtins, monkeypatch.setattr, mock.patch.object ..."""

FOREIGN = {
    (
        "tests/contract/transport/test_algorithms.py",
        "_client_kexinit",
    ): "asyncssh has no public name for a client's offer",
    ("tests/contract/transport/test_algorithms.py", "_send_ext_info"): "asyncssh has no public way to leave it out",
    ("tests/contract/transport/test_session.py", "_transport"): "asyncssh's abort() takes effect a turn later",
    ("tests/integration/servers/facts.py", "_handle"): "asyncssh has no public name for the handle of an open file",
    ("tests/simulation/test_outbox_machine.py", "_set_running_loop"): "asyncio names only a loop that runs",
    ("tests/unit/iris_communication/delivery/connection_line.py", "_scheduled"): "asyncio has no list of its timers",
}
"""Where a private name of another project is used, and why no public one serves."""


def is_private(name: str) -> bool:
    return name.startswith("_") and bool(name.strip("_")) and not name.endswith("__") and name not in PUBLIC_IN_SPIRIT


def own(tree: ast.Module) -> set[str]:
    """What the file itself defines: its functions, its classes, what stands in these, and what is set on self."""
    names = set()
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                names.add(node.name)
            case ast.Attribute(value=ast.Name(id="self" | "cls"), ctx=ast.Store()):
                names.add(node.attr)
            case ast.Name(ctx=ast.Store()):
                names.add(node.id)
    return names


def reached(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """The line and the name of each use of a private name that the file does not define."""
    defined = own(tree)
    for node in ast.walk(tree):
        if (program := program_in(node)) is not None:
            yield from ((node.lineno + line - 1, name) for line, name in reached(program))
        for name in named(node):
            if is_private(name) and name not in defined:
                yield node.lineno, name


def named(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Import(names=imported):
            yield from (part for each in imported for part in each.name.split("."))
        case ast.ImportFrom(module=module, names=imported):
            yield from (*(module or "").split("."), *(each.name for each in imported))
        case ast.Attribute(value=of, attr=name) if ast.unparse(of) not in OF_ITSELF:
            yield name
        case ast.Call(func=ast.Name(id=called) | ast.Attribute(attr=called), args=arguments) if called in BY_TEXT:
            for argument in arguments:
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    yield from argument.value.split(".")


def program_in(node: ast.AST) -> ast.Module | None:
    """The program in a text of more than one line: what a test runs in a process of its own."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and "\n" in node.value:
        with warnings.catch_warnings(action="ignore"), suppress(SyntaxError, ValueError):  # most texts are no program
            return ast.parse(node.value)
    return None


@cache
def found() -> list[tuple[str, int, str]]:
    return [(str(path), line, name) for path in CHECKED for line, name in reached(syntax_of(path))]


def test_no_test_reaches_into_a_private_name_of_another_module():
    assert len(CHECKED) > 300
    assert [f"{path}:{line} {name}" for path, line, name in found() if (path, name) not in FOREIGN] == []


def test_each_exception_is_used():
    assert FOREIGN.keys() - {(path, name) for path, _, name in found()} == set()


@pytest.mark.parametrize(
    "text",
    [
        "from iris_camera.app import _current",
        "import asyncssh._channel",
        "from asyncssh._channel import Channel",
        "assert store._db is None",
        "made()._config = 1",
        "class Own(Store):\n    def look(self):\n        return self.store._db",
        "class Own:\n    _mine = 1\n\nOwn().other._db",
        "monkeypatch.setattr(app, '_current', None)",
        "monkeypatch.setattr('iris_camera.app._current', None)",
        "mock.patch.object(app, '_current')",
        "getattr(app, '_current')",
        "PROGRAM = '''\nfrom iris_camera import app\nassert app._current\n'''",
    ],
)
def test_a_private_name_of_another_module_is_found(text):
    assert len(list(reached(ast.parse(text)))) == 1


@pytest.mark.parametrize(
    "text",
    [
        "class Own:\n    def __init__(self):\n        self._seen = []\n\nassert Own()._seen == Own().__dict__",
        "class Own(Store):\n    def look(self):\n        return self._db or super()._db",
        "class Own:\n    _mine: int = 1\n\nassert Own._mine",
        "def _made():\n    return [_ for _ in range(3)]\n\n_made()",
        "monkeypatch.setattr(os, '_exit', left.append)",
        "times._replace(seconds=1)",
        "text.replace('_f1234', '')",
    ],
)
def test_a_name_of_the_file_itself_is_no_finding(text):
    assert list(reached(ast.parse(text))) == []
