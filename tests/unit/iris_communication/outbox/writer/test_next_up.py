"""What is handed out next: by priority, with a share for the lower ones, and for the new beside an outage's backlog."""

import pytest

from iris_communication.errors import RemoteRefused
from iris_communication.item import Event
from iris_communication.outbox.orders import SetPriority
from iris_communication.settings import DeliverySettings
from tests.unit.iris_communication.outbox.fake_parts import open_writer

STRICT = DeliverySettings(lower_share=0.0, new_share=0.0)


@pytest.fixture
def strict(folder):
    with open_writer(folder, settings=STRICT) as opened:
        yield opened


def names(items):
    return [item.source_path.rpartition("/")[2].removesuffix(".csv") for item in items]


def test_a_higher_priority_goes_first_and_within_one_the_order_is_that_of_acceptance(strict, sources):
    for path, priority in zip(sources, (0, -9, 9, 0, 9), strict=False):
        strict.accept(path, priority=priority)
    assert names(strict.claim()) == ["02", "04", "00", "03", "01"]


def test_a_priority_may_be_changed_while_it_waits(strict, sources):
    first, second = (strict.accept(path) for path in sources[:2])
    assert strict.writer.execute(SetPriority((second.id,), 3)) == {second.id: ""}
    assert names(strict.claim()) == ["01", "00"]
    assert strict.writer.execute(SetPriority((first.id,), 3)) == {first.id: "it is under way just now"}


def test_a_changed_priority_outlives_the_process(folder, sources):
    with open_writer(folder, settings=STRICT) as opened:
        _, second = (opened.accept(path) for path in sources[:2])
        opened.writer.execute(SetPriority((second.id,), 3))
    with open_writer(folder, settings=STRICT) as opened:
        assert names(opened.claim()) == ["01", "00"]


def test_lower_priorities_keep_their_share_also_where_one_is_asked_for_at_a_time(folder, tmp_path):
    with open_writer(folder, settings=DeliverySettings(lower_share=0.25)) as opened:
        for number in range(20):
            path = tmp_path / f"{number}.csv"
            path.write_text("x")
            opened.accept(path, priority=5 if number < 15 else 0)
        claimed = [item.priority for _ in range(12) for item in opened.claim(1)]
    assert claimed == [5, 5, 5, 0] * 3


def test_new_files_have_their_share_while_a_backlog_is_sent(folder, sources):
    with open_writer(folder, settings=DeliverySettings(new_share=0.5)) as opened:
        for path in sources[:6]:
            opened.accept(path)
        assert names(opened.claim(4, backlog_until=3)) == ["00", "03", "01", "04"]
        assert names(opened.claim(4, backlog_until=3)) == ["02", "05"]


def test_the_order_without_a_backlog_is_that_of_acceptance(folder, sources):
    with open_writer(folder, settings=DeliverySettings(new_share=0.5)) as opened:
        for path in sources[:6]:
            opened.accept(path)
        assert names(opened.claim()) == ["00", "01", "02", "03", "04", "05"]


def test_a_folder_of_bad_files_holds_no_good_one_up(strict, sources):
    for path in sources[:6]:
        strict.accept(path)
    bad = strict.claim(3)
    for item in bad:
        strict.settle(item, Event.FAIL, error=RemoteRefused("no"), delay_s=0.0)
    assert names(strict.claim()) == ["00", "03", "01", "04", "02", "05"]


def test_an_item_learns_with_its_first_claim_when_it_was_durable_at_the_latest(outbox, sources):
    outbox.accept(sources[0])
    durable_s = outbox.clock.wall_s()
    outbox.clock.advance(50.0)
    outbox.accept(sources[1])
    outbox.clock.advance(50.0)
    first, second = outbox.claim()
    # The writer notes it once the caller has its answer, on a busy machine later than this clock goes on.
    assert durable_s <= first.durable_s <= second.durable_s <= durable_s + 100.0
    outbox.clock.advance(50.0)
    outbox.settle(first, Event.RELEASE)
    assert outbox.claim()[0].durable_s == first.durable_s


def test_an_item_found_at_the_start_was_durable_by_then(folder, sources):
    with open_writer(folder) as opened:
        opened.accept(sources[0])
    with open_writer(folder) as opened:
        opened.clock.advance(50.0)
        began_s = opened.clock.wall_s() - 50.0
        assert opened.claim()[0].durable_s == began_s
