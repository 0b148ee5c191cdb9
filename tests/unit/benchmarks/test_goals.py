"""The sentence about a goal must be true: reached, missed and by how much, or not measured and why."""

import pytest

from benchmarks.goals import CEILINGS, GOALS, Goal, GoalVerdict, verdicts
from benchmarks.peers import CLIENTS, PEERS, STREAMS_CLIENT
from benchmarks.table import ClientRow, Times
from benchmarks.works import QUICK, WHOLE


def row(client, seconds=0.0, *, name="small-20", note=None, **own):
    times = Times(seconds, 0.1, **own)
    return ClientRow("500 files", 20, client, 500, 5_000_000, times=times, note=note, name=name, runs=1)


def said(rows):
    return [(verdict.what.partition(": ")[2], verdict.found, verdict.said) for verdict in verdicts(rows)]


def test_a_goal_is_reached_when_the_ratio_is():
    assert said([row("iris-engine", 1.0), row("asyncssh", 1.5)]) == [("iris-engine to asyncssh", "1.50x", "reached")]


def test_a_goal_that_is_missed_says_by_how_much():
    assert said([row("iris-engine", 1.0), row("asyncssh", 1.05)]) == [
        ("iris-engine to asyncssh", "1.05x", "25 % short")
    ]


def test_a_goal_is_not_missed_by_what_the_table_does_not_show():
    assert said([row("iris-engine", 1.0), row("asyncssh", 1.396)])[0][2] == "reached"


def test_a_peer_that_is_not_there_is_reported_with_the_reason_in_place_of_a_figure():
    there, absent = row("iris-engine", 1.0), row("asyncssh", note="missing: asyncssh (make setup)")
    assert said([there, absent]) == [
        ("iris-engine to asyncssh", "-", "not measured: missing: asyncssh (make setup)"),
    ]


def test_no_verdict_is_given_on_what_this_run_did_not_measure():
    assert verdicts([row("asyncssh", 1.0), row("iris-engine", 1.0, name="elsewhere")]) == []


def test_the_same_span_is_compared_where_both_measured_it():
    rows = [row("iris-engine", 1.0, span_s=0.8), row("iris", 0.5, span_s=0.5)]
    assert said(rows) == [
        ("iris to iris-engine", "2.00x", "reached"),
        ("iris to iris-engine, start and end aside", "1.60x", "reached"),
    ]


def test_a_figure_above_its_ceiling_says_by_how_much():
    rows = [row("iris-engine", 1.0, name="steady", own_us=300.0)]
    assert verdicts(rows) == [
        GoalVerdict("500 files, RTT 20 ms: iris-engine", "at most 250 us CPU a file", "300", "20 % over")
    ]


def test_memory_is_compared_in_mib():
    rows = [row("iris-engine-ssh", 1.0, name="large-0", above_idle_bytes=8.0 * (1 << 20))]
    assert said(rows) == [("iris-engine-ssh", "8", "reached")]


@pytest.mark.parametrize("goal", GOALS)
def test_every_goal_is_of_a_work_and_of_clients_that_are_measured_on_it(goal: Goal):
    (work,) = [work for work in WHOLE if work.name == goal.work]
    assert {goal.client, *goal.peers} - {STREAMS_CLIENT} <= set(work.clients)


def test_every_ceiling_is_of_a_client_that_is_measured():
    clients = {work.name: work.clients for work in WHOLE}
    assert all(ceiling.client in clients[ceiling.work] for ceiling in CEILINGS)


def test_the_short_run_is_part_of_the_whole_one():
    clients = {work.name: set(work.clients) for work in WHOLE}
    assert all(set(work.clients) <= clients[work.name] for work in QUICK)
    assert {"openssh-sftp", "asyncssh", "iris-engine", "iris-engine-ssh", "iris"} == set(QUICK[0].clients)


def test_every_client_is_asked_for_by_its_name():
    assert list(PEERS) == ["openssh-sftp", "rclone-4", "rclone-16", "lftp-4", "lftp-16", "paramiko", "asyncssh"]
    assert all(set(work.clients) <= CLIENTS.keys() for work in WHOLE)
