"""The layers of imports are contracts in pyproject.toml, held by `make check`. Here: no module is without a layer, and
other packages import only what a package says is public."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT, python_files, syntax_of

CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]


def module_of(path: Path) -> str:
    return ".".join(path.relative_to("src").with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_of(path): path for path in python_files("src")}


def public_parts(path: Path) -> tuple[str, ...] | None:
    for node in syntax_of(path).body:
        match node:
            case ast.Assign([ast.Name("PUBLIC")], parts):
                return tuple(ast.literal_eval(parts))
    return None


PACKAGES = {name: path for name, path in MODULES.items() if path.name == "__init__.py"}
SAYING = {name: parts for name, path in PACKAGES.items() if (parts := public_parts(path)) is not None}


def imported_by(path: Path) -> Iterator[str]:
    for node in ast.walk(syntax_of(path)):
        match node:
            case ast.Import(names):
                yield from (each.name for each in names)
            case ast.ImportFrom(str(module), names):
                inner = {f"{module}.{each.name}" for each in names}
                yield from inner & MODULES.keys() or {module}


def is_within(module: str, *names: str) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in names)


def test_every_contract_of_layers_counts_every_module():
    layered = [contract for contract in CONTRACTS if contract["type"] == "layers"]
    assert [contract["id"] for contract in layered if contract.get("exhaustive") is not True] == []


@pytest.mark.parametrize("package", SAYING)
def test_others_import_only_what_a_package_says_is_public(package):
    public = [f"{package}.{part}" for part in SAYING[package]]
    own = package if "." in package else "iris_communication"
    wrong = {
        (module_of(path), name)
        for path in MODULES.values()
        if not is_within(module_of(path), own)
        for name in imported_by(path)
        if is_within(name, package) and name != package and not is_within(name, *public)
    }
    assert wrong == set()


@pytest.mark.parametrize("package", SAYING)
def test_every_module_that_a_package_calls_public_is_there(package):
    assert [part for part in SAYING[package] if f"{package}.{part}" not in MODULES] == []
