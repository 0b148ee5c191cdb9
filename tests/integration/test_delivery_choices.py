"""Priorities, times to live, pauses, limits and several destinations, chosen through the public uploader, against a
real OpenSSH server. The ledger shows the order: it has a line for each delivery, in the order they were confirmed."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from iris_communication.admin.audit import Audit
from iris_communication.errors import AuthenticationFailed, ItemCancelled, ItemDropped, ItemExpired, OutboxFull
from iris_communication.outbox.orders import CancelItems, DropItems, PauseServer, ResumeServer
from iris_communication.settings import DeliverySettings, Limits, Rule
from iris_communication.sftp_uploader_thread import SftpUploaderThread, SftpUploadRequest
from tests.integration.uploading import (
    IN_A_HURRY,
    LONG_S,
    balanced,
    contents_of,
    destination_of,
    running,
    wait_for,
    wait_until,
)
from tests.servers.openssh import OpenSshServer

ONE_BY_ONE = {
    name: getattr(IN_A_HURRY, name) for name in IN_A_HURRY.__slots__ if name not in ("files_in_flight_max", "rules")
} | {"files_in_flight_max": 1}
REFUSED = "authenticating user"  # sshd's text for a login that failed


@pytest.fixture
def info(openssh, tmp_path):
    return openssh.info(tmp_path / "received")


@pytest.fixture
def received(tmp_path):
    return tmp_path / "received" / "line-1" / "model"


@pytest.fixture
def request_of(info, sources):
    def make(name, server=None, folder_type="model", **facts):
        path = sources / name
        path.write_text(name)
        return SftpUploadRequest(server or info, path, {"project": "line-1"}, folder_type, **facts)

    return make


def in_order_of_delivery(outbox):
    return [Path(line["source"]).name for line in Audit(outbox).ledger()]


def asked(outbox, question):
    with closing(sqlite3.connect(f"file:{outbox / 'outbox.db'}?mode=ro", uri=True)) as database:
        return database.execute(question).fetchall()


def test_evidence_goes_before_what_was_queued_long_before_it(tmp_path, request_of):
    rules = {"evidence": Rule(folder_type="evidence", priority=5)}
    settings = DeliverySettings(**ONE_BY_ONE | {"lower_share": 0.0}, rules=rules)
    outbox = tmp_path / "outbox"
    with closing(SftpUploaderThread(outbox, None, 1000, settings=settings)) as uploader:
        uploader.open()
        names = [f"{number:02}.csv" for number in range(20)]
        receipts = [uploader.submit(request_of(name)) for name in names]
        pictures = [uploader.submit(request_of(f"{number}.jpg", folder_type="evidence")) for number in range(3)]
        urgent = uploader.submit(request_of("urgent.csv", priority=9))
        uploader.start()
        wait_for([*receipts, *pictures, urgent])
    assert in_order_of_delivery(outbox) == ["urgent.csv", "0.jpg", "1.jpg", "2.jpg", *names]


def test_new_files_share_the_link_with_those_that_an_earlier_run_left(tmp_path, openssh, request_of):
    settings = DeliverySettings(**ONE_BY_ONE | {"new_share": 0.5})
    outbox = tmp_path / "outbox"
    key = f"{openssh.username}@{openssh.host}:{openssh.port}"
    old, new = [f"old-{number}.csv" for number in range(10)], [f"new-{number}.csv" for number in range(5)]
    with closing(SftpUploaderThread(outbox, None, 1000, settings=settings)) as uploader:
        uploader.open()
        receipts = [uploader.submit(request_of(name)) for name in old]
        uploader.execute(PauseServer(key))
        uploader.start()
        wait_until(lambda: uploader.get_details()["servers"])  # the worker has seen what was left
        receipts += [uploader.submit(request_of(name)) for name in new]
        uploader.execute(ResumeServer(key))
        wait_for(receipts)
    order = in_order_of_delivery(outbox)
    assert [name for name in order if name.startswith("old")] == old
    assert [name for name in order if name.startswith("new")] == new
    assert order.index(new[-1]) < order.index(old[-1]), "today did not wait for all of yesterday"


def test_a_paused_server_gets_nothing_over_a_restart_and_all_once_it_is_resumed(
    tmp_path, openssh, request_of, received
):
    outbox = tmp_path / "outbox"
    key = f"{openssh.username}@{openssh.host}:{openssh.port}"
    with running(outbox) as uploader:
        wait_for([uploader.submit(request_of("first.csv"))])
        uploader.execute(PauseServer(key))
        for number in range(5):
            uploader.submit(request_of(f"{number}.csv"))
    with running(outbox) as uploader:
        assert destination_of(uploader)["paused"]
        assert uploader.get_stats()["queue_size"] == 5
        assert contents_of(received).keys() == {"first.csv"}
        uploader.execute(ResumeServer(key))
        wait_until(lambda: uploader.get_stats()["queue_size"] == 0)
        assert len(contents_of(received)) == 6


def test_a_file_that_is_dropped_cancelled_or_expired_never_arrives_and_is_counted(tmp_path, request_of, received):
    outbox = tmp_path / "outbox"
    with closing(SftpUploaderThread(outbox, None, 1000, settings=IN_A_HURRY)) as uploader:
        uploader.open()
        dropped, cancelled, kept = (uploader.submit(request_of(f"{number}.csv")) for number in range(3))
        expired = uploader.submit(request_of("late.csv", ttl_s=0.05))
        assert uploader.execute(DropItems([dropped.id, "unknown"])) == {dropped.id: "", "unknown": "no such item"}
        assert uploader.execute(CancelItems([cancelled.id])) == {cancelled.id: ""}
        for receipt, error in ((dropped, ItemDropped), (cancelled, ItemCancelled), (expired, ItemExpired)):
            with pytest.raises(error):
                receipt.wait_delivered(LONG_S)
        uploader.start()
        wait_for([kept])
        assert uploader.get_stats() == {"total_queued": 4, "total_uploaded": 1, "total_failed": 3, "queue_size": 0}
        assert balanced(uploader)
    assert contents_of(received).keys() == {"2.csv"}
    assert Audit(outbox).balance().counted == {
        "waiting": 0,
        "in_flight": 0,
        "delivered": 1,
        "dead": 0,
        "dropped": 1,
        "expired": 1,
        "cancelled": 1,
    }


def test_a_file_for_two_servers_arrives_at_both_and_the_source_is_deleted_then(tmp_path, openssh, request_of, sources):
    there, elsewhere = tmp_path / "there", tmp_path / "elsewhere"
    infos = [openssh.info(there), openssh.info(elsewhere)]
    with running(tmp_path / "outbox") as uploader:
        receipts = uploader.submit_to_servers(request_of("a.csv", server=infos, after_delivery="delete"))
        assert len(receipts) == 2
        wait_for(receipts)
        wait_until(lambda: not (sources / "a.csv").exists())
    for folder in (there, elsewhere):
        assert contents_of(folder / "line-1" / "model") == {"a.csv": b"a.csv"}


def test_one_dead_destination_holds_up_no_other(tmp_path, openssh, request_of, sources, need_program):
    sshd = need_program("sshd", hint="make system-packages")
    there = tmp_path / "there"
    with OpenSshServer(tmp_path / "other-sshd", sshd=sshd) as other, running(tmp_path / "outbox") as uploader:
        info = other.info(tmp_path / "elsewhere")
        other.stop()
        down, up = uploader.submit_to_servers(
            request_of("a.csv", server=[info, openssh.info(there)], after_delivery="delete")
        )
        up.wait_delivered(LONG_S)
        assert down.outcome is None
        assert (sources / "a.csv").exists(), "one of them has not got it yet"
        other.start()
        down.wait_delivered(LONG_S)
        wait_until(lambda: not (sources / "a.csv").exists())


def test_a_delivered_source_is_moved_where_it_was_asked_to(tmp_path, request_of, sources):
    sent = tmp_path / "sent"
    with running(tmp_path / "outbox") as uploader:
        wait_for([uploader.submit(request_of("a.csv", after_delivery="move", move_to=sent))])
        wait_until(lambda: (sent / "a.csv").exists() and not (sources / "a.csv").exists())
    assert (sent / "a.csv").read_text() == "a.csv"


def test_the_lowest_priority_gives_way_when_the_outbox_is_full(tmp_path, request_of):
    limits = Limits(when_full="drop_lowest")
    with closing(SftpUploaderThread(tmp_path / "outbox", None, 3, settings=IN_A_HURRY, limits=limits)) as uploader:
        uploader.open()
        low, *others = [uploader.submit(request_of(f"{n}.csv", priority=n)) for n in range(3)]
        assert uploader.queue_upload(*_positional(request_of("high.csv")), priority=5)
        with pytest.raises(ItemDropped):
            low.wait_delivered(LONG_S)
        assert not uploader.queue_upload(*_positional(request_of("lower.csv")), priority=-1)
        assert all(receipt.outcome is None for receipt in others)
        assert uploader.get_stats() == {"total_queued": 4, "total_uploaded": 0, "total_failed": 1, "queue_size": 3}


def _positional(request):
    return request.sftp_server_info, request.file_path, request.project_settings, request.folder_type


def test_bytes_are_limited(tmp_path, request_of):
    with closing(SftpUploaderThread(tmp_path / "outbox", None, 100, limits=Limits(bytes_max=12))) as uploader:
        uploader.open()
        uploader.submit(request_of("12345678"))
        with pytest.raises(OutboxFull, match="bytes"):
            uploader.submit(request_of("abcdefgh"))
        assert uploader.get_details()["spooled_bytes"] == 8


def test_a_refused_login_is_tried_again_by_no_restart_but_once_a_person_orders_it(
    tmp_path, openssh, request_of, received
):
    """The server refuses every login until its administrator repairs that; nothing changes on this side."""
    outbox, keys = tmp_path / "outbox", openssh.folder / "authorized_keys"
    authorized = keys.read_bytes()
    keys.write_bytes(b"")
    try:
        with running(outbox) as uploader:
            uploader.submit(request_of("a.csv"))
            wait_until(lambda: destination_of(uploader)["link"] == "down")
            assert "resume" in destination_of(uploader)["hint"]
        wait_until(lambda: openssh.log().count(REFUSED) == 1)
        for _ in range(3):
            with running(outbox) as uploader:
                assert destination_of(uploader)["reason"]
        assert openssh.log().count(REFUSED) == 1
        (facts,) = (json.loads(row[0]) for row in asked(outbox, "SELECT breaker FROM server_states"))
        assert facts["failure"][0] == AuthenticationFailed.__name__
    finally:
        keys.write_bytes(authorized)
    with running(outbox) as uploader:
        uploader.execute(ResumeServer(f"{openssh.username}@{openssh.host}:{openssh.port}"))
        wait_until(lambda: uploader.get_stats()["total_uploaded"] == 1)
    assert contents_of(received) == {"a.csv": b"a.csv"}
