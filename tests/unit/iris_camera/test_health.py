import logging
import threading
from dataclasses import replace
from types import SimpleNamespace

import pytest

from iris_camera.health import CameraFacts, Facts, HealthService, LinkFacts, State, gather, in_words, judge

NOW_S = 1_700_000_000.0
MIB = 1024**2
SERVER = "iris@10.0.0.7:22"
WELL = Facts(
    cameras=(CameraFacts("line-1", "online", 0.04),),
    uploader_running=True,
    uploader_state="running",
    uploader_error=None,
    links=(LinkFacts(SERVER, "up", NOW_S - 60, None, 0),),
    waiting=0,
    oldest_waiting_s=None,
    given_up=0,
    disk_free_bytes=50_000 * MIB,
)
DOWN = LinkFacts(SERVER, "down", NOW_S - 42, "connection refused", 14)


class Line:
    """A camera and an uploader whose state the test turns."""

    def __init__(self):
        self.camera = {"name": "line-1", "state": "online", "frame_age_s": 0.04, "frames": 7}
        self.server = {"link": "up", "since_s": NOW_S, "reason": None, "hint": None, "waiting": 0}
        self.running = True

    def snapshot(self):
        return dict(self.camera)

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


class MuteLine(Line):
    """A camera that raises when it is asked."""

    def snapshot(self):
        raise RuntimeError("no answer")


def service(line, **options):
    clock = SimpleNamespace(wall_s=NOW_S, monotonic_s=1000.0)
    health = HealthService(
        cameras=[line],
        uploader=line,
        wall=lambda: clock.wall_s,
        monotonic=lambda: clock.monotonic_s,
        **options,
    )
    return health, clock


def said(caplog):
    return [(record.levelno, record.getMessage()) for record in caplog.records]


def test_all_well_is_ready_without_a_reason():
    judgement = judge(WELL, NOW_S)
    assert judgement.ready
    assert judgement.state is State.READY
    assert judgement.sentence == "Iris works: every file is delivered."
    assert judgement.reasons == ()


def test_files_on_their_way_are_nothing_to_worry_about():
    judgement = judge(replace(WELL, waiting=3, oldest_waiting_s=2.0), NOW_S)
    assert judgement.state is State.READY
    assert judgement.sentence == "Iris works: 3 files on the way."


def test_a_link_that_is_down_leaves_iris_ready_and_the_sentence_says_so():
    judgement = judge(replace(WELL, links=(DOWN,), waiting=14, oldest_waiting_s=42.0), NOW_S)
    assert judgement.ready
    assert judgement.state is State.ATTENTION
    assert judgement.sentence == (
        "Iris works, but the link to iris@10.0.0.7:22 has been down for 42 s (connection refused), "
        "14 files waiting until it is back."
    )


@pytest.mark.parametrize(
    ("camera", "words"),
    [
        (CameraFacts("line-1", "stalled", 3.0), "camera line-1 has given no new picture for 3 s"),
        (CameraFacts("line-1", "online", 8.0), "camera line-1 has given no new picture for 8 s"),
        (CameraFacts("line-1", "online", None), "camera line-1 has given no picture yet"),
        (CameraFacts("line-1", "offline", 2.0), "camera line-1 is offline"),
    ],
)
def test_a_camera_without_fresh_pictures_makes_iris_unready(camera, words):
    judgement = judge(replace(WELL, cameras=(camera,)), NOW_S)
    assert not judgement.ready
    assert judgement.sentence == f"Iris is not ready: {words}."


def test_a_camera_switched_off_on_purpose_leaves_iris_ready():
    judgement = judge(replace(WELL, cameras=(CameraFacts("line-2", "disabled", None),)), NOW_S)
    assert judgement.state is State.ATTENTION
    assert "camera line-2 is switched off" in judgement.sentence


def test_one_stalled_camera_among_others_is_named():
    cameras = (*WELL.cameras, CameraFacts("line-2", "stalled", 70.0))
    judgement = judge(replace(WELL, cameras=cameras), NOW_S)
    assert not judgement.ready
    assert [reason.words for reason in judgement.reasons] == ["camera line-2 has given no new picture for 70 s"]


def test_an_uploader_that_does_not_run_makes_iris_unready():
    facts = replace(WELL, uploader_running=False, uploader_state="failed", uploader_error="KeyError: 'x'")
    judgement = judge(facts, NOW_S)
    assert not judgement.ready
    assert "the uploader is not running (failed: KeyError: 'x')" in judgement.sentence


def test_an_uploader_that_drains_is_ready_and_says_so():
    judgement = judge(replace(WELL, uploader_state="draining"), NOW_S)
    assert judgement.ready
    assert "finishing" in judgement.sentence


def test_what_makes_unready_is_said_before_what_does_not():
    facts = replace(WELL, links=(DOWN,), cameras=(CameraFacts("line-1", "offline", None),))
    sentence = judge(facts, NOW_S).sentence
    assert sentence.startswith("Iris is not ready: camera line-1 is offline; the link to")


def test_an_old_backlog_is_said_only_when_no_link_explains_it():
    old = replace(WELL, waiting=14, oldest_waiting_s=900.0)
    assert "the oldest of 14 files has waited 15 min" in judge(old, NOW_S).sentence
    assert "oldest" not in judge(replace(old, links=(DOWN,)), NOW_S).sentence


