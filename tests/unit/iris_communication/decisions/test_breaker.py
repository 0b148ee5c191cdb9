"""One server's breaker: a table of single steps, then any sequence of them."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from iris_communication.decisions.breaker import (
    Breaker,
    BreakerState,
    allowance,
    kept,
    on_answer,
    on_failure,
    on_release,
    on_start,
    restored,
)
from iris_communication.errors import AuthenticationFailed, HostKeyRejected, LinkLost, RemoteDiskFull
from iris_communication.item import Failure
from iris_communication.settings import DeliverySettings

SETTINGS = DeliverySettings(breaker_base_s=1.0, breaker_cap_s=60.0)
NOW_S = 40_001.5
CLOSED, OPEN, HALF_OPEN, HELD = BreakerState
LOST = LinkLost("cut")
REFUSED = AuthenticationFailed("wrong password")


def failed(breaker, error=LOST, jitter=0.0, now_s=NOW_S):
    return on_failure(breaker, error, SETTINGS, jitter, now_s)


def opened(failures=1, now_s=NOW_S):
    """Open after so many failed probes, each at once."""
    breaker = failed(Breaker(), now_s=now_s)
    for _ in range(failures - 1):
        breaker = failed(on_start(breaker, breaker.until_s), now_s=now_s)
    return breaker


def test_a_closed_breaker_lets_everything_through():
    assert allowance(Breaker(), 64, NOW_S) == 64


def test_a_failure_opens_it_and_is_remembered():
    breaker = failed(Breaker())
    assert (breaker.state, breaker.failures) == (OPEN, 1)
    assert breaker.failure == Failure("LinkLost", "cut", LOST.hint)
    assert allowance(breaker, 64, NOW_S) == 0


def test_items_that_fail_in_one_collapse_count_as_one_failure():
    breaker = failed(Breaker())
    for _ in range(63):
        assert failed(breaker, jitter=0.9, now_s=NOW_S + 0.1) is breaker


def test_one_probe_goes_out_when_its_time_has_come_and_no_second():
    breaker = opened()
    assert allowance(breaker, 64, breaker.until_s - 0.001) == 0
    assert allowance(breaker, 64, breaker.until_s) == 1
    probing = on_start(breaker, breaker.until_s)
    assert probing.state is HALF_OPEN
    assert allowance(probing, 64, breaker.until_s) == 1  # one under way at most, which it is


def test_an_item_that_was_under_way_before_is_no_probe():
    breaker = opened()
    assert on_start(breaker, breaker.until_s - 0.001) is breaker


def test_an_answer_closes_it_and_forgets_the_failures():
    for breaker in (opened(5), on_start(opened(5), 1e9), failed(Breaker(), REFUSED)):
        assert on_answer(breaker) == Breaker()


def test_an_answer_leaves_a_closed_breaker_as_it_is():
    breaker = Breaker()
    assert on_answer(breaker) is breaker


@pytest.mark.parametrize(("failures", "full_s"), [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (50, 60)])
def test_each_failed_probe_doubles_the_wait_up_to_the_cap_with_jitter_over_the_upper_half(failures, full_s):
    before = opened(failures - 1) if failures > 1 else Breaker()
    probing = on_start(before, before.until_s)
    assert failed(probing, jitter=0.0).until_s == NOW_S + full_s / 2
    assert failed(probing, jitter=1.0).until_s == NOW_S + full_s


@pytest.mark.parametrize("error", [REFUSED, HostKeyRejected("changed")])
def test_an_error_that_only_a_person_can_mend_holds_the_breaker_without_an_end(error):
    breaker = failed(Breaker(), error)
    assert (breaker.state, breaker.failure) == (HELD, Failure(type(error).__name__, str(error), error.hint))
    assert allowance(breaker, 64, NOW_S + 1e9) == 0
    assert on_start(breaker, NOW_S + 1e9) is breaker
    assert failed(breaker, LOST) is breaker


def test_a_full_disk_on_the_server_opens_it_like_a_lost_link():
    assert failed(Breaker(), RemoteDiskFull("full")).state is OPEN


def test_a_probe_that_we_broke_off_ourselves_may_be_sent_again_at_once():
    probing = on_start(opened(3), 1e9)
    released = on_release(probing)
    assert (released.state, released.failures) == (OPEN, 3)
    assert allowance(released, 64, probing.until_s) == 1


@pytest.mark.parametrize("breaker", [Breaker(), opened(), failed(Breaker(), REFUSED)], ids=["closed", "open", "held"])
def test_stopping_changes_nothing_else(breaker):
    assert on_release(breaker) is breaker


def test_a_closed_breaker_notes_a_connection_until_something_answers():
    connecting = on_start(Breaker(), NOW_S, connects=True)
    assert (connecting.state, connecting.connecting, connecting.until_s) == (CLOSED, True, NOW_S)
    assert allowance(connecting, 64, NOW_S) == 64
    assert on_start(connecting, NOW_S + 1, connects=True) is connecting  # 64 items, one connection
    assert on_answer(connecting) == Breaker()
    assert on_release(connecting) == Breaker()
    assert not failed(connecting).connecting


def test_a_start_over_a_connection_that_stands_is_no_probe():
    breaker = Breaker()
    assert on_start(breaker, NOW_S) is breaker


class AnyOrder(RuleBasedStateMachine):
    """Whatever happens in whatever order: the breaker lets through what it may, and always opens again in time."""

    def __init__(self):
        super().__init__()
        self.breaker = Breaker()
        self.now_s = NOW_S

    @rule(seconds=st.floats(0, 100))
    def time_passes(self, seconds):
        self.now_s += seconds

    @rule(connects=st.booleans())
    def an_item_starts_if_it_may(self, connects):
        if allowance(self.breaker, 64, self.now_s):
            before = self.breaker
            self.breaker = on_start(before, self.now_s, connects=connects)
            assert self.breaker.state is (HALF_OPEN if before.state is OPEN else before.state)

    @rule(jitter=st.floats(0, 1, exclude_max=True), error=st.sampled_from([LOST, REFUSED]))
    def something_fails(self, jitter, error):
        before = self.breaker
        self.breaker = failed(before, error, jitter, self.now_s)
        if before.state in (CLOSED, HALF_OPEN):
            assert self.breaker.state is (HELD if error is REFUSED else OPEN)
            assert self.breaker.failures == before.failures + 1
        if self.breaker.state is OPEN and before.state is not OPEN:
            assert SETTINGS.breaker_base_s / 2 <= self.breaker.until_s - self.now_s <= SETTINGS.breaker_cap_s

    @rule()
    def the_server_answers(self):
        self.breaker = on_answer(self.breaker)
        assert self.breaker == Breaker()

    @rule(jitter=st.floats(0, 1, exclude_max=True), reboot=st.booleans())
    def the_process_dies_and_starts_again(self, jitter, reboot):
        before, self.now_s = self.breaker, 7.0
        facts = kept(before, 5.0 if before.state is CLOSED else before.until_s - 3.0, ("boot", 100.0))
        self.breaker, warning = restored(facts, 7.0, ("other" if reboot else "boot", 100.0), SETTINGS, jitter)
        assert warning == ""
        tried = before.connecting or before.state is HALF_OPEN
        assert self.breaker.failures == before.failures + tried
        if before.state is HELD or before == Breaker():
            assert self.breaker.state is before.state
        else:
            assert self.breaker.state is OPEN

    @rule()
    def the_uploader_stops(self):
        self.breaker = on_release(self.breaker)
        assert self.breaker.state is not HALF_OPEN

    @invariant()
    def it_lets_all_one_or_none_through(self):
        assert (
            allowance(self.breaker, 64, self.now_s)
            in {CLOSED: (64,), HALF_OPEN: (1,), HELD: (0,), OPEN: (0, 1)}[self.breaker.state]
        )

    @invariant()
    def it_is_never_shut_for_longer_than_the_cap_unless_it_is_held(self):
        later_s = self.now_s + SETTINGS.breaker_cap_s
        assert self.breaker.state is HELD or allowance(self.breaker, 64, later_s) >= 1

    @invariant()
    def only_a_closed_breaker_connects_without_being_a_probe(self):
        assert not self.breaker.connecting or self.breaker.state is CLOSED

    @invariant()
    def it_knows_why_it_is_not_closed(self):
        assert (self.breaker.state is CLOSED) == (self.breaker.failure is None)


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(
    derandomize=True, deadline=None, max_examples=100, stateful_step_count=30, database=None
)
