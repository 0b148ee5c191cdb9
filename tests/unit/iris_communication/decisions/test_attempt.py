from hypothesis import given
from hypothesis import strategies as st

from iris_communication.decisions.attempt import EARLIER_MAX, claimed, failed, released
from iris_communication.errors import Effect, LinkLost, RemoteRefused
from iris_communication.item import Due, Event, State
from tests.unit.iris_communication.outbox.fake_parts import an_item

LOST = LinkLost("the link is gone")


def test_a_claim_has_a_token_of_its_own():
    item = claimed(an_item(), "t1")
    assert (item.state, item.token, item.earlier_tokens) == (State.IN_FLIGHT, "t1", ())


def test_an_attempt_after_one_that_was_cut_off_has_a_token_of_its_own_too():
    cut_off = released(claimed(an_item(), "t1"), LOST, Effect.UNSEEN)
    assert claimed(cut_off, "t2").token == "t2"


def test_the_next_attempt_gets_the_token_of_one_that_was_cut_off():
    cut_off = released(claimed(an_item(), "t1"), LOST, Effect.UNSEEN)
    assert claimed(cut_off, "t2").earlier_tokens == ("t1",)


def test_an_attempt_that_touched_nothing_does_not_hide_the_one_before():
    item = released(claimed(an_item(), "t1"), LOST, Effect.UNSEEN)
    for number in range(2, 5):
        item = released(claimed(item, f"t{number}"), LOST, Effect.NONE)
    assert claimed(item, "t9").earlier_tokens == ("t1",)


def test_tokens_of_two_attempts_cut_off_in_a_row_are_both_kept():
    """Killed, and killed again before the server was asked about the first."""
    item = released(claimed(an_item(), "t1"), LOST, Effect.UNSEEN)
    item = released(claimed(item, "t2"), LOST, Effect.UNSEEN)
    assert claimed(item, "t3").earlier_tokens == ("t1", "t2")


def test_earlier_tokens_are_bounded():
    item = an_item()
    for number in range(50):
        item = released(claimed(item, f"t{number}"), LOST, Effect.UNSEEN)
    assert claimed(item, "last").earlier_tokens == tuple(f"t{number}" for number in range(50 - EARLIER_MAX, 50))


def test_an_attempt_whose_rename_was_sent_is_finished_under_its_own_token():
    item = released(claimed(an_item(), "t1"), LOST, Effect.UNKNOWN)
    again = claimed(item, "t2")
    assert (again.token, again.effect) == ("t1", Effect.UNKNOWN)


def test_an_attempt_that_could_not_finish_another_leaves_the_rename_as_unanswered_as_it_was():
    item = claimed(released(claimed(an_item(), "t1"), LOST, Effect.UNKNOWN), "t2")
    assert released(item, LOST, Effect.NONE).effect is Effect.UNKNOWN


def test_an_attempt_that_failed_and_left_its_temp_file_is_known_to_the_next_one():
    item = failed(claimed(an_item(), "t1"), Event.FAIL, RemoteRefused("no"), Effect.UNSEEN, Due("boot", 5.0))
    assert claimed(item, "t2").earlier_tokens == ("t1",)


def test_a_failure_costs_an_attempt_and_says_when_the_next_is_due():
    item = failed(claimed(an_item(), "t1"), Event.FAIL, RemoteRefused("no"), Effect.NONE, Due("boot", 5.0))
    assert (item.state, item.attempts, item.due) == (State.WAITING, 1, Due("boot", 5.0))
    assert (item.last_error.error, item.last_error.message) == ("RemoteRefused", "no")


def test_an_item_that_is_given_up_is_dead():
    assert failed(claimed(an_item(), "t1"), Event.GIVE_UP, RemoteRefused("no"), Effect.NONE, None).state is State.DEAD


def test_a_release_costs_nothing_and_keeps_the_last_error_when_it_has_none():
    item = failed(claimed(an_item(), "t1"), Event.FAIL, RemoteRefused("no"), Effect.NONE, Due("boot", 5.0))
    again = released(claimed(item, "t2"), None, Effect.NONE)
    assert (again.attempts, again.due, again.last_error) == (1, item.due, item.last_error)


@given(st.lists(st.sampled_from(["cut off", "nothing touched", "looked back"]), max_size=EARLIER_MAX))
def test_every_temp_file_that_may_be_left_is_known_to_the_next_attempt(attempts):
    """Against a model: the set of tokens under which a file may lie."""
    item, may_lie = an_item(), set()
    for number, end in enumerate(attempts):
        item = claimed(item, f"t{number}")
        assert may_lie <= set(item.earlier_tokens)
        if end == "cut off":
            may_lie.add(item.token)
            item = released(item, LOST, Effect.UNSEEN)
        elif end == "nothing touched":
            item = released(item, LOST, Effect.NONE)
        else:
            may_lie.clear()
            item = failed(item, Event.FAIL, RemoteRefused("no"), Effect.NONE, None)
    assert may_lie <= set(claimed(item, "last").earlier_tokens)
