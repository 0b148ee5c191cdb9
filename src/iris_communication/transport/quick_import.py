"""asyncssh, imported without the search for liboqs.

It asks ctypes for that library twice, and each time ctypes runs ldconfig, gcc and ld: six programs and a tenth of a
second at every start, for a library that hardly any machine has. Where the linker's own cache does not know it, that is
the answer. Whoever has it elsewhere names the place in LD_LIBRARY_PATH, and then it is searched for as ever.
"""

import contextlib
import ctypes.util
import os
from collections.abc import Iterator
from pathlib import Path

LINKER_CACHE = Path("/etc/ld.so.cache")
LIBRARY = "liboqs"


@contextlib.contextmanager
def without_a_search(cache: Path = LINKER_CACHE) -> Iterator[None]:
    search = ctypes.util.find_library
    if _may_be_there(cache):
        yield
        return
    ctypes.util.find_library = lambda name: None if name in (LIBRARY, "oqs") else search(name)
    try:
        yield
    finally:
        ctypes.util.find_library = search


def _may_be_there(cache: Path) -> bool:
    try:
        return "LD_LIBRARY_PATH" in os.environ or LIBRARY.encode() in cache.read_bytes()
    except OSError:  # a system that keeps none
        return True


with without_a_search():
    import asyncssh
    from asyncssh.saslprep import SASLPrepError

__all__ = ["SASLPrepError", "asyncssh", "without_a_search"]
