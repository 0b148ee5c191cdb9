"""Files on their way: queued in order, again when the outbox is full, and followed to their end."""

from pathlib import Path

import pytest

from iris_camera.cli.destination import ChosenServers, Handling
from iris_camera.cli.files_to_send import FileToSend
from iris_camera.cli.handing_in import Link
from iris_camera.cli.sending import Sending
from iris_communication.errors import InvalidRequest, OutboxFull, RemoteRefused
from iris_communication.item import Delivered

PLANT = {"host": "plant", "username": "iris", "password": "x"}
OFFICE = {"host": "office", "username": "iris", "password": "x"}
DELIVERED = Delivered("/in/a.csv", 5, "0" * 64, None, 0.0)


class Intake:
    """Takes in as many as it has room for; what becomes of them is set by the test."""

    def __init__(self, room=1000):
        self.room = room
        self.taken = []
        self.settled = {}
        self.down = []

    def hand_in(self, requests):
        return [self._answer(request) for request in requests]

    def outcomes(self, ids):
        return {each: self.settled[each] for each in ids if each in self.settled}

    def links(self):
        return self.down

    def _answer(self, request):
        name = Path(request.file_path).name
        if name.startswith("bad"):
            return InvalidRequest(f"{name} is no name")
        if len(self.taken) == self.room:
            return OutboxFull("full")
        self.taken.append(name)
        return [f"{name}@{info['host']}" for info in request.sftp_server_info]


def sending(intake, *names, servers=(PLANT,)):
    files = [FileToSend(Path("/line", name), 5, "line") for name in names]
    return Sending(files, ChosenServers(tuple(servers), Handling()), intake)


def test_a_file_is_finished_when_every_server_has_it():
    intake = Intake()
    under_way = sending(intake, "a", servers=(PLANT, OFFICE))
    under_way.hand_in()
    intake.settled["a@plant"] = DELIVERED
    assert (under_way.follow(), under_way.is_over) == ([], False)
    intake.settled["a@office"] = RemoteRefused("no permission", hint="ask them")
    (ended,) = under_way.follow()
    assert under_way.is_over
    assert not ended.is_delivered
    assert [(each["id"], each["state"]) for each in ended.records()] == [
        ("a@plant", "delivered"),
        ("a@office", "failed"),
    ]


def test_files_that_a_full_outbox_refuses_are_offered_again_in_their_order():
    intake = Intake(room=2)
    under_way = sending(intake, "a", "b", "c", "d")
    under_way.hand_in()
    assert [file.path.name for file in under_way.not_handed_in] == ["c", "d"]
    assert str(under_way.full) == "full"
    intake.room = 10
    under_way.hand_in()
    assert (intake.taken, under_way.full) == (["a", "b", "c", "d"], None)


def test_a_file_that_can_never_be_delivered_is_finished_at_once_and_holds_up_no_other():
    intake = Intake()
    under_way = sending(intake, "bad", "good")
    under_way.hand_in()
    assert [sent.records() for sent in under_way.done] == [
        [
            {
                "file": "/line/bad",
                "size_bytes": 5,
                "id": None,
                "state": "refused",
                "error": "InvalidRequest",
                "message": "bad is no name",
                "hint": "",
            }
        ]
    ]
    assert [sent.file.path.name for sent in under_way.owed] == ["good"]


@pytest.mark.parametrize(("held", "waits"), [(["plant"], False), (["plant", "office"], True), (["elsewhere"], False)])
def test_the_command_waits_for_a_person_when_every_server_with_files_left_does(held, waits):
    intake = Intake()
    intake.down = [Link(f"iris@{name}:22", f"{name} is paused", waits_for_a_person=True) for name in held]
    under_way = sending(intake, "a", servers=(PLANT, OFFICE))
    under_way.hand_in()
    assert under_way.waits_for_a_person(under_way.held_up_by()) is waits


def test_the_other_server_alone_is_waited_for_once_one_has_everything():
    intake = Intake()
    intake.down = [Link("iris@office:22", "office is paused", waits_for_a_person=True)]
    under_way = sending(intake, "a", servers=(PLANT, OFFICE))
    under_way.hand_in()
    assert not under_way.waits_for_a_person(under_way.held_up_by())
    intake.settled["a@plant"] = DELIVERED
    under_way.follow()
    assert under_way.waits_for_a_person(under_way.held_up_by())


def test_a_file_below_a_folder_gets_a_remote_path_with_that_folder_and_braces_stay_braces():
    request = ChosenServers((PLANT,), Handling()).request(Path("/t/x/{y}/a"), project="t", folder="x/{y}")
    (info,) = request.sftp_server_info
    assert info["remote_path"] == "{remote_directory}/{project}/{folder_type}/x/{{y}}/{file_name}"
