from dataclasses import replace

import pytest

from iris_camera.health.conditions import Severity
from iris_camera.health.facts import (
    Around,
    CameraFacts,
    DiskFacts,
    Facts,
    FolderFacts,
    HealthLimits,
    LinkFacts,
    OutboxTrouble,
    ThreadFacts,
)
from iris_camera.health.judging import Readiness, judge
from iris_camera.health.sentences import age_text

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
    dead=0,
    disk=DiskFacts(FolderFacts(50_000 * MIB), FolderFacts(50_000 * MIB)),
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
    assert judgement.state is Readiness.READY
    assert judgement.sentence == "Iris works: every file is delivered."
    assert judgement.reasons == ()


def test_files_on_their_way_are_no_warning():
    judgement = judge(replace(WELL, waiting=3, oldest_waiting_s=2.0), NOW_S)
    assert judgement.state is Readiness.READY
    assert judgement.sentence == "Iris works: 3 files on the way."


def test_a_link_that_is_down_leaves_iris_ready_and_the_sentence_says_so():
    judgement = judge(replace(WELL, links=(DOWN,), waiting=14, oldest_waiting_s=42.0), NOW_S)
    assert judgement.ready
    assert judgement.state is Readiness.ATTENTION
    assert judgement.sentence == (
        "Iris works, but the link to iris@10.0.0.7:22 has been down for 42 s (connection refused), "
        "14 files waiting until it is back."
    )


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


def test_an_uploader_that_does_not_run_makes_iris_unready():
    facts = replace(WELL, uploader_running=False, uploader_state="failed", uploader_error="KeyError: 'x'")
    judgement = judge(facts, NOW_S)
    assert not judgement.ready
    assert "the uploader is not running (failed: KeyError: 'x')" in judgement.sentence


def test_an_uploader_that_drains_is_ready_and_says_so():
    judgement = judge(replace(WELL, uploader_state="draining"), NOW_S)
    assert judgement.ready
    assert "finishing" in judgement.sentence


def test_a_cause_that_makes_iris_unready_is_reported_before_one_that_does_not():
    facts = replace(WELL, links=(DOWN,), cameras=(CameraFacts("line-1", "offline"),))
    sentence = judge(facts, NOW_S).sentence
    assert sentence.startswith("Iris is not ready: camera line-1 is offline; the link to")


def test_an_old_backlog_is_reported_only_when_no_link_explains_it():
    old = replace(WELL, waiting=14, oldest_waiting_s=900.0)
    assert "the oldest of 14 files has waited 15 min" in judge(old, NOW_S).sentence
    assert "oldest" not in judge(replace(old, links=(DOWN,)), NOW_S).sentence


@pytest.mark.parametrize(("count", "text"), [(1, "1 file could not be delivered and needs"), (2, "need ")])
def test_files_given_up_need_somebody(count, text):
    judgement = judge(replace(WELL, dead=count, undelivered=count), NOW_S)
    assert judgement.state is Readiness.ATTENTION
    assert text in judgement.sentence


@pytest.mark.parametrize("name", ["outbox", "records"])
@pytest.mark.parametrize(
    ("folder", "severity", "ready", "text"),
    [
        (FolderFacts(), Severity.WORKING, True, ""),
        (FolderFacts(201 * MIB), Severity.WORKING, True, ""),
        (FolderFacts(200 * MIB), Severity.DEGRADED, True, "the disk of the {} has only 210 MB left"),
        (FolderFacts(20 * MIB), Severity.NEEDS_YOU, True, "the disk of the {} is nearly full (21 MB left)"),
        (FolderFacts(MIB - 1), Severity.FAILED, False, "the disk of the {} is full"),
        (FolderFacts(0), Severity.FAILED, False, "the disk of the {} is full"),
        (FolderFacts(999 * MIB, 2_000), Severity.WORKING, True, ""),
        (
            FolderFacts(999 * MIB, 1_999),
            Severity.DEGRADED,
            True,
            "the disk of the {} has room for only 1999 more files",
        ),
        (FolderFacts(999 * MIB, 49), Severity.FAILED, False, "the disk of the {} has room for 49 more files (inodes)"),
        (FolderFacts(999 * MIB, 0), Severity.FAILED, False, "the disk of the {} has room for no more files (inodes)"),
        (
            FolderFacts(999 * MIB, None, "it is on a disk that is mounted read-only"),
            Severity.FAILED,
            False,
            "nothing can be written into the folder of the {}: it is on a disk that is mounted read-only",
        ),
    ],
)
def test_the_free_space_of_both_folders_is_judged_in_bytes_and_in_files(name, folder, severity, ready, text):
    judgement = judge(replace(WELL, disk=replace(WELL.disk, **{name: folder})), NOW_S)
    assert (judgement.severity, judgement.ready) == (severity, ready)
    assert text.format(name) in judgement.sentence
    assert bool(judgement.reasons) is bool(text)


