"""Reads rows from the leaf pages of a database's trees, each leaf by itself: an unreadable leaf costs only its rows.

Rows in a leaf that a tree reaches come first, before those in a leaf that no tree reaches because its branch is
damaged. Pages that are known to be free are not read. The caller finds the table of a row, by its columns: the list of
tables may be damaged.

Source: SQLite's description of its file format, sections 1.6 and 2.
"""

import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

from iris_communication.outbox.recovery.pages import HEADER_BYTES, Pages

BRANCH, LEAF = 5, 13  # page types of a table; indexes are built again
COLUMNS_MAX = 64  # more than any of our tables has
_INTEGERS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}  # serial type -> bytes


class Row(NamedTuple):
    """The content of a cell. The column that is an alias of the row's number is None in `columns`."""

    number: int
    columns: tuple[Any, ...]


class _CellUnreadable(ValueError):
    """These bytes are not a cell."""


def rows(pages: Pages) -> Iterator[Row]:
    """First the rows of the trees, then those of leaves that no tree reaches. Raises OSError."""
    reached: set[int] = set()
    for leaf in _leaves(pages, 1, reached):
        for table in list(_cells(pages, leaf)):
            root = table.columns[3] if len(table.columns) == 5 else None
            if isinstance(root, int) and table.columns[0] == "table":
                for number in list(_leaves(pages, root, reached)):
                    yield from _cells(pages, number)
    passed_over = reached | pages.free
    for number in range(1, pages.count + 1):
        if number not in passed_over and _kind(pages.page(number), number) == LEAF:
            yield from _cells(pages, number)


def _leaves(pages: Pages, root: int, reached: set[int]) -> Iterator[int]:
    """Numbers of the leaves below `root`, in order; every page of the tree is added to `reached`."""
    waiting = [root]
    while waiting:
        number = waiting.pop()
        page = pages.page(number) if number not in reached else None
        if page is None:
            continue
        kind = _kind(page, number)
        if kind in (BRANCH, LEAF):
            reached.add(number)
        if kind == LEAF:
            yield number
        elif kind == BRANCH:
            start = HEADER_BYTES if number == 1 else 0
            children = [child for offset in _pointers(page, start, 12) if (child := _number_at(page, offset))]
            waiting += reversed([*children, _number_at(page, start + 8)])


def _cells(pages: Pages, number: int) -> Iterator[Row]:
    page = pages.page(number)
    assert page is not None, "only what is there is looked into"
    for offset in _pointers(page, HEADER_BYTES if number == 1 else 0, 8):
        try:
            yield _cell(pages, page, offset)
        except (_CellUnreadable, struct.error, IndexError, UnicodeDecodeError):
            continue


def _kind(page: bytes | None, number: int) -> int:
    return page[HEADER_BYTES if number == 1 else 0] if page is not None else 0


def _pointers(page: bytes, start: int, header_bytes: int) -> Iterator[int]:
    """Where the page's cells begin."""
    (count,) = struct.unpack_from(">H", page, start + 3)
    first = start + header_bytes
    last = min(first + 2 * count, len(page) - 1)
    return (offset for at in range(first, last, 2) if (offset := struct.unpack_from(">H", page, at)[0]) >= first)


def _number_at(page: bytes, offset: int) -> int:
    return int(struct.unpack_from(">I", page, offset)[0]) if offset + 4 <= len(page) else 0


def _cell(pages: Pages, page: bytes, offset: int) -> Row:
    size_bytes, offset = _varint(page, offset)
    number, offset = _varint(page, offset)
    if number >= 2**63:
        number -= 2**64
    payload = _payload(pages, page, offset, size_bytes)
    return Row(number, tuple(_columns(payload)))


def _payload(pages: Pages, page: bytes, offset: int, size_bytes: int) -> bytes:
    """The payload of a cell: what does not fit into its page is in a chain of further pages."""
    usable = pages.page_bytes
    if size_bytes > pages.count * usable:
        raise _CellUnreadable
    if size_bytes <= usable - 35:
        here = page[offset : offset + size_bytes]
        if len(here) != size_bytes:
            raise _CellUnreadable
        return here
    least = (usable - 12) * 32 // 255 - 23
    local = least + (size_bytes - least) % (usable - 4)
    if local > usable - 35:
        local = least
    payload, following = bytearray(page[offset : offset + local]), _number_at(page, offset + local)
    while len(payload) < size_bytes:
        more = pages.page(following)
        if more is None:
            raise _CellUnreadable
        following = _number_at(more, 0)
        payload += more[4 : 4 + size_bytes - len(payload)]
    if following:  # a chain ends with its last piece: this one was overwritten
        raise _CellUnreadable
    return bytes(payload)


def _columns(payload: bytes) -> Iterator[Any]:
    header_bytes, offset = _varint(payload, 0)
    if not offset <= header_bytes <= len(payload):
        raise _CellUnreadable
    kinds, value_at = [], header_bytes
    while offset < header_bytes:
        kind, offset = _varint(payload, offset)
        kinds.append(kind)
    if offset != header_bytes or len(kinds) > COLUMNS_MAX or not kinds:
        raise _CellUnreadable
    for kind in kinds:
        size_bytes = _size_bytes(kind)
        data = payload[value_at : value_at + size_bytes]
        if len(data) != size_bytes:
            raise _CellUnreadable
        value_at += size_bytes
        yield _value(kind, data)
    if value_at != len(payload):
        raise _CellUnreadable


def _size_bytes(kind: int) -> int:
    if kind >= 12:
        return (kind - 12) // 2
    if kind in (10, 11):
        raise _CellUnreadable
    return _INTEGERS.get(kind, 8 if kind == 7 else 0)


def _value(kind: int, data: bytes) -> Any:
    if kind in _INTEGERS:
        return int.from_bytes(data, "big", signed=True)
    if kind == 7:
        return struct.unpack(">d", data)[0]
    if kind >= 12:
        return data if kind % 2 == 0 else data.decode()
    return {0: None, 8: 0, 9: 1}[kind]


def _varint(data: bytes, offset: int) -> tuple[int, int]:
    """A number of one to nine bytes, and the offset behind it."""
    value = 0
    for count in range(8):
        byte = data[offset + count]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, offset + count + 1
    return value << 8 | data[offset + 8], offset + 9
