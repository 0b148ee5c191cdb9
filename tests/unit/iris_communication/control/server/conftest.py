"""An outbox that notes what it was asked, behind an open control socket."""

import pytest

from tests.unit.iris_communication.control.recording_outbox import RecordingOutbox
from tests.unit.iris_communication.control.server.listening import opened


@pytest.fixture
def outbox(tmp_path):
    made = RecordingOutbox()
    with opened(tmp_path, made):
        yield made
