"""Which waiting items of a server go next: the candidates of its lanes, read as far as they are needed, and the pure
decision over them. What it has to remember from claim to claim are the turns of its shares.
"""

from itertools import groupby

from iris_communication.decisions.lanes import Candidates, Turns, pick
from iris_communication.item import Item
from iris_communication.outbox.group import Group
from iris_communication.outbox.messages import Claim
from iris_communication.outbox.store import LaneKey, Store
from iris_communication.settings import DeliverySettings


class NextUp:
    def __init__(self, settings: DeliverySettings) -> None:
        self._lower_share = settings.lower_share
        self._new_share = settings.new_share
        self._turns: dict[str, Turns] = {}  # by server

    def items(self, store: Store, claim: Claim, limit: int, boot_s: float, group: Group) -> list[Item]:
        """Up to `limit` items that the group does not touch, in the order they go. Raises OutboxStorageError."""
        key = claim.server_key
        lanes = [
            _candidates(store, claim, priority, list(lanes), limit, boot_s, group)
            for priority, lanes in groupby(store.lanes_of(key), lambda lane: lane.priority)
        ]
        picked, self._turns[key] = pick(self._turns.get(key, Turns()), lanes, limit, self._lower_share, self._new_share)
        return picked


def _candidates(
    store: Store, claim: Claim, priority: int, lanes: list[LaneKey], limit: int, boot_s: float, group: Group
) -> Candidates:
    key, until = claim.server_key, claim.backlog_until
    due: list[Item] = []
    old: list[Item] = []
    new: list[Item] = []
    for lane in lanes:
        due += store.due(key, lane, boot_s, limit)
        fresh = store.fresh(key, lane, 0, limit)
        if until and fresh and fresh[0].sequence <= until:
            old += [item for item in fresh if item.sequence <= until]
            new += store.fresh(key, lane, until, limit)
        else:
            old += fresh

    def untouched(items: list[Item]) -> list[Item]:
        return [item for item in items if not group.touches(item.id)]

    due.sort(key=lambda item: item.due.boot_s if item.due else 0.0)
    old.sort(key=lambda item: item.sequence)
    new.sort(key=lambda item: item.sequence)
    return Candidates(priority, untouched(due), untouched(old), untouched(new))
