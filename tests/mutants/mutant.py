"""What a mutant is: one small change to the code, by which it would lose or damage something."""

from typing import NamedTuple


class Mutant(NamedTuple):
    """`old` stands exactly once in `file` (below `src/`) and becomes `new`. `harm`: what would happen then.
    `tests`: each of them has to fail, by its path and name."""

    name: str
    file: str
    old: str
    new: str
    harm: str
    tests: tuple[str, ...]


def tests_in(folder: str, *names: str) -> tuple[str, ...]:
    """`file.py::test` of one folder below `tests/`."""
    return tuple(f"tests/{folder}/{name}" for name in names)
