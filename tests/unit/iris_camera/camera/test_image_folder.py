"""Which images of a folder are read, in what order, each of them once, and how fast."""

import os
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest

from iris_camera.camera.image_folder import DATES_S, ImageFolder
from iris_camera.camera.source import SourceError
from iris_camera.records.csv_file import utc_time
from iris_camera.records.csv_name import CsvName, new_run, parse_name
from tests.unit.iris_camera.camera.watched_folder import Watched, image

SOON_S = 20.0


def test_the_images_come_in_name_order_each_once(tmp_path):
    for number in (7, 3, 10, 1):
        (tmp_path / f"{number:03}.jpg").write_bytes(image(number * 10))
    assert Watched(tmp_path).read_all() == [10, 30, 70, 100]


def test_new_images_come_as_they_appear(tmp_path):
    watched = Watched(tmp_path)
    (tmp_path / "b.jpg").write_bytes(image(20))
    watched.later(3.0, lambda: (tmp_path / "c.jpg").write_bytes(image(30)))
    watched.later(9.0, lambda: (tmp_path / "a.jpg").write_bytes(image(10)))
    assert watched.read_all() == [20, 30, 10]


def test_the_folder_waits_for_ever(tmp_path):
    watched = Watched(tmp_path, give_up_s=1_000_000.0)
    watched.later(500_000.0, lambda: (tmp_path / "a.jpg").write_bytes(image(10)))
    watched.now_s += 499_000.0
    assert watched.read() == 10


def test_everything_that_is_an_image_is_read_and_nothing_else(tmp_path):
    for number, suffix in enumerate((".jpg", ".JPEG", ".png", ".bmp", ".tif", ".TIFF", ".webp", ".pgm", ".ppm")):
        shape = (48, 64) if suffix == ".pgm" else (48, 64, 3)
        (tmp_path / f"{number}{suffix}").write_bytes(image(10 * number, suffix.lower(), shape))
    for other in ("notes.txt", ".hidden.jpg", "picture.jpg.part", "jpg"):
        (tmp_path / other).write_bytes(image(255))
    (tmp_path / "folder.jpg").mkdir()
    assert sorted(Watched(tmp_path).read_all()) == [10 * number for number in range(9)]


@pytest.mark.parametrize(
    ("shape", "dtype", "brightness"),
    [((48, 64), np.uint8, 77), ((48, 64), np.uint16, 77 << 8), ((48, 64, 4), np.uint8, 77)],
    ids=["grey", "16 bits", "transparent"],
)
def test_an_image_of_any_depth_becomes_three_channels_of_8_bits(tmp_path, shape, dtype, brightness):
    (tmp_path / "a.png").write_bytes(image(brightness, ".png", shape, dtype))
    folder = ImageFolder(tmp_path, name="line-1")
    folder.open()
    frame = folder.read()
    assert (frame.image.shape, frame.image.dtype) == ((48, 64, 3), np.uint8)
    assert np.all(frame.image == 77)


def test_the_time_of_an_image_is_its_files(tmp_path):
    (tmp_path / "a.jpg").write_bytes(image(1))
    os.utime(tmp_path / "a.jpg", (1_700_000_000, 1_700_000_000))
    folder = ImageFolder(tmp_path, name="line-1")
    folder.open()
    assert folder.read().wall_s == 1_700_000_000


@pytest.mark.parametrize("date_s", [1e12, -7e10])
def test_an_image_with_a_date_that_no_row_can_hold_is_dated_by_the_clock(date_s, caplog):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as path:  # an ordinary disk holds no such date
        for name in ("a.jpg", "b.jpg"):
            (Path(path) / name).write_bytes(image(1))
            os.utime(Path(path) / name, (date_s, date_s))
        folder = Watched(Path(path)).source
        assert [folder.read().wall_s, folder.read().wall_s] == [1000.0, 1000.0]
    assert caplog.text.count("a.jpg is in no year") == 1


@pytest.mark.parametrize("date_s", DATES_S)
def test_the_earliest_and_the_latest_date_of_an_image_fit_into_a_row_and_a_name(date_s):
    name = str(CsvName("line-1", "model", utc_time(date_s), new_run(), 1))
    assert str(parse_name(name)) == name


@pytest.mark.parametrize("suffix", [".jpe", ".jfif", ".JFIF", ".dib", ".avif", ".AVIF", ".gif", ".jp2", ".pnm", ".Jpg"])
def test_images_of_rarer_endings_are_read_too(tmp_path, suffix):
    kind = {".jpe": ".jpg", ".jfif": ".jpg", ".pnm": ".ppm"}.get(suffix.lower(), suffix.lower())
    (tmp_path / f"a{suffix}").write_bytes(image(80, kind))
    frame = Watched(tmp_path)
    assert frame.read() == pytest.approx(80, abs=6)


# Folders within


