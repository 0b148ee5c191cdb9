"""Every error answers four questions; who answers them wrongly stops the wrong thing."""

import inspect
import pickle

import pytest

from iris_communication import errors
from iris_communication.errors import Effect, IrisError, LinkError, OutboxStorageError, Retry, Scope

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, IrisError)]
RAISED = [kind for kind in KINDS if kind is not IrisError]


@pytest.mark.parametrize("kind", RAISED)
def test_every_error_says_what_to_do(kind):
    assert kind("it happened").hint or kind is errors.InvalidRequest  # says it itself


@pytest.mark.parametrize("kind", RAISED)
def test_a_hint_may_be_given_for_the_case_at_hand(kind):
    error = kind("it happened", hint="do this", effect=Effect.UNSEEN)
    assert (str(error), error.hint, error.effect) == ("it happened", "do this", Effect.UNSEEN)


@pytest.mark.parametrize("kind", RAISED)
def test_an_error_has_had_no_effect_unless_it_says_so(kind):
    assert kind("it happened").effect is Effect.NONE


@pytest.mark.parametrize("kind", RAISED)
def test_each_error_has_the_scope_of_the_class_it_descends_from(kind):
    for base, scope in [(LinkError, Scope.LINK), (OutboxStorageError, Scope.OUTBOX), (ValueError, Scope.CALLER)]:
        assert not issubclass(kind, base) or kind.scope is scope


@pytest.mark.parametrize("kind", [kind for kind in RAISED if kind.scope is Scope.LINK])
def test_a_link_is_always_tried_again_by_itself(kind):
    assert kind.retry is Retry.LATER


@pytest.mark.parametrize("kind", [kind for kind in RAISED if kind.scope is Scope.ITEM])
def test_no_item_waits_for_the_operator_for_ever(kind):
    """It ends dead, where the operator finds it."""
    assert kind.retry is not Retry.AFTER_OPERATOR


@pytest.mark.parametrize("kind", RAISED)
def test_an_error_can_be_sent_to_another_process(kind):
    copy = pickle.loads(pickle.dumps(kind("it happened")))
    assert (type(copy), str(copy)) == (kind, "it happened")
