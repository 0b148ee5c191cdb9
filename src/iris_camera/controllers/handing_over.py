"""Hands what inspection finished to the outbox, on a thread of its own, so that inspection never waits.

Accepting a file durably takes an fsync: 20 to 70 ms beside a busy thread, and for ever on a disk that hangs. Encoding
a picture takes 5 to 15 ms. So inspection only puts both into an inbox, which never blocks it, and this thread does the
rest: it has the pictures written (`evidence_writer`), and offers the files in order, pictures first (`waiting_files`),
those that earlier runs left included.

A file is handed over for good (`take="move"`): once the outbox holds it durably it is unlinked from `ready/`, in that
order, so after a crash it is in one place or the other and never in neither. One that is refused stays in `ready/` and
is offered again. Where files are kept after delivery, each is put aside first. Waiting files are offered some at a
time, because they then share one commit.

What goes wrong.
- `queue_upload` never returns: `join` gives up after its time. What was not handed over lies in `ready/`, where the
  next start finds it; only the few defects whose frames are still held have no pictures then.
"""

import logging
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from iris_camera.camera.frame import Frame
from iris_camera.controllers.evidence_writer import ON_THIS_MACHINE, EvidenceWriter, HeldDefect, Machine
from iris_camera.controllers.waiting_files import WaitingFiles
from iris_camera.inspection.findings import Part, Verdict
from iris_camera.records.camera_run import CameraRun
from iris_camera.records.csv_file import KEPT_FOLDER, READY_FOLDER
from iris_camera.records.evidence import FinishedPicture
from iris_camera.records.kept_files import keep
from iris_camera.records.leftovers import (
    FinishedFile,
    LeftAlone,
    Leftovers,
    left_behind_text,
    log_found,
    not_read,
    recover,
)
from iris_camera.records.settings import RecordSettings
from iris_camera.records.trouble import Trouble
from iris_communication.errors import IrisError, NotStarted
from iris_communication.runtime.amounts import counted
from iris_communication.runtime.repeats import Repeats
from iris_communication.runtime.supervised_thread import SupervisedThread
from iris_communication.sftp_uploader_thread import SftpUploadRequest

log = logging.getLogger(__name__)

ServerInfo = str | Mapping[str, Any]


class Uploader(Protocol):
    def queue_upload(
        self,
        sftp_server_info: ServerInfo | Sequence[ServerInfo],
        file_path: Path,
        project_settings: str | Mapping[str, Any],
        folder_type: str,
        *,
        take: str = "copy",
    ) -> bool: ...

    def queue_uploads(self, requests: Sequence[SftpUploadRequest]) -> Sequence[bool]: ...


@dataclass(frozen=True, slots=True)
class DeliveryTarget:
    """Where a camera's records go: a server (its info or its configured name), or several; the project's settings."""

    sftp_server_info: ServerInfo | tuple[ServerInfo, ...]
    project_settings: Mapping[str, Any]


class Counts(NamedTuple):
    """`waiting`: files, and defects without their pictures yet, that the outbox has not accepted. `evidence_skipped`:
    defects that have not all of their pictures."""

    waiting: int
    evidence_files: int
    evidence_skipped: int


