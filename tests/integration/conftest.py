"""What every integration test begins with: an uploader that runs, and a folder to make files in."""

import pytest

from tests.integration.uploading import running


@pytest.fixture
def uploader(tmp_path):
    with running(tmp_path / "outbox") as opened:
        yield opened


@pytest.fixture
def sources(tmp_path):
    folder = tmp_path / "sources"
    folder.mkdir()
    return folder
