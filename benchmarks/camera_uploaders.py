"""The uploaders that run beside the camera: ours and two peers behind one contract, all in the camera's process.

Each is used as its documentation shows it. The peers keep nothing on disk and write straight to the final name; ours
holds every file durably before it counts as queued. What is compared is what each costs the camera beside it.
"""

import asyncio
import importlib.util
import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from benchmarks.peers import Job, MissingError
from iris_communication.sftp_uploader_thread import SftpUploaderThread, SftpUploadRequest

WAITING_MAX = 256  # files queued and not delivered: a feeder that is faster waits, as beside a full outbox
PUTS_AT_ONCE = 64
CLOSE_S = 5.0


class Deliverer(Protocol):
    def start(self) -> None:
        """It is connected on return, or about to be."""

    def queue(self, paths: list[Path]) -> int:
        """How many were taken, the first ones: there may be no room for the others."""

    def delivered(self) -> int: ...

    def close(self) -> None: ...


class IrisUploader:
    """What comes due together is queued together."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._uploader = SftpUploaderThread(job.scratch / "outbox", max_queue_size=WAITING_MAX)

    def start(self) -> None:
        job = self._job
        self._uploader.start()
        self._uploader.configure_server(
            "bench",
            {
                "host": job.host,
                "port": job.port,
                "username": job.username,
                "private_key": str(job.private_key),
                "host_key": job.host_key,
                "remote_directory": str(job.remote_directory),
            },
        )

    def queue(self, paths: list[Path]) -> int:
        requests = [SftpUploadRequest("bench", path, "line-1", "model", take="move") for path in paths[: self._free()]]
        return sum(self._uploader.queue_uploads(requests)) if requests else 0

    def _free(self) -> int:
        return max(0, WAITING_MAX - self._uploader.get_stats()["queue_size"])

    def delivered(self) -> int:
        return self._uploader.get_stats()["total_uploaded"]

    def close(self) -> None:
        self._uploader.close(CLOSE_S)


class IrisSingly(IrisUploader):
    """Each file by a call of its own, which waits until that file is durable."""

    def queue(self, paths: list[Path]) -> int:
        taken = 0
        for path in paths[: self._free()]:
            taken += self._uploader.queue_upload("bench", path, "line-1", "model", take="move")
        return taken


class ParamikoUploader:
    """`SFTPClient.put` in a thread, one file after the other: the client is not meant for more on one session."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._paths: queue.Queue[Path | None] = queue.Queue(WAITING_MAX)
        self._delivered = 0
        self._thread = threading.Thread(target=self._carry, name="paramiko", daemon=True)

    def start(self) -> None:
        paramiko = _module("paramiko")
        job, client = self._job, paramiko.SSHClient()
        known_hosts = job.scratch / "known_hosts"
        known_hosts.write_text(f"[{job.host}]:{job.port} {job.host_key}\n")
        client.load_host_keys(str(known_hosts))
        client.connect(
            job.host,
            job.port,
            job.username,
            key_filename=str(job.private_key),
            look_for_keys=False,
            allow_agent=False,
        )
        self._client, self._sftp = client, client.open_sftp()
        self._thread.start()

    def queue(self, paths: list[Path]) -> int:
        return _put(self._paths, paths)

    def delivered(self) -> int:
        return self._delivered

    def close(self) -> None:
        _empty(self._paths)
        self._paths.put(None)
        self._thread.join(CLOSE_S)
        self._client.close()

    def _carry(self) -> None:
        folder = self._job.remote_directory
        while (path := self._paths.get()) is not None:
            self._sftp.put(str(path), f"{folder}/{path.name}")
            self._delivered += 1


class Asyncssh:
    """asyncssh's own SFTP client, one connection, 64 puts at once, on a loop in a thread."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._paths: queue.Queue[Path | None] = queue.Queue(WAITING_MAX)
        self._delivered = 0
        self._ready: queue.Queue[BaseException | None] = queue.Queue()
        self._thread = threading.Thread(target=self._run, name="asyncssh", daemon=True)

    def start(self) -> None:
        self._thread.start()
        failed = self._ready.get()
        if failed is not None:
            raise failed

    def queue(self, paths: list[Path]) -> int:
        taken = _put(self._paths, paths)
        self._loop.call_soon_threadsafe(self._news.set)
        return taken

    def delivered(self) -> int:
        return self._delivered

    def close(self) -> None:
        _empty(self._paths)
        self._paths.put(None)
        self._loop.call_soon_threadsafe(self._news.set)
        self._thread.join(CLOSE_S)

    def _run(self) -> None:
        try:
            asyncio.run(self._carry())
        except BaseException as error:  # noqa: BLE001 - a thread's boundary: start() raises it
            self._ready.put(error)

    async def _carry(self) -> None:
        asyncssh = _module("asyncssh")
        self._loop, self._news = asyncio.get_running_loop(), asyncio.Event()
        job, free = self._job, asyncio.Semaphore(PUTS_AT_ONCE)
        connection = asyncssh.connect(
            job.host,
            job.port,
            username=job.username,
            client_keys=[str(job.private_key)],
            known_hosts=([asyncssh.import_public_key(job.host_key)], [], []),
            config=None,
        )
        async with connection as opened, opened.start_sftp_client() as sftp:
            self._ready.put(None)

            async def put(path: Path) -> None:
                try:
                    await sftp.put(path, f"{job.remote_directory}/{path.name}")
                finally:
                    free.release()
                self._delivered += 1

            async with asyncio.TaskGroup() as group:
                while True:
                    await self._news.wait()
                    self._news.clear()
                    while (path := _next(self._paths)) is not _NOTHING:
                        if path is None:
                            return
                        await free.acquire()
                        group.create_task(put(path))


UPLOADERS: dict[str, Callable[[Job], Deliverer]] = {
    "iris": IrisUploader,
    "iris singly": IrisSingly,
    "paramiko": ParamikoUploader,
    "asyncssh": Asyncssh,
}

_NOTHING: Any = object()


def _module(name: str) -> Any:
    """Raises MissingError."""
    if importlib.util.find_spec(name) is None:
        raise MissingError(f"missing: {name}")
    return importlib.import_module(name)


def _put(waiting: "queue.Queue[Path | None]", paths: list[Path]) -> int:
    for taken, path in enumerate(paths):
        try:
            waiting.put_nowait(path)
        except queue.Full:
            return taken
    return len(paths)


def _next(paths: "queue.Queue[Path | None]") -> Any:
    try:
        return paths.get_nowait()
    except queue.Empty:
        return _NOTHING


def _empty(paths: "queue.Queue[Path | None]") -> None:
    while _next(paths) is not _NOTHING:
        pass
