"""Lives of a line, each from one seed, in a process of their own: the order within sets is part of the seed."""

import asyncio
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from iris_communication.sftp import wire
from iris_communication.testing.memory_server import MemoryServer
from tests.simulation import machine, process
from tests.simulation.world import simulate
from tests.thorough import some

ROOT = Path(__file__).resolve().parents[2]
LAST_LINE = r"seeds=(\d+) failed=(\d+) files=(\d+) crashes=(\d+) virtual_hours=(\d+) seconds=[\d.]+"
LIVES = 10  # in one process: far below what a test may take, on a busy machine too


def simulated(*arguments):
    command = [sys.executable, "-m", "tests.simulation", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=170, check=False)


@pytest.mark.parametrize("first", some(range(1, 81, LIVES)))
def test_no_file_is_lost_whatever_happens_and_all_are_delivered_once_it_is_healed(first):
    ran = simulated("--first", str(first), "--seeds", str(LIVES))
    last = re.fullmatch(LAST_LINE, ran.stdout.splitlines()[-1] if ran.stdout else "")
    assert last, ran.stderr
    assert ran.returncode == 0, ran.stdout
    seeds, failed, files, crashes, virtual_hours = map(int, last.groups())
    assert (seeds, failed) == (LIVES, 0)
    assert files > seeds
    assert crashes > seeds // 2
    assert virtual_hours > seeds // 2


def test_a_seed_gives_the_same_story_again():
    assert simulate(7).story == simulate(7).story


def test_the_story_of_one_seed_is_printed_whole():
    ran = simulated("--seed", "7")
    assert ran.returncode == 0, ran.stderr
    assert "everything is healed" in ran.stdout


def test_a_full_disk_has_no_room_for_a_reserve(tmp_path):
    disk = machine.SimulatedDisk(tmp_path, random.Random(1))
    disk.full = True
    reserve = machine.DiskReserve(disk, tmp_path)
    assert not reserve.held
    disk.full = False
    assert reserve.take()


def broken_by(seeds):
    return [what for seed in seeds for what in simulate(seed).broken]


@pytest.mark.long
def test_a_writer_that_forgets_what_it_accepted_is_found_out(monkeypatch):
    def forgets(self, changes):
        self.real.commit([change for change in changes if type(change).__name__ != "Insert"])

    monkeypatch.setattr(machine.DiskStore, "commit", forgets)
    assert any("is lost" in what or "the store has" in what for what in broken_by(range(1, 4)))


def test_a_server_that_shows_half_a_file_is_found_out(monkeypatch):
    answer = MemoryServer.answer

    def renames_half(self, session, request):
        reply = answer(self, session, request)
        if isinstance(request, wire.Rename | wire.PosixRename) and reply.code == wire.FX_OK:
            self.files[self.place(request.new)][1:] = b"?"
        return reply

    monkeypatch.setattr(MemoryServer, "answer", renames_half)
    assert any("nobody offered" in what for what in broken_by(range(1, 4)))


def test_a_delivery_that_never_ends_is_found_out(monkeypatch):
    async def idles(self):
        await asyncio.Event().wait()

    monkeypatch.setattr(process.Worker, "run", idles)
    assert any("not drained" in what for what in broken_by(range(1, 3)))
