import json

import pytest

from iris_communication.control.protocol import (
    FILES_MAX,
    IDS_MAX,
    ControlRequestRefused,
    answer_to,
    answered,
    facts_of,
    request_line,
)
from iris_communication.errors import IrisError, NotStarted, OutboxStorageError
from iris_communication.outbox.orders import (
    ORDERS,
    CancelItems,
    DropItems,
    PauseServer,
    ResumeServer,
    RetryItems,
    SetPriority,
)
from iris_communication.upload_request import SftpUploadRequest
from tests.unit.iris_communication.control.recording_outbox import RecordingOutbox

FILE = {"sftp_server_info": "archive", "file_path": "/1.csv", "project_settings": "line-1", "folder_type": "model"}


class BrokenOutbox(RecordingOutbox):
    """Fails at every request, in a way nobody foresaw."""

    def execute(self, order):
        raise ZeroDivisionError("nobody foresaw this")


class FullOutbox(RecordingOutbox):
    """Its disk refuses."""

    def execute(self, order):
        raise OutboxStorageError("cannot write the outbox database: disk full", hint="free space")


def asked(outbox, verb, **facts):
    return answered(answer_to(request_line(verb, **facts), outbox))


def refused(line, outbox):
    with pytest.raises(IrisError) as raised:
        answered(answer_to(line, outbox))
    assert outbox.asked == []
    return str(raised.value)


def test_each_request_reaches_the_outbox_as_it_was_asked():
    outbox = RecordingOutbox()
    assert asked(outbox, "retry", ids=["a", "b"]) == {"done": {"a": "", "b": ""}}
    assert asked(outbox, "drop", ids=["c"]) == {"done": {"c": ""}}
    assert asked(outbox, "priority", ids=["d"], priority=-9) == {"done": {"d": ""}}
    assert asked(outbox, "pause", server="line@host:22") == {"done": {}}
    assert asked(outbox, "resume", server="line@host:22") == {"done": {}}
    assert outbox.asked == [
        RetryItems(["a", "b"]),
        DropItems(["c"]),
        SetPriority(["d"], -9),
        PauseServer("line@host:22"),
        ResumeServer("line@host:22"),
    ]


OF_EACH_KIND = [
    RetryItems(["a"]),
    DropItems(["a"]),
    DropItems(["a"], "too old"),
    CancelItems(["a"]),
    SetPriority(["a"], 0),
    PauseServer("line@host:22"),
    ResumeServer("line@host:22"),
]


@pytest.mark.parametrize("order", OF_EACH_KIND, ids=repr)
def test_an_order_reaches_the_outbox_as_it_was_given(order):
    outbox = RecordingOutbox()
    asked(outbox, order.verb, **facts_of(order))
    assert outbox.asked == [order]


def test_an_order_of_each_kind_is_shown_to_travel():
    assert {type(order) for order in OF_EACH_KIND} == set(ORDERS.values())


def test_files_are_taken_in_with_all_that_was_said_of_them_and_each_has_its_own_answer():
    outbox = RecordingOutbox(refusing=["/2.csv"])
    files = [FILE | {"priority": 5, "ttl_s": 1.5}, FILE | {"file_path": "/2.csv"}, FILE | {"file_path": "/\udcff.csv"}]
    refusal = {"error": "OutboxFull", "message": "/2.csv is too much", "hint": "wait"}
    assert asked(outbox, "accept", files=files) == {"done": [["id of /1.csv"], refusal, ["id of /\udcff.csv"]]}
    assert outbox.asked[0] == [SftpUploadRequest(**facts) for facts in files]


def test_an_item_that_is_left_as_it_is_comes_with_its_reason():
    assert asked(RecordingOutbox(unknown=["b"]), "retry", ids=["a", "b"]) == {"done": {"a": "", "b": "no such item"}}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"", "expected one line of JSON"),
        (b"\xff\xfe\n", "expected one line of JSON"),
        (b"GET / HTTP/1.1\r\n", "expected one line of JSON"),
        (b"[" * 100_000, "expected one line of JSON"),
        (b"[]", "expected a JSON object"),
        (b'{"errand": "retry", "ids": ["a"]}', "speaks protocol 1, not None"),
        (b'{"protocol": 2, "errand": "retry", "ids": ["a"]}', "speaks protocol 1, not 2"),
        (request_line("shutdown"), "unknown request 'shutdown': expected hello, accept, retry"),
        (request_line(["retry"]), "unknown request"),
        (request_line("retry"), "ids: expected"),
        (request_line("retry", ids=[]), "ids: expected"),
        (request_line("retry", ids=["a"] * (IDS_MAX + 1)), "ids: expected"),
        (request_line("drop", ids=["a", 1]), "ids: expected"),
        (request_line("drop", ids=["a" * 600]), "ids: expected"),
        (request_line("drop", ids=["\ud800"]), "ids: expected"),
        (request_line("drop", ids="all"), "ids: expected"),
        (request_line("priority", ids=["a"], priority=True), "priority: expected"),
        (request_line("priority", ids=["a"], priority="1"), "priority: expected"),
        (request_line("accept"), "files: expected"),
        (request_line("accept", files=[]), "files: expected"),
        (request_line("accept", files=[FILE] * (FILES_MAX + 1)), "files: expected"),
        (request_line("accept", files=["1.csv"]), "files: not an upload request"),
        (request_line("accept", files=[FILE | {"colour": "red"}]), "files: not an upload request"),
        (request_line("accept", files=[{"file_path": "/1.csv"}]), "files: not an upload request"),
        (request_line("pause"), "server: expected"),
        (request_line("resume", server=""), "server: expected"),
        (request_line("drop", ids=["a"], reason=7), "reason: expected"),
    ],
)
def test_a_line_that_is_no_request_is_answered_and_asks_nothing_of_the_outbox(line, says):
    assert says in refused(line, RecordingOutbox())


def test_an_error_of_the_outbox_arrives_as_what_it_is():
    with pytest.raises(OutboxStorageError, match="disk full") as raised:
        asked(FullOutbox(), "retry", ids=["a"])
    assert raised.value.hint == "free space"


def test_a_failure_nobody_foresaw_is_logged_with_its_traceback_and_answered(caplog):
    with pytest.raises(IrisError, match="nobody foresaw this"):
        asked(BrokenOutbox(), "retry", ids=["a"])
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("name", ["NoSuchError", "annotations", "Enum", None])
def test_an_error_of_a_name_that_is_none_is_an_error_all_the_same(name):
    with pytest.raises(IrisError, match="it broke"):
        answered(json.dumps({"error": name, "message": "it broke", "hint": ""}).encode())


@pytest.mark.parametrize("line", [b"", b"[]", b"null", b"{"])
def test_a_line_that_is_no_answer_is_reported(line):
    with pytest.raises((ValueError, TypeError)):
        answered(line)


def test_an_error_keeps_its_kind_over_the_line():
    line = json.dumps({"error": "NotStarted", "message": "closed", "hint": "start it"}).encode()
    with pytest.raises(NotStarted):
        answered(line)
    with pytest.raises(ControlRequestRefused):
        answered(answer_to(b"", RecordingOutbox()))
