"""How far a search goes: `make test` tries a part of the cases, `make test-all` and the mutants at all of them.

The part is spread over the whole. What a search is for (a cut at every byte, every page of a file) does not change.
"""

import os
from collections.abc import Sequence
from typing import TypeVar

THOROUGH = os.environ.get("IRIS_THOROUGH") == "1"
PART = 4
Case = TypeVar("Case")


def some(cases: Sequence[Case]) -> Sequence[Case]:
    return cases if THOROUGH else cases[::PART]


def examples(count: int) -> int:
    """For hypothesis."""
    return count if THOROUGH else count // PART
