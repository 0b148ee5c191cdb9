import logging
import threading
import time

import pytest

from iris_camera.camera import capture as capture_module
from iris_camera.camera.capture import HUNG_MAX, Capture, jittered_pause_s
from iris_camera.camera.clock import CameraClock
from iris_camera.camera.handover import EveryFrame, LatestFrame
from iris_camera.camera.settings import SourceSettings
from tests.unit.iris_camera.camera.watching import (
    SECRET,
    Breaking,
    BrokenFilm,
    Film,
    Hanging,
    Raising,
    Resizing,
    Skipping,
    StateChanges,
    Steady,
    Stubborn,
    Stuttering,
    Unreachable,
    wait_until,
)

QUICK = SourceSettings(
    offline_after_s=0.05, stalled_after_s=0.3, hung_after_s=0.5, open_timeout_s=0.2, read_timeout_s=0.2
)
TINY = {"open_timeout_s": 0.01, "read_timeout_s": 0.01}
SOON_S = 20.0
PROMPT_S = 10.0  # for events that the test does not wait for


@pytest.fixture
def changes():
    return StateChanges()


@pytest.fixture
def capturing(changes):
    """Starts a capture of whatever `make` gives, and ends it after the test."""
    captures = []

    def start(make, settings=QUICK, **options):
        made = make if callable(make) else lambda: make
        options = {"on_change": changes, "pause_s": lambda failures: 0.01} | options
        captures.append(Capture("line-1", made, settings, **options))
        captures[-1].start()
        return captures[-1]

    yield start
    for capture in captures:
        capture.close()
        assert capture.join(SOON_S)


def taken(capture, count):
    """So many frames, as inspection takes them."""
    frames = []
    deadline_s = time.monotonic() + SOON_S
    while len(frames) < count and time.monotonic() < deadline_s:
        frame = capture.handover.get(0.2)
        if frame is not None:
            frames.append(frame)
    assert len(frames) == count
    return frames


def taken_to_the_end(capture):
    frames = []
    while not capture.handover.drained:
        frame = capture.handover.get(SOON_S)
        if frame is not None:
            frames.append(frame)
    return frames


# Handing over


def test_a_live_source_hands_over_its_latest_frame_and_a_film_every_frame():
    assert isinstance(Capture("a", Steady, QUICK).handover, LatestFrame)
    assert isinstance(Capture("a", Film, QUICK).handover, EveryFrame)


def test_no_frame_of_a_film_is_lost_however_late_it_is_taken(capturing):
    capture = capturing(Film(50))
    assert [frame.number for frame in taken_to_the_end(capture)] == list(range(50))
    assert capture.status().skipped == 0


def test_frames_of_a_live_source_that_nobody_takes_are_skipped_and_counted(capturing):
    capture = capturing(Steady())
    wait_until(lambda: capture.status().frames >= 20)
    assert capture.status().skipped >= 18


def test_frames_the_source_left_out_are_skipped_too(capturing):
    capture = capturing(Skipping(10))
    assert [frame.number for frame in taken_to_the_end(capture)] == list(range(0, 20, 2))
    assert capture.status().skipped == 9


def test_frames_and_their_rate_and_age_are_counted(capturing):
    capture = capturing(Steady())
    wait_until(lambda: capture.status().frames >= 20)
    status = capture.status()
    assert status.frames_per_s > 50
    assert status.frame_age_s < PROMPT_S


def test_a_picture_that_changes_its_size_is_reported(capturing, caplog):
    caplog.set_level(logging.WARNING)
    capture = capturing(Resizing())
    wait_until(lambda: capture.status().frames >= 4)
    assert "changed its picture from 4x4 to 6x8 pixels" in caplog.text


# The end


def test_a_film_that_is_over_has_ended(capturing, changes, caplog):
    caplog.set_level(logging.INFO)
    capture = capturing(Film(3))
    taken_to_the_end(capture)
    assert changes.wait_for("disabled").reason == "it has come to its end"
    assert f"camera {capture.name} has come to its end" in caplog.text
    assert "disabled" not in caplog.text
    assert capture.ended


