"""A line to a server in memory."""

import pytest

from tests.unit.iris_communication.delivery.carrier_line import CarrierLine


@pytest.fixture
def line(tmp_path):
    return CarrierLine(tmp_path)
