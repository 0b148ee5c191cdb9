"""Words nobody can guess, for ids and temp names.

The system's randomness is fetched a page at a time: each fetch is a system call, and after each the interpreter has to
be got back from whichever thread uses it meanwhile.
"""

import os

TOKEN_BYTES = 8
_PAGE_BYTES = 128 * TOKEN_BYTES


class Tokens:
    """Belongs to one thread."""

    def __init__(self) -> None:
        self._page = b""

    def __call__(self) -> str:
        """16 hexadecimal digits, each word once."""
        if not self._page:
            self._page = os.urandom(_PAGE_BYTES)
        word, self._page = self._page[:TOKEN_BYTES], self._page[TOKEN_BYTES:]
        return word.hex()
