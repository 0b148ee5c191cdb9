""" "Every file is delivered" is compared with the disk: each file finished before that sentence is in the ledger."""

import asyncio
import threading
import time
from pathlib import Path

import asyncssh

from iris_camera.controllers.observers import Observers
from iris_communication.admin.audit import Audit
from iris_communication.outbox.orders import DropItems, PauseServer, ResumeServer
from tests.integration.health_site import LONG_S, Site
from tests.servers.asyncssh_server import AsyncSshServer

CLAIM = "is delivered"
MORE = 4  # files that are finished in each part of the test


def opens_when(gate):
    """A server that answers the opening of a file once `gate` is set."""

    class Gated(asyncssh.SFTPServer):
        async def open(self, path, pflags, attrs):
            await asyncio.to_thread(gate.wait, LONG_S)
            return super().open(path, pflags, attrs)

    return Gated


class ComparedLine(Site):
    """Remembers the names of all files that it finished, and compares each sentence with the ledger."""

    def __init__(self, folder, **facts):
        self.finished, self.audit = [], Audit(folder / "outbox")
        observers = Observers(on_finished=lambda finished: self.finished.append(finished.path.name))
        super().__init__(folder, observers=observers, **facts)
        self.claims = 0

    def look(self):
        before = set(self.finished)
        _, answer = self.asked()
        if CLAIM in answer["sentence"]:
            self.claims += 1
            missing = before - self.delivered()
            assert not missing, (answer["sentence"], missing)
        return answer["sentence"]

    def delivered(self):
        return {Path(line["source"]).name for line in self.audit.ledger()}

    def until(self, true):
        deadline_s = time.monotonic() + LONG_S
        while not true(self.look()):
            assert time.monotonic() < deadline_s
            threading.Event().wait(0.2)

    def until_more_is_finished(self):
        wanted = len(self.finished) + MORE
        self.until(lambda sentence: len(self.finished) >= wanted)


def test_the_sentence_is_stated_only_while_no_file_waits_is_unqueued_or_was_dropped(tmp_path):
    gate = threading.Event()
    gate.set()
    opened = AsyncSshServer(tmp_path / "server", sftp_server=opens_when(gate))
    with opened as server, ComparedLine(tmp_path, server=server, host_key=server.host_key, queue_size=2) as line:
        line.until(lambda sentence: CLAIM in sentence)
        gate.clear()
        line.until_more_is_finished()  # two are in the outbox, and the others lie beside it
        assert CLAIM not in line.look()
        gate.set()
        line.until(lambda sentence: CLAIM in sentence)
        line.uploader.execute(PauseServer("plant"))
        line.until_more_is_finished()
        waiting = [item["id"] for item in line.audit.items()]
        assert "" in line.uploader.execute(DropItems(waiting)).values()
        line.uploader.execute(ResumeServer("plant"))
        line.until_more_is_finished()
        claims = line.claims
        line.until_more_is_finished()
    assert claims == line.claims, "no claim says that a dropped file is delivered"
    assert claims
