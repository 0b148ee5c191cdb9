"""asyncssh, imported without the search for liboqs.

It asks ctypes for that library twice, and each time ctypes runs ldconfig, gcc and ld: six programs and a tenth of a
second at every start, for a library that hardly any machine has. Where the linker's own cache does not list it, it
counts as missing. If it lies elsewhere, LD_LIBRARY_PATH names the place, and then it is searched for as usual.
"""

import contextlib
import ctypes.util
import getpass
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


class _LocalUser:
    """Stands for the module getpass in asyncssh, which asks for the local user, for ssh_config and for host-based
    logins, and fails where there is none: in a container whose user has no entry and no name. We use neither."""

    @staticmethod
    def getuser() -> str:
        try:
            return getpass.getuser()
        except (KeyError, OSError, ImportError):  # as its version of Python has it
            return "nobody"


class _Path(type(Path())):  # type: ignore[misc]  # POSIX or Windows, whichever runs
    """Stands for Path in asyncssh's reader of ssh_config, which looks up the user's home even when it reads no file."""

    def expanduser(self) -> Path:
        try:
            return Path(super().expanduser())
        except RuntimeError:
            return self


with without_a_search():
    import asyncssh
    from asyncssh.kex import get_kex_algs
    from asyncssh.mac import get_mac_algs
    from asyncssh.saslprep import SASLPrepError

asyncssh.connection.getpass = _LocalUser  # type: ignore[attr-defined, assignment]  # no public name
asyncssh.config.Path = _Path  # type: ignore[attr-defined]  # no public name

# What asyncssh supports depends on the libraries it finds.
KEY_EXCHANGES = frozenset(name.decode() for name in get_kex_algs())
MACS = frozenset(name.decode() for name in get_mac_algs())

__all__ = ["KEY_EXCHANGES", "MACS", "SASLPrepError", "asyncssh", "without_a_search"]
