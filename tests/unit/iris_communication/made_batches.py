"""Batches for tests: files on a disk as the spool holds them, and the archive of them."""

import hashlib
import os
from functools import partial
from pathlib import Path

from iris_communication.archive.writing import Content, write_archive
from iris_communication.item import Fingerprint

MTIME_NS = 1_800_000_000_123_456_789


def fingerprint(data, mtime_ns=MTIME_NS):
    return Fingerprint(1, 2, len(data), mtime_ns, hashlib.sha256(data).hexdigest())


def contents(folder, files, mtime_ns=MTIME_NS):
    """`files`: (name, bytes), in order of acceptance."""
    spool = folder / "spool"
    spool.mkdir(exist_ok=True)
    made = []
    for sequence, (name, data) in enumerate(files, 1):
        item_id = f"0000018f-{sequence:08x}"
        path = spool / item_id
        path.write_bytes(data)
        made.append(
            Content(
                item_id, sequence, name, partial(Path, path), fingerprint(data, mtime_ns), 1_800_000_001.25 + sequence
            )
        )
    return made


def batch(folder, files, kind, name="batch"):
    """The path of an archive of these files."""
    path = folder / f"{name}.{kind}"
    write_archive(path, kind, "b-1", contents(folder, files))
    return path


def spoil(path, data):
    """Other bytes of the same length and times."""
    facts = path.stat()
    path.write_bytes(data)
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
