"""Logging: threads put a line into a queue and go on; one thread writes it, without secrets.

A camera thread must never wait for a terminal, a pipe or a disk. So the root logger has one handler, which
renders the message where it was logged (its arguments may change a moment later) and puts it into a queue; a
listener's thread writes to standard error. While nobody reads standard error, lines beyond a limit are dropped
and counted; no thread waits for room.

Secrets are masked at the last step, in the finished text: message, arguments, thread name and traceback all
pass through one function. It masks in two ways: the exact texts given to `hide()`, and what looks like a secret (a
password in a URL, `password=...`, a private key). The second way guesses and may mask too much; give a configured
secret to `hide()`.

What goes wrong: an argument whose `str()` raises, a full queue, a closed standard error. None of them reaches
the caller. Text from a peer may hold line breaks or terminal commands; they are written as escapes, so that
one record stays one line (the traceback below it apart). It may be of any length, and made to keep a regular
expression busy, which would hold the interpreter and with it every thread: so a text is cut before it is searched,
and every search here takes time in proportion to it.
"""

import copy
import json
import logging
import queue
import re
import sys
import threading
import time
from logging.handlers import QueueHandler, QueueListener
from typing import Any, TextIO
from urllib.parse import quote

from iris_communication.plain_text import ELLIPSIS, clean, cut
from iris_communication.runtime.supervised_thread import SupervisedThread

MASK = "***"
# Libraries that log at INFO, line by line, what Iris logs in one sentence; at DEBUG their lines are written too.
TALKATIVE = ("asyncssh",)
WAITING_LINES_LIMIT = 10_000
THREAD = "iris-logs"
STOP_TIMEOUT_S = 2.0
# Shorter secrets are masked as whole words only: "cam" masked in every "camera" would make the log unreadable,
# and would show the secret to a reader who compares two lines.
WHOLE_WORD_BELOW_CHARACTERS = 6
KEY_LINE_CHARACTERS = 16
LINE_CHARACTERS_MAX = 4_000
SEARCHED_CHARACTERS_MAX = 64_000  # of a text that may hold secrets; the rest is not written at all
# Where a text was cut a secret may have lost its second half, and no pattern finds it.
UNSURE_CHARACTERS = 8_000

