"""Which names may be one name on a server's disk.

The system that holds the files decides that: many fold upper and lower case, some compose accents, Windows drops dots
and spaces at the end and has two kinds of slash. A client cannot ask for its rules, so names that any of them may take
for one are treated as one wherever a file could be replaced. A name that is folded in vain only waits for another.
"""

import posixpath
import re
import unicodedata

_SLASHES = re.compile(r"[/\\]+")
# Windows allows none of these, and a system that cannot decode a byte stores something else in its place.
_REPLACED = re.compile(r'[\x00-\x1f<>:"|?*\ufffd\ud800-\udfff]')
_IGNORED = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u206a-\u206f\ufe00-\ufe0f\ufeff]")  # by macOS


def folded(name: str) -> str:
    """The same for all names, or paths, that may be one. Surrogates stand for bytes that are no text."""
    name = _IGNORED.sub("", name)
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    path = posixpath.normpath(_SLASHES.sub("/", _REPLACED.sub("_", text)))
    return "/".join(part if part in ("", ".", "..") else part.rstrip(". ") for part in path.split("/"))
