import logging
import os
import subprocess
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from iris_camera.camera.clock import CameraClock
from iris_camera.camera.decoding import PictureDecoder
from iris_camera.camera.source import SourceError
from iris_camera.camera.video_file import VideoFile
from tests.footage import footage

START_S, UNIX_S = 1000.0, 1_795_467_933.0


class HandClock:
    """Time that passes only when the source waits, or when the test moves it."""

    def __init__(self):
        self.now_s = START_S

    def wait(self, event, timeout_s):
        if not event.is_set():
            self.now_s += timeout_s
        return event.is_set()

    def as_clock(self):
        return CameraClock(lambda: self.now_s, lambda: UNIX_S + self.now_s, self.wait)


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture
def opened(clock):
    """Opens a film, and closes it after the test."""
    films = []

    def open_it(path, **options):
        films.append(VideoFile(path, name="line-1", **{"clock": clock.as_clock()} | options))
        films[-1].open()
        return films[-1]

    yield open_it
    for film in films:
        film.close()


def read_all(film):
    frames = []
    while (frame := film.read()) is not None:
        frames.append(frame)
    return frames


def read_to_the_error(film):
    """The frames, and the error that came behind them."""
    frames = []
    try:
        while (frame := film.read()) is not None:
            frames.append(frame)
    except SourceError as error:
        return frames, error
    return frames, None


def film_of(path, count, fourcc="MJPG", frame_rate=25.0):
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*fourcc), frame_rate, (64, 48))
    for number in range(count):
        writer.write(np.full((48, 64, 3), number, np.uint8))
    writer.release()
    return path


@pytest.mark.parametrize(
    ("name", "count", "size", "frame_rate"),
    [
        ("bikes.mp4", 250, (272, 640), 25.0),
        ("carphone_pristine.mp4", 120, (144, 176), 29.97),
        ("bigbuckbunny.mp4", 132, (720, 1280), 25.0),
    ],
)
def test_every_frame_of_real_footage_comes_with_its_time(opened, name, count, size, frame_rate):
    film = opened(footage(name), pace="fast")
    frames = read_all(film)
    assert [frame.number for frame in frames] == list(range(count))
    assert {frame.image.shape for frame in frames} == {(*size, 3)}
    assert film.frame_rate == pytest.approx(frame_rate, abs=0.01)
    for frame in frames:
        assert frame.wall_s == pytest.approx(UNIX_S + START_S + frame.number / film.frame_rate, abs=0.002)


def test_a_frame_at_the_films_own_rate_is_read_when_it_is_due(opened, clock):
    film = opened(footage("bikes.mp4"))
    for number in range(50):
        frame = film.read()
        assert clock.now_s == pytest.approx(START_S + number / 25)
        assert frame.monotonic_s == pytest.approx(START_S + number / 25)


def test_a_late_reader_loses_nothing_and_the_time_stays_the_films(opened, clock):
    film = opened(footage("bikes.mp4"))
    film.read()
    clock.now_s += 7.0
    frames = [film.read() for _ in range(5)]
    assert [frame.number for frame in frames] == [1, 2, 3, 4, 5]
    assert [frame.monotonic_s for frame in frames] == pytest.approx([START_S + n / 25 for n in range(1, 6)])


def test_a_film_read_at_full_speed_waits_for_nobody_and_its_wall_time_is_the_films(opened, clock):
    film = opened(footage("bikes.mp4"), pace="fast")
    frames = [film.read() for _ in range(50)]
    assert clock.now_s == START_S
    assert frames[-1].monotonic_s == START_S
    assert frames[-1].wall_s == pytest.approx(UNIX_S + START_S + 49 / 25)


def test_a_film_may_be_played_at_another_rate(opened, clock):
    film = opened(footage("bikes.mp4"), frame_rate=100.0)
    frames = [film.read() for _ in range(11)]
    assert clock.now_s == pytest.approx(START_S + 0.1)
    assert frames[-1].wall_s - frames[0].wall_s == pytest.approx(0.1)
    assert film.frame_rate == 100.0


