import itertools

import pytest

from iris_communication.item import TRANSITIONS, Event, State, TransitionRefused, next_state


@pytest.mark.parametrize(
    ("state", "event", "after"),
    [
        (State.WAITING, Event.CLAIM, State.IN_FLIGHT),
        (State.IN_FLIGHT, Event.DELIVER, State.DELIVERED),
        (State.IN_FLIGHT, Event.FAIL, State.WAITING),
        (State.IN_FLIGHT, Event.RELEASE, State.WAITING),
        (State.IN_FLIGHT, Event.GIVE_UP, State.DEAD),
        (State.WAITING, Event.GIVE_UP, State.DEAD),
        (State.DEAD, Event.RETRY, State.WAITING),
    ],
)
def test_the_life_of_an_item(state, event, after):
    assert next_state(state, event) is after


@pytest.mark.parametrize(("state", "event"), sorted(set(itertools.product(State, Event)) - set(TRANSITIONS), key=str))
def test_every_other_event_is_refused_in_words(state, event):
    with pytest.raises(TransitionRefused, match=f"{state.value} cannot {event.value}"):
        next_state(state, event)


def test_nothing_leaves_what_is_delivered():
    assert [event for state, event in TRANSITIONS if state is State.DELIVERED] == []


def test_every_other_state_has_a_way_to_delivered():
    reached = {State.DELIVERED}
    while more := {state for (state, _), after in TRANSITIONS.items() if after in reached} - reached:
        reached |= more
    assert reached == set(State)
