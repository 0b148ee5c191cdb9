"""A module as a new process has it: what it keeps for the whole process begins empty."""

import importlib.util
import sys
from types import ModuleType

import pytest


def fresh_copy(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """To be imported in place of the module until the test ends."""
    spec = importlib.util.find_spec(module.__name__)
    assert spec is not None
    assert spec.loader is not None
    copy = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, module.__name__, copy)
    spec.loader.exec_module(copy)
    return copy
