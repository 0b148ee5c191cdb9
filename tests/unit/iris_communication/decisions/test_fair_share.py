"""Which items go next: the shares one by one, then any backlog with anything arriving."""

from collections import deque
from itertools import count
from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iris_communication.decisions.fair_share import FairShare, PriorityBacklog, pick
from tests.unit.iris_communication.decisions.waiting_items import a_waiting_item

PROPERTY = settings(derandomize=True, deadline=None, database=None)
LISTS = ("due", "old", "new")
PLENTY = 1000


class Backlog:
    """What waits, by priority and list; a stand-in for the store."""

    def __init__(self):
        self._numbers = count(1)
        self.lists = {}
        self.turns = FairShare()

    def add(self, priority, name, items=1):
        queue = self.lists.setdefault((priority, name), deque())
        queue.extend(a_waiting_item(next(self._numbers), priority=priority) for _ in range(items))
        return self

    def backlogs(self, limit):
        waiting = {}
        for (priority, name), queue in self.lists.items():
            if queue:
                waiting.setdefault(priority, {})[name] = list(queue)[:limit]
        return [PriorityBacklog(priority, **waiting[priority]) for priority in sorted(waiting, reverse=True)]

    def pick(self, limit, lower_share=0.1, new_share=0.25):
        """(priority, list) of each pick, in order; each has to be the first of its list."""
        picked, self.turns = pick(self.turns, self.backlogs(limit), limit, lower_share, new_share)
        return [self._take(item) for item in picked]

    def _take(self, item):
        for name in LISTS:
            queue = self.lists.get((item.priority, name))
            if queue and queue[0].id == item.id:
                queue.popleft()
                return item.priority, name
        raise AssertionError(f"{item.id} is first in no list: it overtook another one, or went twice")

    def __len__(self):
        return sum(map(len, self.lists.values()))


def test_no_item_goes_where_none_waits():
    assert pick(FairShare(), [], 10, 0.1, 0.25) == ([], FairShare())


def test_items_of_one_kind_go_in_their_order_up_to_the_limit():
    items = [a_waiting_item(number) for number in range(1, 9)]
    assert pick(FairShare(), [PriorityBacklog(0, old=items)], 5, 0.1, 0.25)[0] == items[:5]


def test_the_higher_priority_goes_first():
    assert Backlog().add(5, "old", 2).add(0, "old", 2).pick(3) == [(5, "old"), (5, "old"), (0, "old")]


def test_lower_priorities_fill_the_rest_once_no_higher_one_is_left():
    assert len(Backlog().add(5, "old").add(0, "old", 2).add(-5, "due", 2).pick(10)) == 5


@pytest.mark.parametrize("limit", [1, 3, 64])
@pytest.mark.parametrize(("lower_share", "lower"), [(0.1, 20), (0.25, 50), (0.5, 100), (0.07, 14), (0.0, 0)])
def test_lower_priorities_have_their_share_whatever_is_asked_for_at_a_time(limit, lower_share, lower):
    backlog = Backlog().add(5, "old", PLENTY).add(0, "old", PLENTY).add(-3, "old", PLENTY)
    picks = picks_of(backlog, 200, limit, lower_share=lower_share)
    assert len([priority for priority, _ in picks if priority < 5]) == pytest.approx(lower, abs=1)


def test_the_share_of_the_lower_priorities_goes_round_among_them():
    backlog = Backlog().add(9, "old", PLENTY).add(1, "old", PLENTY).add(0, "due", PLENTY).add(-9, "new", PLENTY)
    picks = [priority for priority, _ in picks_of(backlog, 60, 1)]
    assert [priority for priority in picks if priority != 9] == [1, 0, -9, 1, 0, -9]


@pytest.mark.parametrize("limit", [1, 2, 64])
def test_retries_that_are_due_get_every_second_pick_while_fresh_ones_wait(limit):
    backlog = Backlog().add(0, "due", PLENTY).add(0, "old", PLENTY)
    assert [name for _, name in picks_of(backlog, 6, limit)] == ["due", "old"] * 3


def test_retries_go_one_after_the_other_when_nothing_fresh_waits():
    assert len(Backlog().add(0, "due", 5).pick(5)) == 5


@pytest.mark.parametrize("limit", [1, 5, 64])
@pytest.mark.parametrize(("new_share", "new"), [(0.25, 50), (0.5, 100), (0.0, 0)])
def test_new_items_have_their_share_beside_the_backlog(limit, new_share, new):
    backlog = Backlog().add(0, "old", PLENTY).add(0, "new", PLENTY)
    picks = picks_of(backlog, 200, limit, new_share=new_share)
    assert len([name for _, name in picks if name == "new"]) == pytest.approx(new, abs=1)


