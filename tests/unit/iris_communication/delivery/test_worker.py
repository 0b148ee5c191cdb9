"""Claim, carry, settle: which items a worker claims and begins, and when."""

import pytest

from iris_communication.delivery.claims import CLAIM_MAX, URGENT_FILES
from iris_communication.delivery.outcomes import CLAIM_PAUSE_S
from iris_communication.errors import (
    LinkLost,
)
from iris_communication.item import Event
from tests.unit.iris_communication.delivery.fake_parts import ONE, TWO, turns
from tests.unit.iris_communication.delivery.worker_line import run


def test_items_are_started_in_order_of_acceptance_and_as_many_as_there_are_slots():
    async def story(line, writer, carrier):
        items = writer.accept(5)
        await turns()
        assert carrier.started == [item.id for item in items[:3]]

    run(story)


def test_a_delivered_item_is_settled_with_its_proof():
    async def story(line, writer, carrier):
        (item,) = writer.accept()
        await turns()
        carrier.deliver()
        await turns()
        (settle,) = writer.settled
        assert (settle.item.id, settle.event, settle.delivered.final_path) == (item.id, Event.DELIVER, "/in/x.csv")

    run(story)


def test_the_next_item_starts_as_soon_as_one_ends_without_waiting_for_its_record():
    async def story(line, writer, carrier):
        writer.publishes_settlements = False
        first, second = writer.accept(2)
        await turns()
        carrier.deliver()
        await turns()
        assert carrier.started == [first.id, second.id]

    run(story, slots=1)


def test_a_window_more_is_claimed_while_items_are_under_way_and_no_more():
    async def story(line, writer, carrier):
        writer.accept(50)
        await turns()
        assert len(writer.waiting[ONE]) == 50 - 6

    run(story)


def test_a_claim_is_never_larger_than_one_commit_should_be():
    async def story(line, writer, carrier):
        writer.accept(1000)
        await turns()
        assert max(limit for _, limit, _ in writer.claims) == CLAIM_MAX

    run(story, slots=500)


@pytest.mark.parametrize(
    ("ready", "slots", "urgent"),
    [(URGENT_FILES, 100, True), (URGENT_FILES - 1, 100, False), (100, URGENT_FILES - 1, False)],
)
def test_a_claim_of_many_files_that_the_link_has_room_for_is_urgent(ready, slots, urgent):
    async def story(line, writer, carrier):
        writer.accept(ready)
        await turns()
        assert writer.urgent[0] is urgent

    run(story, slots=slots)


def test_a_claim_ahead_of_a_full_link_is_not_urgent():
    async def story(line, writer, carrier):
        writer.accept(5 * CLAIM_MAX)
        await turns()
        assert len(writer.claims) == 2
        assert writer.urgent[-1] is False

    run(story, slots=CLAIM_MAX)


def test_each_server_has_one_claim_at_a_time():
    async def story(line, writer, carrier):
        writer.answers_claims = False
        writer.accept(20)
        await turns()
        writer.accept(20)
        await line.pass_time(1.0)
        assert len(writer.claims) == 1

    run(story)


def test_a_claim_that_brought_no_item_is_repeated_after_a_pause_and_not_at_once():
    async def story(line, writer, carrier):
        writer.answers_claims = False
        writer.accept()
        await turns()
        writer.answer_claim(items=[])
        await turns()
        assert len(writer.claims) == 1
        writer.answers_claims = True
        await line.pass_time(CLAIM_PAUSE_S)
        assert len(carrier.started) == 1

    run(story)


def test_one_server_never_waits_for_another():
    async def story(line, writer, carrier):
        writer.accept(10, ONE)
        await turns()
        (other,) = writer.accept(1, TWO)
        await turns()
        assert other.id in carrier.started
        carrier.fail(LinkLost("gone"), other)
        await turns()
        carrier.deliver()
        await turns()
        assert len(carrier.carrying) == 3

    run(story)


def test_a_new_slot_is_used_at_once():
    async def story(line, writer, carrier):
        writer.accept(5)
        await turns()
        carrier.slots_of[ONE] = 5
        carrier.on_change()
        await turns()
        assert len(carrier.carrying) == 5

    run(story, slots=1)
