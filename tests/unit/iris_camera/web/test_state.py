from iris_camera.web.state import DEAD_SHOWN
from tests.unit.iris_camera.web.fake_line import NOW_S, FakeLine


def test_the_whole_snapshot_holds_time_version_cameras_uploader_and_health():
    line = FakeLine()
    snapshot = line.snapshot()
    assert snapshot == {
        "at_s": NOW_S,
        "version": "0.1.0",
        "cameras": [line.camera.snapshot()],
        "uploader": line.uploader.get_details(),
        "health": line.health,
    }


def test_thousands_of_dead_files_do_not_swell_the_snapshot():
    line = FakeLine()
    line.uploader.dead = [{"id": number} for number in range(5000)]
    assert len(line.snapshot()["uploader"]["dead"]) == DEAD_SHOWN
    assert len(line.uploader.get_details()["dead"]) == 5000
