"""Hands what inspection finished to the outbox, on a thread of its own, so that inspection never waits.

Accepting a file durably takes an fsync: 20 to 70 ms beside a busy thread, and for ever on a disk that hangs. Encoding
a picture takes 5 to 15 ms. So inspection only puts both into an inbox, which never blocks it, and this thread does the
rest: it writes the pictures, and offers the files in order, pictures first (`waiting_files`), those that earlier runs
left included.

A file is handed over for good (`take="move"`): once the outbox holds it durably it is unlinked from `ready/`, in that
order, so after a crash it is in one place or the other and never in neither. One that is refused stays in `ready/` and
is offered again. Where files are kept after delivery, each is put aside first. Waiting files are offered some at a
time, because they then share one commit.

What goes wrong.
- `queue_upload` never returns: `join` gives up after its time. What was not handed over lies in `ready/`, where the
  next start finds it; only the few defects whose frames are still held have no pictures then.
- Defects come faster than pictures can be written, or this thread is stuck: a limited number of frames is held.
  Skipped evidence is counted and logged, and the row of the defect is written all the same.
- The disk has less left than its reserve, or refuses: no pictures until there is room again; logged once.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from iris_camera.camera.frame import Frame
from iris_camera.controllers.waiting_files import WaitingFiles
from iris_camera.inspection.findings import Part, Verdict
from iris_camera.records.csv_file import KEPT_FOLDER, READY_FOLDER
from iris_camera.records.evidence import Area, Defect, Evidence, FinishedPicture, NoPictureError
from iris_camera.records.evidence_name import View
from iris_camera.records.kept_files import free_bytes, keep
from iris_camera.records.leftovers import (
    FinishedFile,
    LeftAlone,
    Leftovers,
    left_behind_text,
    log_found,
    not_read,
    recover,
)
from iris_camera.records.settings import EvidenceSettings, RecordSettings
from iris_camera.records.trouble import Trouble
from iris_communication.errors import IrisError, NotStarted
from iris_communication.runtime.amounts import counted, size
from iris_communication.runtime.repeats import Repeats, is_one_to_log
from iris_communication.runtime.supervised_thread import SupervisedThread
from iris_communication.sftp_uploader_thread import SftpUploadRequest

log = logging.getLogger(__name__)

PATIENCE_S = 5.0  # for room for one more frame, where the camera can wait

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


class Machine(NamedTuple):
    """The clock and the free disk space; replaced in tests."""

    monotonic: Callable[[], float] = time.monotonic
    free_bytes: Callable[[Path], int] = free_bytes


_MACHINE = Machine()


class HandingOver:
    """Hands over one camera's files. `folder` is the camera's own records folder, `run` the number its recorders carry.

    `add` returns at once, and `add_defect` too unless it is `patient`: then the camera can wait, so that a defect waits
    for its pictures rather than go without; both are called by one thread at a time, before `close`. `on_evidence` is
    called with each picture before it is offered, on this thread.
    """

    def __init__(  # noqa: PLR0913 - the parts it joins, and the machine's facts for tests
        self,
        uploader: Uploader,
        destination: DeliveryTarget,
        records: RecordSettings,
        evidence: EvidenceSettings,
        *,
        camera: str,
        run: str,
        folder: Path,
        patient: bool = False,
        on_evidence: Callable[[FinishedPicture], None] = lambda finished: None,
        machine: Machine = _MACHINE,
    ) -> None:
        self._uploader = uploader
        self._destination = destination
        self._records = records
        self._evidence = Evidence(folder, camera, run, evidence)
        self._frames_held_max = evidence.frames_held_max
        self._patience_s = PATIENCE_S if patient else 0.0
        self._frame_freed = threading.Condition()
        self._camera = camera
        self._run = run
        self._folder = folder
        self._on_evidence = on_evidence
        self._machine = machine
        self._inbox: queue.SimpleQueue[FinishedFile | Leftovers | _Held | None] = queue.SimpleQueue()  # None: the end
        self._thread = SupervisedThread(self._work, f"iris-deliver-{camera}")
        # Written by the thread that adds, read by this thread and by counts().
        self._given = self._defects = self._frames_given = self._skipped_at_once = 0
        self._last_frame: tuple[int, float] | None = None
        # Written by this thread.
        self._waiting = WaitingFiles()
        self._held: list[_Held] = []
        self._pictures = self._made = self._done = self._frames_done = self._skipped = self._removed = 0
        self._unsure: set[Path] = set()  # left by earlier runs, or offered without an answer: the outbox may have them
        self._skipped_why: str | None = None
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
        if not self._evidence.views:
            return
        this_frame = (frame.number, frame.monotonic_s)
        is_new = this_frame != self._last_frame
        if is_new and not self._wait_for_room():
            self._skipped_at_once += 1
            wait = counted(self._frames_held_max, "frame waits", "frames wait")
            self._log_skipped(self._skipped_at_once, f"{wait} for theirs already")
            return
        box = part.box
        area = Area(box.x, box.y, box.width, box.height)
        self._defects += 1
        self._given += 1
        self._frames_given += is_new
        self._last_frame = this_frame
        defect = Defect(
            frame.image,
            frame.number,
            frame.wall_s,
            part.part_id,
            area,
            verdict.label,
            verdict.score,
            self._defects,
            frame.file,
        )
        self._inbox.put(_Held(defect, is_new))

    def stop_waiting_for_room(self) -> None:
        """Stop waiting for room; from any thread."""
        with self._frame_freed:
            self._patience_s = 0.0
            self._frame_freed.notify_all()

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
        done, pictures = self._done, self._pictures  # read before `_given`: rather one too many waiting than too few
        return Counts(self._given + self._made - done, pictures, self._skipped_at_once + self._skipped)

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
        return self._skipped_why

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

    def _wait_for_room(self) -> bool:
        """Whether one more frame may be held."""

        def has_room() -> bool:
            return self._frames_given - self._frames_done < self._frames_held_max

        with self._frame_freed:
            self._frame_freed.wait_for(lambda: has_room() or not self._patience_s, self._patience_s)
        return has_room()

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
                elif isinstance(message, _Held):
                    self._held.append(message)
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
        """Of every defect that is held, so that its frame is released."""
        while self._held:
            held = self._held.pop(0)
            try:
                views = self._evidence.views if self._has_room() else ()
                written = [view for view in views if self._write(held.defect, view)]
                self._skipped += len(written) < len(self._evidence.views)
            finally:
                self._done += 1
                with self._frame_freed:
                    self._frames_done += held.is_new
                    self._frame_freed.notify_all()

    def _has_room(self) -> bool:
        reserve = self._records.disk_reserve_bytes
        try:
            free = self._machine.free_bytes(self._folder)
        except OSError:
            return True  # writing will raise the error
        if free >= reserve:
            self._trouble.is_over("room", f"pictures of defects are written into {self._folder} again")
            return True
        short = f"less than {size(reserve)} are free, the disk's reserve"
        self._skipped_why = short
        self._trouble.begins("room", f"no pictures of defects are written into {self._folder}: {short}")
        return False

    def _write(self, defect: Defect, view: View) -> bool:
        try:
            finished = self._evidence.write(defect, view)
        except (NoPictureError, OSError) as error:
            text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            self._log_skipped(self._skipped + 1, text)
            return False
        self._made += 1
        self._pictures += 1
        try:
            self._on_evidence(finished)
        except Exception as error:  # noqa: BLE001 - injected code; logged with its traceback
            text = "an observer of camera %s failed at a picture; it is handed over all the same"
            self._repeats.log(("observer", type(error)), logging.ERROR, text, self._camera, exc_info=error)
        self._add(finished)
        return True

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

    def _log_skipped(self, count: int, why: str) -> None:
        """Ever more rarely: what prevents one picture mostly prevents all."""
        self._skipped_why = why
        if is_one_to_log(count):
            log.warning("camera %s: %d defects are without pictures: %s", self._camera, count, why)


class _Held(NamedTuple):
    """A defect whose frame is held for its pictures; `is_new`: the defect before it was on another frame."""

    defect: Defect
    is_new: bool
