"""The process that is killed: `python -m tests.torture.producer FOLDER RUN SEED`, or with `drain` in place of a seed.

It makes files of 0 bytes to 3 MiB and queues them as fast as they are accepted, singly and many at once, copied and
moved. Some share a name, so that they have to find another one on the server. It writes down what it offers and
what it was answered (see account.py); a source that was copied is unlinked after that: the outbox alone has its bytes.

Meanwhile a thread of it copies and reads the outbox's folder all the time (see copying.py).

With `drain` it makes nothing, and ends once everything is delivered; its last line is the four statistics.
"""

import json
import logging
import os
import random
import signal
import sys
import threading
import time
from hashlib import sha256
from pathlib import Path

from iris_communication.errors import OutboxInUse
from iris_communication.settings import DeliverySettings
from iris_communication.sftp_uploader_thread import SftpUploaderThread, SftpUploadRequest
from tests.torture.account import ACCEPTED, OFFERED, REFUSED, OfferedFile, append, open_account
from tests.torture.copying import start_copying
from tests.torture.second import OWNER

IN_A_HURRY = DeliverySettings(
    retry_base_s=0.05,
    retry_cap_s=0.2,
    breaker_base_s=0.05,
    breaker_cap_s=0.3,
    connect_timeout_s=5.0,
    progress_timeout_s=1.0,
)
WAITING_MAX = 150  # so few that an outage fills the outbox
LINKED_MIN_BYTES = 1024 * 1024 + 1  # up to 1 MiB a file is copied into the spool, from here on linked
SIZES_BYTES = ((0, 0), (1, 20_000), (20_000, 300_000), (LINKED_MIN_BYTES, 3 * 1024 * 1024))
SIZE_WEIGHTS = (5, 70, 19, 6)
LIFE_MAX_S = 60.0  # of a process whose killer is gone
DRAIN_MAX_S = 120.0
START_MAX_S = 20.0
PAUSE_WHEN_FULL_S = 0.05


class Producer:
    def __init__(self, folder: Path, run: str, seed: str) -> None:
        self._run = run
        self._made = folder / "made" / run
        self._made.mkdir(parents=True)
        self._chance = random.Random(f"{seed} {run}")
        self._server = json.loads((folder / "server.json").read_text())
        self._offered = open_account(folder / OFFERED)
        self._answers = {True: open_account(folder / ACCEPTED), False: open_account(folder / REFUSED)}
        self._count = 0

    def step(self, uploader: SftpUploaderThread) -> bool:
        """Make some files and queue them; whether any was accepted."""
        offers = [self._make() for _ in range(1 if self._chance.random() < 0.6 else self._chance.randint(2, 12))]
        for offer in offers:
            append(self._offered, offer)
        requests = [self._request(offer) for offer in offers]
        if len(requests) == 1:
            (it,) = requests
            answers = [
                uploader.queue_upload(
                    it.sftp_server_info, it.file_path, it.project_settings, it.folder_type, take=it.take
                )
            ]
        else:
            answers = uploader.queue_uploads(requests)
        for offer, accepted in zip(offers, answers, strict=True):
            append(self._answers[accepted], offer)
            if offer.take == "copy" or not accepted:
                Path(offer.source).unlink()
        return any(answers)

    def _make(self) -> OfferedFile:
        self._count += 1
        chance = self._chance
        number = f"{self._run}-{self._count:05}"
        ((least, most),) = chance.choices(SIZES_BYTES, SIZE_WEIGHTS)
        size_bytes = chance.randint(least, most)
        content = (f"{number};".encode() + chance.randbytes(size_bytes))[:size_bytes]
        shares_its_name = size_bytes > len(number) and chance.random() < 0.1
        source = self._made / f"{self._count:05}" / ("latest.csv" if shares_its_name else f"{number}.csv")
        source.parent.mkdir()
        source.write_bytes(content)
        folder_type, take = chance.choice(("model", "classifier")), chance.choice(("copy", "move"))
        place = f"{self._run}/{folder_type}"
        return OfferedFile(number, source.name, size_bytes, sha256(content).hexdigest(), str(source), place, take)

    def _request(self, offer: OfferedFile) -> SftpUploadRequest:
        project, folder_type = offer.place.split("/")
        return SftpUploadRequest(self._server, offer.source, {"project": project}, folder_type, offer.take)


def main() -> None:
    folder, run, seed = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    logging.basicConfig(level=logging.WARNING, format=f"{run} %(asctime)s %(threadName)s %(levelname)s %(message)s")
    logging.getLogger("asyncssh").setLevel(logging.ERROR)
    asked_to_end = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: asked_to_end.set())
    uploader = SftpUploaderThread(folder / "outbox", None, WAITING_MAX, settings=IN_A_HURRY)
    _become_owner(uploader)
    start_copying(folder / "outbox")
    (folder / OWNER).write_text(str(os.getpid()))
    _say("ready")
    if seed == "drain":
        _drain(uploader)
    else:
        producer = Producer(folder, run, seed)
        end_s = time.monotonic() + LIFE_MAX_S
        while not asked_to_end.is_set() and time.monotonic() < end_s:
            if not producer.step(uploader):
                asked_to_end.wait(PAUSE_WHEN_FULL_S)
    (folder / OWNER).unlink()
    uploader.close(5.0)
    _say(json.dumps(uploader.get_stats()))


def _become_owner(uploader: SftpUploaderThread) -> None:
    """A second instance may have the outbox for a moment."""
    end_s = time.monotonic() + START_MAX_S
    while True:
        try:
            uploader.start()
        except OutboxInUse:
            if time.monotonic() > end_s:
                raise
            time.sleep(0.005)
        else:
            return


def _drain(uploader: SftpUploaderThread) -> None:
    end_s = time.monotonic() + DRAIN_MAX_S
    while uploader.get_stats()["queue_size"] and time.monotonic() < end_s:
        time.sleep(0.02)


def _say(line: str) -> None:
    os.write(sys.stdout.fileno(), f"{line}\n".encode())


if __name__ == "__main__":
    main()
