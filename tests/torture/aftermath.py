"""What a kill has left: in the middle of what it hit, and whether the outbox is sound even so.

In the middle of nothing is no test. So each kill is examined, before the next process puts things right, and it is
counted what it broke off.
"""

from collections import Counter
from pathlib import Path

from tests.torture.account import ACCEPTED, OFFERED, REFUSED, ProducerAccount
from tests.torture.outbox import OwedItem, read_outbox

PRODUCER = "producer: offered, its answer not written down"
WRITER = "writer: bytes in the spool, not committed or not swept yet"
UPLOADER = "uploader: a file in flight"
UNRECORDED = "uploader: a file under its final name, its delivery not recorded"


class Aftermath:
    """`hits` counts the kills that broke something off, by what; `faults` are sentences about what must not be."""

    def __init__(self, folder: Path) -> None:
        self.hits: Counter[str] = Counter()
        self.faults: list[str] = []
        self._outbox = folder / "outbox"
        self._offered = ProducerAccount(folder / OFFERED)
        self._answered = [ProducerAccount(folder / ACCEPTED), ProducerAccount(folder / REFUSED)]
        self._in_flight: set[OwedItem] = set()  # at the last look: who was killed before it put these right hit nothing
        self._strays: set[str] = set()

    def look(self, run: str) -> None:
        """After the kill of `run`, before anything else is started."""
        answered = {offer.id for account in self._answered for offer in account.read()}
        unanswered = {offer.id for offer in self._offered.read()} - answered
        outbox = read_outbox(self._outbox)
        self.faults += [f"after {run}: {fault}" for fault in outbox.faults()]
        in_flight = {item for item in outbox.owed if item.state == "in_flight"}
        strays = outbox.spooled - {item.id for item in outbox.owed}
        broken_off = in_flight - self._in_flight
        hit = {
            PRODUCER: bool(unanswered),
            WRITER: bool(strays - self._strays),
            UPLOADER: bool(broken_off),
            UNRECORDED: any(Path(item.remote_path).exists() for item in broken_off),
        }
        self.hits.update(name for name, happened in hit.items() if happened)
        self._in_flight, self._strays = in_flight, strays
