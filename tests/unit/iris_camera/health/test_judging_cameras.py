"""What is said of cameras and of their inspection."""

from dataclasses import replace

import pytest

from iris_camera.health.conditions import Severity
from iris_camera.health.facts import CameraFacts
from iris_camera.health.judging import Readiness
from tests.unit.iris_camera.health.well_facts import NOW_S, OFFLINE, WELL, with_cameras, working


@pytest.mark.parametrize(
    ("camera", "text"),
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
def test_a_camera_without_fresh_pictures_makes_iris_unready_and_says_why(camera, text):
    judgement = with_cameras(camera)
    assert not judgement.ready
    assert judgement.sentence == f"Iris is not ready: {text}."


def test_frames_that_are_meant_to_be_far_apart_are_not_taken_for_a_camera_that_stands_still():
    slow = CameraFacts("line-1", frame_age_s=25.0, frame_rate=0.1)
    assert with_cameras(slow).state is Readiness.READY
    assert not with_cameras(replace(slow, frame_age_s=31.0)).ready


def test_a_folder_that_gets_pictures_when_it_gets_them_is_not_judged_by_their_age():
    folder = CameraFacts("line-1", frame_age_s=3600.0, live=False)
    assert with_cameras(folder).state is Readiness.READY
    assert with_cameras(replace(folder, frame_age_s=None)).sentence == (
        "Iris works, but camera line-1 has given no picture yet."
    )


def test_the_camera_in_trouble_is_named_and_how_many_of_several_work_is_reported():
    judgement = with_cameras(*working("line-1", "line-3", "line-4"), OFFLINE)
    assert not judgement.ready
    assert judgement.sentence == (
        "Iris is not ready: 3 of 4 cameras work; "
        "camera line-2 has been offline for 3 min (the camera refuses the password)."
    )


@pytest.mark.parametrize(
    ("cameras", "text"),
    [
        ((*working("line-1"), OFFLINE), "1 of 2 cameras works"),
        ((OFFLINE, replace(OFFLINE, name="line-3")), "none of 2 cameras works"),
        ((*working("line-1"), OFFLINE, CameraFacts("line-3", "disabled")), "1 of 2 cameras works"),
    ],
)
def test_working_cameras_are_counted_among_those_that_should_work(cameras, text):
    assert text in with_cameras(*cameras).sentence


def test_twelve_dead_cameras_do_not_fill_the_page_but_all_stand_in_the_reasons():
    dead = [replace(OFFLINE, name=f"line-{number}") for number in range(1, 13)]
    judgement = with_cameras(*dead)
    assert judgement.sentence.count("offline") == 4
    assert judgement.sentence.endswith("; and 8 more.")
    assert len(judgement.reasons) == 13


@pytest.mark.parametrize(
    ("reason", "text"),
    [(None, "camera line-2 is disabled"), ("the file has ended", "camera line-2 is disabled (the file has ended)")],
)
def test_a_camera_switched_off_or_a_file_that_has_ended_is_a_remark_and_no_warning(reason, text):
    judgement = with_cameras(*working("line-1"), CameraFacts("line-2", "disabled", reason))
    assert judgement.state is Readiness.READY
    assert judgement.sentence == f"Iris works: every file is delivered; {text}."


def test_iris_with_all_cameras_disabled_is_ready_and_says_that_nothing_is_inspected():
    ended = CameraFacts("line-1", "disabled", "the file has ended")
    judgement = with_cameras(ended)
    assert judgement.ready
    assert judgement.state is Readiness.ATTENTION
    assert "camera line-1 is disabled (the file has ended) and nothing is inspected" in judgement.sentence
    assert "all 2 cameras are disabled (the file has ended) and nothing is inspected" in (
        with_cameras(ended, replace(ended, name="line-2")).sentence
    )
    assert "all 2 cameras are disabled and nothing" in (
        with_cameras(ended, CameraFacts("line-2", "disabled", "switched off")).sentence
    )


def test_iris_without_any_camera_says_so():
    assert with_cameras().sentence == "Iris works, but there is no camera to inspect."


def test_an_inspection_that_has_stopped_makes_iris_unready_with_its_reason():
    camera = replace(WELL.cameras[0], inspection="stopped", inspection_reason="the model does not fit")
    judgement = with_cameras(camera)
    assert not judgement.ready
    assert "camera line-1 is not inspected: its inspection has stopped (the model does not fit)" in judgement.sentence


def test_an_inspection_that_restarts_once_is_reported_and_leaves_iris_ready():
    camera = replace(WELL.cameras[0], inspection="restarting", inspection_reason="out of memory", restarts_lately=1)
    judgement = with_cameras(camera)
    assert judgement.state is Readiness.ATTENTION
    assert judgement.sentence == "Iris works, but camera line-1 restarts its inspection (out of memory)."


@pytest.mark.parametrize("state", ["running", "restarting"])
def test_an_inspection_that_restarts_again_and_again_makes_iris_unready_even_between_two_restarts(state):
    camera = replace(WELL.cameras[0], inspection=state, inspection_reason="out of memory", restarts_lately=3)
    judgement = with_cameras(camera)
    assert not judgement.ready
    assert "its inspection restarted 3 times in 5 min (out of memory)" in judgement.sentence


def test_a_disabled_camera_is_not_judged_by_its_inspection():
    camera = CameraFacts("line-2", "disabled", inspection="stopped")
    assert with_cameras(*working("line-1"), camera).state is Readiness.READY


LOSSES = {
    "rows that are lost now": (
        {"rows_lost": 7, "records_trouble": "cannot write 7 rows", "losing_rows": True},
        Severity.FAILED,
        "camera line-1 loses what it sees, 7 rows so far: cannot write 7 rows",
    ),
    "rows that were lost": ({"rows_lost": 1}, Severity.DEGRADED, "camera line-1 has lost 1 row since the start"),
    "files that cannot be finished": (
        {"records_trouble": "camera line-1 cannot move a.csv into ready"},
        Severity.DEGRADED,
        "camera line-1 cannot move a.csv into ready",
    ),
    "evidence": (
        {"evidence_skipped": 3, "evidence_trouble": "No space left on device"},
        Severity.DEGRADED,
        "camera line-1: 3 defects have no pictures since the start (No space left on device)",
    ),
    "errors": ({"errors_lately": 2, "error": "x"}, Severity.DEGRADED, "camera line-1 had 2 errors in 5 min (x)"),
    "frames": (
        {"frames_lately": 90, "skipped_lately": 10},
        Severity.DEGRADED,
        "camera line-1 is faster than its inspection: 10 of its 100 frames were not inspected in 5 min",
    ),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_a_loss_is_a_condition_and_excludes_all_well(loss):
    facts, severity, text = LOSSES[loss]
    judgement = with_cameras(replace(WELL.cameras[0], **facts))
    assert (judgement.severity, judgement.ready) == (severity, severity is not Severity.FAILED)
    assert judgement.sentence.endswith(f"{text}.")
    assert "delivered" not in judgement.sentence


@pytest.mark.parametrize(
    "facts",
    [{"live": False}, {"frames_lately": 2000}, {"since_s": NOW_S - 5}],
    ids=["a film waits", "some", "it came up just now"],
)
def test_a_few_skipped_frames_of_a_live_line_are_not_reported(facts):
    camera = replace(WELL.cameras[0], **{"frames_lately": 90, "skipped_lately": 10, **facts})
    assert with_cameras(camera).reasons == ()


def test_a_camera_that_is_being_opened_for_the_first_time_is_starting_and_no_failure():
    camera = CameraFacts("line-1", "offline", "it is being opened", since_s=NOW_S - 2, opening=True)
    judgement = with_cameras(camera)
    assert (judgement.severity, judgement.ready) == (Severity.WORKING, False)
    assert judgement.sentence == "Iris is starting: camera line-1 is being opened."
    assert with_cameras(replace(camera, since_s=NOW_S - 30)).severity is Severity.FAILED
    assert with_cameras(replace(camera, opening=False)).severity is Severity.FAILED


def test_a_film_that_came_to_its_end_is_no_warning():
    judgement = with_cameras(CameraFacts("line-1", "disabled", "it has come to its end", ended=True))
    assert (judgement.severity, judgement.ready) == (Severity.WORKING, True)
    assert judgement.sentence == "Iris works: every file is delivered; the source came to its end."


def test_a_film_that_came_to_its_end_beside_a_line_that_goes_on_is_reported_as_ended():
    judgement = with_cameras(*working("line-1"), CameraFacts("film", "disabled", "it has come to its end", ended=True))
    assert judgement.sentence == "Iris works: every file is delivered; camera film has come to its end."
