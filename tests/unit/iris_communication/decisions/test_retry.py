import inspect

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iris_communication import errors
from iris_communication.decisions.retry import Decision, Retrying, after_failure, back_off_s
from iris_communication.errors import IrisError, RemoteFailure, Retry, Scope
from iris_communication.item import Event

RETRYING = Retrying(attempts_max=8, base_s=2.0, cap_s=300.0)
KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, IrisError)]
LUCK = st.floats(0, 1, exclude_max=True)
PROPERTY = settings(derandomize=True, deadline=None, database=None)


@pytest.mark.parametrize("attempts", [0, 6, 7, 8, 1000])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.scope in (Scope.LINK, Scope.SERVER)])
def test_a_failure_of_the_link_or_the_server_costs_the_item_no_attempt(kind, attempts):
    assert after_failure(kind("no"), attempts, RETRYING, 0.5) == Decision(Event.RELEASE)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.scope is Scope.ITEM and kind.retry is Retry.NEVER])
def test_an_error_that_would_come_again_ends_the_item_at_once(kind):
    expected = Event.DROP if kind is errors.RemoteNameKept else Event.GIVE_UP  # nobody has to act on what was chosen
    assert after_failure(kind("no"), 0, RETRYING, 0.5) == Decision(expected)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.scope is Scope.ITEM and kind.retry is Retry.LATER])
def test_an_items_own_error_is_tried_again_until_no_attempt_is_left(kind):
    events = [after_failure(kind("no"), attempts, RETRYING, 0.5).event for attempts in range(8)]
    assert events == [Event.FAIL] * 7 + [Event.GIVE_UP]


def test_the_first_failure_is_the_last_of_a_single_attempt():
    assert after_failure(RemoteFailure("no"), 0, Retrying(1, 2.0, 300.0), 0.5).event is Event.GIVE_UP


def test_the_wait_doubles_up_to_the_cap():
    waits = [after_failure(RemoteFailure("no"), attempts, RETRYING, 1.0).delay_s for attempts in range(7)]
    assert waits == [2, 4, 8, 16, 32, 64, 128]
    assert back_off_s(9, 2.0, 300.0, 1.0) == 300.0


@PROPERTY
@given(st.integers(1, 10_000), st.floats(0.001, 1e4), st.floats(0.001, 1e6), LUCK)
def test_a_wait_is_a_part_of_the_capped_exponential_and_never_overflows(failures, base_s, cap_s, jitter):
    wait_s = back_off_s(failures, base_s, cap_s, jitter)
    assert 0.0 <= wait_s <= min(cap_s, base_s * 2.0 ** min(failures - 1, 64))


@PROPERTY
@given(st.integers(1, 10_000), LUCK, LUCK)
def test_more_jitter_never_waits_less(failures, jitter, more):
    jitter, more = sorted((jitter, more))
    assert back_off_s(failures, 2.0, 300.0, jitter) <= back_off_s(failures, 2.0, 300.0, more)
