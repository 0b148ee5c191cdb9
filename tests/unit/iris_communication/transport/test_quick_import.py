"""The search for a library that is not there is spared, and no other."""

import ctypes.util
import re
from pathlib import Path

import pytest

from iris_communication.transport.quick_import import without_a_search

ROOT = Path(__file__).resolve().parents[4]
DIRECT = re.compile(r"^\s*(import asyncssh|from asyncssh)", re.MULTILINE)


@pytest.fixture
def searched(monkeypatch):
    """The names that were searched for."""
    names = []
    monkeypatch.setattr(ctypes.util, "find_library", names.append)
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    return names


@pytest.fixture
def cache(tmp_path):
    path = tmp_path / "ld.so.cache"
    path.write_bytes(b"glibc-ld.so.cache1.1\0libcrypto.so.3\0")
    return path


def test_a_library_that_the_linker_does_not_know_is_not_searched_for(searched, cache):
    before = ctypes.util.find_library
    with without_a_search(cache):
        assert ctypes.util.find_library("oqs") is None
        assert ctypes.util.find_library("liboqs") is None
        ctypes.util.find_library("z")
    assert searched == ["z"]
    assert ctypes.util.find_library is before


def test_a_library_that_may_be_there_is_searched_for(searched, cache, tmp_path, monkeypatch):
    cache.write_bytes(b"libcrypto.so.3\0liboqs.so.5\0")
    with without_a_search(cache):
        ctypes.util.find_library("oqs")
    with without_a_search(tmp_path / "no such cache"):
        ctypes.util.find_library("oqs")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/opt/oqs/lib")
    with without_a_search(cache):
        ctypes.util.find_library("oqs")
    assert searched == ["oqs"] * 3


def test_no_other_file_of_the_library_imports_asyncssh():
    """Whoever does so first decides."""
    found = [path for path in (ROOT / "src/iris_communication").rglob("*.py") if DIRECT.search(path.read_text())]
    assert [path.name for path in found] == ["quick_import.py"]
