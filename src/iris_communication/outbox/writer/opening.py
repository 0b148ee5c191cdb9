"""Opens an outbox that this process has just taken; logs what was wrong with it, and puts it right.

Its database may be damaged, have lost the latest commits, or be an older copy that somebody put back. What can be read
of a damaged one is saved into a new one, and files that belong to no item are moved into the quarantine.
"""

import logging
from collections.abc import Callable
from pathlib import Path

from iris_communication.errors import OutboxDamaged
from iris_communication.outbox.files.lock import Owner
from iris_communication.outbox.files.reserve import Reserve
from iris_communication.outbox.recovery.salvage import Salvage
from iris_communication.outbox.store.contract import Store
from iris_communication.outbox.store.sqlite import NewerSchema
from iris_communication.outbox.writer.committer import Committer, PutAside

log = logging.getLogger(__name__)


def opened(
    folder: Path, owner: Owner, reserve: Reserve, wall_s: float, make: Callable[[PutAside], Committer]
) -> tuple[Committer, str]:
    """The committer, made with a function that puts spool files without a row aside; and what was wrong, if anything.
    Raises OutboxStorageError, OutboxDamaged."""
    for path, mode in owner.found_open.items():
        if path.name.startswith("secrets."):
            log.warning("%s had the mode %04o: other users may have read its passwords; change them", path, mode)
    salvage = Salvage(folder, wall_s)
    salvage.finish()
    notice = salvage.doubt(ended_orderly=owner.found_in_order)
    if notice:
        log.error("%s; files that belong to no item are moved to the quarantine", notice)

    def put_aside(store: Store) -> Callable[[str], None] | None:
        nonlocal notice
        known = store.last_sequence()
        if not notice and owner.last_sequence > known:
            notice = f"the database of {folder} is an older one: it knows {known} of {owner.last_sequence} items"
            log.error("%s; files that belong to no item are moved to the quarantine", notice)
        return salvage.put_aside if notice or not owner.found_facts else None

    try:
        return make(put_aside), notice
    except NewerSchema:
        raise
    except OutboxDamaged as damage:
        reserve.give_back()
        log.error("%s; Iris saves what can be read into a new database", damage)
        notice = salvage.begin(damage)
        log.error("%s", notice)
    return make(put_aside), notice
