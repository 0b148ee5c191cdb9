import logging
import threading
from types import SimpleNamespace

from iris_camera.health import HealthService
from iris_camera.health.facts import Around, CameraFacts, DiskFacts, FolderFacts, HealthLimits, LinkFacts
from iris_camera.health.gathering import gather

NOW_S = 1_700_000_000.0
SERVER = "iris@10.0.0.7:22"


class Camera:
    """A camera whose state the test sets."""

    def __init__(self, name="line-1"):
        self.name = name
        self.seen = {"name": name, "state": "online", "frame_age_s": 0.04, "frames": 7}

    def snapshot(self):
        return dict(self.seen)


class MuteCamera(Camera):
    """A camera that raises when it is asked."""

    def snapshot(self):
        raise RuntimeError("no answer")


class Line:
    """Cameras and an uploader whose state the test sets."""

    def __init__(self, *cameras):
        self.cameras = list(cameras or [Camera()])
        self.server = {"link": "up", "since_s": NOW_S, "reason": None, "hint": None, "waiting": 0}
        self.running = True

    def get_details(self):
        return {
            "running": self.running,
            "state": "running" if self.running else "failed",
            "stats": {"total_queued": 5, "total_uploaded": 3, "total_failed": 0, "queue_size": 2},
            "oldest_waiting_s": 1.5,
            "servers": {SERVER: dict(self.server)},
            "dead": [],
            "last_error": None if self.running else "worker: KeyError",
        }


class MuteUploader(Line):
    """An uploader that raises when it is asked."""

    def get_details(self):
        raise RuntimeError("no answer")


def service(line, **options):
    clock = SimpleNamespace(wall_s=NOW_S, monotonic_s=1000.0)
    health = HealthService(
        cameras=lambda: line.cameras,
        uploader=line,
        wall=lambda: clock.wall_s,
        monotonic=lambda: clock.monotonic_s,
        **options,
    )
    return health, clock


def said(caplog):
    return [(record.levelno, record.getMessage()) for record in caplog.records]


def test_facts_are_read_from_camera_and_uploader():
    seen = {
        "name": "line-1",
        "state": "stalled",
        "reason": "nothing came",
        "since_s": NOW_S,
        "frame_age_s": 7.5,
        "frame_rate": 25.0,
        "live": False,
        "inspection": {"state": "restarting", "reason": "out of memory", "restarts": 2},
    }
    line = Line()
    line.server |= {"link": "down", "since_s": NOW_S - 42, "reason": "connection refused", "waiting": 2}
    disk = DiskFacts(FolderFacts(1), FolderFacts(2))
    facts = gather([seen], line.get_details(), disk, Around(), lambda name: 2 * (name == "restarts line-1"))
    assert facts.cameras == (
        CameraFacts("line-1", "stalled", "nothing came", NOW_S, 7.5, 25.0, False, "restarting", "out of memory", 2),
    )
    assert facts.links == (LinkFacts(SERVER, "down", NOW_S - 42, "connection refused", 2),)
    assert (facts.waiting, facts.oldest_waiting_s, facts.dead) == (2, 1.5, 0)
    assert facts.disk == disk


def test_facts_that_a_camera_leaves_out_are_taken_as_well():
    facts = gather([Camera().snapshot()], Line().get_details(), DiskFacts(), Around(), lambda name: 0)
    assert facts.cameras == (CameraFacts("line-1", frame_age_s=0.04),)


def test_iris_is_not_ready_before_the_first_check():
    health, _clock = service(Line())
    assert health.snapshot()["ready"] is False
    assert "starting" in health.snapshot()["sentence"]


def test_a_check_is_reported_with_its_age_and_since_when_the_state_lasts():
    health, clock = service(Line())
    health.check()
    clock.wall_s, clock.monotonic_s = NOW_S + 2, 1002.0
    assert health.snapshot() == {
        "ready": True,
        "state": "ready",
        "severity": "working",
        "sentence": "Iris works: 2 files on the way.",
        "reasons": [],
        "since_s": NOW_S,
        "looked_age_s": 2.0,
        "disk_free_bytes": None,
    }


def test_a_camera_that_came_or_went_since_the_last_check_is_seen():
    line = Line()
    health, _clock = service(line)
    health.check()
    lost = Camera("line-2")
    lost.seen |= {"state": "offline", "reason": "no route to it", "since_s": NOW_S - 5}
    line.cameras.append(lost)
    health.check()
    assert health.snapshot()["reasons"] == [
        "1 of 2 cameras works",
        "camera line-2 has been offline for 5 s (no route to it)",
    ]
    line.cameras.remove(lost)
    health.check()
    assert health.snapshot()["reasons"] == []


def test_the_free_space_of_the_outbox_is_reported(tmp_path):
    health, _clock = service(Line(), outbox_dir=tmp_path)
    health.check()
    assert health.snapshot()["disk_free_bytes"] > 0


