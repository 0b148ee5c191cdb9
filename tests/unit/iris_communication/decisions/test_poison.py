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


def suspected(item_id="bad", error=None, poison_watch=None):
    poison_watch, blame = after_trouble(poison_watch or PoisonWatch(), item_id, error or lost(), alone=True)
    assert blame is None
    return poison_watch


def test_a_file_under_which_the_link_broke_lets_others_go_first():
    assert next_up(PoisonWatch(), ["bad", "good"], []) == 0
    assert next_up(suspected(), ["bad", "good"], []) == 1


def test_a_suspected_file_goes_alone():
    assert next_up(suspected(), ["bad"], ["good"]) is None
    assert next_up(suspected(), ["good"], ["bad"]) is None
    assert next_up(suspected(), ["bad"], []) == 0


def test_each_of_several_suspects_has_its_turn():
    poison_watch = suspected("second", poison_watch=suspected("first"))
    assert next_up(poison_watch, ["second", "first"], []) == 1
    poison_watch = suspected("first", poison_watch=poison_watch)
    assert next_up(poison_watch, ["second", "first"], []) == 0


def suspected_often():
    """As often as it may be without being to blame."""
    poison_watch = PoisonWatch()
    for _ in range(TIMES_MAX):
        poison_watch = after_arrival(suspected(poison_watch=poison_watch), "good")
    return poison_watch


def test_a_file_suspected_again_and_again_is_to_blame_and_what_it_may_have_left_is_kept():
    _, blame = after_trouble(suspected_often(), "bad", lost(effect=Effect.UNKNOWN), alone=True)
    assert isinstance(blame, RemoteFailure)
    assert (blame.scope, blame.effect) == (Scope.ITEM, Effect.UNKNOWN)


def test_a_link_that_carries_nothing_blames_nobody():
    poison_watch = suspected()
    for _ in range(3 * TIMES_MAX):
        poison_watch = suspected(poison_watch=poison_watch)


def test_each_blame_needs_an_arrival_of_its_own():
    poison_watch, blame = after_trouble(suspected_often(), "bad", lost(), alone=True)
    assert blame is not None
    suspected(poison_watch=poison_watch)


def test_a_file_that_arrives_is_suspected_no_more():
    assert next_up(after_arrival(suspected(), "bad"), ["bad", "good"], []) == 0


def test_no_file_is_suspected_that_was_not_alone():
    poison_watch, _ = after_trouble(PoisonWatch(), "bad", lost(), alone=False)
    assert poison_watch == PoisonWatch()


def test_a_connection_that_could_not_be_made_and_a_large_file_that_got_on_are_no_grounds():
    for error in (lost(effect=Effect.NONE), lost(PROGRESS_BYTES)):
        poison_watch, _ = after_trouble(PoisonWatch(), "bad", error, alone=True)
        assert poison_watch == PoisonWatch()


def test_a_file_that_has_no_room_lets_others_go_first_and_is_never_to_blame():
    full = RemoteDiskFull("no space")
    poison_watch = suspected("large", full)
    assert next_up(poison_watch, ["large", "small"], []) == 1
    for _ in range(3 * TIMES_MAX):
        poison_watch = suspected("large", full, after_arrival(poison_watch, "small"))


@given(st.lists(st.integers(0, 200)))
def test_no_more_than_so_many_are_remembered_the_latest_of_them(numbers):
    poison_watch = PoisonWatch()
    for number in numbers:
        poison_watch = suspected(str(number), poison_watch=poison_watch)
        assert len(poison_watch.suspects) <= SUSPECTS_MAX
        assert list(poison_watch.suspects)[-1] == str(number)
