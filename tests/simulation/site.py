"""One server's place: a disk that outlives whatever server runs on it, the troubles it may have, and who looks on.

Any of the faulty servers may take over the disk for a while. After every single request all visible names are looked
at: what is under one has to be whole, has to be what was offered for it, and never goes away again by our doing.
"""

import functools
import posixpath

from iris_communication.sftp import wire
from iris_communication.testing import faulty_servers, refusing_servers, silent_servers, spoiling_servers
from iris_communication.testing.faulty_servers import OldVersion
from iris_communication.testing.memory_server import HOME, MemoryServer
from iris_communication.testing.server_wire import WriteData


class ComesBackWithoutFolders(faulty_servers.ComesBackEmpty):
    """Dies at the first RENAME, and its disk is replaced by an empty one, without any folder, before it comes back."""

    def answer(self, session, request):
        dies = self.lost is None and isinstance(request, wire.Rename)
        try:
            return super().answer(session, request)
        finally:
            if dies:
                self.folders.intersection_update({b"/", HOME})


LEFT_OUT = {
    MemoryServer,
    OldVersion,  # another protocol
    spoiling_servers.MixesUpPipelinedWrites,  # a hole within a file of the right size: no client can notice that
    spoiling_servers.MovesFilesAwayAtClose,  # whatever has its name as well, once somebody looked into it
}
MODULES = (faulty_servers, refusing_servers, silent_servers, spoiling_servers)
KINDS = {name: kind for module in MODULES for name, kind in vars(module).items()} | {
    "ComesBackWithoutFolders": ComesBackWithoutFolders
}
FAULTY = [
    kind
    for _, kind in sorted(KINDS.items())
    if isinstance(kind, type) and issubclass(kind, MemoryServer) and kind not in LEFT_OUT
]
REQUESTS = [wire.Open, WriteData, wire.Close, wire.Stat, wire.Rename]


def facts_of(kind, random, used_bytes):
    """What a server of this kind is made with, beside its manners."""
    if kind is faulty_servers.RefusesAWrite:
        return (random.randrange(1, 20),)
    if kind is refusing_servers.PermissionLostInTheMiddle:
        return (random.randrange(20),)
    if kind is refusing_servers.QuotaReached:
        return (used_bytes + 5000,)
    if kind is refusing_servers.SomeNamesOnly:
        return (rb".*\.csv",)
    if kind is silent_servers.TakesItsTime:
        return (random.choice(REQUESTS), random.uniform(0.0, 20.0))
    if kind in (silent_servers.SilentFrom, silent_servers.NeverAnswersOneRequest):
        return (random.choice(REQUESTS),)
    return ()


class _Observed:
    """Mixed into a server: its site checks the files after each request."""

    site = None

    def answer(self, session, request):
        try:
            return super().answer(session, request)
        finally:
            self.site.look()


@functools.cache
def _observed(kind):
    return type(kind.__name__, (_Observed, kind), {})


class SimulatedSite:
    """`seen` maps each path that was ever visible to the contents it had."""

    def __init__(self, key, random, audit, on_request):
        self.key, self.random = key, random
        self._audit, self._on_request = audit, on_request
        self.manners = {
            "rename_overwrites": random.random() < 0.3,
            "handles_max": random.choice([None, None, 2, 20]),
            "announces_limits": random.random() < 0.7,
        }
        self.latency_s = random.choice([0.0001, 0.005, 0.05, 0.4])
        self.bytes_per_s = random.choice([20e3, 1e6, 100e6])
        self.channels = []
        self._visible = {}
        self.collected = []  # by a pick-up job
        self._collected_seen = 0
        self.files = {}
        self.server = self._made(MemoryServer, None)
        self.files, self.folders = self.server.files, self.server.folders
        self.heal()

    def heal(self):
        self.silent = self.refusing = self.locked = False
        self.reset_within_bytes = None
        self.reset_on_answer = 0.0
        self.become(MemoryServer)

    def become(self, kind, capacity_bytes=None):
        """Another server on the same disk; the one before ends with all its connections."""
        for channel in self.channels:
            channel.severed = True
            channel.lose("ended with its server")
        self.channels = []
        self.server = self._made(kind, capacity_bytes)
        self.server.files, self.server.folders = self.files, self.folders
        if hasattr(self.server, "collected"):
            self.server.collected = self.collected

    def reset_all(self):
        for channel in self.channels:
            channel.lose("was reset")

    def bytes_until_reset(self):
        within = self.reset_within_bytes
        return None if within is None else self.random.randrange(1, within)

    def look(self):
        visible = {path: content for path, content in self.files.items() if not _is_hidden(path)}
        for path, content in visible.items():
            before = self._visible.get(path)
            if before is None or before[0] is not content or before[1] != len(content):
                self._audit.appeared(self.key, path, bytes(content), before and bytes(before[0]))
        taken = {path for path, _ in self.collected}
        for path, content in self.collected[self._collected_seen :]:
            self._audit.appeared(self.key, path, content, None)
        self._collected_seen = len(self.collected)
        if self.files:  # else its disk was replaced
            for path in self._visible.keys() - visible.keys() - taken:
                self._audit.fail(f"{path!r} was visible on {self.key} and is gone")
        self._visible = {path: (content, len(content)) for path, content in visible.items()}
        self._on_request(self.key)

    def _made(self, kind, capacity_bytes):
        manners = {**self.manners, "capacity_bytes": capacity_bytes}
        if kind is refusing_servers.OneHandle:
            del manners["announces_limits"]  # says nothing of itself
        if kind is faulty_servers.RefusesAWrite:
            manners = {}
        used_bytes = sum(map(len, self.files.values()))
        server = _observed(kind)(*facts_of(kind, self.random, used_bytes), **manners)
        server.site = self
        return server


def _is_hidden(path):
    return posixpath.basename(path).startswith(b".")
