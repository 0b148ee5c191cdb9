"""Killed between any two steps of acceptance, delivery or recovery: every file arrives, complete, once.

A process is forked for each step and kills itself there with SIGKILL, so nothing of ours cleans up behind it. Steps
are the system calls that change a disk, the outbox's or the server's, and the two sides of each commit. The server
is a folder, and what the carrier does there is what `sftp/conversations/put.py` does on a server.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

IN_MEMORY = Path("/dev/shm")
CALLS = ["open", "write", "fdatasync", "fsync", "link", "unlink", "replace", "rename", "truncate", "posix_fallocate"]

PROCESS = """
import json, logging, os, random, signal, sys, threading
from pathlib import Path

from iris_communication.clock import SystemClock
from iris_communication.item import Delivered, Event, Take
from iris_communication.outbox.writer.writer import Writer
from iris_communication.outbox.store.ledger import Line, first_broken
from iris_communication.outbox.writer.messages import Accept, Destination, Settle
from iris_communication.outbox.store.sqlite import SqliteStore
from iris_communication.settings import Secret, Server

root, calls = Path(sys.argv[1]), json.loads(sys.argv[2])
logging.disable()
SERVER = Server("sftp.example.org", "iris")
FILES = {f"{number}.csv": f"{number};".encode() * size for number, size in ((1, 100), (2, 200), (3, 60_000))}


class Disk:
    "Counts the steps, and ends the process before number `last`."

    def __init__(self, last):
        self.last, self.steps, self.lock = last, 0, threading.Lock()
        for name in calls:
            setattr(os, name, self.counted(getattr(os, name)))
        commit = SqliteStore.commit
        SqliteStore.commit = lambda store, changes: (self.step(), commit(store, changes), self.step())

    def counted(self, call):
        def counting(*args, **options):
            self.step()
            return call(*args, **options)
        return counting

    def step(self):
        with self.lock:
            self.steps += 1
            if self.steps == self.last:
                os.kill(os.getpid(), signal.SIGKILL)


def put(item, content, server):
    "Where it lies. The temp file decides whether an earlier attempt delivered."
    final = server / item.remote_path.rpartition("/")[2]
    for token in item.earlier_tokens:
        temp = server / f".iris-{token}"
        if temp.exists():
            os.unlink(temp)
        elif final.exists() and final.read_bytes() == content:
            return final
    temp = server / f".iris-{item.token}"
    descriptor = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    half = len(content) // 2
    os.write(descriptor, content[:half])
    os.write(descriptor, content[half:])
    os.close(descriptor)
    assert not final.exists(), f"{final.name} would have been delivered twice"
    os.rename(temp, final)
    return final


def bytes_of(held):
    return held if isinstance(held, bytes) else held.read_bytes()


def run(place):
    "One life of the program: accept what lies there, deliver what is owed."
    writer = Writer(place / "outbox", lambda: SqliteStore(place / "outbox" / "outbox.db", "boot"), SystemClock(), 100)
    writer.open()
    for source in sorted((place / "sources").iterdir()):
        destination = Destination(SERVER, Secret(password="x"), f"/in/{source.name}")
        writer.accept(Accept((destination,), str(source), {}, "model", Take.MOVE))
    answered, found = threading.Event(), []
    writer.claim(SERVER.key, 100, lambda items: (found.extend(items), answered.set()))
    assert answered.wait(10)
    for item in found:
        final = put(item, bytes_of(writer.held.of(item)), place / "server")
        proof = Delivered(str(final), item.fingerprint.size_bytes, item.fingerprint.sha256, None, 1.0)
        writer.settle(Settle(item, Event.DELIVER, delivered=proof))
        writer.flush()
    writer.close()


def live(place, last=0):
    "Fork, run, die at step `last`; how many steps there were, or None when it was killed."
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        disk, status = Disk(last), 1
        try:
            run(place)
            with open(write, "w") as counted:
                counted.write(str(disk.steps))
            status = 0
        finally:
            os._exit(status)
    os.close(write)
    with open(read) as counted:
        steps = counted.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return None
    assert os.WEXITSTATUS(status) == 0, "a life ended with an error"
    return int(steps)


def prepare(place):
    for folder in ("sources", "server"):
        (place / folder).mkdir(parents=True)
    for name, content in FILES.items():
        (place / "sources" / name).write_bytes(content)
    return place


def verify(place):
    received = {path.name: path.read_bytes() for path in (place / "server").iterdir()}
    assert received == FILES, sorted(received)
    assert list((place / "sources").iterdir()) == []
    assert list((place / "outbox" / "spool").iterdir()) == []
    store = SqliteStore(place / "outbox" / "outbox.db", "boot")
    lines = list(store.ledger())
    assert first_broken(lines) is None
    assert sorted(json.loads(line.text)["final_path"] for line in lines) == sorted(
        str(place / "server" / name) for name in FILES
    )
    assert (store.tally().waiting, store.tally().in_flight, store.tally().dead) == (0, 0, 0)
    store.close()


def lives_of(name, *kills):
    place = prepare(root / name)
    killed = sum(live(place, last) is None for last in kills)
    live(place)
    verify(place)
    return killed


steps = live(prepare(root / "whole"))
verify(root / "whole")
if sys.argv[3] == "once":
    killed = sum(lives_of(f"at-{last}", last) for last in range(1, steps + 1))
else:
    draw = random.Random(int(sys.argv[4])).randint  # a run after a kill is short, and the next kill has to hit it
    killed = sum(
        lives_of(f"at-{number}", draw(1, steps), *(draw(1, 40) for _ in range(draw(1, 3))))
        for number in range(100)
    )
print(json.dumps({"steps": steps, "killed": killed}))
"""


@pytest.fixture
def place(tmp_path):
    """In memory where the machine has that: hundreds of lives sync all they do."""
    if not os.access(IN_MEMORY, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=IN_MEMORY, prefix="iris-test-") as folder:
        yield Path(folder)


def lives(*arguments):
    command = [sys.executable, "-c", PROCESS, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=170, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_file_arrives_once_after_a_kill_before_any_step_of_accepting_and_delivering(place):
    facts = lives(place, json.dumps(CALLS), "once")
    assert facts["killed"] == facts["steps"] > 50


@pytest.mark.long
def test_every_file_arrives_once_after_kills_while_the_last_kill_is_put_right(place):
    seed = int(os.environ.get("IRIS_SEED", "3"))
    facts = lives(place, json.dumps(CALLS), "again", seed)
    assert facts["killed"] > 100, f"seed {seed}"