class HandingOver:
    """Hands over one camera's files.

    `add` returns at once, and `add_defect` unless `evidence` is patient; both are called by one thread at a time,
    before `close`.
    """

    def __init__(
        self,
        whose: CameraRun,
        uploader: Uploader,
        destination: DeliveryTarget,
        records: RecordSettings,
        evidence: EvidenceWriter,
        *,
        machine: Machine = ON_THIS_MACHINE,
    ) -> None:
        self._uploader = uploader
        self._destination = destination
        self._records = records
        self._evidence = evidence
        self._camera = whose.camera
        self._run = whose.run
        self._folder = whose.folder
        self._machine = machine
        self._inbox: queue.SimpleQueue[FinishedFile | Leftovers | HeldDefect | None] = queue.SimpleQueue()  # None: end
        self._thread = SupervisedThread(self._work, f"iris-deliver-{self._camera}")
        # Written by the thread that adds, read by this thread and by counts().
        self._given = 0
        # Written by this thread.
        self._waiting = WaitingFiles()
        self._made = self._done = self._removed = 0
        self._unsure: set[Path] = set()  # left by earlier runs, or offered without an answer: the outbox may have them
        self._left_behind: list[LeftAlone] = []
        self.not_kept: str | None = None  # why the latest file was not put aside, where files are to be kept
        self._trouble = Trouble(log)
        self._repeats = Repeats(log, machine.monotonic)
        self._closed = self._recovered = False

    def start(self) -> None:
        """Begin with what earlier runs left in the camera's folder; it is read on a thread of its own."""
        self._given += 1  # the leftovers count as one until they are known
        threading.Thread(target=self._recover, name=f"iris-recover-{self._camera}", daemon=True).start()
        self._thread.start()

    def add(self, finished: FinishedFile) -> None:
        """Hand over a finished file, after those that wait already."""
        self._given += 1
        self._inbox.put(finished)

    def add_defect(self, frame: Frame, part: Part, verdict: Verdict) -> None:
        """Write the pictures of a defect and hand them over before anything else. The frame is held until then."""
        if (held := self._evidence.take(frame, part, verdict)) is not None:
            self._given += 1
            self._inbox.put(held)

    def stop_waiting_for_room(self) -> None:
        """Stop waiting for room; from any thread."""
        self._evidence.stop_waiting_for_room()

    def close(self) -> None:
        """Offer everything once more, leftovers included, then end. What comes later stays in `ready/` for the next
        start."""
        self._thread.let_end()
        self._inbox.put(None)

    def threads(self) -> list[dict[str, Any]]:
        """See `SupervisedThread.state`."""
        return [self._thread.state()]

    def join(self, timeout_s: float) -> bool:
        """Wait for the end, at most so long; whether it came. True when it never began."""
        return self._thread.has_ended(timeout_s)

    def counts(self) -> Counts:
        """Never blocks."""
        # Read before `_given`: rather one too many waiting than too few.
        done, pictures = self._done, self._evidence.pictures
        return Counts(self._given + self._made - done, pictures, self._evidence.skipped)

    @property
    def removed(self) -> int:
        """Files that were gone before the outbox had them."""
        return self._removed

    @property
    def left_behind(self) -> str | None:
        """What earlier runs left and is not offered before the next start, as a sentence."""
        return left_behind_text(self._camera, self._left_behind)

    @property
    def skipped_why(self) -> str | None:
        """Why a defect was left without pictures the last time."""
        return self._evidence.skipped_why

    def _recover(self) -> None:
        """On a thread of its own, since it may take long, and new files must not wait for it."""
        found = Leftovers((), (), (), ())
        try:
            found = recover(self._folder, self._run)
            log_found(found)
        except OSError as error:
            found = not_read(self._folder, error)
            log_found(found)
        except Exception as error:
            found = not_read(self._folder, error)
            log.exception(
                "files that earlier runs left in %s could not be queued; the next start tries again", self._folder
            )
        finally:
            self._inbox.put(found)

    # All below runs on this thread.

    def _work(self) -> None:
        while not (self._closed and self._recovered):
            self._guarded(self._step)
        self._guarded(self._offer_all)  # once more, whether it is time or not
        if len(self._waiting):
            count, of = len(self._waiting), f"of camera {self._camera}"
            left = counted(count, f"file {of} stays", f"files {of} stay")
            log.warning("%s in %s: the next start queues the files there", left, self._folder / READY_FOLDER)

    def _guarded(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception as error:  # noqa: BLE001 - unforeseen: logged with its traceback
            text = "handing over failed at a step of camera %s; it goes on"
            self._repeats.log(("step", type(error)), logging.ERROR, text, self._camera, exc_info=error)
            self._waiting.refused(self._machine.monotonic())

    def _take(self, timeout_s: float | None) -> None:
        """Wait for a message, at most so long, and take all that are there."""
        try:
            message = self._inbox.get(timeout=timeout_s) if timeout_s != 0.0 else self._inbox.get_nowait()
            while True:
                if message is None:
                    self._closed = True
                elif isinstance(message, HeldDefect):
                    self._evidence.hold(message)
                elif isinstance(message, Leftovers):
                    self._made += len(message.finished)
                    self._done += 1
                    self._recovered = True
                    self._left_behind = [alone for alone in message.left_alone if alone.is_owed]
                    self._unsure.update(finished.path for finished in message.finished)
                    self._add(*message.finished)
                else:
                    self._add(message)
                message = self._inbox.get_nowait()
        except queue.Empty:
            pass

    def _add(self, *files: FinishedFile) -> None:
        for finished in files:
            self._put_aside(finished)
            self._waiting.add(finished)

    def _put_aside(self, finished: FinishedFile) -> None:
        if self._records.keep_bytes_max == 0:
            return
        try:
            keep(finished.path, self._folder / KEPT_FOLDER)
        except FileNotFoundError:
            pass  # the outbox took it before a crash
        except OSError as error:
            self.not_kept = f"files are not kept in {self._folder / KEPT_FOLDER}: {error.strerror or error}"
            self._trouble.begins("keeping", self.not_kept)
        else:
            self.not_kept = None
            self._trouble.is_over("keeping")

    def _write_pictures(self) -> None:
        """Of every defect that is held."""
        while self._evidence.holds_some:
            try:
                self._evidence.write_next(self._add_picture)
            finally:
                self._done += 1

    def _add_picture(self, finished: FinishedPicture) -> None:
        self._made += 1
        self._add(finished)

    def _step(self) -> None:
        """Take all messages, offer some files: a picture that comes meanwhile is then offered before the others."""
        self._take(self._waiting.pause_s(self._machine.monotonic()))
        self._write_pictures()
        if self._waiting.pause_s(self._machine.monotonic()) == 0.0:
            self._offer()

    def _offer_all(self) -> None:
        """In order, until one is refused: the others would be refused too."""
        while len(self._waiting) and self._offer():
            pass

    def _offer(self) -> bool:
        """Offer the next files; whether all of them were accepted."""
        files = self._waiting.first()
        taken = self._taken(files)
        self._waiting.accepted(taken)
        self._done += len(taken)
        if len(taken) < len(files):
            self._waiting.refused(self._machine.monotonic())
        return len(taken) == len(files)

    def _taken(self, files: list[FinishedFile]) -> list[FinishedFile]:
        """Those that need not be offered again."""
        there: list[FinishedFile] = []
        gone: list[FinishedFile] = []
        for each in files:
            if each.path.exists():
                there.append(each)
            else:
                gone.append(each)
                self._is_gone(each.path)
        if not there:
            return gone
        stay = f"files stay in {self._folder / READY_FOLDER}"
        try:
            answers = self._asked(there)
            accepted = [finished for finished, answer in zip(there, answers, strict=True) if answer]
        except IrisError as error:
            self._unsure.update(each.path for each in there)
            # Its hint is for a program that starts an uploader; the application has logged why ours does not run.
            hint = "" if isinstance(error, NotStarted) else f". {error.hint}"
            self._trouble.begins("offer", f"{stay}: {error}{hint}")
            return gone
        except Exception as error:  # noqa: BLE001 - injected code; logged with its traceback
            self._unsure.update(each.path for each in there)
            self._trouble.begins("offer", f"{stay}: {type(error).__name__}: {error}", traceback=True)
            return gone
        self._trouble.is_over("offer")
        self._unsure.difference_update(each.path for each in there)
        return gone + accepted

    def _is_gone(self, path: Path) -> None:
        """The outbox may have had it before a crash, and unlinked it when it was opened; else somebody removed it."""
        if path not in self._unsure:
            self._removed += 1
        self._unsure.discard(path)
        text = "%s is gone from %s before the outbox had it: it is not offered any more"
        self._repeats.log(("gone", str(path.parent)), logging.WARNING, text, path.name, path.parent)

    def _asked(self, files: list[FinishedFile]) -> Sequence[bool]:
        """The outbox's answers."""
        info, project = self._destination.sftp_server_info, self._destination.project_settings
        if len(files) == 1:
            (one,) = files
            return [
                self._uploader.queue_upload(
                    sftp_server_info=info,
                    file_path=one.path,
                    project_settings=project,
                    folder_type=one.kind,
                    take="move",
                )
            ]
        return self._uploader.queue_uploads(
            [SftpUploadRequest(info, each.path, project, each.kind, take="move") for each in files]
        )
