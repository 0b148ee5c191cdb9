"""How large the pictures in a TIFF say they are, in the classic form and in BigTIFF, in either byte order."""

import struct
from collections.abc import Iterator

from iris_camera.camera.announced import Announced, brightest_of, number_at

_PAGES_MAX = 1000
_KIND, _WIDTH, _HEIGHT, _BITS, _CHANNELS, _TILE_WIDTH, _TILE_HEIGHT = 254, 256, 257, 258, 277, 322, 323
_BRIGHTEST = (281, 341)  # MaxSampleValue, SMaxSampleValue
_PACKED = {10, 12, 14}  # bits of samples that are stored without padding
_TAGS = {_KIND, _WIDTH, _HEIGHT, _BITS, _CHANNELS, _TILE_WIDTH, _TILE_HEIGHT, *_BRIGHTEST}
_FORMATS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 11: "f", 12: "d", 16: "Q", 17: "q"}


def tiff_size(data: bytes) -> Announced | None:
    """The largest page, or tile of a page; `brightest` is the first page's. None if a page does not state its size.
    Raises IndexError for a torn header.

    Pages that are a reduced copy of another one are not counted as pictures.
    """
    little = data.startswith(b"II")
    word = 8 if number_at(data, 2, 2, little=little) == 43 else 4  # the size of a place in the file
    place = number_at(data, word if word == 8 else 4, word, little=little)
    pages: list[Announced] = []
    smaller = 0
    while place != 0:
        if len(pages) >= _PAGES_MAX:
            return None  # too many, or its pages form a circle
        tags, place = _page(data, place, word, little)
        pages.append(_size(tags))
        smaller += int(tags.get(_KIND, 0)) & 1
    if not pages or any(page.width <= 0 or page.height <= 0 for page in pages):
        return None
    return max(pages, key=lambda page: page.pixels)._replace(
        brightest=pages[0].brightest, pictures=len(pages) - smaller
    )


def _page(data: bytes, place: int, word: int, little: bool) -> tuple[dict[int, float], int]:
    """The page's tags, and where the next page is; 0: there is none."""
    count_bytes, entry_bytes = (8, 20) if word == 8 else (2, 12)
    first = place + count_bytes
    behind = first + number_at(data, place, count_bytes, little=little) * entry_bytes
    tags: dict[int, float] = {}
    for tag, value in _tags(data, range(first, min(behind, len(data)), entry_bytes), word, little):
        tags[tag] = max(value, tags.get(tag, value))  # if a tag occurs twice, decoders differ in which one they use
    return tags, number_at(data, behind, word, little=little)


def _tags(data: bytes, entries: range, word: int, little: bool) -> Iterator[tuple[int, float]]:
    """The first value of each tag that matters here."""
    for entry in entries:
        tag, kind = number_at(data, entry, 2, little=little), number_at(data, entry + 2, 2, little=little)
        if tag not in _TAGS or kind not in _FORMATS:
            continue
        item = struct.Struct(("<" if little else ">") + _FORMATS[kind])
        at = entry + 4 + word
        if number_at(data, entry + 4, word, little=little) * item.size > word:
            at = number_at(data, at, word, little=little)
        if at + item.size <= len(data):
            yield tag, item.unpack_from(data, at)[0]


def _size(tags: dict[int, float]) -> Announced:
    width, height = int(tags.get(_WIDTH, 0)), int(tags.get(_HEIGHT, 0))
    tile_width, tile_height = int(tags.get(_TILE_WIDTH, 0)), int(tags.get(_TILE_HEIGHT, 0))
    if tile_width * tile_height > width * height:
        width, height = tile_width, tile_height
    brightest = brightest_of(next((tags[tag] for tag in _BRIGHTEST if tag in tags), 0))
    if tags.get(_BITS) in _PACKED:
        brightest = 0xFFFF  # OpenCV shifts them up
    return Announced(width, height, int(tags.get(_CHANNELS, 1)), int(tags.get(_BITS, 1)), brightest)
