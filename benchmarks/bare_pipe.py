"""Where the limit is: OpenSSH's sftp-server on two pipes, with no SSH between us and it.

    python -m benchmarks.bare_pipe prepared|session [the options of benchmarks/peers.py; only the folders are used]

`prepared`: each file's requests (OPEN, WRITE, CLOSE, posix-rename) are made before the clock starts, and sent a few
files ahead of the answers: the server gives the first file the first handle, and each later one the handle just closed.
It is the most that the server can do. `session`: our own protocol session carries the same files, as in the engine,
with nothing around it: how much of that the protocol in Python leaves.

Every answer is awaited and checked. Figures go to `figures.json` in --scratch, as those of benchmarks/ours.py.
"""

import argparse
import hashlib
import json
import os
import resource
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from fcntl import F_SETPIPE_SZ, fcntl
from pathlib import Path
from typing import Any, NamedTuple

from iris_communication.sftp import wire
from iris_communication.sftp.capabilities import Capabilities
from iris_communication.sftp.conversations.conversation import Chunk
from iris_communication.sftp.conversations.put import put
from iris_communication.sftp.conversations.upload import SftpUpload
from iris_communication.sftp.session import Session
from tests.servers.openssh import SFTP_SERVERS

PIPE_BYTES = 1 << 20
RECEIVE_BYTES = 64 * 1024
OUTPUT_BYTES = 256 * 1024
FILES_IN_FLIGHT = 256
PREPARED_IN_FLIGHT = 16
WRITE_SIZE_BYTES = 255 * 1024
FIRST_HANDLE = b"\x00\x00\x00\x00"
ANSWER_LIMIT_S = 20.0


class PipedFile(NamedTuple):
    name: str
    content: bytes
    sha256: str

    def read(self, offset: int, size_bytes: int) -> bytes:
        return self.content[offset : offset + size_bytes]


