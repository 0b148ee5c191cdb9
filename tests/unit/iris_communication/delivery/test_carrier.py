"""The carrier that calls a user's own transferData, in a thread of its own."""

import asyncio
import contextlib
import threading
from pathlib import Path

import pytest

from iris_communication.delivery.carrier import TransferDataCarrier
from iris_communication.errors import (
    AuthenticationFailed,
    DeliveryStopped,
    Effect,
    IrisError,
    ServerUnresolved,
    SpoolMissing,
    TransferFailed,
)
from iris_communication.runtime import supervised_thread
from iris_communication.testing.clock import FakeClock
from tests.unit.iris_communication.delivery.fake_parts import turns
from tests.unit.iris_communication.outbox.fake_parts import LONG_S, an_item

INFO = {"host": "sftp.example.org", "username": "iris", "password": "open sesame", "passphrase": "and one more"}


class RememberingProcessor:
    """Does what the test says, and remembers how it was asked."""

    def __init__(self, does=lambda: None):
        self.does = does
        self.asked = []
        self.threads = []
        self.at_once = self.most_at_once = 0

    def transferData(self, sftp_server_info, file_path, project_settings, folder_type):  # noqa: N802 - its users' name
        self.asked.append((sftp_server_info, file_path, project_settings, folder_type))
        self.threads.append(threading.current_thread())
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            return self.does()
        finally:
            self.at_once -= 1


class BlockedProcessor(RememberingProcessor):
    """Does not return before the test lets it."""

    def __init__(self):
        super().__init__(self.wait)
        self.entered, self.released = threading.Semaphore(0), threading.Semaphore(0)

    def wait(self):
        self.entered.release()
        assert self.released.acquire(timeout=LONG_S)


@contextlib.contextmanager
def named(item):
    yield Path("/handed-out") / item.id / "a.csv"


def carrier_of(processor, info=lambda item: INFO, named_file=named, one_at_a_time=None):
    return TransferDataCarrier(processor, info, named_file, FakeClock(), one_at_a_time or threading.Lock())


def carry(processor, *items, **options):
    """Carry items at once; each one's outcome."""

    async def story():
        carrier = carrier_of(processor, **options)
        try:
            return await asyncio.gather(*map(carrier.carry, items), return_exceptions=True)
        finally:
            await carrier.close()

    return asyncio.run(asyncio.wait_for(story(), LONG_S))


def test_a_processor_is_called_with_what_was_queued():
    processor = RememberingProcessor()
    carry(processor, an_item(7, project_settings={"project": "line-1"}, folder_type="classifier"))
    assert processor.asked == [(INFO, "/handed-out/item-7/a.csv", {"project": "line-1"}, "classifier")]


def test_the_processor_is_called_for_one_request_at_a_time_in_order_in_a_thread_of_its_own():
    processor = RememberingProcessor()
    carry(processor, *(an_item(number) for number in range(20)))
    assert processor.most_at_once == 1
    assert [path for _, path, *_ in processor.asked] == [f"/handed-out/item-{number}/a.csv" for number in range(20)]
    (thread,) = set(processor.threads)
    assert thread is not threading.current_thread()
    assert thread.daemon


@pytest.mark.parametrize("answer", [None, True, "sent", 0])
def test_anything_but_false_means_delivered(answer):
    (delivered,) = carry(RememberingProcessor(lambda: answer), an_item(1))
    assert (delivered.final_path, delivered.host_key) == ("/in/line-1/model/1.csv", None)


def test_false_means_failed():
    (error,) = carry(RememberingProcessor(lambda: False), an_item(1))
    assert isinstance(error, TransferFailed)
    assert str(error) == "transferData() answered False for '/in/line-1/model/1.csv'"


def broken():
    raise ValueError("the server said no")


def test_an_exception_means_failed_and_its_traceback_is_kept_for_the_log():
    (error,) = carry(RememberingProcessor(broken), an_item(1))
    assert isinstance(error, TransferFailed)
    assert "ValueError" in str(error)
    assert "the server said no" in str(error)
    notes = "".join(error.__notes__)
    assert "Traceback" in notes
    assert "in broken" in notes


class HasNoText(BaseException):
    """Cannot say what it is."""

    def __str__(self):
        raise SystemExit(2)

    __repr__ = __str__


