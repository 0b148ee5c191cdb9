"""What the contract does not ask: a store that can be made to fail."""

import pytest

from iris_communication.errors import OutboxStorageError
from iris_communication.outbox.store.contract import Insert, Tally
from iris_communication.testing.memory_store import MemoryStore
from iris_communication.testing.store_contract import make_item


def test_a_failing_store_commits_nothing():
    store = MemoryStore()
    store.failing = OutboxStorageError("the disk is full")
    with pytest.raises(OutboxStorageError, match="full"):
        store.commit([Insert(make_item(1))])
    assert store.tally() == Tally()
    store.failing = None
    store.commit([Insert(make_item(1))])
    assert store.tally() == Tally(waiting=1)
