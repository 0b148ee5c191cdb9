"""What is said of servers, and of files that wait for one or for a person."""

from dataclasses import replace

import pytest

from iris_camera.health.conditions import Severity
from iris_camera.health.facts import CameraFacts, LinkFacts
from iris_camera.health.judging import Readiness, judge
from tests.unit.iris_camera.health.well_facts import DOWN, NOW_S, SERVER, WELL, around


def test_a_link_that_is_down_leaves_iris_ready_and_the_sentence_says_so():
    judgement = judge(replace(WELL, links=(DOWN,), waiting=14, oldest_waiting_s=42.0), NOW_S)
    assert judgement.ready
    assert judgement.state is Readiness.ATTENTION
    assert judgement.sentence == (
        "Iris works, but the link to iris@10.0.0.7:22 has been down for 42 s (connection refused), "
        "14 files waiting until it is back."
    )


def test_an_old_backlog_is_reported_only_when_no_link_explains_it():
    old = replace(WELL, waiting=14, oldest_waiting_s=900.0)
    assert "the oldest of 14 files has waited 15 min" in judge(old, NOW_S).sentence
    assert "oldest" not in judge(replace(old, links=(DOWN,)), NOW_S).sentence


@pytest.mark.parametrize(("takes_nothing", "was"), [(False, "the link to {} was down"), (True, "{} took nothing")])
def test_a_server_that_only_the_run_before_found_down_is_reported_without_a_time_that_nobody_saw(takes_nothing, was):
    before = replace(DOWN, since_s=None, takes_nothing=takes_nothing)
    said = judge(replace(WELL, links=(before,)), NOW_S).sentence
    assert f"{was.format(before.server)} before this start (connection refused)" in said
    assert " for " not in said.partition("(")[0]


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


def test_waiting_files_are_counted_without_a_server():
    judgement = judge(around(servers_known=False, to_accept=12), NOW_S)
    assert (judgement.severity, judgement.ready) == (Severity.DEGRADED, True)
    assert "no server is configured; 12 files wait in /var/records" in judgement.sentence


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
