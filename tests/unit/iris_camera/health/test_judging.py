"""What is said of the whole: all well, the uploader, the outbox, the disks, starting and stopping."""

from dataclasses import replace

import pytest

from iris_camera.health.conditions import Severity
from iris_camera.health.facts import (
    Around,
    CameraFacts,
    DiskFacts,
    FolderFacts,
    HealthLimits,
    OutboxTrouble,
    ThreadFacts,
)
from iris_camera.health.judging import Readiness, judge
from iris_camera.health.sentences import age_text
from tests.unit.iris_camera.health.well_facts import DOWN, MIB, NOW_S, OFFLINE, WELL, around


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


def test_an_outbox_that_cannot_be_opened_fails_with_its_reason():
    trouble = OutboxTrouble("cannot use the outbox folder /o: Permission denied", "correct its permissions")
    facts = replace(around(to_accept=5, not_opened=trouble), uploader_running=False, uploader_state="new")
    judgement = judge(facts, NOW_S)
    assert (judgement.severity, judgement.ready) == (Severity.FAILED, False)
    assert "cannot be opened (cannot use the outbox folder /o: Permission denied); 5 files wait" in judgement.sentence
