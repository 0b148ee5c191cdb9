"""A destination's details: its link, what waits and is in flight, and when its server is tried again."""

import pytest

from iris_communication.decisions.breaker import Breaker, BreakerState
from iris_communication.delivery.destination import DestinationState
from iris_communication.item import Archive, Failure
from iris_communication.outbox.store.contract import Backlog, ServerState
from tests.unit.iris_communication.outbox.fake_parts import an_item

REFUSED = Failure("ConnectionRefused", "nothing listens there", "start it")
OPEN = ServerState()


def test_a_new_destination_is_idle_since_it_was_made():
    details = DestinationState(since_s=5.0).details(Backlog(), OPEN, now_monotonic_s=0.0)
    assert (details["link"], details["since_s"], details["reason"], details["hint"]) == ("idle", 5.0, None, None)


def test_a_link_is_in_its_state_since_it_changed_and_not_since_it_was_last_seen():
    destination = DestinationState(since_s=5.0)
    assert destination.see("up", 6.0)
    assert not destination.see("up", 7.0)
    assert destination.since_s == 6.0


def test_claimed_items_that_are_not_begun_still_wait():
    destination = DestinationState(since_s=0.0)
    destination.claimed.extend(an_item(number) for number in range(3))
    assert destination.details(Backlog(fresh=10, retrying=2), OPEN, 0.0)["waiting"] == 15


def test_an_open_breaker_says_why_and_when_it_is_tried_again():
    destination = DestinationState(0.0, Breaker(BreakerState.OPEN, 1, until_s=30.0, failure=REFUSED))
    details = destination.details(Backlog(), OPEN, now_monotonic_s=10.0)
    assert (details["reason"], details["hint"], details["retry_in_s"]) == ("nothing listens there", "start it", 20.0)
    assert destination.details(Backlog(), OPEN, now_monotonic_s=40.0)["retry_in_s"] == 0.0


def test_a_held_breaker_is_not_tried_again_by_itself():
    destination = DestinationState(0.0, Breaker(BreakerState.HELD, 1, failure=REFUSED))
    assert destination.details(Backlog(), OPEN, 0.0)["retry_in_s"] is None


@pytest.mark.parametrize("paused", [True, False])
def test_a_pause_is_shown(paused):
    assert DestinationState(0.0).details(Backlog(), ServerState(paused=paused), 0.0)["paused"] is paused


def test_claimed_items_are_counted_while_more_are_claimed():
    destination = DestinationState(since_s=0.0)

    class Joined(Archive):
        """While its files are counted for the page, the worker's thread claims more."""

        members = property(lambda self: (destination.claimed.append(an_item()), ())[1])

    destination.claimed.extend([object.__new__(Joined), an_item()])
    assert destination.details(Backlog(), OPEN, 0.0)["waiting"] == 1
