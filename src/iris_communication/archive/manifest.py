"""The manifest of a batch: the first entry of every archive, so that a reader knows what to expect before it comes.

A file's `name` may be any bytes, as surrogate escapes. Its `entry`, the name it has in the archive, is one that every
unpacking program can write: UTF-8, one component, no control characters, and different from all others also on a system
that ignores case. For most files both are the same.

What goes wrong. A manifest comes from a server that others write to, so a reader trusts nothing that is not checked
here.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from iris_communication.naming.alternative_name import NAME_MAX_BYTES, alternative_name
from iris_communication.naming.same_name import folded

MANIFEST_NAME = "MANIFEST.json"
FORMAT = "iris-batch-1"
_NOT_IN_AN_ENTRY = re.compile(r"[\x00-\x1f\x7f-\x9f/\\\ud800-\udfff]")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_INTEGER_MAX = 2**63 - 1


class ManifestBroken(ValueError):
    """No manifest, or one that contradicts itself; the message says how."""


@dataclass(frozen=True, slots=True)
class Member:
    """One file of a batch; times are Unix time."""

    entry: str
    name: str
    size_bytes: int
    sha256: str
    mtime_ns: int
    accepted_s: float
    id: str


@dataclass(frozen=True, slots=True)
class Manifest:
    batch: str
    members: tuple[Member, ...]

    @property
    def size_bytes(self) -> int:
        """Of all files together, unpacked."""
        return sum(member.size_bytes for member in self.members)


def as_json(manifest: Manifest) -> bytes:
    """The same bytes for the same manifest."""
    document = {"format": FORMAT, "batch": manifest.batch, "members": [asdict(member) for member in manifest.members]}
    return (json.dumps(document, indent=1) + "\n").encode("ascii")


def from_json(data: bytes) -> Manifest:
    """Raises ManifestBroken."""
    try:
        document = json.loads(data.decode("ascii"))
    except (ValueError, RecursionError) as error:
        raise ManifestBroken(f"{MANIFEST_NAME} is not JSON: {error}") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        found = document.get("format") if isinstance(document, dict) else None
        raise ManifestBroken(f"{MANIFEST_NAME} has the format {found!r}, but this version reads {FORMAT!r}")
    batch, members = document.get("batch"), document.get("members")
    if not isinstance(batch, str) or not isinstance(members, list):
        raise ManifestBroken(f"{MANIFEST_NAME} names no batch or no members")
    manifest = Manifest(batch, tuple(_member(member) for member in members))
    if len({member.entry for member in manifest.members}) != len(members):
        raise ManifestBroken(f"{MANIFEST_NAME} names one entry twice")
    return manifest


def entry_name(name: str, sha256: str, item_id: str, taken: set[str]) -> str:
    """The file's entry name in the archive, which is added to `taken`. A second file whose name may be the same on the
    unpacking system gets a mark from its SHA-256; where that is taken too, its id."""
    plain = _plain(name.encode("utf-8", "surrogateescape"))
    if len(plain) > NAME_MAX_BYTES:
        plain = alternative_name(plain, sha256[:8].encode())
    choices = (plain, alternative_name(plain, sha256[:8].encode()), alternative_name(plain, item_id.encode()))
    chosen = next(text for choice in choices if folded(text := choice.decode()) not in taken)
    taken.add(folded(chosen))
    return chosen


def entry_names(files: Sequence[tuple[str, str, str]]) -> list[str]:
    """The entry names of the files of one archive, each given as name, SHA-256 and id."""
    taken = {folded(MANIFEST_NAME)}
    return [entry_name(name, sha256, item_id, taken) for name, sha256, item_id in files]


def is_plain(entry: str) -> bool:
    """Whether it may be written as one path component on every system."""
    return bool(entry) and entry not in (".", "..") and not _NOT_IN_AN_ENTRY.search(entry)


def _plain(name: bytes) -> bytes:
    """The name, with every byte escaped (%2F) that some unpacking program cannot handle."""
    try:
        text = name.decode()
    except UnicodeDecodeError:
        return b"".join(
            bytes([byte]) if 0x20 <= byte < 0x7F and byte not in b"/\\" else b"%%%02X" % byte for byte in name
        )
    if text in ("", ".", ".."):
        return b"%2E" * len(text) or b"%"
    return _NOT_IN_AN_ENTRY.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), text).encode()


def _member(stated: Any) -> Member:
    names = [each.name for each in fields(Member)]
    if not isinstance(stated, dict) or sorted(stated) != sorted(names):
        raise ManifestBroken(f"{MANIFEST_NAME} has a member without exactly {', '.join(names)}")
    member = Member(**stated)
    sound = (
        all(isinstance(text, str) for text in (member.entry, member.name, member.sha256, member.id))
        and is_plain(member.entry)
        and member.entry.casefold() != MANIFEST_NAME.casefold()
        and _is_integer(member.size_bytes)
        and member.size_bytes >= 0
        and _is_integer(member.mtime_ns)
        and _SHA256.fullmatch(member.sha256)
        and isinstance(member.accepted_s, (int, float))
    )
    if not sound:
        raise ManifestBroken(f"{MANIFEST_NAME} has an invalid member: {stated.get('entry')!r}")
    return member


def _is_integer(value: Any) -> bool:
    return type(value) is int and -_INTEGER_MAX <= value <= _INTEGER_MAX
