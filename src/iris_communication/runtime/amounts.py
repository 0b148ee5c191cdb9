"""Counts and sizes as a person says them, alike in every line, error and answer.

Sizes have decimal units, as disks are sold and as the page shows them. Where two sizes are compared byte by byte (what
was sent and what has arrived) they stand in bytes, and not in these words.
"""

UNITS = ("kB", "MB", "GB", "TB", "PB")
THOUSAND_SHOWN = 999.5  # from there on three digits would show 1000


def counted(count: int, one: str, many: str = "") -> str:
    """`1 file`, `1,400 files`; `many` where it is more than an s behind `one`."""
    return f"{count} {one}" if count == 1 else f"{count:,} {many or f'{one}s'}"


def files(count: int) -> str:
    return counted(count, "file")


def size(size_bytes: float) -> str:
    """`1 byte`, `950 bytes`, `12.5 kB`, `1.2 GB`; about three digits, no more are of use to a person."""
    if size_bytes < THOUSAND_SHOWN:
        return counted(round(size_bytes), "byte")
    amount, unit = size_bytes / 1000, 0
    while amount >= THOUSAND_SHOWN and unit < len(UNITS) - 1:
        amount, unit = amount / 1000, unit + 1
    return f"{f'{amount:.1f}'.removesuffix('.0') if amount < 99.95 else f'{amount:.0f}'} {UNITS[unit]}"
