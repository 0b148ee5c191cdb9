from dataclasses import replace

import pytest

from iris_camera.health.judging import CameraFacts, DiskFacts, Facts, Limits, LinkFacts, State, in_words, judge

NOW_S = 1_700_000_000.0
MIB = 1024**2
SERVER = "iris@10.0.0.7:22"
WELL = Facts(
    cameras=(CameraFacts("line-1", frame_age_s=0.04),),
    uploader_running=True,
    uploader_state="running",
    uploader_error=None,
    links=(LinkFacts(SERVER, "up", NOW_S - 60, None, 0),),
    waiting=0,
    oldest_waiting_s=None,
    given_up=0,
    disk=DiskFacts(50_000 * MIB, 50_000 * MIB),
)
DOWN = LinkFacts(SERVER, "down", NOW_S - 42, "connection refused", 14)
OFFLINE = CameraFacts("line-2", "offline", "the camera refuses the password", since_s=NOW_S - 180)


def with_cameras(*cameras):
    return judge(replace(WELL, cameras=cameras), NOW_S)


def working(*names):
    return tuple(CameraFacts(name, frame_age_s=0.04) for name in names)


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
        (
            replace(OFFLINE, name="line-1"),
            "camera line-1 has been offline for 3 min (the camera refuses the password)",
        ),
        (CameraFacts("line-1", "offline", frame_age_s=2.0), "camera line-1 is offline"),
        (CameraFacts("line-1", "stalled", frame_age_s=3.0), "camera line-1 has given no new picture for 3 s"),
        (
            CameraFacts("line-1", "stalled", "nothing came for 8 s", since_s=NOW_S - 8),
            "camera line-1 has given no new picture for 8 s (nothing came for 8 s)",
        ),
        (CameraFacts("line-1", frame_age_s=8.0), "camera line-1 has given no new picture for 8 s"),
        (CameraFacts("line-1", frame_age_s=None), "camera line-1 has given no picture yet"),
    ],
)
def test_a_camera_without_fresh_pictures_makes_iris_unready_and_says_why(camera, words):
    judgement = with_cameras(camera)
    assert not judgement.ready
    assert judgement.sentence == f"Iris is not ready: {words}."


def test_frames_that_are_meant_to_be_far_apart_are_not_taken_for_a_camera_that_stands_still():
    slow = CameraFacts("line-1", frame_age_s=25.0, frame_rate=0.1)
    assert with_cameras(slow).state is State.READY
    assert not with_cameras(replace(slow, frame_age_s=31.0)).ready


def test_a_folder_that_gets_pictures_when_it_gets_them_is_not_judged_by_their_age():
    folder = CameraFacts("line-1", frame_age_s=3600.0, live=False)
    assert with_cameras(folder).state is State.READY
    assert with_cameras(replace(folder, frame_age_s=None)).sentence == (
        "Iris works, but camera line-1 has given no picture yet."
    )


def test_of_several_cameras_the_one_in_trouble_is_named_and_how_many_work_is_said():
    judgement = with_cameras(*working("line-1", "line-3", "line-4"), OFFLINE)
    assert not judgement.ready
    assert judgement.sentence == (
        "Iris is not ready: 3 of 4 cameras work; "
        "camera line-2 has been offline for 3 min (the camera refuses the password)."
    )


@pytest.mark.parametrize(
    ("cameras", "words"),
    [
        ((*working("line-1"), OFFLINE), "1 of 2 cameras works"),
        ((OFFLINE, replace(OFFLINE, name="line-3")), "none of 2 cameras works"),
        ((*working("line-1"), OFFLINE, CameraFacts("line-3", "disabled")), "1 of 2 cameras works"),
    ],
)
def test_how_many_cameras_work_is_counted_among_those_that_should(cameras, words):
    assert words in with_cameras(*cameras).sentence


def test_twelve_dead_cameras_do_not_fill_the_page_but_all_stand_in_the_reasons():
    dead = [replace(OFFLINE, name=f"line-{number}") for number in range(1, 13)]
    judgement = with_cameras(*dead)
    assert judgement.sentence.count("offline") == 4
    assert judgement.sentence.endswith("; and 8 more.")
    assert len(judgement.reasons) == 13


