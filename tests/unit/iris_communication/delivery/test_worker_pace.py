"""How much a worker does in one turn of its loop, how often it claims, and that it rests without news."""

import asyncio
import itertools

import pytest

from iris_communication.delivery.claims import DENSE_FILES, DENSE_PAUSE_S, TRICKLE_PAUSE_S
from iris_communication.delivery.worker import START_MAX
from iris_communication.errors import (
    AuthenticationFailed,
    LinkLost,
)
from tests.unit.iris_communication.delivery.fake_parts import turns
from tests.unit.iris_communication.delivery.worker_line import run


def test_the_worker_takes_no_turn_without_news():
    async def story(line, writer, carrier):
        before = line.turns
        await turns(200)
        assert line.turns - before <= 1

    run(story)


@pytest.mark.parametrize("error", [LinkLost("gone"), AuthenticationFailed("refused")], ids=["down", "held"])
def test_the_worker_takes_no_turn_with_a_link_down_and_a_thousand_files_waiting(error):
    async def story(line, writer, carrier):
        writer.accept(1000)
        await turns()
        carrier.fail(error)
        await turns(50)
        before = line.turns
        await turns(500)
        assert line.turns - before <= 1

    run(story)


def test_files_that_come_one_by_one_share_a_claim():
    async def story(line, writer, carrier):
        for _ in range(5):
            writer.accept()
            await turns()
        assert len(writer.claims) == 1
        await line.pass_time(TRICKLE_PAUSE_S)
        assert len(writer.claims) == 2
        assert writer.snapshot.backlogs == {}

    run(story, slots=20)


def test_files_that_come_fast_share_a_larger_claim():
    async def story(line, writer, carrier):
        writer.accept(DENSE_FILES)
        await turns()
        for _ in range(DENSE_FILES):
            writer.accept()
        await line.pass_time(TRICKLE_PAUSE_S)
        assert len(writer.claims) == 1
        await line.pass_time(DENSE_PAUSE_S - TRICKLE_PAUSE_S)
        assert len(writer.claims) == 2
        assert writer.snapshot.backlogs == {}
        writer.accept()
        await line.pass_time(DENSE_PAUSE_S)
        writer.accept()
        await line.pass_time(TRICKLE_PAUSE_S)
        assert len(writer.claims) == 4  # they come one by one again

    run(story, slots=40)


def test_a_snapshot_that_changes_nothing_for_a_destination_does_not_wake_the_loop():
    async def story(line, writer, carrier):
        writer.accept()
        await turns()
        woken, line.worker.wake = [], lambda: woken.append(1)
        writer.accept()
        assert not woken
        line.clock.advance(TRICKLE_PAUSE_S)
        writer.accept()
        assert woken

    run(story, slots=20)


def test_one_turn_of_the_loop_begins_a_few_items_only():
    async def story(line, writer, carrier):
        writer.accept(5 * START_MAX)
        begun = []
        for _ in range(40):
            begun.append(len(carrier.started))
            await asyncio.sleep(0)
        assert begun[-1] == 5 * START_MAX
        assert max(later - earlier for earlier, later in itertools.pairwise(begun)) <= START_MAX

    run(story, slots=10 * START_MAX)
