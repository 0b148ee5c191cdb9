"""What has to be true, whatever happens. It knows what was offered and what was answered, and relies on nothing else.

Safety, after every commit and every request of a server:
- each accepted id is in exactly one state; none is ever unknown again, and what is delivered stays delivered
- the numbers agree: queued = uploaded + given up + waiting + in flight, and with the store's own tally
- only what was dropped, cancelled or given a time to live ever ends without being delivered
- the ledger is one chain that only grows, a line for a delivered id
- a visible name holds, whole, what was offered for it; what is delivered has been visible with those very bytes
- an archive holds, whole, what was offered for the folder it lies in
"""

import hashlib
import json
import posixpath

from iris_communication.archive.unpack import ArchiveBroken, verify
from iris_communication.outbox.store import ledger
from iris_communication.sftp.conversations.upload import SftpUpload

ENDED = {"dropped", "expired", "cancelled"}


class LifeAudit:
    def __init__(self, story, folder):
        self.broken = []
        self.archives = 0  # that arrived
        self._folder = folder  # a place of its own
        self.accepted = {}  # id -> (server key, remote path, sha256)
        self.may_end = set()  # ids that may be given up: somebody said so, or their time was limited
        self._ended_before = 0  # by processes before this one
        self.spoiled = set()  # ids whose bytes somebody changed later
        self.offered = {}  # (server key, path) -> sha256 of what may appear there
        self.seen = {}  # (server key, path) -> sha256 of what was visible there
        self._lines = []
        self._delivered = {}
        self._story = story

    def fail(self, what):
        self._story(f"BROKEN: {what}")
        self.broken.append(what)

    def offer(self, server_key, remote_path, content):
        sha256 = hashlib.sha256(content).hexdigest()
        for path in _paths(remote_path, sha256):
            self.offered.setdefault((server_key, path), set()).add(sha256)
        return sha256

    def appeared(self, server_key, path, content, instead_of):
        if path.endswith((b".zip", b".tar.gz")):
            self._archive_appeared(server_key, path, content)
            return
        sha256 = hashlib.sha256(content).hexdigest()
        if sha256 not in self.offered.get((server_key, path), ()):
            self.fail(f"{path!r} on {server_key} shows {len(content)} bytes that nobody offered for it")
        if instead_of is not None and instead_of != content:
            self.fail(f"{path!r} on {server_key} was overwritten")
        self.seen.setdefault((server_key, path), set()).add(sha256)

    def _archive_appeared(self, server_key, path, content):
        archive = self._folder / "arrived"
        archive.write_bytes(content)
        self.archives += 1
        try:
            manifest = verify(archive)
        except ArchiveBroken as error:
            self.fail(f"{path!r} on {server_key} is no whole archive: {error}")
            return
        for member in manifest.members:
            name = posixpath.join(posixpath.dirname(path), member.name.encode())
            if member.sha256 not in self.offered.get((server_key, name), ()):
                self.fail(f"{path!r} on {server_key} holds {member.name!r}, which nobody offered for that folder")
            self.seen.setdefault((server_key, name), set()).add(member.sha256)

    def begin(self, writer):
        """A process starts: its own statistics begin again."""
        self._ended_before = _ended(writer.store.tally())

    def look(self, writer):
        """After a step of the writer."""
        stats = writer.snapshot.stats
        if stats.total_queued != stats.total_uploaded + stats.total_failed + stats.queue_size:
            self.fail(f"the balance does not hold: {stats}")
        if writer.unfinished:
            return  # the store is to be opened again; it is audited then
        self._look_at_ledger(list(writer.store.ledger()))
        tally = writer.store.tally()
        given_up = tally.dead + _ended(tally) - self._ended_before
        if (tally.waiting + tally.in_flight, given_up) != (stats.queue_size, stats.total_failed):
            self.fail(f"the store has {tally}, the picture {stats}")
        if tally.delivered != len(self._lines):
            self.fail(f"{tally.delivered} delivered, but {len(self._lines)} lines in the ledger")
        states = self.states(writer.store)
        for item_id in self.accepted.keys() - states.keys():
            self.fail(f"{item_id} was accepted and is lost")
        ended = {item_id for item_id, state in states.items() if state in ENDED}
        for item_id in ended - self.may_end:
            self.fail(f"{item_id} was given up without an order or a time limit")
        if len(states) - len(ended) != sum(tally) - _ended(tally):
            self.fail(f"{len(states)} ids in the store, {sum(tally)} counted")

    def states(self, store):
        """Id -> state; a delivered one that shows up again as owed is a failure."""
        owed = {item.id: item.state.value for item in (*store.unfinished(), *store.dead(1_000_000))}
        for item_id in owed.keys() & self._delivered.keys():
            self.fail(f"{item_id} is delivered and owed at once")
        known = owed | dict.fromkeys(self._delivered, "delivered")
        others = {item_id: store.state(item_id) for item_id in self.accepted.keys() - known.keys()}
        return known | {item_id: state for item_id, state in others.items() if state in ENDED}

    def _look_at_ledger(self, lines):
        known = len(self._lines)
        if lines[:known] != self._lines:
            self.fail("lines of the ledger were changed or removed")
        before = self._lines[-1].hash if self._lines else ledger.GENESIS
        for line in lines[known:]:
            recorded = json.loads(line.text)
            if ledger.line(before, recorded).hash != line.hash:
                self.fail(f"the ledger's chain is broken at {recorded['id']}")
            before = line.hash
            self._look_at_delivery(recorded)
        self._lines = lines

    def _look_at_delivery(self, recorded):
        item_id, sha256 = recorded["id"], recorded["sha256"]
        if item_id in self._delivered:
            self.fail(f"{item_id} has two lines in the ledger")
        self._delivered[item_id] = sha256
        if item_id in self.accepted and self.accepted[item_id][2] != sha256:
            self.fail(f"{item_id} was delivered with other bytes than were accepted")
        paths = _paths(recorded["remote_path"], sha256)
        if not any(sha256 in self.seen.get((recorded["server"], path), ()) for path in paths):
            self.fail(f"{item_id} counts as delivered, but its bytes were never visible on {recorded['server']}")


def _ended(tally):
    return tally.dropped + tally.expired + tally.cancelled


def _paths(remote_path, sha256):
    upload = SftpUpload(remote_path.encode(), b"", 0, sha256, lambda: None)
    return upload.final_path, upload.alternative_path
