"""Watches a folder: offers its complete files to the outbox, and remembers which were accepted.

One thread, in turns: read events, look at files that may be complete, offer those that are, remember those that were
accepted. `completion` decides; this module collects the facts.

What goes wrong.
- The outbox is full, or no process accepts files: they stay where they are and are offered again, at pauses that grow
  up to RETRY_CAP_S; logged once.
- Events were lost: the watcher lists the folder again. It does so now and then in any case, so that it finds changes
  without an event.
- The folder is removed, replaced or unmounted: logged; the watcher waits for it and watches it as it is then. What is
  remembered of it stays.
- A file cannot be read: logged once; the watcher looks at it again.
"""

import errno
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from iris_camera.watch.candidates import Candidates
from iris_camera.watch.completion import Completion, FileState, Version
from iris_camera.watch.file_state import state_of
from iris_camera.watch.folder_events import (
    Event,
    EventsLost,
    FolderEvents,
    FolderGone,
    Heard,
    NewFolder,
    NoEvents,
    joined,
)
from iris_camera.watch.listing import files_in
from iris_camera.watch.memory import Memory
from iris_camera.watch.mounts import sees_every_change
from iris_camera.watch.names import Names
from iris_communication.errors import InvalidRequest, IrisError, SourceReplaced
from iris_communication.runtime.amounts import files
from iris_communication.runtime.repeats import Repeats

log = logging.getLogger(__name__)

AT_ONCE = 64  # files offered together: they share a commit
TURN_S = 0.5  # the longest that a turn waits, so that an end is noticed soon
RETRY_BASE_S = 0.5
RETRY_CAP_S = 5.0
LIST_EVERY_S = 60.0  # where the kernel reports every change
LIST_SHARE = 0.02  # of the time at most, in folders so large that listing takes long
REPLACED_S = 1.0  # until the next look at a file that was replaced while it was offered
UNREADABLE_S = 30.0  # until the next look at a file that could not be read
LIMITS = {
    errno.ENOSPC: "raise fs.inotify.max_user_watches",
    errno.EMFILE: "raise fs.inotify.max_user_instances",
    errno.ENOSYS: "this kernel has no inotify",
}
REMOTE_HINT = (
    "other machines can write to this file system, and what they write counts as complete once it is quiet; "
    "have them rename their files into the folder"
)


class FileTaker(Protocol):
    """Accepts files."""

    def hand_in(self, folder: Path, paths: Mapping[str, tuple[int, int]]) -> "Sequence[str | IrisError]":
        """For each path, relative to `folder`: the id of the accepted item, or why it was refused. Only the file with
        the given device and inode may be taken: the path may lead to another by now."""


class Stop(Protocol):
    """Set when watching is to end; a threading.Event is one."""

    def is_set(self) -> bool: ...

    def wait(self, timeout: float, /) -> bool: ...


@dataclass(frozen=True, slots=True)
class WatchSettings:
    folder: Path
    names: Names
    recursive: bool = False
    existing: bool = False  # what lies there at the very first start is delivered too
    quiet_s: float = 5.0


