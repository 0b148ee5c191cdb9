"""A process that uses up its file descriptors, as a program: what its uploader answers then, as JSON. Its arguments are
the server as JSON and a folder; it needs a process of its own because nothing else in it could go on."""

import json
import logging
import os
import resource
import sys
import threading
from pathlib import Path

from iris_communication.outbox.orders import PauseServer, ResumeServer
from iris_communication.sftp_uploader_thread import SftpUploadRequest
from tests.integration.uploading import LONG_S, running, wait_for

LIMIT = 256  # of descriptors


class DescriptorRefusals(logging.Handler):
    """Notes what is logged of too many open files, and sets `seen`."""

    def __init__(self):
        super().__init__()
        self.lines = []
        self.seen = threading.Event()

    def emit(self, record):
        line = record.getMessage()
        if "Too many open files" in line:
            self.lines.append(line)
            self.seen.set()


def exhaust():
    held = []
    try:
        while True:
            held.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        return held


def give_back(held):
    for descriptor in held:
        os.close(descriptor)


def facts_of(uploader, info, folder, refusals):
    def queue(name):
        return uploader.submit(SftpUploadRequest(info, str(folder / name), {"project": "p"}, "model"))

    wait_for([queue("first.csv")])

    held = exhaust()
    refused = uploader.queue_upload(info, str(folder / "second.csv"), {"project": "p"}, "model")
    give_back(held)
    at_acceptance, refusals.lines = refusals.lines, []
    wait_for([queue("second.csv")])

    server = next(iter(uploader.get_details()["servers"]))
    uploader.execute(PauseServer(server))
    receipt = queue("third.csv")
    held = exhaust()
    refusals.seen.clear()
    uploader.execute(ResumeServer(server))
    seen = refusals.seen.wait(LONG_S)
    give_back(held)
    wait_for([receipt])
    return {
        "accepted": refused,
        "at_acceptance": at_acceptance,
        "at_delivery": refusals.lines,
        "seen": seen,
        "stats": uploader.get_stats(),
    }


def main():
    info, folder = json.loads(sys.argv[1]), Path(sys.argv[2])
    for name in ("first.csv", "second.csv", "third.csv"):
        (folder / name).write_bytes(name.encode() * 20_000)  # its bytes are a file in the spool
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (LIMIT, most))
    refusals = DescriptorRefusals()
    logging.getLogger().addHandler(refusals)
    with running(folder / "outbox") as uploader:
        json.dump(facts_of(uploader, info, folder, refusals), sys.stdout)


if __name__ == "__main__":
    main()
