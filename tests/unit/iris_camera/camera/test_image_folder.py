import logging
import os
import threading

import cv2
import numpy as np
import pytest

from iris_camera.camera.clock import Clock
from iris_camera.camera.image_folder import LOOK_S, UNFINISHED_AFTER_S, ImageFolder
from iris_camera.camera.source import SourceError

SOON_S = 5.0


def image(brightness, suffix=".jpg", shape=(48, 64, 3), dtype=np.uint8):
    return bytes(cv2.imencode(suffix, np.full(shape, brightness, dtype))[1])


class Watched:
    """A folder being read, by a clock that passes only while the reader waits; what happens in the folder meanwhile
    is what `later` was told. The reader is closed after `give_up_s` without an image."""

    def __init__(self, path, give_up_s=100.0, **options):
        self.path = path
        self.now_s = 1000.0
        self.give_up_s = give_up_s
        self.waited_s = 0.0
        self.happenings = []
        self.source = ImageFolder(
            path, name="line-1", clock=Clock(lambda: self.now_s, lambda: self.now_s, self._wait), **options
        )
        self.source.open()

    def later(self, after_s, happening):
        self.happenings.append((self.now_s + after_s, happening))

    def read(self):
        """The brightness of the next image; None when there was none for so long."""
        self.waited_s = 0.0
        frame = self.source.read()
        return None if frame is None else int(frame.image[0, 0, 0])

    def read_all(self):
        found = []
        while (brightness := self.read()) is not None:
            found.append(brightness)
        return found

    def _wait(self, event, timeout_s):
        self.now_s += timeout_s
        self.waited_s += timeout_s
        for due in [due for due in self.happenings if due[0] <= self.now_s]:
            self.happenings.remove(due)
            due[1]()
        if self.waited_s >= self.give_up_s:
            self.source.close()
        return event.is_set()


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


def test_it_waits_for_ever(tmp_path):
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
def test_whatever_its_depth_an_image_becomes_three_channels_of_8_bits(tmp_path, shape, dtype, brightness):
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


# Half-written


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".tif", ".webp"])
def test_a_half_written_image_is_waited_for_and_never_read_torn(tmp_path, suffix):
    whole = image(99, suffix)
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"")
    watched = Watched(tmp_path)
    for step in range(1, 5):
        watched.later(step * 0.9, lambda step=step: path.write_bytes(whole[: len(whole) * step // 5]))
    watched.later(12.0, lambda: path.write_bytes(whole))
    assert watched.read() == 99
    assert watched.now_s - 1000.0 >= 12.0


def test_nothing_waits_for_a_half_written_image(tmp_path):
    (tmp_path / "a.jpg").write_bytes(image(10)[:-50])
    (tmp_path / "b.jpg").write_bytes(image(20))
    watched = Watched(tmp_path)
    assert watched.read() == 20
    assert watched.now_s == 1000.0
    (tmp_path / "a.jpg").write_bytes(image(10))
    assert watched.read() == 10


def test_a_file_that_was_given_its_size_first_is_not_read_while_it_is_written(tmp_path):
    whole = image(99, ".bmp")
    path = tmp_path / "a.bmp"
    path.write_bytes(whole[:1000] + bytes(len(whole) - 1000))
    watched = Watched(tmp_path)
    watched.later(LOOK_S, lambda: path.write_bytes(whole))
    assert watched.read() == 99


def test_an_image_that_stays_half_is_reported_and_left_out(tmp_path, caplog):
    (tmp_path / "a.jpg").write_bytes(image(10)[:-50])
    watched = Watched(tmp_path)
    watched.later(UNFINISHED_AFTER_S + 5, lambda: (tmp_path / "b.jpg").write_bytes(image(20)))
    assert watched.read_all() == [20]
    assert [record.getMessage() for record in caplog.records] == [
        f"camera line-1: {tmp_path / 'a.jpg'} is left out: it is cut off"
    ]


def test_an_image_that_cannot_be_decoded_is_reported_once_and_left_out(tmp_path, caplog):
    (tmp_path / "a.png").write_bytes(b"no image" * 1000)
    (tmp_path / "b.png").write_bytes(image(20, ".png"))
    assert Watched(tmp_path).read_all() == [20]
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "a.png is left out: bytes that OpenCV cannot decode" in caplog.text


def test_an_image_that_vanishes_before_it_is_read_is_nothing_to_talk_about(tmp_path, caplog):
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(image(10))
    watched = Watched(tmp_path)
    (tmp_path / "a.jpg").unlink()
    assert watched.read_all() == [10]
    assert caplog.text == ""


# Remembering


def test_opened_again_it_goes_on_where_it_was(tmp_path):
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
