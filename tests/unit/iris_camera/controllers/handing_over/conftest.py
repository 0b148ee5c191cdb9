"""Makes what hands over, and ends it with its test."""

import pytest

from iris_camera.controllers.evidence_writer import ON_THIS_MACHINE, EvidenceWriter
from iris_camera.controllers.handing_over import HandingOver
from iris_camera.records.camera_run import CameraRun
from iris_camera.records.settings import EvidenceSettings, RecordSettings
from tests.unit.iris_camera.controllers.handing_over.hand_over import (
    DESTINATION,
    LONG_S,
    NO_RESERVE,
    RUN,
    HangingUploader,
    finished,
)


@pytest.fixture
def make(tmp_path):
    """Makes one that is not started; whatever happens, its thread ends with the test."""
    made = []
    finished.recorders = {}

    def make_one(uploader, *, records=NO_RESERVE, evidence=(), run=RUN, machine=ON_THIS_MACHINE, **options):
        whose, settings = CameraRun("line-1", run, tmp_path), RecordSettings(**records)
        pictures = EvidenceWriter(
            whose, EvidenceSettings(**dict(evidence)), settings.disk_reserve_bytes, machine=machine, **options
        )
        handing_over = HandingOver(whose, uploader, DESTINATION, settings, pictures, machine=machine)
        made.append((handing_over, uploader))
        return handing_over

    yield make_one
    for handing_over, uploader in made:
        if isinstance(uploader, HangingUploader):
            uploader.let.set()
        handing_over.close()
        assert handing_over.join(LONG_S)