def test_a_records_disk_down_to_its_reserve_is_reported_with_what_it_costs():
    limits = HealthLimits(disk_reserve_bytes=500 * MIB)
    left = [FolderFacts(500 * MIB), FolderFacts(499 * MIB)]
    enough, short = (judge(replace(WELL, disk=DiskFacts(records=each)), NOW_S, limits) for each in left)
    assert enough.severity is Severity.WORKING
    assert short.severity is Severity.DEGRADED
    assert "523 MB left, less than the reserve of 524 MB: no evidence pictures are written" in short.sentence


def test_a_clock_set_back_gives_no_negative_age():
    assert "has been down for less than 1 s" in judge(replace(WELL, links=(DOWN,)), NOW_S - 3600).sentence
    assert "offline for less than 1 s" in judge(replace(WELL, cameras=(OFFLINE,)), NOW_S - 3600).sentence


@pytest.mark.parametrize(("takes_nothing", "was"), [(False, "the link to {} was down"), (True, "{} took nothing")])
def test_a_server_that_only_the_run_before_found_down_is_reported_without_a_time_that_nobody_saw(takes_nothing, was):
    before = replace(DOWN, since_s=None, takes_nothing=takes_nothing)
    said = judge(replace(WELL, links=(before,)), NOW_S).sentence
    assert f"{was.format(before.server)} before this start (connection refused)" in said
    assert " for " not in said.partition("(")[0]


@pytest.mark.parametrize(
    ("age_s", "text"),
    [
        (0.0, "less than 1 s"),
        (0.9, "less than 1 s"),
        (1.0, "1 s"),
        (99, "99 s"),
        (120, "2 min"),
        (7200, "2 h"),
        (345600, "4 days"),
    ],
)
def test_an_age_is_written_in_rounded_units(age_s, text):
    assert age_text(age_s) == text


# -- "every file is delivered" ----------------------------------------------------------------------------------------


def around(**facts):
    return replace(WELL, around=Around(records_folder="/var/records", **facts))


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        (around(), "Iris works: every file is delivered."),
        (around(being_written=1), "Iris works: every finished file is delivered, 1 is being written."),
        (around(being_written=2), "Iris works: every finished file is delivered, 2 are being written."),
        (around(to_accept=2), "Iris works: 2 files on the way."),
        (replace(around(to_accept=2, being_written=1), waiting=3), "Iris works: 5 files on the way."),
        (
            replace(WELL, undelivered=2),
            "Iris works: no file waits; 2 files were dropped, cancelled or too late, as it was asked for.",
        ),
    ],
)
def test_every_file_is_delivered_is_stated_only_when_each_is(facts, sentence):
    judgement = judge(facts, NOW_S)
    assert (judgement.sentence, judgement.severity) == (sentence, Severity.WORKING)


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


# -- servers, and files that wait for a person ------------------------------------------------------------------------

HELD = LinkFacts(SERVER, "down", NOW_S, "it refuses the login", 14, hint="correct the password", held=True)


@pytest.mark.parametrize("waiting", [0, 14])
def test_a_server_that_waits_for_a_person_is_reported_with_the_command_and_is_not_ready(waiting):
    judgement = judge(replace(WELL, links=(replace(HELD, waiting=waiting),), waiting=waiting), NOW_S)
    assert (judgement.severity, judgement.ready) == (Severity.NEEDS_YOU, False)
    waits = ", 14 files wait" if waiting else ""
    assert judgement.sentence == (
        f"Iris needs you: {SERVER} is not tried again until an operator acts (it refuses the login){waits}; "
        f"correct the password; when that is mended, `iris queue resume {SERVER}` goes on."
    )


