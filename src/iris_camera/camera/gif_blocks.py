"""How many pictures a GIF holds, counted from its blocks."""

_PICTURE, _EXTENSION = 0x2C, 0x21
_STEPS_MAX = 1 << 16  # blocks, of 255 bytes at most; the rest of a longer file is not read


def gif_pictures(data: bytes) -> int:
    """Up to the end of the file, or up to `_STEPS_MAX` blocks."""
    place, found, steps = 13 + _table_bytes(data[10:11]), 0, _STEPS_MAX
    while steps and place < len(data) and data[place] in (_PICTURE, _EXTENSION):
        if data[place] == _PICTURE:
            found += 1
            place += 11 + _table_bytes(data[place + 9 : place + 10])  # its place, its colours, the width of its codes
        else:
            place += 2
        while steps and place < len(data) and data[place]:
            place += 1 + data[place]
            steps -= 1
        place += 1
        steps -= 1 if steps else 0
    return found


def _table_bytes(flags: bytes) -> int:
    return 3 << (flags[0] & 7) + 1 if flags and flags[0] & 0x80 else 0