def test_a_damaged_film_gives_what_it_has_and_reports_the_damage_and_is_not_read_again(capturing, changes):
    film = BrokenFilm(3)
    capture = capturing(film)
    assert len(taken_to_the_end(capture)) == 3
    assert changes.wait_for("offline").reason == "the film ended after 3 of 10 frames"
    assert capture.ended
    assert film.opened == 1


def test_a_closed_capture_has_not_ended(capturing, changes, caplog):
    caplog.set_level(logging.INFO)
    capture = capturing(Steady())
    changes.wait_for("online")
    capture.close()
    assert capture.join(SOON_S)
    assert not capture.ended
    assert capture.handover.closed
    assert changes.states == ["online", "disabled"]
    assert capture.status().state == "disabled"
    assert f"camera {capture.name} is closed" in caplog.text
    assert "is disabled" not in caplog.text, "nobody has switched it off"


def test_close_ends_a_film_whose_frames_nobody_takes(capturing):
    capture = capturing(Film(1000))
    wait_until(lambda: capture.status().frames >= 5)
    capture.close()
    assert capture.join(SOON_S)


def test_close_from_many_threads_at_once_and_again_is_closing_it(capturing):
    capture = capturing(Steady())
    closers = [threading.Thread(target=capture.close) for _ in range(8)]
    for closer in closers:
        closer.start()
    for closer in closers:
        closer.join(SOON_S)
    capture.close()
    assert capture.join(SOON_S)


def test_close_does_not_wait_for_the_next_try(capturing, changes):
    capture = capturing(Unreachable(), pause_s=lambda failures: 3600.0)
    changes.wait_for("offline")
    began_s = time.monotonic()
    capture.close()
    assert capture.join(SOON_S)
    assert time.monotonic() - began_s < PROMPT_S


def test_a_capture_that_was_never_started_can_be_closed():
    capture = Capture("line-1", Steady, QUICK)
    capture.close()
    assert capture.join(0.1)


def test_a_source_whose_close_raises_is_closed_all_the_same(capturing, changes, caplog):
    capture = capturing(Stubborn())
    changes.wait_for("online")
    capture.close()
    assert capture.join(SOON_S)
    assert "could not be closed" in caplog.text


# Lost and found


def test_a_camera_that_cannot_be_reached_is_offline_with_the_reason_and_tried_again_for_ever(capturing, changes):
    source = Unreachable()
    capture = capturing(source)
    assert changes.wait_for("offline").reason == "no route to the host"
    wait_until(lambda: source.opened >= 10)
    assert changes.states == ["offline"]
    assert capture.status().reason == "no route to the host"
    assert capture.status().reconnects == 0


def test_a_camera_that_comes_back_is_online_again(capturing, changes):
    capturing(Unreachable(times=20))
    changes.wait_for("offline")
    assert changes.wait_for("online").reason is None


def test_the_pauses_follow_the_failures_in_a_row(capturing):
    asked = []
    capturing(Unreachable(), pause_s=lambda failures: asked.append(failures) or 0.0)
    wait_until(lambda: len(asked) >= 5)
    assert asked[:5] == [1, 2, 3, 4, 5]


def test_the_reason_and_the_hint_are_logged_once_not_at_every_try(capturing, caplog):
    source = Unreachable()
    capturing(source)
    wait_until(lambda: source.opened >= 10)
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert [record.getMessage().split(" Iris keeps trying")[0] for record in warnings] == [
        "camera line-1: no route to the host. Look at the cable."
    ]


def test_a_camera_that_comes_and_goes_all_the_time_is_logged_no_more_often_than_one_that_is_away(capturing, caplog):
    caplog.set_level(logging.INFO)
    capture = capturing(Breaking(after=1), SourceSettings(offline_after_s=0.001))
    wait_until(lambda: capture.status().reconnects >= 20)
    said = [record.getMessage().partition(":")[0] for record in caplog.records]
    assert len(said) <= len(set(said))


