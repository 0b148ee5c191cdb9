"""The lock files say exactly what is installed: all that pyproject asks for, each by version and hash."""

import re
import tomllib
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.architecture.tree import ROOT, project_files

LOCK_FILES = [path for path in project_files() if path.parent == Path("requirements") and path.suffix == ".txt"]
SUPPORTED_PYTHONS = ("3.11", "3.12", "3.13", "3.14")
MACHINES = ("x86_64", "aarch64")


@cache
def pyproject() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


@cache
def locked(path: Path) -> tuple[tuple[Requirement, int], ...]:
    """Each requirement of a lock file with how many hashes stand beside it."""
    text = (ROOT / path).read_text().replace("\\\n", " ")
    statements = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return tuple((Requirement(line.split(" --hash")[0]), line.count("--hash=sha256:")) for line in statements)


def environment(python: str, machine: str) -> dict[str, str]:
    return {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": machine,
        "os_name": "posix",
    }


def is_meant(requirement: Requirement, python: str, machine: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate(environment(python, machine))


def versions(path: Path, python: str, machine: str) -> dict[str, str]:
    return {
        canonicalize_name(requirement.name): str(requirement.specifier)
        for requirement, _ in locked(path)
        if is_meant(requirement, python, machine)
    }


def declared(name: str) -> list[str]:
    project, groups = pyproject()["project"]["dependencies"], pyproject()["dependency-groups"]
    extras = pyproject()["project"]["optional-dependencies"]
    project = project + extras["camera"] + extras["uvloop"]
    return {"runtime": project, "development": project + groups["development"], "build": groups["build"]}[name]


def test_the_three_lock_files_are_there():
    assert {path.stem for path in LOCK_FILES} == {"runtime", "development", "build"}


@pytest.mark.parametrize("path", LOCK_FILES, ids=str)
def test_each_locked_requirement_has_one_version_and_a_hash(path):
    wrong = [
        str(requirement)
        for requirement, hashes in locked(path)
        if not re.fullmatch(r"==[^,*]+", str(requirement.specifier)) or hashes == 0 or requirement.url
    ]
    assert locked(path)
    assert wrong == []


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("python", SUPPORTED_PYTHONS)
@pytest.mark.parametrize("path", LOCK_FILES, ids=str)
def test_every_requirement_of_pyproject_is_locked_at_a_version_it_allows(path, python, machine):
    found = versions(path, python, machine)
    asked_for = map(Requirement, declared(path.stem))
    for requirement in (each for each in asked_for if is_meant(each, python, machine)):
        version = found.get(canonicalize_name(requirement.name), "").removeprefix("==")
        assert version, f"{requirement.name} is not locked in {path}: make lock"
        assert requirement.specifier.contains(version), f"{path} holds {requirement.name} {version}: make lock"


def test_development_and_build_are_locked_at_the_same_versions_as_the_runtime():
    held: dict[str, str] = {}
    for path in sorted(LOCK_FILES):
        for name, version in versions(path, "3.11", "x86_64").items():
            assert held.setdefault(name, version) == version, f"{name} in {path}"
    assert versions(Path("requirements/runtime.txt"), "3.11", "x86_64").items() <= held.items()


def test_the_supported_pythons_are_the_ones_pyproject_names_and_set_up_takes():
    named = [text.rpartition(" ")[2] for text in pyproject()["project"]["classifiers"] if " :: 3." in text]
    assert tuple(named) == SUPPORTED_PYTHONS
    assert pyproject()["project"]["requires-python"] == f">={SUPPORTED_PYTHONS[0]}"
    first, last = (f"({version.replace('.', ', ')})" for version in (SUPPORTED_PYTHONS[0], SUPPORTED_PYTHONS[-1]))
    assert f"{first} <= sys.version_info[:2] <= {last}" in (ROOT / "scripts/setup").read_text()


def test_the_extra_all_is_every_other_extra():
    extras = dict(pyproject()["project"]["optional-dependencies"])
    (all_of,) = map(Requirement, extras.pop("all"))
    assert (all_of.name, all_of.extras) == (pyproject()["project"]["name"], extras.keys())


def test_the_build_backend_is_the_locked_one():
    assert set(pyproject()["build-system"]["requires"]) <= set(pyproject()["dependency-groups"]["build"])
