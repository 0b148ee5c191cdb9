"""What a worker logs of errors: little, with the reason, however many files one reason concerns."""

from types import SimpleNamespace

from iris_communication.errors import (
    LinkLost,
    RemoteNameRefused,
    RemoteRefused,
)
from tests.unit.iris_communication.delivery.fake_parts import turns
from tests.unit.iris_communication.delivery.worker_line import run


def sentences(caplog, level="ERROR"):
    return [record.getMessage() for record in caplog.records if record.levelname == level]


def test_a_refusal_is_one_line_without_a_traceback(caplog):
    async def story(line, writer, carrier):
        writer.accept()
        await turns()
        try:
            raise RemoteRefused("cannot create '/in/a.csv' on the server: PERMISSION_DENIED") from OSError("why")
        except RemoteRefused as refused:
            carrier.fail(refused)
        await turns()

    run(story)
    (said,) = sentences(caplog)
    assert said.endswith("PERMISSION_DENIED; next try in 2 s. check the user's permissions on the remote folder")
    assert not any(record.exc_info for record in caplog.records)


def test_a_reason_that_is_the_same_for_many_files_is_logged_once_and_counted_and_so_is_its_end(caplog):
    caplog.set_level("INFO")

    async def story(line, writer, carrier):
        writer.accept(50)
        await turns()
        for number in range(40):
            carrier.fail(
                RemoteRefused(f"cannot create '/in/{number}.csv' on the server: PERMISSION_DENIED"), first(carrier)
            )
            await turns()
        assert len(sentences(caplog)) == 1
        await line.pass_time(61.0)
        carrier.fail(RemoteRefused("cannot create '/in/40.csv' on the server: PERMISSION_DENIED"), first(carrier))
        await turns()
        assert "(the same for 39 files in 61 s)" in sentences(caplog)[1]
        carrier.fail(RemoteNameRefused("another reason"), first(carrier))
        await turns()
        assert len(sentences(caplog)) == 3
        carrier.deliver(first(carrier))
        await turns()

    run(story)
    assert sum("takes files" in said for said in sentences(caplog, "INFO")) == 1


def test_an_hour_of_a_server_that_refuses_every_file_is_less_than_a_megabyte_of_log(caplog):
    caplog.set_level("DEBUG")

    async def story(line, writer, carrier):
        for second in range(0, 3600, 15):
            writer.accept(2)
            await line.pass_time(15.0)
            for item_id in list(carrier.carrying):
                await refuse(carrier, SimpleNamespace(id=item_id), second)

    async def refuse(carrier, item, second):
        error = [RemoteRefused, RemoteNameRefused][second // 15 % 2]
        carrier.fail(error(f"cannot create '/in/{second}.csv' on the server: {'x' * 100_000}"), item)
        await turns(6)

    run(story)
    written = sum(len(record.getMessage()) + 100 for record in caplog.records)
    assert sentences(caplog)
    assert written < 1_000_000
    assert len(caplog.records) < 400


def test_an_hour_of_a_server_that_is_away_is_less_than_a_megabyte_of_log(caplog):
    caplog.set_level("DEBUG")

    async def story(line, writer, carrier):
        writer.accept(20)
        for _ in range(720):
            await line.pass_time(5.0)
            if carrier.carrying:
                carrier.fail(LinkLost("x" * 100_000))
                await turns()

    run(story)
    assert sum(len(record.getMessage()) + 100 for record in caplog.records) < 1_000_000


def first(carrier):
    return SimpleNamespace(id=next(iter(carrier.carrying)))
