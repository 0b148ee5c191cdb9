"""From a finished record file to the uploader: in order, refused ones again, none dropped."""

import itertools
import logging

import pytest

from iris_camera.controllers.record_delivery import Destination, RecordDelivery
from iris_camera.records.csv_file import FinishedCsv
from iris_communication.errors import NotStarted


class ScriptedUploader:
    """Answers as told, then True; an exception in the script is raised."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.offered = []

    def queue_upload(self, **request):
        self.offered.append(request)
        answer = self.answers.pop(0) if self.answers else True
        if isinstance(answer, Exception):
            raise answer
        return answer


class Clock:
    now_s = 100.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


def delivery_to(uploader, clock):
    return RecordDelivery(uploader, Destination("line-server", {"project": "line-1"}), clock)


def finished(folder, name, kind="model"):
    path = folder / f"{name}.csv"
    path.write_text("rows\n")
    return FinishedCsv(path, kind, 1, 5, "0" * 64)


def names(uploader):
    return [request["file_path"].stem for request in uploader.offered]


@pytest.mark.parametrize("kind", ["model", "classifier"])
def test_a_rotated_file_is_queued_under_its_kind_and_handed_over(tmp_path, clock, kind):
    uploader = ScriptedUploader()
    csv = finished(tmp_path, "a", kind)
    delivery_to(uploader, clock).add(csv)
    assert uploader.offered == [
        {
            "sftp_server_info": "line-server",
            "file_path": csv.path,
            "project_settings": {"project": "line-1"},
            "folder_type": kind,
            "take": "move",
        }
    ]


def test_a_refused_file_waits_and_is_offered_again_before_later_ones(tmp_path, clock):
    uploader = ScriptedUploader(False)
    delivery = delivery_to(uploader, clock)
    delivery.add(finished(tmp_path, "first"))
    delivery.add(finished(tmp_path, "second"))
    assert delivery.waiting == 2
    assert names(uploader) == ["first"]

    clock.now_s += 1.0
    delivery.offer()

    assert delivery.waiting == 0
    assert names(uploader) == ["first", "first", "second"]


def test_pauses_between_refusals_grow_and_are_forgotten_after_a_success(tmp_path, clock):
    uploader = ScriptedUploader(*[False] * 8)
    delivery = delivery_to(uploader, clock)
    delivery.add(finished(tmp_path, "a"))
    offers_s = []
    for _ in range(800):
        clock.now_s += 0.2
        before = len(uploader.offered)
        delivery.offer()
        if len(uploader.offered) > before:
            offers_s.append(clock.now_s)
    pauses = [later - sooner for sooner, later in itertools.pairwise(offers_s)]
    assert pauses == sorted(pauses)
    assert max(pauses) <= 30.5
    assert delivery.waiting == 0

    uploader.answers = [False]
    delivery.add(finished(tmp_path, "b"))
    clock.now_s += 1.0
    delivery.offer()
    assert delivery.waiting == 0


def test_an_error_keeps_the_file_and_is_told_once(tmp_path, clock, caplog):
    uploader = ScriptedUploader(NotStarted("not open"), NotStarted("not open"), NotStarted("not open"))
    delivery = delivery_to(uploader, clock)
    with caplog.at_level(logging.ERROR):
        delivery.add(finished(tmp_path, "a"))
        for _ in range(2):
            clock.now_s += 30.0
            delivery.offer()
    assert delivery.waiting == 1
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "a.csv stays in" in caplog.text
    assert "call start() first" in caplog.text


def test_at_the_end_what_waits_is_offered_once_more_without_a_pause(tmp_path, clock):
    uploader = ScriptedUploader(False)
    delivery = delivery_to(uploader, clock)
    delivery.add(finished(tmp_path, "a"))
    delivery.offer(now=True)
    assert delivery.waiting == 0


def test_a_file_that_the_outbox_took_before_a_crash_is_not_offered(tmp_path, clock):
    uploader = ScriptedUploader()
    csv = finished(tmp_path, "a")
    csv.path.unlink()
    delivery = delivery_to(uploader, clock)
    delivery.add(csv)
    assert uploader.offered == []
    assert delivery.waiting == 0
