import threading

import pytest

from iris_communication.errors import LinkTimeout, RemoteRefused
from iris_communication.item import Delivered
from iris_communication.outbox.writer.receipt import Receipt
from tests.unit.iris_communication.outbox.fake_parts import LONG_S

DELIVERED = Delivered("/in/a.csv", 8, "ab", None, 1.0)


def test_an_item_still_owed_has_no_outcome_and_waiting_for_it_says_so():
    receipt = Receipt("item-1")
    assert receipt.outcome is None
    with pytest.raises(LinkTimeout, match=r"item-1 is not delivered after 0\.01 s; it stays in the queue"):
        receipt.wait_delivered(0.01)


def test_a_waiting_caller_learns_where_the_file_lies():
    receipt = Receipt("item-1")
    telling = threading.Timer(0.01, receipt.settle, [DELIVERED])
    telling.start()
    assert receipt.wait_delivered(LONG_S) is DELIVERED
    assert receipt.outcome is DELIVERED
    telling.join()


def test_a_waiting_caller_learns_what_the_item_died_of():
    receipt = Receipt("item-1")
    receipt.settle(RemoteRefused("no permission"))
    with pytest.raises(RemoteRefused, match="no permission"):
        receipt.wait_delivered(LONG_S)


def test_a_dead_item_that_waits_again_is_owed_again():
    receipt = Receipt("item-1")
    receipt.settle(RemoteRefused("no permission"))
    receipt.owe_again()
    assert receipt.outcome is None
    with pytest.raises(LinkTimeout):
        receipt.wait_delivered(0.01)
    receipt.settle(DELIVERED)
    assert receipt.wait_delivered(LONG_S) is DELIVERED


def test_durability_needs_no_waiting():
    Receipt("item-1").wait_durable(0.0)