def test_a_repeated_film_goes_on_with_numbers_and_time_and_reports_that_it_began_again(opened, tmp_path):
    film = opened(film_of(tmp_path / "short.avi", 5), pace="fast", repeat=True)
    frames = [film.read() for _ in range(12)]
    assert [frame.number for frame in frames] == list(range(12))
    assert [frame.opening for frame in frames] == [0] * 5 + [1] * 5 + [2] * 2
    assert [frame.wall_s - frames[0].wall_s for frame in frames] == pytest.approx([n / 25 for n in range(12)])


def test_a_film_whose_end_is_missing_gives_what_is_there_and_then_reports_the_damage(opened, tmp_path):
    whole = film_of(tmp_path / "whole.avi", 100).read_bytes()
    cut = tmp_path / "cut.avi"
    cut.write_bytes(whole[: len(whole) // 2])
    film = opened(cut, pace="fast")
    frames, error = read_to_the_error(film)
    assert 30 < len(frames) < 60
    assert error.reason.startswith(f"{cut} ended after {len(frames)} frames: it is damaged or cut off")
    assert error.final


def test_a_film_damaged_in_the_middle_gives_the_frames_behind_the_damage_too_and_then_reports_it(opened, tmp_path):
    data = bytearray(footage("bigbuckbunny.mp4").read_bytes())
    data[len(data) // 2 : len(data) // 2 + 20_000] = bytes(20_000)
    damaged = tmp_path / "damaged.mp4"
    damaged.write_bytes(data)
    film = opened(damaged, pace="fast")
    frames, error = read_to_the_error(film)
    assert len(frames) > 100
    assert frames[-1].wall_s - UNIX_S - START_S == pytest.approx(131 / 25, abs=0.05)
    assert f"ended after {len(frames)} frames: it is damaged" in error.reason


def of_bikes(ffmpeg, path, *arguments, start="0"):
    """The street with bicycles, made into another file by FFmpeg."""
    command_line = ["-v", "error", "-y", "-ss", start, "-i", str(footage("bikes.mp4")), *arguments, str(path)]
    subprocess.run([ffmpeg, *command_line], check=True, timeout=60, stdin=subprocess.DEVNULL)
    return path


COPY = ("-c", "copy")
UNEVEN = (
    "-vf",
    "select=not(mod(floor(n/10)\\,2)),scale=160:-2",
    "-vsync",
    "vfr",
    "-c:v",
    "libvpx",
    "-deadline",
    "realtime",
)


@pytest.mark.parametrize(
    ("name", "start", "arguments", "count"),
    [
        ("edited.mp4", "1", COPY, 225),
        ("edited.mov", "1", COPY, 225),
        ("clip.mp4", "1", ("-t", "4", *COPY), 100),
        ("uneven.webm", "0", UNEVEN, 130),
        ("live.mkv", "0", ("-live", "1", *COPY), 250),
        ("fragments.mp4", "0", ("-movflags", "frag_keyframe+empty_moov", *COPY), 250),
        ("raw.h264", "0", COPY, 250),
        ("stream.ts", "0", COPY, 250),
        (
            "sound_is_longer.mp4",
            "0",
            ("-f", "lavfi", "-i", "sine=d=12", "-map", "0:v", "-map", "1:a", "-c:v", "copy"),
            250,
        ),
    ],
)
def test_a_film_that_decodes_to_its_end_is_whole_whatever_its_container_announces(
    opened, tmp_path, need_program, name, start, arguments, count
):
    film = opened(
        of_bikes(need_program("ffmpeg", hint="make system-packages"), tmp_path / name, *arguments, start=start)
    )
    frames, error = read_to_the_error(film)
    assert error is None
    assert len(frames) == pytest.approx(count, abs=3)


def test_two_streams_one_behind_the_other_are_one_whole_film(opened, tmp_path, need_program):
    one = of_bikes(need_program("ffmpeg", hint="make system-packages"), tmp_path / "one.ts", *COPY).read_bytes()
    (tmp_path / "two.ts").write_bytes(one + one)
    frames, error = read_to_the_error(opened(tmp_path / "two.ts"))
    assert error is None
    assert len(frames) == 500
    assert frames[-1].wall_s > frames[249].wall_s > frames[0].wall_s


def test_a_stream_that_begins_between_two_whole_pictures_is_whole(opened, tmp_path, need_program):
    one = of_bikes(need_program("ffmpeg", hint="make system-packages"), tmp_path / "one.ts", *COPY).read_bytes()
    (tmp_path / "later.ts").write_bytes(one[188 * 50 :])
    frames, error = read_to_the_error(opened(tmp_path / "later.ts"))
    assert error is None
    assert frames


def test_an_edit_list_takes_frames_away_and_the_film_is_whole(opened, tmp_path):
    data = bytearray(footage("bikes.mp4").read_bytes())
    begins = data.index(b"elst") + 16  # behind version, flags, count and duration
    timescale = int.from_bytes(data[(mdhd := data.index(b"mdhd")) + 16 : mdhd + 20], "big")
    media_time = int.from_bytes(data[begins : begins + 4], "big") + timescale
    data[begins : begins + 4] = media_time.to_bytes(4, "big")
    (tmp_path / "edited.mp4").write_bytes(data)
    frames, error = read_to_the_error(opened(tmp_path / "edited.mp4", pace="fast"))
    assert error is None
    assert len(frames) == 225


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("index_in_front.mp4", ("-movflags", "faststart", *COPY)),
        ("fragments.mp4", ("-movflags", "frag_keyframe+empty_moov", *COPY)),
        ("film.mkv", COPY),
        ("live.mkv", ("-live", "1", *COPY)),
        ("uneven.webm", UNEVEN),
        ("stream.ts", COPY),
    ],
)
def test_a_file_that_was_cut_off_is_reported_as_damaged_whatever_its_container(
    opened, tmp_path, need_program, name, arguments
):
    whole = of_bikes(need_program("ffmpeg", hint="make system-packages"), tmp_path / name, *arguments).read_bytes()
    cut = tmp_path / f"cut_{name}"
    cut.write_bytes(whole[: len(whole) * 6 // 10 + 1])
    frames, error = read_to_the_error(opened(cut))
    assert frames
    assert error.final
    assert "it is damaged or cut off, for" in error.reason


def test_pictures_at_the_end_that_cannot_be_decoded_are_damage(opened, tmp_path):
    data = bytearray(footage("bikes.mp4").read_bytes())
    media = data.index(b"mdat") + 4
    length = int.from_bytes(data[media - 8 : media - 4], "big")
    data[media + length * 7 // 10 : media + length - 8] = bytes(length - 8 - length * 7 // 10)
    (tmp_path / "zeros.mp4").write_bytes(data)
    frames, error = read_to_the_error(opened(tmp_path / "zeros.mp4", pace="fast"))
    assert 100 < len(frames) < 250
    assert "could not be decoded" in error.reason


def test_a_damaged_film_that_is_repeated_reports_the_damage_once_and_goes_on(opened, tmp_path, caplog):
    whole = film_of(tmp_path / "whole.avi", 100).read_bytes()
    cut = tmp_path / "cut.avi"
    cut.write_bytes(whole[: len(whole) // 2])
    film = opened(cut, pace="fast", repeat=True)
    openings = {film.read().opening for _ in range(200)}
    assert len(openings) >= 3
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "it starts again" in warnings[0]


@pytest.mark.parametrize("content", [b"", b"this is no film" * 1000, b"\x00\x00\x00\x20ftypisom"])
def test_a_file_that_is_no_film_is_refused_with_a_sentence(tmp_path, content):
    path = tmp_path / "film.mp4"
    path.write_bytes(content)
    film = VideoFile(path, name="line-1")
    with pytest.raises(SourceError, match="cannot be read as a video") as refused:
        film.open()
    assert refused.value.final


def test_a_file_that_is_not_there_is_named_and_may_still_come(tmp_path):
    with pytest.raises(SourceError, match=f"there is no file {tmp_path}") as missing:
        VideoFile(tmp_path / "nowhere.mp4", name="line-1").open()
    assert not missing.value.final


def test_a_folder_given_as_a_film_is_reported_with_how_folders_are_read(tmp_path):
    with pytest.raises(SourceError, match="is a folder") as refused:
        VideoFile(tmp_path, name="line-1").open()
    assert refused.value.final
    assert refused.value.hint == f"To read the pictures in a folder, use dir:{tmp_path}"


def test_a_name_that_is_not_utf_8_is_refused_and_ends_no_process(tmp_path, monkeypatch):
    folder = tmp_path / os.fsdecode(b"\xff")
    folder.mkdir()
    film_of(tmp_path / "a.avi", 3).rename(folder / "a.avi")
    monkeypatch.chdir(folder)
    with pytest.raises(SourceError, match="is not UTF-8: rename it") as refused:
        VideoFile(Path("a.avi"), name="line-1").open()
    assert refused.value.final


def test_a_relative_path_is_taken_from_where_iris_was_started(tmp_path, monkeypatch):
    film_of(tmp_path / "a film: 100%.avi", 3)
    monkeypatch.chdir(tmp_path)
    film = VideoFile(Path("a film: 100%.avi"), name="line-1", pace="fast")
    monkeypatch.chdir("/")
    film.open()
    assert len(read_all(film)) == 3
    film.close()


def test_close_ends_the_wait_for_a_frame_that_is_due_in_an_hour(tmp_path):
    film = VideoFile(film_of(tmp_path / "slow.avi", 3), name="line-1", frame_rate=1 / 3600)
    film.open()
    film.read()
    got = []
    reader = threading.Thread(target=lambda: got.append(film.read()))
    reader.start()
    film.close()
    reader.join(5)
    assert got == [None]


class WithoutTimes:
    """A container that knows neither its rate nor its length nor a frame's time."""

    def __init__(self, path, backend):
        self.left = 4

    def isOpened(self):  # noqa: N802 - OpenCV's name
        return True

    def get(self, what):
        return float("nan") if what == cv2.CAP_PROP_FPS else 0.0

    def read(self):
        self.left -= 1
        return self.left >= 0, np.zeros((4, 4, 3), np.uint8)

    def release(self):
        """There is nothing to release."""


def test_a_film_without_times_has_25_frames_a_second(opened, tmp_path):
    (tmp_path / "raw.h264").touch()
    film = opened(tmp_path / "raw.h264", pace="fast", open_capture=WithoutTimes)
    times_s = [frame.wall_s - UNIX_S - START_S for frame in read_all(film)]
    assert times_s == pytest.approx([0.0, 0.04, 0.08, 0.12])
    assert film.frame_rate == 25.0


class Exploding(WithoutTimes):
    """OpenCV raises in the middle of it."""

    def read(self):
        if self.left == 2:
            raise cv2.error("out of memory")
        return super().read()


def test_a_film_ends_where_opencv_raises(opened, tmp_path):
    (tmp_path / "raw.h264").touch()
    film = opened(tmp_path / "raw.h264", pace="fast", open_capture=Exploding)
    assert len(read_all(film)) == 2


def test_a_film_whose_frames_are_larger_than_allowed_is_refused_before_one_is_read(opened, tmp_path):
    film_of(tmp_path / "a.avi", 3)
    path = tmp_path / "a.avi"
    captured = cv2.VideoCapture(str(path))
    width, height = (int(captured.get(side)) for side in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    captured.release()
    assert opened(path, decoder=PictureDecoder("line-1", pixels_max=width * height)).read() is not None
    text = rf"the frames of {path} are too large: a picture of {width} x {height} pixels: more than"
    with pytest.raises(SourceError, match=text) as caught:
        opened(path, decoder=PictureDecoder("line-1", pixels_max=width * height - 1))
    assert caught.value.final
