"""How these tests queue files: a server, processors that record their calls, and waiting for an outcome."""

import contextlib
import threading
from pathlib import Path

from iris_communication.errors import IrisError
from iris_communication.settings import DeliverySettings
from iris_communication.sftp_uploader_thread import SftpUploadRequest

WAIT_S = 60.0
SERVER = {"host": "127.0.0.1", "port": 9, "username": "line", "password": "word-nobody-may-see"}
FAST = DeliverySettings(retry_base_s=0.001, retry_cap_s=0.002, breaker_base_s=0.05, breaker_cap_s=0.1)


class RecordingProcessor:
    """A processor with just transferData: writes each call down; fails for the names that are given."""

    def __init__(self, *, failing=(), answering_false=()):
        self.failing, self.answering_false = set(failing), set(answering_false)
        self.calls, self.threads = [], set()
        self.under_way = self.most_under_way = 0

    def transferData(self, sftp_server_info, file_path, project_settings, folder_type):  # noqa: N802 - the fixed name
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        self.threads.add(threading.current_thread().name)
        name = Path(file_path).name
        self.calls.append((name, Path(file_path).read_bytes(), sftp_server_info, project_settings, folder_type))
        self.under_way -= 1
        if name in self.failing:
            raise ValueError(f"cannot send {name}")
        return name not in self.answering_false


class GatedProcessor(RecordingProcessor):
    """Sends nothing before `let` is set."""

    def __init__(self):
        super().__init__()
        self.entered, self.let = threading.Event(), threading.Event()

    def transferData(self, *request):  # noqa: N802 - the fixed name
        self.entered.set()
        assert self.let.wait(WAIT_S)
        return super().transferData(*request)


def queue(uploader, path, **changed):
    request = {
        "sftp_server_info": SERVER,
        "file_path": path,
        "project_settings": {"project": "line-1"},
        "folder_type": "model",
    }
    return uploader.queue_upload(**request | changed)


def submit(uploader, path, **changed):
    return uploader.submit(SftpUploadRequest(SERVER, path, {"project": "line-1"}, changed.pop("folder_type", "model")))


def settled(*receipts):
    for receipt in receipts:
        with contextlib.suppress(IrisError):  # the outcome may be the error that ended it
            receipt.wait_delivered(WAIT_S)
        assert receipt.outcome is not None


def balanced(stats):
    return stats["total_queued"] == stats["total_uploaded"] + stats["total_failed"] + stats["queue_size"]
