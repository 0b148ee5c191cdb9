"""A spool that takes every source as a file."""

import pytest

from iris_communication.outbox.files.spool import Spool
from tests.unit.iris_communication.outbox.fake_parts import write


@pytest.fixture
def spool(tmp_path):
    (tmp_path / "outbox").mkdir()
    return Spool(tmp_path / "outbox" / "spool", small_max_bytes=-1)


@pytest.fixture
def source(tmp_path):
    return write(tmp_path / "a.csv")
