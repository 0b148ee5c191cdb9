"""What an item's history remembers, and what it does not cost."""

import json

from iris_communication.errors import DeliveryStopped, LinkLost, RemoteRefused
from iris_communication.item import Event
from iris_communication.outbox.orders import RetryItems

KEPT_OF_ONE = 50


def history(outbox, item_id):
    rows = outbox.asked("SELECT event, attempt, error FROM history WHERE id = ? ORDER BY number", item_id)
    return [(event, attempt, json.loads(error)[1] if error else None) for event, attempt, error in rows]


def test_every_attempt_that_went_wrong_is_reported_with_its_error(outbox, source):
    receipt = outbox.accept(source)
    outbox.settle(outbox.claim()[0], Event.RELEASE, error=LinkLost("cut"))
    outbox.settle(outbox.claim()[0], Event.FAIL, error=RemoteRefused("denied"), delay_s=0.0)
    outbox.settle(outbox.claim()[0], Event.GIVE_UP, error=RemoteRefused("denied again"), trace="> open\n< denied")
    outbox.writer.execute(RetryItems((receipt.id,)))
    outbox.deliver(outbox.claim()[0])
    assert history(outbox, receipt.id) == [
        ("release", 0, "cut"),
        ("fail", 1, "denied"),
        ("give_up", 2, "denied again"),
        ("retry", 2, None),
    ]


def test_deliveries_that_went_well_write_no_history(outbox, sources):
    for path in sources:
        outbox.accept(path)
    for item in outbox.claim():
        outbox.deliver(item)
    assert outbox.asked("SELECT count(*) FROM history") == [(0,)]


def test_an_uploader_that_stops_is_no_trouble_of_an_item(outbox, source):
    receipt = outbox.accept(source)
    outbox.settle(outbox.claim()[0], Event.RELEASE, error=DeliveryStopped("we stop"))
    assert history(outbox, receipt.id) == []


def test_a_month_of_outage_does_not_fill_the_disk_with_the_story_of_one_file(outbox, source):
    receipt = outbox.accept(source)
    for number in range(KEPT_OF_ONE + 5):
        outbox.settle(outbox.claim()[0], Event.RELEASE, error=LinkLost(f"cut {number}"))
    told = history(outbox, receipt.id)
    assert len(told) == KEPT_OF_ONE
    assert told[-1] == ("release", 0, f"cut {KEPT_OF_ONE + 4}")


def test_the_protocol_events_of_an_item_are_kept_while_it_is_dead_or_waits_again(outbox, source):
    receipt = outbox.accept(source)
    outbox.settle(outbox.claim()[0], Event.GIVE_UP, error=RemoteRefused("no"), trace="> open\n< denied")
    assert outbox.asked("SELECT id, text FROM traces") == [(receipt.id, "> open\n< denied")]
    outbox.writer.execute(RetryItems((receipt.id,)))
    outbox.deliver(outbox.claim()[0])
    assert outbox.asked("SELECT count(*) FROM traces") == [(0,)]
