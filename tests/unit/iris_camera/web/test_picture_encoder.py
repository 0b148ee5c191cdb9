import asyncio
import gc
import threading
import weakref
from functools import partial

import pytest

from iris_camera.web import drawing
from iris_camera.web.picture import Picture
from iris_camera.web.picture_encoder import LARGEST_WIDTH, PictureEncoder, UnknownCamera
from tests.unit.iris_camera.web.fake_line import belt, decoded


def encoder_of(pictures, **options):
    """An encoder over a mapping from names to pictures, which the test may change."""
    return PictureEncoder(lambda: {name: partial(pictures.get, name) for name in pictures}, **options)


def ask(encoder, name, times=1, width=LARGEST_WIDTH):
    async def together():
        return await asyncio.gather(*(encoder.jpeg(name, width) for _ in range(times)))

    return asyncio.run(together())


@pytest.fixture
def encoded_numbers(monkeypatch):
    """The frame numbers that were really encoded, and the names of the threads that did it."""
    numbers, real = [], drawing.encode

    def counted(picture, width):
        numbers.append((picture.number, threading.current_thread().name))
        return real(picture, width)

    monkeypatch.setattr(drawing, "encode", counted)
    return numbers


def test_one_frame_is_encoded_once_however_many_ask(encoded_numbers):
    encoder = encoder_of({"line-1": Picture(7, belt())})
    jpegs = ask(encoder, "line-1", times=5)
    assert len(set(jpegs)) == 1
    assert [number for number, _thread in encoded_numbers] == [7]


def test_the_next_frame_is_encoded_again(encoded_numbers):
    pictures = {"line-1": Picture(7, belt())}
    encoder = encoder_of(pictures)
    ask(encoder, "line-1")
    pictures["line-1"] = Picture(8, belt())
    ask(encoder, "line-1")
    assert [number for number, _thread in encoded_numbers] == [7, 8]


def test_no_picture_is_encoded_before_somebody_asks_and_then_on_a_thread_of_its_own(encoded_numbers):
    encoder = encoder_of({"line-1": Picture(7, belt())})
    assert encoded_numbers == []
    ask(encoder, "line-1")
    assert encoded_numbers[0][1].startswith("iris-pictures")


def test_two_cameras_do_not_share_a_picture():
    encoder = encoder_of({"wide": Picture(7, belt()), "tall": Picture(7, belt(100, 200))})
    assert decoded(ask(encoder, "wide")[0]).shape == (360, 640, 3)
    assert decoded(ask(encoder, "tall")[0]).shape == (200, 100, 3)


def test_no_picture_yet_is_none():
    assert ask(encoder_of({"line-1": None}), "line-1") == [None]


def test_an_unknown_camera_is_an_error_of_its_own():
    with pytest.raises(UnknownCamera, match="line-9"):
        ask(encoder_of({}), "line-9")


class SlowPictures(dict):
    """Pictures whose look-up waits until the test releases it; it counts the names looked up."""

    def __init__(self, *names):
        super().__init__({name: Picture(1, belt()) for name in names})
        self.looked_up, self.begun, self.let_go = [], threading.Event(), threading.Event()

    def get(self, name):
        self.looked_up.append(name)
        self.begun.set()
        assert self.let_go.wait(10)
        return self[name]


class Effort:
    """A clock for an encoder whose work takes a given time, and the pauses it made."""

    def __init__(self, monkeypatch, *, takes_s):
        self.now_s, self.worked_s, self.rests = 100.0, 0.0, []
        self._takes_s = takes_s
        monkeypatch.setattr(drawing, "encode", self._encode)

    def options(self):
        return {"worked_s": lambda: self.worked_s, "monotonic": lambda: self.now_s, "rest": self._rest}

    def _encode(self, picture, width):
        self.now_s += self._takes_s
        self.worked_s += self._takes_s
        return b"jpeg"

    def _rest(self, rest_s):
        self.rests.append(pytest.approx(rest_s))
        self.now_s += rest_s