_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----.*?"
    r"(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\Z)",
    re.DOTALL,
)
# What every URL parser takes for a password: up to the last "@" before a slash. The next URL begins with a slash, so no
# character is searched twice.
_URL_PASSWORD = re.compile(r'(://[^\s/?#:@"]*):[^\s/?#"]*@')
# A password with an unescaped slash in it: everything to the last "@" of the word, unless what follows the colon reads
# as a port. The last "@" is found once a word, not once a URL.
_WORD_TO_LAST_AT = re.compile(r'(?<![^\s"<>])[^\s"<>]+@')
_URL_IN_A_WORD = re.compile(rf'://[^\s/?#:@"]*:(?!{re.escape(MASK)}@)(?!\d{{1,5}}[/?#])')
_NAMES = r"(?:password|passwd|passphrase|pwd|secret|token|api_?key|private_?key)"
_QUOTED = r"""b?(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""
_NAMED_SECRET = re.compile(
    rf"""(?ix) (
        ["']\w*{_NAMES}["'] \s*:\s* (?={_QUOTED}|\d)   # "password": "..." of JSON or a Python mapping
      | {_NAMES} \s*=\s*                               # password=...
      | {_NAMES} \s*:\s* (?={_QUOTED})                 # password: "..."
      | \bauthorization["']? \s*:\s* ["']? \w+ [ ]     # Authorization: Basic ...
    ) (?: {_QUOTED} | [^\s,;&"'(){{}}\[\]<>]+ )"""
)


class Secrets:
    """The texts given to `hide()`, as one pattern; replaced as a whole, so that readers need no lock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._forms: set[str] = set()
        self.pattern: re.Pattern[str] | None = None

    def add(self, secret: str) -> None:
        with self._lock:
            self._forms |= _forms(secret)
            longest_first = sorted(self._forms, key=len, reverse=True)
            self.pattern = re.compile("|".join(map(_to_pattern, longest_first))) if longest_first else None


known_secrets = Secrets()


def hide(secret: str) -> None:
    """Mask this text in every line from now on: plain, escaped for a URL, JSON or Python; a key also line by line."""
    known_secrets.add(secret)


def without_secrets(text: str) -> str:
    """The text with every known or likely secret replaced by `***`; if that fails, a sentence instead."""
    try:
        beyond = max(0, len(text) - SEARCHED_CHARACTERS_MAX)
        text = text[:SEARCHED_CHARACTERS_MAX]
        pattern = known_secrets.pattern
        if pattern is not None:
            text = pattern.sub(MASK, text)
        text = _PRIVATE_KEY.sub(f"{MASK} (private key)", text)
        text = _URL_PASSWORD.sub(rf"\1:{MASK}@", text)
        text = _WORD_TO_LAST_AT.sub(_without_password, text)
        text = _NAMED_SECRET.sub(rf"\1{MASK}", text)
        return f"{text[: max(0, len(text) - UNSURE_CHARACTERS)]}{ELLIPSIS}" if beyond else text
    except Exception as error:  # noqa: BLE001 - the text may hold a secret: withhold it
        return f"(text withheld: its secrets could not be removed, {type(error).__name__})"


def start_logging(level: int | str = logging.INFO, stream: TextIO | None = None) -> None:
    """Send every record of this process from `level` on to standard error; again: only change the level.

    `stream` replaces standard error. Raises ValueError when no level has that name.
    """
    root = logging.getLogger()
    with _running.lock:
        root.setLevel(level.upper() if isinstance(level, str) else level)
        for name in TALKATIVE:
            logging.getLogger(name).setLevel(logging.WARNING if root.level > logging.DEBUG else logging.NOTSET)
        if _running.listener is not None:
            return
        lines = _Lines(stream or sys.stderr)
        lines.setFormatter(LineFormatter())
        if logging.lastResort is not None:
            # Writes what is logged after stop_logging(), with the same masking.
            logging.lastResort.setFormatter(LineFormatter())
        handler = HandOver(WAITING_LINES_LIMIT)
        listener = _Listener(handler.queue, lines)
        listener.start()
        root.addHandler(handler)
        _running.handler, _running.listener = handler, listener


def stop_logging() -> None:
    """Write what is waiting, for at most two seconds, and end the thread; without a start it does nothing."""
    with _running.lock:
        handler, listener = _running.handler, _running.listener
        _running.handler = _running.listener = None
    if handler is None or listener is None:
        return
    logging.getLogger().removeHandler(handler)
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.NOTSET)
    handler.tell_what_was_lost()
    listener.stop()
    handler.close()


def threads() -> list[dict[str, Any]]:
    """`{"name", "running", "reason", "restarts"}` of the thread that writes; empty without a start."""
    listener = _running.listener
    return [] if listener is None else [listener.state()]


class LineFormatter(logging.Formatter):
    """`2026-11-23T21:16:27.123Z WARNING thread-name  message`, then the traceback; UTC; secrets removed."""

    def format(self, record: logging.LogRecord) -> str:
        when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        head = f"{when}.{int(record.msecs):03d}Z {record.levelname:<8}{record.threadName or '?'}  "
        # Secrets first: once control characters are escaped, one with a line break would not be found.
        text = clean(without_secrets(head + record.getMessage()), LINE_CHARACTERS_MAX)
        below = [record.exc_text or "", record.stack_info or ""]
        if record.exc_info and not record.exc_text:
            below[0] = self.formatException(record.exc_info)
        for part in filter(None, below):
            lines = clean(without_secrets(part), lines_stay=True).split("\n")
            text += "\n" + "\n".join(cut(line, LINE_CHARACTERS_MAX) for line in lines)
        return text


class HandOver(QueueHandler):
    """Puts a finished record into the queue, or drops it when that is full; holds no lock meanwhile."""

    queue: "queue.SimpleQueue[logging.LogRecord | None]"

    def __init__(self, limit: int) -> None:
        super().__init__(queue.SimpleQueue())
        self._limit = limit
        self._tracebacks = logging.Formatter()
        self.lost = 0

    def handle(self, record: logging.LogRecord) -> bool:
        self.emit(record)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        try:
            if self.queue.qsize() >= self._limit:
                self.lost += 1
                return
            self.tell_what_was_lost()
            self.queue.put(self.prepare(record))
        except Exception as error:  # noqa: BLE001 - an argument's str() may raise anything; the caller must not see it
            # The inherited method would write the record's own arguments to standard error, secrets included.
            self.queue.put(_unreadable(record, error))

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """A copy that depends on nothing the caller may change: text only."""
        finished = copy.copy(record)
        finished.msg, finished.args = record.getMessage(), None
        if record.exc_info and not record.exc_text:
            finished.exc_text = self._tracebacks.formatException(record.exc_info)
        finished.exc_info = None
        return finished

    def tell_what_was_lost(self) -> None:
        """Put one line in place of the dropped ones, as soon as there is room again."""
        if self.lost:
            lost, self.lost = self.lost, 0
            self.queue.put(_lost_lines(lost))


class _Lines(logging.StreamHandler[TextIO]):
    """Writes lines; when that fails (closed, the disk behind it full) there is nowhere left to report it."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name logging calls
        """Does nothing: the inherited method writes the raw record, secrets included, and may raise."""


class _Listener(QueueListener):
    """Its stop() has a deadline: a standard error that nobody reads must not keep the application from ending. A record
    that cannot be written is lost; the thread goes on."""

    _thread: SupervisedThread | None
    failures = 0
    reason: str | None = None

    def start(self) -> None:
        self._thread = SupervisedThread(self._write, THREAD)
        self._thread.start()

    def _write(self) -> None:
        while (record := self.queue.get()) is not None:
            self.handle(record)

    def handle(self, record: logging.LogRecord) -> None:
        try:
            super().handle(record)
        except Exception as error:  # noqa: BLE001 - logging is what failed: `state()` reports it
            self.failures += 1
            self.reason = f"{type(error).__name__}: {error}"

    def state(self) -> dict[str, Any]:
        thread = self._thread
        if thread is None:
            return {"name": THREAD, "running": False, "reason": self.reason, "restarts": self.failures}
        state = thread.state()
        failures = self.failures + state["restarts"]
        return state | {"reason": state["reason"] or self.reason, "restarts": failures}

    def stop(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.let_end()
            self.enqueue_sentinel()
            thread.join(STOP_TIMEOUT_S)


class _Running:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.handler: HandOver | None = None
        self.listener: _Listener | None = None


_running = _Running()


def _forms(secret: str) -> set[str]:
    """How a secret may appear: plain, escaped for a URL, for JSON and for Python; a key also line by line."""
    forms = {secret, quote(secret, safe=""), quote(secret), json.dumps(secret)[1:-1], repr(secret)[1:-1]}
    if "\n" in secret:
        forms |= {line.strip() for line in secret.splitlines() if len(line.strip()) >= KEY_LINE_CHARACTERS}
    return {form for form in forms if form.strip()}


def _to_pattern(form: str) -> str:
    if len(form) < WHOLE_WORD_BELOW_CHARACTERS:
        return rf"(?<!\w){re.escape(form)}(?!\w)"
    return re.escape(form)


def _without_password(word: re.Match[str]) -> str:
    text = word.group()
    found = _URL_IN_A_WORD.search(text)
    return text if found is None else f"{text[: found.end()]}{MASK}@"


def _unreadable(record: logging.LogRecord, error: Exception) -> logging.LogRecord:
    text = f"a message of {record.name} (line {record.lineno}) could not be rendered: {type(error).__name__}"
    return logging.LogRecord(record.name, record.levelno, record.pathname, record.lineno, text, None, None)


def _lost_lines(count: int) -> logging.LogRecord:
    text = f"{count} log lines were dropped: standard error was not read fast enough"
    return logging.LogRecord(__name__, logging.WARNING, __file__, 0, text, None, None)
