"""An uploader that is quick to retry, and waiting for what it does without sleeping blindly."""

import threading
import time

import pytest

from iris_communication.settings import DeliverySettings
from iris_communication.sftp_uploader_thread import SftpUploaderThread, SftpUploadRequest

WAIT_S = 20.0
QUICK = DeliverySettings(
    attempts_max=3,
    retry_base_s=0.05,
    retry_cap_s=0.1,
    breaker_base_s=0.05,
    breaker_cap_s=0.2,
    connect_timeout_s=3.0,
    progress_timeout_s=3.0,
)


def until(condition, timeout_s=WAIT_S):
    """What `condition` answers once it is true; fails after `timeout_s`."""
    deadline_s = time.monotonic() + timeout_s
    while not (answer := condition()):
        assert time.monotonic() < deadline_s, "it did not come to pass"
        threading.Event().wait(0.01)
    return answer


class Sender:
    """One uploader, one server, and files made on the way."""

    def __init__(self, uploader, folder, info):
        self.uploader, self.folder, self.info = uploader, folder, info

    def file(self, name="a.csv", content=b"a,b\n1,2\n"):
        path = self.folder / "sources" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        return path

    def submit(self, name="a.csv", content=b"a,b\n1,2\n", **info):
        request = SftpUploadRequest(self.info | info, self.file(name, content), {"project": "p"}, "model")
        return self.uploader.submit(request)

    @property
    def stats(self):
        return self.uploader.get_stats()

    @property
    def link(self):
        """The only server's details."""
        servers = list(self.uploader.get_details()["servers"].values())
        return servers[0] if servers else {"link": None, "reason": None, "hint": None}

    def until_down(self):
        return until(lambda: self.link if self.link["link"] == "down" else None)

    def until_drained(self):
        until(lambda: self.stats["queue_size"] == 0)
        return self.stats


@pytest.fixture
def sender_to(tmp_path):
    senders = []

    def make(info, **options):
        folder = tmp_path / f"sender-{len(senders)}"
        folder.mkdir()
        uploader = SftpUploaderThread(folder / "outbox", settings=QUICK, **({"max_queue_size": 5000} | options))
        uploader.start()
        senders.append(uploader)
        return Sender(uploader, folder, info)

    yield make
    for uploader in senders:
        uploader.close(0.5)
