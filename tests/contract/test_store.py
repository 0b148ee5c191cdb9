"""One suite, every store."""

import pytest

from iris_communication.outbox.store.sqlite import SqliteStore
from iris_communication.testing.memory_store import MemoryStore
from iris_communication.testing.store_contract import BOOT_ID, StoreContract


class TestMemoryStore(StoreContract):
    def open_store(self):
        return MemoryStore()


class TestSqliteStore(StoreContract):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path):
        self.folder = tmp_path

    def open_store(self):
        return SqliteStore(self.folder / "outbox.db", BOOT_ID)
