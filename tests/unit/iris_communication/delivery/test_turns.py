"""Turns by name."""

import asyncio

from iris_communication.delivery.turns import NamedTurns
from tests.unit.iris_communication.delivery.fake_parts import turns


def test_holders_of_a_name_go_one_at_a_time_in_the_order_they_came_and_other_names_do_not_wait():
    marks = []

    async def go(every, name, mark, done):
        async with every.turn(name):
            marks.append(mark)
            await done.wait()

    async def story():
        every, done = NamedTurns(), [asyncio.Event() for _ in range(4)]
        tasks = [
            asyncio.create_task(go(every, name, mark, done[mark])) for mark, name in enumerate(["a", "a", "b", "a"])
        ]
        await turns()
        assert marks == [0, 2]
        done[0].set()
        await turns()
        assert marks == [0, 2, 1]
        for each in done:
            each.set()
        await asyncio.gather(*tasks)
        assert marks == [0, 2, 1, 3]
        assert vars(every) == vars(NamedTurns()), "it remembers no name"

    asyncio.run(story())


def test_a_turn_passes_on_when_its_holder_fails_and_when_a_waiting_one_is_cancelled():
    async def story():
        every, reached = NamedTurns(), []

        async def fail():
            async with every.turn("a"):
                await asyncio.sleep(0)
                raise ValueError

        async def wait(mark):
            async with every.turn("a"):
                reached.append(mark)

        tasks = [asyncio.create_task(each) for each in (fail(), wait(1), wait(2))]
        await asyncio.sleep(0)
        tasks[1].cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [ValueError, asyncio.CancelledError, type(None)]
        assert reached == [2]
        assert vars(every) == vars(NamedTurns())

    asyncio.run(story())