@pytest.mark.parametrize(
    ("reason", "words"),
    [(None, "camera line-2 is disabled"), ("the file has ended", "camera line-2 is disabled (the file has ended)")],
)
def test_a_camera_switched_off_or_a_file_that_has_ended_is_a_remark_and_no_warning(reason, words):
    judgement = with_cameras(*working("line-1"), CameraFacts("line-2", "disabled", reason))
    assert judgement.state is State.READY
    assert judgement.sentence == f"Iris works: every file is delivered; {words}."


def test_when_all_cameras_are_disabled_iris_is_ready_and_says_that_nothing_is_inspected():
    ended = CameraFacts("line-1", "disabled", "the file has ended")
    judgement = with_cameras(ended)
    assert judgement.ready
    assert judgement.state is State.ATTENTION
    assert "camera line-1 is disabled (the file has ended) and nothing is inspected" in judgement.sentence
    assert "all 2 cameras are disabled (the file has ended) and nothing is inspected" in (
        with_cameras(ended, replace(ended, name="line-2")).sentence
    )
    assert "all 2 cameras are disabled and nothing" in (
        with_cameras(ended, CameraFacts("line-2", "disabled", "switched off")).sentence
    )


def test_without_any_camera_iris_says_so():
    assert with_cameras().sentence == "Iris works, but there is no camera to inspect."


def test_an_inspection_that_has_stopped_makes_iris_unready_with_its_reason():
    camera = replace(WELL.cameras[0], inspection="stopped", inspection_reason="the model does not fit")
    judgement = with_cameras(camera)
    assert not judgement.ready
    assert "camera line-1 is not inspected: its inspection has stopped (the model does not fit)" in judgement.sentence


def test_an_inspection_that_restarts_once_is_said_and_leaves_iris_ready():
    camera = replace(WELL.cameras[0], inspection="restarting", inspection_reason="out of memory", restarts_lately=1)
    judgement = with_cameras(camera)
    assert judgement.state is State.ATTENTION
    assert judgement.sentence == "Iris works, but camera line-1 restarts its inspection (out of memory)."


@pytest.mark.parametrize("state", ["running", "restarting"])
def test_an_inspection_that_restarts_again_and_again_makes_iris_unready_even_between_two_restarts(state):
    camera = replace(WELL.cameras[0], inspection=state, inspection_reason="out of memory", restarts_lately=3)
    judgement = with_cameras(camera)
    assert not judgement.ready
    assert "its inspection restarted 3 times in 5 min (out of memory)" in judgement.sentence


def test_a_disabled_camera_is_not_judged_by_its_inspection():
    camera = CameraFacts("line-2", "disabled", inspection="stopped")
    assert with_cameras(*working("line-1"), camera).state is State.READY


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
    facts = replace(WELL, links=(DOWN,), cameras=(CameraFacts("line-1", "offline"),))
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
    judgement = judge(replace(WELL, disk=DiskFacts(free_bytes)), NOW_S)
    assert judgement.state is state
    assert ("disk of the outbox" in judgement.sentence) == (state is not State.READY)


@pytest.mark.parametrize(
    ("free_bytes", "state", "words"),
    [
        (500 * MIB, State.READY, ""),
        (
            499 * MIB,
            State.ATTENTION,
            "499 MiB left, less than the reserve of 500 MiB: no evidence pictures are written",
        ),
        (20 * MIB, State.UNREADY, "the disk of the records is full (20 MiB left)"),
    ],
)
def test_a_records_disk_down_to_its_reserve_is_said_with_what_it_costs(free_bytes, state, words):
    limits = Limits(disk_reserve_bytes=500 * MIB)
    judgement = judge(replace(WELL, disk=DiskFacts(50_000 * MIB, free_bytes)), NOW_S, limits)
    assert judgement.state is state
    assert words in judgement.sentence


def test_a_clock_set_back_gives_no_negative_age():
    assert "has been down for 0 s" in judge(replace(WELL, links=(DOWN,)), NOW_S - 3600).sentence
    assert "offline for 0 s" in judge(replace(WELL, cameras=(OFFLINE,)), NOW_S - 3600).sentence


@pytest.mark.parametrize(
    ("age_s", "words"), [(0.4, "0 s"), (99, "99 s"), (120, "2 min"), (7200, "2 h"), (345600, "4 days")]
)
def test_an_age_is_said_as_a_person_says_it(age_s, words):
    assert in_words(age_s) == words
