"""Files of an image folder that are no picture, or none that can be read yet: passed over, reported, or read later."""

import errno
import logging
import os
import socket

import pytest

from iris_camera.camera.decoding import PictureDecoder
from iris_camera.camera.image_folder import LOOK_S, UNFINISHED_AFTER_S
from tests.unit.iris_camera.camera.watched_folder import Watched, image

# What is no file


def make_fifo(path):
    os.mkfifo(path)


def make_socket(path):
    listener = socket.socket(socket.AF_UNIX)
    folder = os.open(path.parent, os.O_RDONLY)  # the whole path may be longer than a socket's name
    listener.bind(f"/proc/self/fd/{folder}/{path.name}")
    os.close(folder)
    listener.close()


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (make_fifo, "a FIFO"),
        (make_socket, "a socket"),
        (lambda path: path.symlink_to("/dev/zero"), "a device"),
    ],
    ids=["fifo", "socket", "device"],
)
@pytest.mark.parametrize("name", ["b.jpg", "b.tif"])
def test_a_name_that_is_no_regular_file_is_passed_over_at_once_and_logged(tmp_path, caplog, make, text, name):
    for other, brightness in (("a.jpg", 10), ("c.jpg", 30)):
        (tmp_path / other).write_bytes(image(brightness))
    make(tmp_path / name)
    assert Watched(tmp_path).read_all() == [10, 30]
    assert [record.getMessage() for record in caplog.records] == [
        f"camera line-1: {tmp_path / name} is skipped: it is {text}"
    ]


@pytest.mark.parametrize("target", ["nowhere.jpg", "b.jpg"], ids=["to nothing", "to itself"])
def test_a_link_that_leads_nowhere_is_reported_once_and_read_when_it_leads_somewhere(tmp_path, caplog, target):
    (tmp_path / "b.jpg").symlink_to(tmp_path / target)
    watched = Watched(tmp_path, give_up_s=500.0)

    def mend():
        (tmp_path / "elsewhere").write_bytes(image(20))
        (tmp_path / "new").symlink_to(tmp_path / "elsewhere")
        (tmp_path / "new").replace(tmp_path / "b.jpg")

    watched.later(200.0, mend)
    assert watched.read_all() == [20]
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith(f"camera line-1: {tmp_path / 'b.jpg'} cannot be read: ")


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.EMFILE, errno.ESTALE])
def test_a_file_that_cannot_be_read_now_is_reported_once_and_read_when_it_can_be(tmp_path, caplog, monkeypatch, number):
    (tmp_path / "a.jpg").write_bytes(image(10))
    opened, broken = os.open, [True]

    def refusing(path, *arguments, **options):
        if broken and os.fspath(path).endswith("a.jpg"):
            raise OSError(number, os.strerror(number), path)
        return opened(path, *arguments, **options)

    monkeypatch.setattr(os, "open", refusing)
    watched = Watched(tmp_path, give_up_s=500.0)
    watched.later(200.0, broken.clear)
    assert watched.read_all() == [10]
    assert [record.getMessage() for record in caplog.records] == [
        f"camera line-1: {tmp_path / 'a.jpg'} cannot be read: {os.strerror(number)}"
    ]


def test_a_picture_that_announces_too_many_pixels_is_left_out_at_once(tmp_path, caplog):
    (tmp_path / "a.jpg").write_bytes(image(10, shape=(101, 100, 3)))
    (tmp_path / "b.jpg").write_bytes(image(20, shape=(100, 100, 3)))
    assert Watched(tmp_path, decoder=PictureDecoder("line-1", pixels_max=10_000)).read_all() == [20]
    assert [record.getMessage() for record in caplog.records] == [
        (
            f"camera line-1: {tmp_path / 'a.jpg'} is skipped: a picture of 100 x 101 pixels: "
            "more than 10,000 (pixels_max) are not read"
        )
    ]


def test_pictures_left_out_for_one_cause_are_named_once_and_counted_and_are_gaps_in_the_numbers(tmp_path, caplog):
    for number in range(50):
        (tmp_path / f"{number:02}.jpg").write_bytes(image(10, shape=(101, 100, 3)))
    (tmp_path / "99.jpg").write_bytes(image(20, shape=(100, 100, 3)))
    watched = Watched(tmp_path, decoder=PictureDecoder("line-1", pixels_max=10_000))
    assert watched.source.read().number == 50
    watched.later(80.0, lambda: (tmp_path / "a.jpg").write_bytes(image(10, shape=(101, 100, 3))))
    watched.read_all()
    assert [record.getMessage().partition("is skipped")[0] for record in caplog.records] == [
        f"camera line-1: {tmp_path / '00.jpg'} ",
        f"camera line-1: {tmp_path / 'a.jpg'} ",
    ]
    assert "(the same 49 times in 80 s)" in caplog.text


def test_a_file_larger_than_any_picture_is_not_even_opened(tmp_path, caplog):
    with (tmp_path / "a.jpg").open("wb") as file:
        file.truncate(1 << 40)
    assert Watched(tmp_path).read_all() == []
    assert "a.jpg is skipped: 1,099,511,627,776 bytes: more than 800,000,000" in caplog.text


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


def test_other_images_do_not_wait_for_a_half_written_one(tmp_path):
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
        f"camera line-1: {tmp_path / 'a.jpg'} is skipped: it is cut off"
    ]


def test_an_image_that_cannot_be_decoded_is_reported_once_and_left_out(tmp_path, caplog):
    (tmp_path / "a.png").write_bytes(b"no image" * 1000)
    (tmp_path / "b.png").write_bytes(image(20, ".png"))
    assert Watched(tmp_path).read_all() == [20]
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "a.png is skipped: not an image format that Iris reads: it begins with b'no image'" in caplog.text


def test_an_image_that_vanishes_before_it_is_read_is_not_reported(tmp_path, caplog):
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(image(10))
    watched = Watched(tmp_path)
    (tmp_path / "a.jpg").unlink()
    assert watched.read_all() == [10]
    assert caplog.text == ""
