"""Test doubles that keep the library's own contracts, and the suites that check them: for users too."""

from iris_communication.testing.clock import FakeClock
from iris_communication.testing.memory_channel import MemoryChannel, MemoryTransport
from iris_communication.testing.memory_server import MemoryServer
from iris_communication.testing.memory_store import MemoryStore
from iris_communication.testing.store_contract import StoreContract, make_item

__all__ = ["FakeClock", "MemoryChannel", "MemoryServer", "MemoryStore", "MemoryTransport", "StoreContract", "make_item"]
