"""Cameras that come and go while the others run on."""

from types import SimpleNamespace

import pytest

from iris_camera.controllers.lineup import Lineup
from iris_camera.inspection.model_error import ModelError


class FakeCamera:
    """Records its calls; `ended` is set by the test."""

    def __init__(self, setup, calls):
        self.setup, self.name, self.ended = setup, setup.name, False
        self._calls = calls

    def __getattr__(self, method):
        if method not in {"start", "close", "quiesce", "stop", "picture"}:
            raise AttributeError(method)

        def call(*arguments):
            self._calls.append((method, self.name, self.setup.version))
            return True

        return call


def setup(name, version=1, *, enabled=True):
    return SimpleNamespace(name=name, version=version, enabled=enabled)


@pytest.fixture
def calls():
    return []


@pytest.fixture
def lineup(calls):
    def make(wanted):
        if wanted.version == "broken":
            raise ModelError("there is no model at belt.onnx")
        return FakeCamera(wanted, calls)

    made = Lineup(make)
    made.prepare([setup("a"), setup("b")])
    made.start()
    calls.clear()
    return made


def test_a_changed_camera_alone_is_ended_and_made_again(lineup, calls):
    done = lineup.exchange([setup("a"), setup("b", 2)])
    assert (done.added, done.removed, done.restarted) == ((), (), ("b",))
    assert calls == [("close", "b", 1), ("quiesce", "b", 1), ("stop", "b", 1), ("start", "b", 2)]


def test_a_camera_is_added_and_another_removed(lineup, calls):
    done = lineup.exchange([setup("c"), setup("a")])
    assert (done.added, done.removed, done.restarted) == (("c",), ("b",), ())
    assert [camera.name for camera in lineup.cameras] == ["c", "a"]
    assert ("start", "c", 1) in calls
    assert ("stop", "b", 1) in calls
    assert set(lineup.pictures()) == {"a", "c"}


def test_a_camera_whose_new_model_does_not_load_goes_on_as_it_was(lineup, calls):
    done = lineup.exchange([setup("a", "broken"), setup("b")])
    assert done.refused == {"a": "there is no model at belt.onnx"}
    assert calls == []
    assert [camera.setup.version for camera in lineup.cameras] == [1, 1]


def test_all_sources_are_closed_before_any_is_waited_for(lineup, calls):
    assert lineup.quiesce(2.0)
    assert [method for method, *_ in calls] == ["close", "close", "quiesce", "quiesce"]


def test_no_camera_is_exchanged_once_the_end_has_begun(lineup, calls):
    lineup.quiesce(2.0)
    calls.clear()
    assert lineup.exchange([setup("c")]).added == ()
    assert calls == []


def test_the_lineup_has_ended_when_every_camera_that_is_switched_on_has(lineup):
    first, second = lineup.cameras
    first.ended = True
    assert not lineup.ended
    second.setup.enabled = False
    assert lineup.ended
    first.setup.enabled = False
    assert not lineup.ended  # with all switched off there is nothing whose end could be waited for
