"""Trouble that lasts is told when it begins, when it changes and when it is over: a disk may be full for days."""

import logging


class Trouble:
    """What is wrong at present, by a word for each kind of it; told to `log`. Belongs to one thread."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._told: dict[str, str] = {}

    def begins(self, what: str, words: str, *, traceback: bool = False) -> None:
        """`words` describe it; they are told unless they were told last."""
        if self._told.get(what) != words:
            self._told[what] = words
            self._log.error("%s", words, exc_info=traceback)

    def is_over(self, what: str, words: str = "") -> None:
        """`words`, if any, are told when there was such trouble."""
        if self._told.pop(what, None) is not None and words:
            self._log.info("%s", words)