def refusing(**facts):
    hint = "check the user's permissions on the remote folder"
    link = LinkFacts(SERVER, "up", NOW_S, None, 135, refusal="cannot create '/in/a.csv'", refusal_hint=hint)
    return judge(replace(WELL, waiting=135, links=(replace(link, **facts),)), NOW_S)


def test_the_first_refusal_is_reported_at_once_with_what_where_how_many_and_what_to_do():
    judgement = refusing(refused=1, refused_in_a_row=1)
    assert (judgement.severity, judgement.ready) == (Severity.DEGRADED, True)
    assert judgement.sentence == (
        f"Iris works, but {SERVER} refuses 1 file so far: cannot create '/in/a.csv'; "
        "check the user's permissions on the remote folder; "
        "each is tried attempts_max times, then waits as dead for `iris queue retry --all`."
    )


def test_a_server_that_refuses_each_new_file_needs_somebody():
    judgement = refusing(refused=135, refused_in_a_row=3)
    assert (judgement.severity, judgement.ready) == (Severity.NEEDS_YOU, False)
    assert f"Iris needs you: {SERVER} refuses everything, 135 files so far" in judgement.sentence


def test_refusals_of_an_earlier_run_are_reported_as_such():
    assert "refuses 2 files so far of an earlier run" in refusing(refused=2, refusal=None, refusal_hint=None).sentence


def test_a_paused_server_is_reported_with_the_command_that_goes_on():
    judgement = judge(replace(WELL, links=(replace(HELD, held=False, link="idle", paused=True),)), NOW_S)
    assert judgement.severity is Severity.DEGRADED
    assert judgement.sentence == (
        f"Iris works, but {SERVER} is paused, 14 files wait; `iris queue resume {SERVER}` goes on."
    )


def test_a_failure_is_reported_before_what_needs_somebody_and_that_is_marked():
    facts = replace(WELL, links=(HELD,), cameras=(CameraFacts("line-1", "offline"),))
    assert judge(facts, NOW_S).sentence.startswith(
        f"Iris is not ready: camera line-1 is offline; needs you: {SERVER} is not tried again"
    )


# -- starting, stopping, threads, the outbox --------------------------------------------------------------------------


def test_a_camera_that_is_being_opened_for_the_first_time_is_starting_and_no_failure():
    camera = CameraFacts("line-1", "offline", "it is being opened", since_s=NOW_S - 2, opening=True)
    judgement = with_cameras(camera)
    assert (judgement.severity, judgement.ready) == (Severity.WORKING, False)
    assert judgement.sentence == "Iris is starting: camera line-1 is being opened."
    assert with_cameras(replace(camera, since_s=NOW_S - 30)).severity is Severity.FAILED
    assert with_cameras(replace(camera, opening=False)).severity is Severity.FAILED


def test_ending_in_order_is_no_warning_whatever_does_not_run_any_more():
    facts = replace(around(stopping=True), uploader_running=False, waiting=3, cameras=(CameraFacts("x", "disabled"),))
    judgement = judge(facts, NOW_S)
    assert (judgement.severity, judgement.ready) == (Severity.WORKING, False)
    assert judgement.sentence == "Iris is stopping: 3 files on the way."


@pytest.mark.parametrize(
    "missing",
    [
        {"cameras": (CameraFacts("x", rows_lost=7),)},
        {"cameras": (CameraFacts("x", evidence_skipped=1),)},
        {"undelivered": 1},
        {"around": Around(stopping=True, removed=1)},
        {"around": Around(stopping=True, left_behind=("camera x: what earlier runs left is not delivered",))},
    ],
    ids=["rows", "evidence", "given up", "removed", "left behind"],
)
def test_an_end_with_something_missing_does_not_state_that_every_file_is_delivered(missing):
    facts = replace(around(stopping=True), uploader_running=False, **missing)
    assert judge(facts, NOW_S).sentence == "Iris is stopping: no file waits."


