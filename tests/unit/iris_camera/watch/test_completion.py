"""When a file is complete, decision by decision; test_completion_machine.py has any order of them."""

import pytest

from iris_camera.watch.completion import Completion, FileState, Notice, Version, events_lost, found, judged, noticed

QUIET_S = 5.0
V1 = Version(inode=7, size_bytes=10, mtime_ns=1000)
V2 = Version(inode=7, size_bytes=20, mtime_ns=2000)
EMPTY = Version(inode=7, size_bytes=0, mtime_ns=1000)


def judge(candidate, look, now_s, remembered=None):
    return judged(candidate, look, remembered, now_s, QUIET_S)


def candidate_of(*notices, at_s=0.0):
    candidate = None
    for notice in notices:
        candidate = noticed(candidate, notice, at_s, QUIET_S)
    return candidate


@pytest.mark.parametrize("is_open", [False, None])
@pytest.mark.parametrize("notices", [(Notice.CREATED, Notice.WRITTEN, Notice.CLOSED), (Notice.ARRIVED,)])
def test_a_file_that_was_closed_or_renamed_into_the_folder_is_offered_at_once(notices, is_open):
    candidate = candidate_of(*notices)
    assert candidate.look_at_s == 0.0
    assert judge(candidate, FileState(V1, is_open), 0.0)[0] is Completion.OFFER


@pytest.mark.parametrize("notice", list(Notice))
def test_a_file_that_somebody_has_open_for_writing_is_never_offered(notice):
    candidate = candidate_of(notice)
    for now_s in (0.0, QUIET_S, 1000.0):
        verdict, candidate = judge(candidate, FileState(V1, is_open=True), now_s)
        assert verdict is Completion.WAIT


def test_a_file_seen_being_written_waits_for_its_close_where_nobody_knows_who_writes():
    verdict, candidate = judge(candidate_of(Notice.CREATED, Notice.WRITTEN), FileState(V1, is_open=None), 1000.0)
    assert verdict is Completion.WAIT
    candidate = noticed(candidate, Notice.CLOSED, 1000.0, QUIET_S)
    assert judge(candidate, FileState(V1, is_open=None), 1000.0)[0] is Completion.OFFER


def test_a_lost_close_is_replaced_by_the_quiet_time():
    candidate = events_lost(candidate_of(Notice.CREATED, Notice.WRITTEN))
    verdict, candidate = judge(candidate, FileState(V1, is_open=None), 1.0)
    assert (verdict, candidate.look_at_s) == (Completion.WAIT, QUIET_S)
    assert judge(candidate, FileState(V1, is_open=None), QUIET_S)[0] is Completion.OFFER


def test_the_quiet_time_begins_again_with_each_change():
    candidate = found(None, V1, None, 0.0, QUIET_S)
    verdict, candidate = judge(candidate, FileState(V2, is_open=None), QUIET_S)
    assert (verdict, candidate.look_at_s) == (Completion.WAIT, 2 * QUIET_S)
    assert judge(candidate, FileState(V2, is_open=None), 2 * QUIET_S)[0] is Completion.OFFER


def test_an_empty_file_that_was_closed_may_still_be_written_and_waits_out_the_quiet_time():
    candidate = candidate_of(Notice.CREATED, Notice.CLOSED)
    verdict, candidate = judge(candidate, FileState(EMPTY, is_open=False), 0.0)
    assert verdict is Completion.WAIT
    assert judge(candidate, FileState(EMPTY, is_open=False), QUIET_S)[0] is Completion.OFFER


def test_an_empty_file_that_was_renamed_into_the_folder_is_offered():
    assert judge(candidate_of(Notice.ARRIVED), FileState(EMPTY, is_open=False), 0.0)[0] is Completion.OFFER


def test_a_new_empty_name_waits_where_nobody_knows_whether_it_is_open():
    assert judge(candidate_of(Notice.CREATED), FileState(EMPTY, is_open=None), 1000.0)[0] is Completion.WAIT


def test_a_hard_link_which_nobody_closes_is_offered_after_the_quiet_time():
    verdict, candidate = judge(candidate_of(Notice.CREATED), FileState(V1, is_open=None), 0.0)
    assert verdict is Completion.WAIT
    assert judge(candidate, FileState(V1, is_open=None), QUIET_S)[0] is Completion.OFFER


def test_a_version_that_was_accepted_is_left_when_it_is_closed_or_listed_again():
    assert judge(candidate_of(Notice.CLOSED), FileState(V1, is_open=False), 0.0, remembered=V1)[0] is Completion.LEAVE
    assert found(None, V1, V1, 0.0, QUIET_S) is None


def test_a_file_written_within_one_tick_is_offered_though_its_facts_are_those_remembered():
    candidate = candidate_of(Notice.WRITTEN, Notice.CLOSED)
    assert judge(candidate, FileState(V1, is_open=False), 0.0, remembered=V1)[0] is Completion.OFFER


def test_a_file_that_is_gone_when_it_is_examined_is_left():
    assert judge(candidate_of(Notice.ARRIVED), None, 0.0)[0] is Completion.LEAVE


def test_listing_a_candidate_again_does_not_make_it_wait_longer():
    candidate = found(None, V1, None, 0.0, QUIET_S)
    assert found(candidate, V1, None, 3.0, QUIET_S) == candidate