@pytest.mark.parametrize(
    "error",
    [
        SystemExit(1),
        KeyboardInterrupt(),
        GeneratorExit(),
        asyncio.CancelledError(),
        StopIteration(),
        StopAsyncIteration(),
        MemoryError(),
        BaseExceptionGroup("two", [SystemExit(1), OSError()]),
        HasNoText(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_processor_that_raises_any_exception_costs_only_its_own_file_an_attempt(error):
    raised = iter([error])

    def does():
        for each in raised:
            raise each

    failed, delivered = carry(RememberingProcessor(does), an_item(), an_item())
    assert isinstance(failed, TransferFailed)
    assert type(error).__name__ in str(failed)
    assert delivered.final_path


def test_a_failure_of_the_thread_itself_fails_its_file_and_the_next_is_carried(monkeypatch):
    monkeypatch.setattr(supervised_thread, "PAUSE_BASE_S", 0.01)

    class Lock:
        errors = iter([MemoryError()])

        def __enter__(self):
            for each in self.errors:
                raise each

        def __exit__(self, *_):
            pass

    failed, delivered = carry(RememberingProcessor(), an_item(), an_item(), one_at_a_time=Lock())
    assert isinstance(failed, TransferFailed)
    assert failed.effect is Effect.UNSEEN
    assert delivered.final_path


def test_exceptions_of_two_kinds_are_two_causes_and_each_is_logged_with_its_traceback():
    raised = iter([ValueError("a"), ValueError("b"), KeyError("c")])

    def does():
        raise next(raised)

    first, second, other = carry(RememberingProcessor(does), an_item(1), an_item(2), an_item(3))
    assert first.cause == second.cause != other.cause


def test_an_error_of_ours_keeps_its_blame():
    def refuse():
        raise AuthenticationFailed("refused")

    (error,) = carry(RememberingProcessor(refuse), an_item(1))
    assert isinstance(error, AuthenticationFailed)


@pytest.mark.parametrize("text", ["login failed with {'password': 'open sesame'}", "passphrase and one more is wrong"])
def test_a_secret_in_the_error_of_an_injected_processor_goes_no_further(text):
    def talk():
        raise ValueError(text)

    (error,) = carry(RememberingProcessor(talk), an_item(1))
    everything = str(error) + "".join(error.__notes__) + repr(error.__cause__) + repr(error.__context__)
    assert "open sesame" not in everything
    assert "and one more" not in everything
    assert "***" in str(error)


def test_a_server_that_cannot_be_resolved_is_not_the_items_fault():
    def unknown(item):
        raise ServerUnresolved(f"no password for {item.server_key}")

    processor = RememberingProcessor()
    (error,) = carry(processor, an_item(1), info=unknown)
    assert isinstance(error, ServerUnresolved)
    assert processor.asked == []


def test_an_item_whose_bytes_are_gone_fails_with_that_error():
    @contextlib.contextmanager
    def gone(item):
        raise SpoolMissing("gone")
        yield

    assert isinstance(carry(RememberingProcessor(), an_item(1), named_file=gone)[0], SpoolMissing)


def test_one_failure_harms_no_other_item():
    answers = iter([False, True, ValueError("no"), True])

    def by_turns():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    outcomes = carry(RememberingProcessor(by_turns), *(an_item(number) for number in range(4)))
    assert [isinstance(outcome, IrisError) for outcome in outcomes] == [True, False, True, False]


def test_the_carrier_of_a_processor_has_one_slot_and_always_counts_as_connected():
    async def story():
        carrier = carrier_of(RememberingProcessor())
        assert (carrier.slots("any"), carrier.connected("any")) == (1, True)
        await carrier.close()

    asyncio.run(story())


def end(blocking):
    """Its calls return, and the threads that made them end."""
    blocking.released.release(100)
    for thread in blocking.threads:
        thread.join(LONG_S)
        assert not thread.is_alive()


def test_closing_ends_at_once_and_makes_no_further_call():
    """The call under way may still succeed; what only waits for its turn is never begun."""
    processor = BlockedProcessor()

    async def story():
        carrier = carrier_of(processor)
        tasks = [asyncio.ensure_future(carrier.carry(an_item(number))) for number in range(3)]
        await asyncio.to_thread(processor.entered.acquire, timeout=LONG_S)
        await carrier.close()
        return await asyncio.gather(*tasks, return_exceptions=True)

    outcomes = asyncio.run(asyncio.wait_for(story(), LONG_S))
    assert [type(outcome) for outcome in outcomes] == [DeliveryStopped] * 3
    assert [outcome.effect for outcome in outcomes] == [Effect.UNSEEN, Effect.NONE, Effect.NONE]
    end(processor)
    assert len(processor.asked) == 1


def test_a_closed_carrier_carries_no_item():
    async def story():
        carrier = carrier_of(RememberingProcessor())
        await carrier.close()
        with pytest.raises(DeliveryStopped):
            await carrier.carry(an_item(1))

    asyncio.run(asyncio.wait_for(story(), LONG_S))


def test_a_call_that_outlives_its_uploader_s_loop_is_logged_and_harms_nothing(caplog):
    processor = BlockedProcessor()
    kept = []

    async def story():
        kept.append(carrier_of(processor))
        task = asyncio.ensure_future(kept[0].carry(an_item(1)))
        await asyncio.to_thread(processor.entered.acquire, timeout=LONG_S)
        await kept[0].close()
        with pytest.raises(DeliveryStopped):
            await task

    asyncio.run(asyncio.wait_for(story(), LONG_S))
    end(processor)
    assert "after the uploader had stopped" in caplog.text


def test_the_next_carrier_waits_for_a_call_of_the_one_before():
    """Stopped and started again while a call is under way: still one request at a time."""
    processor, one_at_a_time = BlockedProcessor(), threading.Lock()
    kept = []

    async def first():
        kept.append(carrier_of(processor, one_at_a_time=one_at_a_time))
        task = asyncio.ensure_future(kept[0].carry(an_item(1)))
        await asyncio.to_thread(processor.entered.acquire, timeout=LONG_S)
        await kept[0].close()
        await asyncio.gather(task, return_exceptions=True)

    async def second():
        carrier = carrier_of(processor, one_at_a_time=one_at_a_time)
        kept.append(carrier)
        task = asyncio.ensure_future(carrier.carry(an_item(1)))
        await turns()
        assert len(processor.asked) == 1
        processor.released.release(2)
        await task
        await carrier.close()

    asyncio.run(asyncio.wait_for(first(), LONG_S))
    asyncio.run(asyncio.wait_for(second(), LONG_S))
    assert (len(processor.asked), processor.most_at_once) == (2, 1)
    end(processor)
