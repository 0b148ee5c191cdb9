"""Whether the bytes of an image file are all there, told from the bytes themselves.

The decoder is no help. It complains to standard error at each try, it does not tell half a picture from a broken one,
and a BMP or WebP whose second half is still zeros (a file that was given its size first) is a picture to it. JPEG and
PNG have an end of their own, so for them it can be known; of the other kinds a file can only be seen to have stopped
growing.
"""

_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
_JPEG_ALONE = {0x01, *range(0xD0, 0xD9)}  # markers without a length behind them


def knows_its_end(data: bytes) -> bool:
    """Whether `is_complete` can tell; for what is too short to be told apart it cannot."""
    return data.startswith((_JPEG, _PNG))


def is_complete(data: bytes) -> bool:
    """Whether a JPEG, PNG or BMP is whole, as far as a BMP tells; of anything else True."""
    if data.startswith(_JPEG):
        return _jpeg_is_complete(data)
    if data.startswith(_PNG):
        return _png_is_complete(data)
    return not data.startswith(b"BM") or len(data) >= int.from_bytes(data[2:6], "little")


def _jpeg_is_complete(data: bytes) -> bool:
    """Its end marker stands after the compressed data begins: one in front of that belongs to a preview picture."""
    place = 2
    while place + 4 <= len(data):
        if data[place] != 0xFF:
            return False
        marker = data[place + 1]
        if marker == 0xDA:  # inside compressed data FF is never followed by D9
            return data.find(b"\xff\xd9", place) >= 0
        if marker == 0xFF:  # filling
            place += 1
        elif marker in _JPEG_ALONE:
            place += 2
        else:
            place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return False


def _png_is_complete(data: bytes) -> bool:
    place = len(_PNG)
    while place + 12 <= len(data):
        size = int.from_bytes(data[place : place + 4], "big")
        if data[place + 4 : place + 8] == b"IEND":
            return True
        place += 12 + size
    return False
