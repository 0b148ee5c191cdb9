import itertools

import pytest

from iris_communication.item import ENDED, TRANSITIONS, Event, State, TransitionRefused, next_state


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
        (State.WAITING, Event.DROP, State.DROPPED),
        (State.IN_FLIGHT, Event.DROP, State.DROPPED),
        (State.DEAD, Event.DROP, State.DROPPED),
        (State.WAITING, Event.EXPIRE, State.EXPIRED),
        (State.WAITING, Event.CANCEL, State.CANCELLED),
        (State.DEAD, Event.CANCEL, State.CANCELLED),
    ],
)
def test_the_life_of_an_item(state, event, after):
    assert next_state(state, event) is after


@pytest.mark.parametrize(("state", "event"), sorted(set(itertools.product(State, Event)) - set(TRANSITIONS), key=str))
def test_every_other_event_is_refused_in_words(state, event):
    with pytest.raises(TransitionRefused, match=f"{state.value} cannot {event.value}"):
        next_state(state, event)


@pytest.mark.parametrize("end", [State.DELIVERED, *ENDED])
def test_no_event_leads_out_of_an_end(end):
    assert [event for state, event in TRANSITIONS if state is end] == []


@pytest.mark.parametrize("end", [State.DELIVERED, *ENDED])
def test_every_state_that_is_no_end_has_a_way_to_each(end):
    reached = {end}
    while more := {state for (state, _), after in TRANSITIONS.items() if after in reached} - reached:
        reached |= more
    assert reached == set(State) - {State.DELIVERED, *ENDED} | {end}


def test_an_item_in_flight_is_neither_cancelled_nor_expires_for_it_may_have_arrived():
    assert (State.IN_FLIGHT, Event.CANCEL) not in TRANSITIONS
    assert (State.IN_FLIGHT, Event.EXPIRE) not in TRANSITIONS