class Watcher:
    def __init__(
        self, settings: WatchSettings, taker: FileTaker, memory: Memory, stop: Stop, monotonic: Callable[[], float]
    ) -> None:
        self._settings = settings
        self._root = os.fspath(settings.folder)
        self._taker = taker
        self._memory = memory
        self._stop = stop
        self._now_s = monotonic
        self._repeats = Repeats(log, monotonic, per_file=True)
        self._candidates = Candidates(settings.quiet_s)
        self._refused: dict[str, Version] = {}  # can never be delivered as they are; offered again at the next start
        self._unreadable: set[str] = set()
        self._changes: dict[str, Version | None] = {}  # to be remembered at the end of this turn
        self._complete: dict[str, FileState] = {}  # to be offered
        self._offer_at_s = 0.0
        self._refusals = 0
        self._list_at_s = 0.0
        self._sees_every_change = True  # the kernel reports every change
        self._leases = True  # and knows who has a file open
        self.accepted = 0

    @property
    def waiting(self) -> int:
        """Files that are not accepted yet and may become complete."""
        return len(self._candidates)

    def run(self) -> None:
        """Until `stop` is set. A file that is complete then and not accepted is found at the next start."""
        logged = False
        while not self._stop.is_set():
            try:
                with self._events() as events:
                    logged = False
                    self._watch(events)
            except OSError as error:
                if not logged:
                    log.error("the folder %s cannot be watched: %s; waiting for it", self._root, error.strerror)
                logged = True
                self._stop.wait(TURN_S)

    def _events(self) -> FolderEvents | NoEvents:
        """Raises OSError where the folder cannot be read."""
        self._sees_every_change = self._leases = sees_every_change(self._settings.folder)
        try:
            return FolderEvents(self._settings.folder, recursive=self._settings.recursive)
        except OSError as error:
            if error.errno not in LIMITS:
                raise
            self._sees_every_change = False
            log.warning(
                "the kernel does not watch %s (%s; %s): Iris lists it at intervals instead",
                self._root,
                error.strerror,
                LIMITS[error.errno],
            )
            return NoEvents(self._stop.wait)

    def _watch(self, events: FolderEvents | NoEvents) -> None:
        """Until `stop` is set, or the folder is gone. Raises OSError where it cannot be listed."""
        identity = _identity(self._settings.folder)
        if not self._leases:
            log.warning("%s: %s", self._root, REMOTE_HINT)
        self._begin()
        self._list_all()
        self._forget_what_is_gone()
        log.info("watching %s", self._root)
        while not self._stop.is_set():
            heard = events.read(self._wait_s())
            if any(isinstance(event, FolderGone) for event in heard) or _identity(self._settings.folder) != identity:
                log.error("the folder %s was removed, replaced or unmounted", self._root)
                self._candidates = Candidates(self._settings.quiet_s)
                self._complete.clear()
                return
            for event in heard:
                self._hear(event)
            self._turn()

    def _turn(self) -> None:
        if self._now_s() >= self._list_at_s:
            self._list_all()
        while not self._stop.is_set() and len(self._complete) < AT_ONCE:
            path = self._candidates.due(self._now_s())
            if path is None:
                break
            self._look(path)
        if self._complete and self._now_s() >= self._offer_at_s:
            self._offer()
        self._memory.change(self._changes)
        self._changes = {}

    def _wait_s(self) -> float:
        """Until the next known thing to do."""
        now_s = self._now_s()
        if self._complete:
            return min(TURN_S, max(0.0, self._offer_at_s - now_s))
        next_s = min(self._list_at_s, *filter(None, [self._candidates.next_s()]), now_s + TURN_S)
        return max(0.0, next_s - now_s)

    def _hear(self, event: Event) -> None:
        if isinstance(event, Heard):
            if not self._means(event.path):
                return
            self._complete.pop(event.path, None)  # it may no longer be complete
            if event.notice is None:
                self._gone(event.path)
            else:
                self._candidates.hear(event.path, event.notice, self._now_s())
        elif isinstance(event, NewFolder):
            with suppress(OSError):  # gone again, or not readable for us
                self._list(event.path, recursive=False)
        elif isinstance(event, EventsLost):
            log.warning("the kernel dropped events of %s; Iris lists it again", self._root)
            self._candidates.events_were_lost()
            self._complete.clear()
            self._list_at_s = self._now_s()

    def _gone(self, path: str) -> None:
        self._candidates.gone(path)
        self._refused.pop(path, None)
        self._unreadable.discard(path)
        self._changes[path] = None

    # -- listing

    def _begin(self) -> None:
        """At the very first start, files that lie there already are noted as accepted, unless `existing` is set."""
        if self._memory.begun:
            return
        there = [] if self._settings.existing else [each for each in self._files("") if not self._is_written(each[0])]
        self._memory.begin(there)
        if there:
            log.info("%s already in %s and not queued; --existing delivers them too", files(len(there)), self._root)

    def _is_written(self, path: str) -> bool:
        with suppress(OSError):
            look = state_of(path, root=self._root, leases=self._leases)
            return look is not None and bool(look.is_open)
        return False

    def _is_closed(self, inner: str, error: OSError) -> None:
        text = "%s cannot be looked into: %s; what is in it is not delivered, and it is tried again"
        self._repeats.log(("closed", error.errno), logging.ERROR, text, inner, error.strerror)

    def _files(self, path: str, *, recursive: bool | None = None) -> "list[tuple[str, Version]]":
        if recursive is None:
            recursive = self._settings.recursive
        listed = files_in(self._root, path, recursive=recursive, closed=self._is_closed)
        return [(each, version) for each, version in listed if self._means(each)]

    def _list_all(self) -> None:
        began_s = self._now_s()
        self._list("", recursive=self._settings.recursive)
        now_s = self._now_s()
        every_s = LIST_EVERY_S if self._sees_every_change else min(LIST_EVERY_S, max(0.5, self._settings.quiet_s / 2))
        self._list_at_s = now_s + max(every_s, (now_s - began_s) / LIST_SHARE)

    def _list(self, path: str, *, recursive: bool) -> None:
        for each, version in self._files(path, recursive=recursive):
            self._candidates.list(each, version, self._remembered(each), self._now_s())

    def _forget_what_is_gone(self) -> None:
        """Forget accepted names that are there no longer. An empty folder may be one that was not mounted yet."""
        if not any(True for _ in files_in(self._root, recursive=self._settings.recursive)):
            return
        gone: dict[str, Version | None] = {}
        for path in self._memory.paths():
            if not os.path.lexists(joined(self._root, path)):
                gone[path] = None
        self._memory.change(gone)

    # -- looking and offering

    def _look(self, path: str) -> None:
        now_s = self._now_s()
        try:
            look: FileState | None = state_of(path, root=self._root, leases=self._leases)
        except OSError as error:
            if path not in self._unreadable:
                text = "%s cannot be read: %s; it is looked at again"
                self._repeats.log(("unreadable", error.errno), logging.ERROR, text, path, error.strerror)
                self._unreadable.add(path)
            self._candidates.later(path, now_s + UNREADABLE_S)
            return
        self._unreadable.discard(path)
        verdict = self._candidates.judge(path, look, self._remembered(path), now_s)
        if verdict is Completion.OFFER and look is not None:
            self._complete[path] = look

    def _offer(self) -> None:
        offered = dict(list(self._complete.items())[:AT_ONCE])
        answers = self._taker.hand_in(self._settings.folder, {path: look.identity for path, look in offered.items()})
        accepted: list[str] = []
        refused: dict[str, IrisError] = {}
        for (path, look), answer in zip(offered.items(), answers, strict=True):
            if isinstance(answer, str):
                self._changes[path] = look.version
                accepted.append(path)
            elif isinstance(answer, SourceReplaced):
                text = "%s is another file than a moment ago; Iris checks it again"
                self._repeats.log("replaced", logging.WARNING, text, path)
                self._candidates.later(path, self._now_s() + REPLACED_S)
                continue
            elif isinstance(answer, InvalidRequest):
                self._repeats.log(answer.cause, logging.ERROR, "%s is not delivered: %s. %s", path, answer, answer.hint)
                self._refused[path] = look.version
            else:
                refused[path] = answer
                continue
            self._candidates.gone(path)
        self._complete = dict(list(self._complete.items())[AT_ONCE:])
        self.accepted += len(accepted)
        if accepted:
            more = f" and {len(accepted) - 1} more" if len(accepted) > 1 else ""
            log.info("queued %s%s", accepted[0], more)
            self._refusals = min(self._refusals, 1)  # there is room now and then
        self._back_off(list(refused.values()))
        for path in refused:  # look at it once more before it is offered again: it may be written to meanwhile
            self._candidates.later(path, self._offer_at_s)

    def _back_off(self, refusals: "list[IrisError]") -> None:
        if not refusals:
            if self._refusals:
                log.info("the outbox takes files again")
            self._refusals = 0
            return
        if not self._refusals:
            why = refusals[0]
            log.warning("files wait in %s until the outbox takes them: %s. %s", self._root, why, why.hint)
        self._offer_at_s = self._now_s() + min(RETRY_CAP_S, RETRY_BASE_S * 2 ** min(self._refusals, 10))
        self._refusals += 1

    def _remembered(self, path: str) -> Version | None:
        if path in self._changes:
            return self._changes[path]
        return self._refused.get(path) or self._memory.get(path)

    def _means(self, path: str) -> bool:
        *folders, name = path.split("/")
        return self._settings.names.mean(name) and not any(folder.startswith(".") for folder in folders)


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        facts = folder.stat()
    except OSError:
        return None
    return facts.st_dev, facts.st_ino
