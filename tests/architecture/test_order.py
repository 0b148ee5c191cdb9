"""The order of the tests: another one each time, and the same for the same seed."""

from dataclasses import dataclass
from itertools import groupby

from tests.order import shuffled


@dataclass(frozen=True)
class Item:
    path: str
    number: int


ITEMS = [Item(f"test_{name}.py", number) for name in "abcdefgh" for number in range(8)]


def test_a_seed_gives_the_same_order_again_and_another_seed_another():
    assert shuffled(ITEMS, 7) == shuffled(ITEMS, 7)
    assert shuffled(ITEMS, 7) != shuffled(ITEMS, 8)


def test_every_test_runs_once_and_the_tests_of_a_file_follow_one_another():
    order = shuffled(ITEMS, 7)
    assert sorted(order, key=ITEMS.index) == ITEMS
    assert len([path for path, _ in groupby(item.path for item in order)]) == 8
    assert [item.path for item in order] != [item.path for item in ITEMS]
    assert [item.number for item in order[:8]] != list(range(8))
