"""Counts and sizes as text for people, the same in every log line, error and answer.

Sizes have decimal units, as disks are sold and as the page shows them. Sizes that a reader compares byte by byte (what
was sent and what has arrived) are written in bytes, without these functions.
"""

PREFIXES = ("", "k", "M", "G", "T", "P", "E")
THOUSAND_SHOWN = 999.5  # from there on three digits would show 1000


def counted(count: int, one: str, many: str = "") -> str:
    """`1 file`, `1,400 files`; `many` is the plural where it is more than `one` and an s."""
    return f"{count} {one}" if count == 1 else f"{count:,} {many or f'{one}s'}"


def files(count: int) -> str:
    return counted(count, "file")


def size(size_bytes: float) -> str:
    """`1 byte`, `950 bytes`, `12.5 kB`, `1.2 GB`; about three digits, no more are of use to a person."""
    amount, prefix = scaled(size_bytes)
    if not prefix:
        return counted(round(amount), "byte")
    return f"{f'{amount:.1f}'.removesuffix('.0') if amount < 99.95 else f'{amount:.0f}'} {prefix}B"


def scaled(amount: float) -> tuple[float, str]:
    """In at most three digits before the point, and the prefix of its unit."""
    power = 0
    while amount >= THOUSAND_SHOWN and power < len(PREFIXES) - 1:
        amount, power = amount / 1000, power + 1
    return amount, PREFIXES[power]
