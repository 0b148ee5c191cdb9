"""Which names may be one to somebody else's disk.

What counts as the same name is for the system that holds the files to say: many fold upper and lower case, some compose
accents, Windows drops dots and spaces at the end and has two kinds of slash. Nobody can ask for that, so names that any
of them may take for one are treated as one wherever a file could be replaced. Too many only wait for each other.
"""

import posixpath
import re
import unicodedata

_SLASHES = re.compile(r"[/\\]+")
# Windows has none of these, and who does not know a byte cannot write it: something else is put there.
_REPLACED = re.compile(r'[\x00-\x1f<>:"|?*\ufffd\ud800-\udfff]')
_IGNORED = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u206a-\u206f\ufe00-\ufe0f\ufeff]")  # by macOS


def folded(name: str) -> str:
    """The same for all names, or paths, that may be one. Of text, with surrogates for bytes that are none."""
    name = _IGNORED.sub("", name)
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    path = posixpath.normpath(_SLASHES.sub("/", _REPLACED.sub("_", text)))
    return "/".join(part if part in ("", ".", "..") else part.rstrip(". ") for part in path.split("/"))
