"""Random words that nobody can guess, for ids and temp names.

The system's random bytes are fetched a page at a time: each fetch is a system call, and after it the thread has to wait
for the interpreter lock again.
"""

import os

TOKEN_BYTES = 8
_PAGE_BYTES = 128 * TOKEN_BYTES


class Tokens:
    """Belongs to one thread."""

    def __init__(self) -> None:
        self._page = b""

    def __call__(self) -> str:
        """16 hexadecimal digits; no word is given twice."""
        if not self._page:
            self._page = os.urandom(_PAGE_BYTES)
        word, self._page = self._page[:TOKEN_BYTES], self._page[TOKEN_BYTES:]
        return word.hex()