def test_new_items_go_by_themselves_when_the_backlog_is_sent():
    assert Backlog().add(0, "old", 2).add(0, "new", 2).pick(4, new_share=0.0)[2:] == [(0, "new"), (0, "new")]


def picks_of(backlog, wanted, limit, **shares):
    picks = []
    while len(picks) < wanted:
        picks += backlog.pick(min(limit, wanted - len(picks)), **shares)
    return picks


PRIORITIES = st.integers(-9, 9)
ARRIVALS = st.lists(st.tuples(PRIORITIES, st.sampled_from(LISTS), st.integers(1, 30)), max_size=8)
SHARES = st.floats(0, 0.5)


@PROPERTY
@given(ARRIVALS, st.integers(0, 64), SHARES, SHARES)
def test_as_many_items_go_as_were_asked_for_and_wait(arrivals, limit, lower_share, new_share):
    backlog = Backlog()
    for priority, name, items in arrivals:
        backlog.add(priority, name, items)
    waiting = len(backlog)
    assert len(backlog.pick(limit, lower_share, new_share)) == min(limit, waiting)


@PROPERTY
@given(ARRIVALS, SHARES, SHARES)
def test_one_by_one_and_all_at_once_they_go_in_the_same_order(arrivals, lower_share, new_share):
    at_once, one_by_one = Backlog(), Backlog()
    for backlog in (at_once, one_by_one):
        for priority, name, items in arrivals:
            backlog.add(priority, name, items)
    waiting = len(at_once)
    picks = picks_of(one_by_one, waiting, 1, lower_share=lower_share, new_share=new_share)
    assert at_once.pick(waiting, lower_share, new_share) == picks


@settings(PROPERTY, max_examples=60)
@given(st.lists(st.tuples(ARRIVALS, st.integers(1, 20)), max_size=25), st.floats(0.2, 0.5), SHARES)
def test_every_priority_with_anything_waiting_is_served_in_bounded_time(steps, lower_share, new_share):
    """Whatever arrives meanwhile. A priority waits for a turn of the lower ones, and in the worst case for one of each
    of the others that came to stand before it."""
    backlog, waited = Backlog(), {}
    for arrivals, picks in steps:
        for arrival in arrivals:
            backlog.add(*arrival)
        for _ in range(picks):
            waited = {backlog.priority: waited.get(backlog.priority, 0) + 1 for backlog in backlog.backlogs(1)}
            for served, _ in backlog.pick(1, lower_share, new_share):
                waited[served] = 0
            assert all(waits <= ceil(1 / lower_share) * 19 for waits in waited.values())


@PROPERTY
@given(st.lists(st.tuples(ARRIVALS, st.integers(1, 20)), max_size=5), SHARES, SHARES)
def test_no_retry_follows_a_retry_while_something_fresh_of_its_priority_waits(steps, lower_share, new_share):
    backlog, retried = Backlog(), {}
    for arrivals, picks in steps:
        for arrival in arrivals:
            backlog.add(*arrival)
        for _ in range(picks):
            waiting = {backlog.priority: backlog for backlog in backlog.backlogs(1)}
            retried = {priority: retried.get(priority, False) for priority in waiting}
            for priority, name in backlog.pick(1, lower_share, new_share):
                fresh = waiting[priority].old or waiting[priority].new
                assert not (name == "due" and retried[priority] and fresh)
                retried[priority] = name == "due"


@settings(PROPERTY, max_examples=40)
@given(SHARES, SHARES, st.lists(st.integers(1, 64), max_size=10))
def test_the_shares_are_kept_within_one_pick_over_any_stretch(lower_share, new_share, limits):
    backlog = Backlog().add(1, "old", 640).add(1, "new", 640).add(0, "old", 640).add(-1, "old", 640)
    picks = [each for limit in limits for each in backlog.pick(limit, lower_share, new_share)]
    higher = [name for priority, name in picks if priority == 1]
    assert abs((len(picks) - len(higher)) - lower_share * len(picks)) < 1 + 1e-6
    assert abs(higher.count("new") - new_share * len(higher)) < 1 + 1e-6


def test_the_memory_of_past_picks_stays_small():
    backlog = Backlog()
    for priority in range(-9, 10):
        backlog.add(priority, "old", 3)
    backlog.pick(57)
    assert len(backlog.turns.backlogs) == 19
    backlog.add(0, "old").pick(1)
    assert len(backlog.turns.backlogs) == 1