def test_a_records_disk_within_its_reserve_is_reported(tmp_path):
    health, _clock = service(Line(), records_dir=tmp_path, limits=HealthLimits(disk_reserve_bytes=2**62))
    health.check()
    assert health.snapshot()["state"] == "attention"
    assert "no evidence pictures are written" in health.snapshot()["sentence"]


def test_a_folder_of_records_that_is_missing_is_no_failure_and_one_of_an_outbox_that_is_open_is(tmp_path):
    health, _clock = service(Line(), records_dir=tmp_path / "missing")
    health.check()
    assert health.snapshot()["ready"] is True
    health, _clock = service(Line(), outbox_dir=tmp_path / "missing")
    health.check()
    assert health.snapshot()["ready"] is False
    assert health.snapshot()["disk_free_bytes"] is None


def test_each_change_of_state_is_logged_once(caplog):
    caplog.set_level(logging.INFO)
    line = Line()
    health, clock = service(line)
    health.check()
    health.check()
    line.server |= {"link": "down", "since_s": NOW_S, "reason": "connection refused"}
    for _ in range(3):
        clock.wall_s += 1
        health.check()
    line.server["link"] = "up"
    health.check()
    assert said(caplog) == [
        (logging.INFO, "health: Iris works: 2 files on the way."),
        (
            logging.WARNING,
            "health: Iris works, but the link to iris@10.0.0.7:22 has been down for 1 s (connection refused).",
        ),
        (logging.INFO, "health: Iris works: 2 files on the way."),
    ]
    assert health.snapshot()["since_s"] == NOW_S + 3


def test_a_camera_without_a_picture_at_the_first_check_is_no_warning(caplog):
    caplog.set_level(logging.INFO)
    line = Line()
    line.cameras[0].seen |= {"frame_age_s": None, "since_s": NOW_S}
    health, _clock = service(line)
    health.check()
    assert [level for level, _text in said(caplog)] == [logging.INFO]


def test_an_inspection_that_fails_again_and_again_is_seen_between_two_restarts_and_forgotten_when_it_holds():
    line = Line()
    health, clock = service(line)
    for restarts in (0, 1, 2, 3):
        line.cameras[0].seen["inspection"] = {"state": "running", "restarts": restarts, "reason": "out of memory"}
        clock.monotonic_s += 20
        health.check()
    assert health.snapshot()["ready"] is False
    assert "restarted 3 times in 5 min (out of memory)" in health.snapshot()["sentence"]
    clock.monotonic_s += 301
    health.check()
    assert health.snapshot()["ready"] is True


def test_a_camera_that_cannot_be_asked_is_named_and_hides_no_other(caplog):
    lost = Camera("line-3")
    lost.seen |= {"state": "offline", "reason": "no route to it", "since_s": NOW_S - 5}
    health, _clock = service(Line(Camera(), MuteCamera("line-2"), lost))
    health.check()
    health.check()
    assert health.snapshot()["ready"] is False
    assert health.snapshot()["reasons"] == [
        "1 of 3 cameras works",
        "camera line-2 is offline (it could not be asked: RuntimeError: no answer)",
        "camera line-3 has been offline for 5 s (no route to it)",
    ]
    assert [bool(record.exc_info) for record in caplog.records if record.levelno == logging.ERROR] == [True]


def test_an_uploader_that_cannot_be_asked_makes_iris_unready_and_is_logged_once_with_its_traceback(caplog):
    health, _clock = service(MuteUploader())
    health.check()
    health.check()
    assert health.snapshot()["ready"] is False
    assert "RuntimeError: no answer" in health.snapshot()["sentence"]
    assert [bool(record.exc_info) for record in caplog.records if record.levelno == logging.ERROR] == [True]


def test_a_health_service_that_no_longer_checks_reports_itself():
    health, clock = service(Line())
    health.check()
    clock.monotonic_s += 10.0
    assert health.snapshot()["ready"] is True
    clock.monotonic_s += 30.0
    assert health.snapshot()["ready"] is False
    assert health.snapshot()["sentence"] == "Iris is not ready: health has not looked for 40 s."


def test_the_service_checks_again_and_again_until_it_is_stopped():
    looked = threading.Semaphore(0)

    class WatchedCamera(Camera):
        def snapshot(self):
            looked.release()
            return super().snapshot()

    health, _clock = service(Line(WatchedCamera()), period_s=0.001)
    health.start()
    health.start()
    for _ in range(4):
        assert looked.acquire(timeout=60)
    health.stop(timeout_s=10)
    assert "iris-health" not in [thread.name for thread in threading.enumerate()]
    health.stop()


def test_stopping_before_a_start_returns():
    health, _clock = service(Line())
    health.stop()