@pytest.mark.parametrize(("count", "words"), [(1, "1 file could not be delivered and needs"), (2, "need ")])
def test_files_given_up_need_somebody(count, words):
    judgement = judge(replace(WELL, given_up=count), NOW_S)
    assert judgement.state is State.ATTENTION
    assert words in judgement.sentence


@pytest.mark.parametrize(
    ("free_bytes", "state"),
    [
        (None, State.READY),
        (201 * MIB, State.READY),
        (200 * MIB, State.ATTENTION),
        (21 * MIB, State.ATTENTION),
        (20 * MIB, State.UNREADY),
        (0, State.UNREADY),
    ],
)
def test_a_full_disk_makes_iris_unready_and_a_low_one_is_said(free_bytes, state):
    judgement = judge(replace(WELL, disk_free_bytes=free_bytes), NOW_S)
    assert judgement.state is state
    assert ("disk of the outbox" in judgement.sentence) == (state is not State.READY)


def test_a_clock_set_back_gives_no_negative_age():
    assert "has been down for 0 s" in judge(replace(WELL, links=(DOWN,)), NOW_S - 3600).sentence


@pytest.mark.parametrize(
    ("age_s", "words"), [(0.4, "0 s"), (99, "99 s"), (120, "2 min"), (7200, "2 h"), (345600, "4 days")]
)
def test_an_age_is_said_as_a_person_says_it(age_s, words):
    assert in_words(age_s) == words


def test_facts_are_read_from_camera_and_uploader():
    line = Line()
    line.server |= {"link": "down", "since_s": NOW_S - 42, "reason": "connection refused", "waiting": 2}
    facts = gather([line], line, disk_free_bytes=1)
    assert facts.cameras == (CameraFacts("line-1", "online", 0.04),)
    assert facts.links == (LinkFacts(SERVER, "down", NOW_S - 42, "connection refused", 2),)
    assert (facts.waiting, facts.oldest_waiting_s, facts.given_up) == (2, 1.5, 0)


def test_before_the_first_look_iris_is_not_ready():
    health, _clock = service(Line())
    assert health.snapshot()["ready"] is False
    assert "starting" in health.snapshot()["sentence"]


def test_a_look_is_told_with_its_age_and_since_when_the_state_lasts():
    health, clock = service(Line())
    health.look()
    clock.wall_s, clock.monotonic_s = NOW_S + 2, 1002.0
    assert health.snapshot() == {
        "ready": True,
        "state": "ready",
        "sentence": "Iris works: 2 files on the way.",
        "reasons": [],
        "since_s": NOW_S,
        "looked_age_s": 2.0,
        "disk_free_bytes": None,
    }


def test_the_free_space_of_the_outbox_is_told(tmp_path):
    health, _clock = service(Line(), outbox_dir=tmp_path)
    health.look()
    assert health.snapshot()["disk_free_bytes"] > 0


def test_an_outbox_folder_that_is_missing_is_no_failure(tmp_path):
    health, _clock = service(Line(), outbox_dir=tmp_path / "missing")
    health.look()
    assert health.snapshot()["ready"] is True
    assert health.snapshot()["disk_free_bytes"] is None


def test_each_change_of_state_is_logged_once(caplog):
    caplog.set_level(logging.INFO)
    line = Line()
    health, clock = service(line)
    health.look()
    health.look()
    line.server |= {"link": "down", "since_s": NOW_S, "reason": "connection refused"}
    for _ in range(3):
        clock.wall_s += 1
        health.look()
    line.server["link"] = "up"
    health.look()
    assert said(caplog) == [
        (logging.INFO, "health: Iris works: 2 files on the way."),
        (
            logging.WARNING,
            "health: Iris works, but the link to iris@10.0.0.7:22 has been down for 1 s (connection refused).",
        ),
        (logging.INFO, "health: Iris works: 2 files on the way."),
    ]
    assert health.snapshot()["since_s"] == NOW_S + 3


def test_a_camera_without_a_picture_at_the_first_look_is_no_warning(caplog):
    caplog.set_level(logging.INFO)
    line = Line()
    line.camera["frame_age_s"] = None
    health, _clock = service(line)
    health.look()
    assert [level for level, _words in said(caplog)] == [logging.INFO]


def test_a_camera_that_cannot_be_asked_makes_iris_unready_and_is_logged_once_with_its_traceback(caplog):
    health, _clock = service(MuteLine())
    health.look()
    health.look()
    assert health.snapshot()["ready"] is False
    assert "RuntimeError: no answer" in health.snapshot()["sentence"]
    assert [bool(record.exc_info) for record in caplog.records if record.levelno == logging.ERROR] == [True]


def test_a_health_service_that_no_longer_looks_says_so_itself():
    health, clock = service(Line())
    health.look()
    clock.monotonic_s += 10.0
    assert health.snapshot()["ready"] is True
    clock.monotonic_s += 30.0
    assert health.snapshot()["ready"] is False
    assert health.snapshot()["sentence"] == "Iris is not ready: health has not looked for 40 s."


def test_it_looks_again_and_again_until_it_is_stopped():
    looked = threading.Semaphore(0)

    class WatchedLine(Line):
        def snapshot(self):
            looked.release()
            return super().snapshot()

    health, _clock = service(WatchedLine(), period_s=0.001)
    health.start()
    health.start()
    for _ in range(4):
        assert looked.acquire(timeout=10)
    health.stop(timeout_s=10)
    assert "iris-health" not in [thread.name for thread in threading.enumerate()]
    health.stop()


def test_stopping_before_a_start_returns():
    health, _clock = service(Line())
    health.stop()
