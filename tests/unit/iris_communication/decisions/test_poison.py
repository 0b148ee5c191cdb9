"""A file that ends every connection is found out, and no file is blamed for a link that carries nothing."""

from hypothesis import given
from hypothesis import strategies as st

from iris_communication.decisions.poison import (
    PROGRESS_BYTES,
    SUSPECTS_MAX,
    TIMES_MAX,
    PoisonWatch,
    after_arrival,
    after_trouble,
    next_up,
)
from iris_communication.errors import Effect, LinkLost, RemoteDiskFull, RemoteFailure, Scope


def lost(acknowledged_bytes=0, effect=Effect.UNSEEN):
    error = LinkLost("the server closed it", effect=effect)
    error.acknowledged_bytes = acknowledged_bytes
    return error


def suspected(item_id="bad", error=None, suspicion=None):
    suspicion, blame = after_trouble(suspicion or PoisonWatch(), item_id, error or lost(), alone=True)
    assert blame is None
    return suspicion


def test_a_file_under_which_the_link_broke_lets_others_go_first():
    assert next_up(PoisonWatch(), ["bad", "good"], []) == 0
    assert next_up(suspected(), ["bad", "good"], []) == 1


def test_a_suspected_file_goes_alone():
    assert next_up(suspected(), ["bad"], ["good"]) is None
    assert next_up(suspected(), ["good"], ["bad"]) is None
    assert next_up(suspected(), ["bad"], []) == 0


def test_each_of_several_suspects_has_its_turn():
    suspicion = suspected("second", suspicion=suspected("first"))
    assert next_up(suspicion, ["second", "first"], []) == 1
    suspicion = suspected("first", suspicion=suspicion)
    assert next_up(suspicion, ["second", "first"], []) == 0


def suspected_often():
    """As often as it may be without being to blame."""
    suspicion = PoisonWatch()
    for _ in range(TIMES_MAX):
        suspicion = after_arrival(suspected(suspicion=suspicion), "good")
    return suspicion


def test_a_file_suspected_again_and_again_is_to_blame_and_what_it_may_have_left_is_told():
    _, blame = after_trouble(suspected_often(), "bad", lost(effect=Effect.UNKNOWN), alone=True)
    assert isinstance(blame, RemoteFailure)
    assert (blame.scope, blame.effect) == (Scope.ITEM, Effect.UNKNOWN)


def test_a_link_that_carries_nothing_blames_nobody():
    suspicion = suspected()
    for _ in range(3 * TIMES_MAX):
        suspicion = suspected(suspicion=suspicion)


def test_each_blame_needs_an_arrival_of_its_own():
    suspicion, blame = after_trouble(suspected_often(), "bad", lost(), alone=True)
    assert blame is not None
    suspected(suspicion=suspicion)


def test_a_file_that_arrives_is_suspected_no_more():
    assert next_up(after_arrival(suspected(), "bad"), ["bad", "good"], []) == 0


def test_no_file_is_suspected_that_was_not_alone():
    suspicion, _ = after_trouble(PoisonWatch(), "bad", lost(), alone=False)
    assert suspicion == PoisonWatch()


def test_a_connection_that_could_not_be_made_and_a_large_file_that_got_on_are_no_grounds():
    for error in (lost(effect=Effect.NONE), lost(PROGRESS_BYTES)):
        suspicion, _ = after_trouble(PoisonWatch(), "bad", error, alone=True)
        assert suspicion == PoisonWatch()


def test_a_file_that_has_no_room_lets_others_go_first_and_is_never_to_blame():
    full = RemoteDiskFull("no space")
    suspicion = suspected("large", full)
    assert next_up(suspicion, ["large", "small"], []) == 1
    for _ in range(3 * TIMES_MAX):
        suspicion = suspected("large", full, after_arrival(suspicion, "small"))


@given(st.lists(st.integers(0, 200)))
def test_no_more_than_so_many_are_remembered_the_latest_of_them(numbers):
    suspicion = PoisonWatch()
    for number in numbers:
        suspicion = suspected(str(number), suspicion=suspicion)
        assert len(suspicion.suspects) <= SUSPECTS_MAX
        assert list(suspicion.suspects)[-1] == str(number)
