"""Whether the bytes of an image file are all there, decided from the bytes themselves.

The decoder cannot answer that. It writes to standard error at each try, it does not distinguish half a picture from a
broken one, and it accepts a BMP or WebP whose second half is still zeros (a file that was given its size first). JPEG
and PNG have an end marker, so for them it is certain; a file of another kind only shows that it has stopped growing.
"""

from collections.abc import Iterator

_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
MARKERS_MAX = 10_000  # filling included; a bound against hostile files
_JPEG_ALONE = {0x01, *range(0xD0, 0xD9)}  # markers without a length behind them


def knows_its_end(data: bytes) -> bool:
    """Whether `is_complete` is certain; it is not for data too short to show its format."""
    return data.startswith((_JPEG, _PNG))


def is_complete(data: bytes) -> bool:
    """Whether a JPEG, a PNG or (by its stated size) a BMP is whole; True for anything else."""
    if data.startswith(_JPEG):
        return _jpeg_is_complete(data)
    if data.startswith(_PNG):
        return _png_is_complete(data)
    return not data.startswith(b"BM") or len(data) >= int.from_bytes(data[2:6], "little")


def jpeg_segments(data: bytes | memoryview) -> Iterator[tuple[int, int]]:
    """Each marker in front of the compressed data and the one that begins it, with its place; up to the first
    non-marker."""
    place = 2
    for _ in range(MARKERS_MAX):
        if place + 4 > len(data) or data[place] != 0xFF:
            return
        marker = data[place + 1]
        if marker == 0xFF:  # filling
            place += 1
            continue
        if marker == 0:  # no marker; decoders skip it without a length
            return
        yield marker, place
        if marker == 0xDA:
            return
        place += 2 if marker in _JPEG_ALONE else 2 + int.from_bytes(data[place + 2 : place + 4], "big")


def _jpeg_is_complete(data: bytes) -> bool:
    """Its end marker stands after the compressed data begins: one in front of that belongs to a preview picture."""
    begins = next((place for marker, place in jpeg_segments(data) if marker == 0xDA), None)
    return begins is not None and data.find(b"\xff\xd9", begins) >= 0  # inside compressed data FF is never before D9


def _png_is_complete(data: bytes) -> bool:
    place = len(_PNG)
    while place + 12 <= len(data):
        size = int.from_bytes(data[place : place + 4], "big")
        if data[place + 4 : place + 8] == b"IEND":
            return True
        place += 12 + size
    return False