def test_a_blip_is_no_event_and_is_counted_as_a_reconnect(capturing, changes):
    patient = SourceSettings(offline_after_s=3600.0)
    capture = capturing(Breaking(after=5), patient)
    wait_until(lambda: capture.status().reconnects >= 3)
    assert changes.states == ["online"]


def test_frame_numbers_go_on_over_a_reconnect_and_the_opening_makes_a_tracker_forget(capturing):
    capture = capturing(Breaking(after=5))
    frames = taken(capture, 12)
    numbers = [frame.number for frame in frames]
    assert numbers == sorted(set(numbers))
    assert [frame.opening for frame in frames] == [number // 5 for number in numbers]


def test_a_live_source_that_reports_its_end_is_lost_not_ended(capturing, changes):
    class Ending(Steady):
        def read(self):
            return None

    source = Ending()
    capture = capturing(source)
    assert changes.wait_for("offline").reason == "it has stopped sending pictures"
    wait_until(lambda: source.opened >= 3)
    assert not capture.ended


def test_a_folder_that_is_away_for_a_while_goes_on_with_the_same_source(capturing):
    made = []

    class Away(Film):
        def open(self):
            super().open()
            if self.opened == 1:
                raise OSError("stale file handle")

    def make():
        made.append(Away(3))
        return made[-1]

    capture = capturing(make)
    assert len(taken_to_the_end(capture)) == 3
    assert len(made) == 1


# Stalled and hung


def test_a_camera_that_stays_connected_and_sends_nothing_is_stalled_until_it_sends_again(capturing, changes):
    source = Stuttering()
    capturing(source, SourceSettings(offline_after_s=0.05, stalled_after_s=0.1))
    assert changes.wait_for("stalled").reason == "no picture for more than 0.1 s"
    source.go_on.set()
    changes.wait_for("online", 2)
    assert "offline" not in changes.states


def test_a_read_that_never_comes_back_is_given_up_for_a_fresh_source_in_a_fresh_thread(capturing, changes, caplog):
    hanging = Hanging()
    made = iter([hanging, Steady()])
    capture = capturing(lambda: next(made))
    assert hanging.hangs.wait(SOON_S)
    wait_until(lambda: capture.status().reconnects == 1)
    assert capture.status().hung == 1
    assert "a call into its driver hangs for more than 0.5 s. It is left behind, 1 of at most 4" in caplog.text
    hanging.wake.set()
    wait_until(lambda: capture.status().hung == 0)


def test_a_hung_read_that_comes_back_late_hands_nothing_over(capturing):
    hanging = Hanging()
    made = iter([hanging, Stuttering(after=0)])
    capture = capturing(lambda: next(made))
    wait_until(lambda: capture.status().hung == 1)
    frames_before = capture.status().frames
    hanging.wake.set()
    wait_until(lambda: capture.status().hung == 0)
    assert hanging.closed.is_set()
    assert capture.status().frames == frames_before


def test_no_more_than_so_many_threads_are_left_behind_and_one_that_comes_back_makes_room(capturing, changes):
    made, end = [], threading.Event()

    def make():
        made.append(Hanging(after=0))
        if len(made) > 1:
            made[-1].wake = end
        return made[-1]

    capture = capturing(make, SourceSettings(offline_after_s=0.05, hung_after_s=0.02, **TINY))
    wait_until(lambda: "calls into its driver hang" in (capture.status().reason or ""))
    assert capture.status().hung == HUNG_MAX == len(made)
    made[0].wake.set()
    wait_until(lambda: len(made) == HUNG_MAX + 1)
    end.set()


def test_close_returns_while_a_read_hangs(changes):
    hanging = Hanging()
    capture = Capture("line-1", lambda: hanging, SourceSettings(), on_change=changes)
    capture.start()
    assert hanging.hangs.wait(SOON_S)
    capture.close()
    assert not capture.join(0.1)
    assert capture.handover.closed
    hanging.wake.set()
    assert capture.join(SOON_S)


# Secrets and errors that must stay inside


def test_a_source_that_raises_anything_is_a_lost_camera_and_the_traceback_is_logged_once(capturing, changes, caplog):
    made = []

    def make():
        made.append(Raising())
        return made[-1]

    capture = capturing(make)
    assert changes.wait_for("offline").reason.startswith("ZeroDivisionError")
    wait_until(lambda: len(made) >= 5)
    assert caplog.text.count("Traceback") == 1
    assert capture.status().state == "offline"


def test_a_password_in_a_foreign_exception_is_not_shown(capturing, changes):
    capture = capturing(Raising)
    assert SECRET not in changes.wait_for("offline").reason
    assert SECRET not in (capture.status().reason or "")


def test_a_source_that_cannot_even_be_made_is_a_lost_camera(capturing, changes):
    hanging = Hanging(after=0)
    made = iter([hanging])
    capture = capturing(lambda: next(made), SourceSettings(offline_after_s=0.05, hung_after_s=0.02, **TINY))
    assert changes.wait_for("offline")
    wait_until(lambda: "StopIteration" in (capture.status().reason or ""))
    hanging.wake.set()


def test_an_observer_that_raises_costs_nothing_but_a_line_in_the_log(capturing, caplog):
    def refuse(event):
        raise RuntimeError("no")

    capture = capturing(Steady(), on_change=refuse)
    wait_until(lambda: capture.status().frames >= 10)
    assert "reporting that it is online failed" in caplog.text


def test_a_mistake_in_watching_does_not_end_the_watching(capturing, changes, monkeypatch, caplog):
    failing = iter([True, True])

    def look_badly(*arguments):
        if next(failing, False):
            raise RuntimeError("a mistake")
        return after(*arguments)

    after = capture_module.after
    monkeypatch.setattr(capture_module, "after", look_badly)
    capturing(Steady())
    changes.wait_for("online")
    assert "watching it failed" in caplog.text


def test_one_cameras_death_touches_no_other():
    changes_of_each = [StateChanges(), StateChanges(), StateChanges()]
    sources = [Hanging(), Steady("b"), Unreachable()]
    captures = [
        Capture(f"line-{number}", lambda source=source: source, SourceSettings(), on_change=changes)
        for number, (source, changes) in enumerate(zip(sources, changes_of_each, strict=True))
    ]
    for capture in captures:
        capture.start()
    assert sources[0].hangs.wait(SOON_S)
    before = captures[1].status().frames
    wait_until(lambda: captures[1].status().frames > before + 50)
    captures[2].close()
    captures[0].close()
    before = captures[1].status().frames
    wait_until(lambda: captures[1].status().frames > before + 50)
    assert changes_of_each[1].states == ["online"]
    sources[0].wake.set()
    captures[1].close()
    assert all(capture.join(SOON_S) for capture in captures)


def test_each_camera_has_threads_of_its_own_named_after_it(capturing, changes):
    capturing(Steady())
    changes.wait_for("online")
    names = {thread.name for thread in threading.enumerate()}
    assert {"iris-capture-line-1", "iris-watch-line-1"} <= names


def test_twenty_cameras_do_not_ask_at_the_same_instant():
    assert len({jittered_pause_s(1) for _ in range(20)}) > 1


@pytest.mark.parametrize("seconds", [365 * 86400.0, -3600.0])
def test_the_time_a_camera_is_in_its_state_does_not_depend_on_how_the_clock_is_set(capturing, seconds):
    wall_s = [1_700_000_000.0]
    clock = CameraClock(wall=lambda: wall_s[0] + time.monotonic())
    capture = capturing(Unreachable(), clock=clock)
    wait_until(lambda: capture.status().reason != "it is being opened")
    before_s = clock.wall() - capture.status().since_s
    wall_s[0] += seconds
    assert before_s <= clock.wall() - capture.status().since_s < before_s + SOON_S