def test_pictures_in_dated_folders_are_read_day_by_day_when_they_are_asked_for(tmp_path):
    for day, hour, brightness in ((2, 1, 30), (1, 9, 20), (1, 1, 10)):
        folder = tmp_path / f"2026-11-0{day}" / f"{hour:02}"
        folder.mkdir(parents=True)
        (folder / "a.jpg").write_bytes(image(brightness))
    (tmp_path / ".trash").mkdir()
    (tmp_path / ".trash" / "a.jpg").write_bytes(image(200))
    watched = Watched(tmp_path, with_subfolders=True)

    def next_day():
        (tmp_path / "2026-11-03").mkdir()
        (tmp_path / "2026-11-03" / "a.jpg").write_bytes(image(40))

    watched.later(3.0, next_day)
    assert watched.read_all() == [10, 20, 30, 40]


def test_links_that_lead_round_in_a_circle_are_not_followed(tmp_path):
    (tmp_path / "day").mkdir()
    (tmp_path / "day" / "a.jpg").write_bytes(image(10))
    (tmp_path / "day" / "again").symlink_to(tmp_path)
    (tmp_path / "latest").symlink_to(tmp_path / "day")
    assert Watched(tmp_path, with_subfolders=True).read_all() == [10]


def test_a_folder_within_that_cannot_be_read_costs_the_others_nothing(tmp_path, caplog, monkeypatch):
    for name, brightness in (("closed", 10), ("open", 20)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.jpg").write_bytes(image(brightness))
    scandir, closed = os.scandir, set()

    def guarded(path):
        if os.fspath(path) in closed:
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    watched = Watched(tmp_path, with_subfolders=True)
    assert [watched.read(), watched.read()] == [10, 20]
    closed.add(os.fspath(tmp_path / "closed"))
    watched.later(3.0, lambda: (tmp_path / "open" / "b.jpg").write_bytes(image(30)))
    watched.later(6.0, closed.clear)
    assert watched.read_all() == [30]
    assert [record.getMessage() for record in caplog.records] == [
        f"camera line-1: the folder {tmp_path / 'closed'} cannot be read, the others are"
    ]


def test_a_folder_in_which_nothing_fits_says_why_once(tmp_path, caplog):
    (tmp_path / "2026-11-01").mkdir()
    (tmp_path / "2026-11-01" / "a.jpg").write_bytes(image(10))
    for name in ("a.heic", "b.heic", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    assert Watched(tmp_path).read_all() == []
    assert [record.getMessage() for record in caplog.records] == [
        (
            f"camera line-1: nothing in {tmp_path} is a picture that can be read: it holds 2 files ending in .heic, "
            f'1 file ending in .txt, 1 folder; "dir:{tmp_path}/**" looks into its folders too'
        )
    ]


def test_pictures_of_a_kind_that_cannot_be_read_are_named_beside_those_that_are(tmp_path, caplog):
    (tmp_path / "a.jpg").write_bytes(image(10))
    for name in ("b.heic", "c.HEIC", "d.jxl", "notes.txt", "e.xml"):
        (tmp_path / name).write_bytes(b"x")
    assert Watched(tmp_path).read_all() == [10]
    assert [record.getMessage() for record in caplog.records] == [
        f"camera line-1: files ending in {ending} are passed over: Iris cannot read pictures of that kind"
        for ending in (".heic", ".jxl")
    ]


# Remembering


def test_a_folder_opened_again_goes_on_where_it_was(tmp_path):
    for number in (1, 2, 3):
        (tmp_path / f"{number}.jpg").write_bytes(image(number * 10))
    folder = ImageFolder(tmp_path, name="line-1")
    folder.open()
    folder.read()
    folder.read()
    folder.close()
    folder.open()
    frame = folder.read()
    assert (int(frame.image[0, 0, 0]), frame.number) == (30, 0)


def test_a_folder_that_goes_away_is_lost_and_when_it_is_back_nothing_is_read_twice(tmp_path):
    folder, away = tmp_path / "share", tmp_path / "away"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(image(10))
    watched = Watched(folder)
    assert watched.read() == 10
    folder.rename(away)
    with pytest.raises(SourceError, match=r"share cannot be read: No such file") as caught:
        watched.read()
    assert not caught.value.final
    with pytest.raises(SourceError, match="share cannot be read"):
        watched.source.open()
    away.rename(folder)
    (folder / "b.jpg").write_bytes(image(20))
    watched.source.open()
    assert watched.read_all() == [20]


def test_a_name_that_was_removed_may_be_used_again(tmp_path):
    (tmp_path / "latest.jpg").write_bytes(image(10))
    watched = Watched(tmp_path)
    assert watched.read() == 10
    watched.later(1.0, (tmp_path / "latest.jpg").unlink)
    watched.later(2.0, lambda: (tmp_path / "latest.jpg").write_bytes(image(20)))
    assert watched.read() == 20


# Pace and end


def test_the_images_may_be_spaced(tmp_path):
    for number in range(4):
        (tmp_path / f"{number}.jpg").write_bytes(image(number))
    watched = Watched(tmp_path, frame_rate=2.0)
    times_s = []
    for _ in range(4):
        watched.read()
        times_s.append(watched.now_s - 1000.0)
    assert times_s == pytest.approx([0.0, 0.5, 1.0, 1.5])


def test_close_ends_a_read_that_waits_for_an_image(tmp_path):
    folder = ImageFolder(tmp_path, name="line-1")
    folder.open()
    got = []
    reader = threading.Thread(target=lambda: got.append(folder.read()))
    reader.start()
    folder.close()
    reader.join(SOON_S)
    assert got == [None]