class Pipe:
    """The server's standard input and output, neither of which ever blocks us."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.input, self.output = process.stdin.fileno(), process.stdout.fileno()
        for descriptor in (self.input, self.output):
            fcntl(descriptor, F_SETPIPE_SZ, PIPE_BYTES)
            os.set_blocking(descriptor, False)

    def wait(self, *, writing: bool) -> tuple[bool, bool]:
        """(there is something to read, there is room to write). Raises TimeoutError."""
        reading, room, _ = select.select([self.output], [self.input] if writing else [], [], ANSWER_LIMIT_S)
        if not reading and not room:
            raise TimeoutError(f"sftp-server said nothing for {ANSWER_LIMIT_S:g} s")
        return bool(reading), bool(room)

    def read(self) -> bytes:
        data = os.read(self.output, RECEIVE_BYTES)
        if not data:
            raise ConnectionError("sftp-server ended")
        return data

    def write(self, data: memoryview) -> int:
        try:
            return os.write(self.input, data)
        except BlockingIOError:
            return 0


def prepared(pipe: Pipe, files: list[PipedFile], folder: Path) -> float:
    """Seconds from the first request to the last answer."""
    waiting = [memoryview(b"".join(_requests(file, folder, 4 * at))) for at, file in enumerate(files)][::-1]
    answers_due, answers_max, buffer, out = 0, 4 * PREPARED_IN_FLIGHT, bytearray(), memoryview(b"")
    _greet(pipe)
    begun_s = time.perf_counter()
    while waiting or answers_due:
        readable, room = pipe.wait(writing=bool(out) or bool(waiting and answers_due < answers_max))
        if readable:
            buffer += pipe.read()
            for packet in wire.packets(buffer):
                answers_due -= 1
                _check(packet)
        while room and (out or (waiting and answers_due < answers_max)):
            if not out:
                out = waiting.pop()
                answers_due += 4
            sent_bytes = pipe.write(out)
            room = sent_bytes == len(out)
            out = out[sent_bytes:]
    return time.perf_counter() - begun_s


def _check(packet: bytes) -> None:
    if packet[0] == wire.FXP_STATUS and packet[5:9] != bytes(4):
        raise ConnectionError(f"sftp-server refused: {wire.decode(packet)}")
    if packet[0] == wire.FXP_HANDLE and packet[9:] != FIRST_HANDLE:
        raise ConnectionError("sftp-server gave another handle than was expected")


def _greet(pipe: Pipe) -> None:
    pipe.write(memoryview(wire.init()))
    buffer = bytearray()
    while not list(wire.packets(buffer)):
        pipe.wait(writing=False)
        buffer += pipe.read()


def _requests(file: PipedFile, folder: Path, request_id: int) -> Iterator[bytes]:
    final = os.fsencode(folder / file.name)
    temp = os.fsencode(folder / f".iris-{request_id:016x}")
    yield wire.Open(temp, wire.WRITE | wire.CREATE | wire.EXCLUSIVE).encode(request_id)
    yield wire.WriteBytes(FIRST_HANDLE, 0, file.content).encode(request_id + 1)
    yield wire.Close(FIRST_HANDLE).encode(request_id + 2)
    yield wire.PosixRename(temp, final).encode(request_id + 3)


def session(pipe: Pipe, files: list[PipedFile], folder: Path) -> float:
    """Seconds from the first request to the last file under its name."""
    capabilities = Capabilities(
        write_size_bytes=WRITE_SIZE_BYTES, rename_refuses_existing=True, replaces_in_one_step=True
    )
    speaking, live, waiting, out = Session(), 0, files[::-1], memoryview(b"")
    speaking.write_size_bytes = WRITE_SIZE_BYTES
    begun_s = time.perf_counter()
    while live or waiting:
        while waiting and live < FILES_IN_FLIGHT:
            file = waiting.pop()
            speaking.begin(put(_upload(file, folder), capabilities), file)
            live += 1
        if not out:
            out = memoryview(_filled(speaking.output(OUTPUT_BYTES)))
        readable, room = pipe.wait(writing=bool(out))
        if readable:
            speaking.receive(pipe.read())
            for conversation in speaking.take_ended():
                if conversation.error is not None:
                    raise conversation.error
                live -= 1
        if room:
            out = out[pipe.write(out) :]
    return time.perf_counter() - begun_s


def _upload(file: PipedFile, folder: Path) -> SftpUpload:
    return SftpUpload(
        final_path=os.fsencode(f"{folder}/{file.name}"),
        temp_path=os.fsencode(f"{folder}/.iris-{file.sha256[:16]}"),
        size_bytes=len(file.content),
        sha256=file.sha256,
        confirm_source=lambda: None,
    )


def _filled(pieces: list[Any]) -> bytes:
    out = bytearray()
    for piece in pieces:
        if isinstance(piece, Chunk):
            source = piece.conversation.source
            assert source is not None, "a conversation that writes has a source"
            out += piece.head
            out += source.read(piece.offset, piece.size_bytes)
        else:
            out += piece
    return bytes(out)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("how", choices=("prepared", "session"))
    for name in ("source", "host", "port", "username", "private-key", "host-key", "remote-directory", "scratch"):
        parser.add_argument(f"--{name}", required=True)
    arguments = parser.parse_args()
    files = [_file(path) for path in sorted(Path(arguments.source).iterdir())]
    program = next((place for place in SFTP_SERVERS if os.access(place, os.X_OK)), None)
    if program is None:
        print("sftp-server is not installed: make system-packages", file=sys.stderr)
        return 1
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as process:
        try:
            carry = prepared if arguments.how == "prepared" else session
            cpu_s = _cpu_s()
            seconds = carry(Pipe(process), files, Path(arguments.remote_directory))
            cpu_s = _cpu_s() - cpu_s
        except BaseException:
            process.kill()
            raise
    figures = {"span_s": seconds, "steady_s": seconds, "steady_cpu_s": cpu_s, "above_idle_bytes": 0}
    (Path(arguments.scratch) / "figures.json").write_text(json.dumps(figures))
    return 0


def _file(path: Path) -> PipedFile:
    content = path.read_bytes()
    return PipedFile(path.name, content, hashlib.sha256(content).hexdigest())


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    sys.exit(main())
