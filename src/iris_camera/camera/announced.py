"""What a picture's header announces, as a value; and reading numbers out of headers that may be cut off."""

from typing import NamedTuple

_CHANNELS_MAX, _BITS_MAX = 4, 16


class Announced(NamedTuple):
    """`bits` are those of one sample; `brightest` is the highest value a sample may have, None where the file does not
    say; `pictures` is how many the file holds, as far as is known."""

    width: int
    height: int
    channels: int = 3
    bits: int = 8
    brightest: float | None = None
    pictures: int = 1

    @property
    def pixels(self) -> int:
        """What decoding takes memory for: more or wider channels than a camera's picture has count as more pixels."""
        layers = -(-self.channels // _CHANNELS_MAX) * -(-self.bits // _BITS_MAX)
        return self.width * self.height * max(1, layers)


def brightest_of(said: float) -> float | None:
    """The file's maximum sample value; None if it is only that of 16 bits, which every writer puts there."""
    return said if 0 < said < 0xFFFF else None


def number_at(data: bytes, place: int, size: int, *, little: bool = False) -> int:
    """The unsigned number of `size` bytes there. Raises IndexError where the data ends before."""
    if not 0 <= place <= len(data) - size:
        raise IndexError(place)
    return int.from_bytes(data[place : place + size], "little" if little else "big")
