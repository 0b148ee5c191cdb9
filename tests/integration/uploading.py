"""Shared by the tests of the whole uploader: short timeouts, many files, a watch on the server's folder."""

import contextlib
import threading
import time
from pathlib import Path

from iris_communication.settings import DeliverySettings
from iris_communication.sftp_uploader_thread import SftpUploaderThread, SftpUploadRequest

LONG_S = 60.0  # a test that waits this long fails
IN_A_HURRY = DeliverySettings(
    attempts_max=3,
    retry_base_s=0.05,
    retry_cap_s=0.2,
    breaker_base_s=0.05,
    breaker_cap_s=0.2,
    connect_timeout_s=5.0,
    progress_timeout_s=1.0,
)


@contextlib.contextmanager
def running(outbox_dir, settings=IN_A_HURRY, max_queue_size=10_000, **options):
    uploader = SftpUploaderThread(outbox_dir, None, max_queue_size, settings=settings, **options)
    uploader.start()
    try:
        yield uploader
    finally:
        uploader.close(1.0)


def submit(uploader, server, path, folder_type="model", project="line-1", take="copy"):
    return uploader.submit(SftpUploadRequest(server, path, {"project": project}, folder_type, take))


def submit_all(uploader, server, contents, folder):
    """Write each file, and queue it; receipts by name."""
    receipts = {}
    for name, content in contents.items():
        path = Path(folder) / name
        path.write_bytes(content)
        receipts[name] = submit(uploader, server, path)
    return receipts


def wait_for(receipts, timeout_s=LONG_S):
    deadline_s = time.monotonic() + timeout_s
    for receipt in receipts:
        receipt.wait_delivered(max(0.0, deadline_s - time.monotonic()))


def wait_until(happened, timeout_s=LONG_S):
    deadline_s = time.monotonic() + timeout_s
    while not happened():
        assert time.monotonic() < deadline_s, "it did not happen"
        time.sleep(0.005)


def small_files(count, size_bytes=3000):
    return {f"{number:04}.csv": f"{number};".encode() * (size_bytes // 5) for number in range(count)}


def contents_of(folder):
    """Name -> bytes of every file in a folder, temporary ones included."""
    return {path.name: path.read_bytes() for path in Path(folder).iterdir() if path.is_file()}


def destination_of(uploader):
    """Of the only server, once there is one: submitting returns before it is known."""
    wait_until(lambda: uploader.get_details()["servers"])
    (destination,) = uploader.get_details()["servers"].values()
    return destination


class Watch:
    """Lists a folder again and again: every file under a final name has to be whole at every listing."""

    def __init__(self, folder, expected):
        self.folder, self.expected = Path(folder), expected
        self.partial = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def _look(self):
        whole = set()
        while not self._over.wait(0.001):
            if not self.folder.is_dir():
                continue
            for path in self.folder.iterdir():
                if path.name in whole or path.name.startswith(".iris-"):
                    continue
                if path.read_bytes() == self.expected.get(path.name):
                    whole.add(path.name)
                else:
                    self.partial.append(path.name)


def balanced(uploader):
    stats = uploader.get_stats()
    return stats["total_queued"] == stats["total_uploaded"] + stats["total_failed"] + stats["queue_size"]