@pytest.mark.parametrize(
    ("wanted", "given"), [(1, 480), (480, 480), (481, 960), (1000, LARGEST_WIDTH), (100_000, LARGEST_WIDTH)]
)
def test_a_page_gets_the_size_it_shows_rounded_up_to_one_of_three(wanted, given):
    encoder = encoder_of({"line-1": Picture(7, belt(3200, 1800))})
    assert decoded(ask(encoder, "line-1", width=wanted)[0]).shape[1] == given


def test_a_picture_is_never_made_larger_than_it_is():
    encoder = encoder_of({"line-1": Picture(7, belt(320, 180))})
    assert decoded(ask(encoder, "line-1", width=480)[0]).shape == (180, 320, 3)


def test_a_camera_made_again_does_not_get_the_picture_of_the_old_one_of_the_same_number():
    pictures = {"line-1": Picture(7, belt(640, 360))}
    encoder = encoder_of(pictures)
    assert decoded(ask(encoder, "line-1")[0]).shape == (360, 640, 3)
    pictures["line-1"] = Picture(7, belt(320, 180))
    assert decoded(ask(encoder, "line-1")[0]).shape == (180, 320, 3)


def test_a_camera_that_came_is_served_and_one_that_went_is_unknown():
    pictures = {"line-1": Picture(7, belt())}
    encoder = encoder_of(pictures)
    ask(encoder, "line-1")
    pictures["line-2"] = pictures.pop("line-1")
    assert encoder.names == ["line-2"]
    assert ask(encoder, "line-2")[0]
    with pytest.raises(UnknownCamera):
        ask(encoder, "line-1")


def test_the_encoder_keeps_no_image_of_a_camera_alive():
    pictures = {"line-1": Picture(7, belt())}
    encoder = encoder_of(pictures)
    ask(encoder, "line-1")
    image = weakref.ref(pictures["line-1"].image)
    pictures["line-1"] = None
    gc.collect()
    assert image() is None


def test_a_camera_is_queued_once_however_many_ask_so_that_the_others_get_their_turn():
    pictures = SlowPictures("line-1", "line-2")
    encoder = encoder_of(pictures)

    async def many_ask_for_the_first():
        asked = [asyncio.create_task(encoder.jpeg("line-1")) for _ in range(20)]
        asked.append(asyncio.create_task(encoder.jpeg("line-2")))
        await asyncio.to_thread(pictures.begun.wait, 10)
        pictures.let_go.set()
        return await asyncio.gather(*asked)

    assert all(asyncio.run(many_ask_for_the_first()))
    assert pictures.looked_up == ["line-1", "line-2"]


def test_a_client_that_leaves_does_not_cancel_the_picture_for_the_others():
    pictures = SlowPictures("line-1")
    encoder = encoder_of(pictures)

    async def the_first_leaves():
        first, second = (asyncio.create_task(encoder.jpeg("line-1")) for _ in range(2))
        await asyncio.to_thread(pictures.begun.wait, 10)
        first.cancel()
        pictures.let_go.set()
        return await second

    assert asyncio.run(the_first_leaves())


def test_encoding_takes_at_most_a_quarter_of_a_core(monkeypatch):
    effort = Effort(monkeypatch, takes_s=0.01)
    pictures = {f"line-{number}": Picture(number, belt()) for number in range(4)}
    encoder = encoder_of(pictures, **effort.options())
    for name in pictures:
        ask(encoder, name)
    assert effort.rests == [0.03, 0.03, 0.03]


def test_a_page_that_asks_seldom_never_waits_for_a_rest(monkeypatch):
    effort = Effort(monkeypatch, takes_s=0.01)
    pictures = {"line-1": Picture(1, belt())}
    encoder = encoder_of(pictures, **effort.options())
    for number in (2, 3):
        ask(encoder, "line-1")
        effort.now_s += 0.2
        pictures["line-1"] = Picture(number, belt())
    ask(encoder, "line-1")
    assert effort.rests == []
