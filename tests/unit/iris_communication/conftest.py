import os
import tempfile
from pathlib import Path

import pytest

from tests.unit.iris_communication.outbox.fake_parts import open_writer, write

IN_MEMORY = Path("/dev/shm")


@pytest.fixture
def tmp_path(tmp_path):
    """In memory where the machine has such a disk: the outbox syncs at every step, and a busy disk takes its time."""
    if not os.access(IN_MEMORY, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=IN_MEMORY, prefix="iris-test-") as folder:
        yield Path(folder)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "outbox"


@pytest.fixture
def outbox(folder):
    with open_writer(folder) as opened:
        yield opened


@pytest.fixture
def source(tmp_path):
    return write(tmp_path / "a.csv")


@pytest.fixture
def sources(tmp_path):
    return [write(tmp_path / f"{number:02}.csv") for number in range(20)]