def test_a_film_that_came_to_its_end_is_no_warning():
    judgement = with_cameras(CameraFacts("line-1", "disabled", "it has come to its end", ended=True))
    assert (judgement.severity, judgement.ready) == (Severity.WORKING, True)
    assert judgement.sentence == "Iris works: every file is delivered; the source came to its end."


def test_a_film_that_came_to_its_end_beside_a_line_that_goes_on_is_reported_as_ended():
    judgement = with_cameras(*working("line-1"), CameraFacts("film", "disabled", "it has come to its end", ended=True))
    assert judgement.sentence == "Iris works: every file is delivered; camera film has come to its end."


def test_a_thread_that_ended_is_named_and_one_that_was_started_again_is_remembered():
    ended = judge(around(threads=(ThreadFacts("iris-kept", False, "KeyError: 1"),)), NOW_S)
    assert (ended.severity, ended.ready) == (Severity.FAILED, False)
    assert "the thread iris-kept has ended (KeyError: 1)" in ended.sentence
    again = judge(around(threads=(ThreadFacts("iris-kept", True, "KeyError: 1", 2),)), NOW_S)
    assert (again.severity, again.ready) == (Severity.DEGRADED, True)
    assert "the thread iris-kept had to be started again 2 times in 5 min (KeyError: 1)" in again.sentence


def test_an_outbox_of_another_process_is_reported_with_what_waits_beside_it():
    trouble = OutboxTrouble("the outbox /o is in use by process 7", "stop the other process", in_use=True)
    facts = replace(around(to_accept=2000, not_opened=trouble), uploader_running=False, uploader_state="new")
    judgement = judge(facts, NOW_S)
    assert (judgement.severity, judgement.ready) == (Severity.NEEDS_YOU, False)
    assert judgement.sentence == (
        "Iris needs you: the outbox /o is in use by process 7, so nothing is delivered by this one; "
        "2,000 files wait in /var/records; stop the other process."
    )


@pytest.mark.parametrize(
    ("is_full", "severity"), [(True, Severity.DEGRADED), (False, Severity.FAILED)], ids=["full", "its disk refuses"]
)
def test_an_outbox_that_accepts_nothing_is_reported_with_why(is_full, severity):
    trouble = OutboxTrouble("the outbox holds 100 items", "raise max_queue_size", is_full=is_full)
    judgement = judge(replace(around(to_accept=5), refusing=trouble), NOW_S)
    assert judgement.severity is severity
    assert "accepts no file (the outbox holds 100 items); 5 files wait in /var/records" in judgement.sentence


def test_waiting_files_are_counted_without_a_server():
    judgement = judge(around(servers_known=False, to_accept=12), NOW_S)
    assert (judgement.severity, judgement.ready) == (Severity.DEGRADED, True)
    assert "no server is configured; 12 files wait in /var/records" in judgement.sentence


def test_an_outbox_that_cannot_be_opened_fails_with_its_reason():
    trouble = OutboxTrouble("cannot use the outbox folder /o: Permission denied", "correct its permissions")
    facts = replace(around(to_accept=5, not_opened=trouble), uploader_running=False, uploader_state="new")
    judgement = judge(facts, NOW_S)
    assert (judgement.severity, judgement.ready) == (Severity.FAILED, False)
    assert "cannot be opened (cannot use the outbox folder /o: Permission denied); 5 files wait" in judgement.sentence


def test_a_server_outside_its_window_is_a_remark():
    link = LinkFacts(SERVER, "idle", NOW_S, None, 14, held_back="outside its delivery windows")
    judgement = judge(replace(WELL, links=(link,), waiting=14, oldest_waiting_s=9000.0), NOW_S)
    assert judgement.severity is Severity.WORKING
    assert judgement.sentence == (
        f"Iris works: 14 files on the way; {SERVER}: outside its delivery windows, 14 files wait."
    )


def test_the_finding_of_a_servers_check_is_reported():
    link = LinkFacts(SERVER, "idle", NOW_S, None, 0, check="its disk is nearly full", check_hint="free space there")
    judgement = judge(replace(WELL, links=(link,)), NOW_S)
    assert judgement.severity is Severity.DEGRADED
    assert judgement.sentence == f"Iris works, but {SERVER}: its disk is nearly full; free space there."
